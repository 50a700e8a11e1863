# `make demo` and `make test` need nothing but python3: the set-up goes into .venv, build, install.
# With ROS=kilted it goes into .venv-kilted, with VERSIONS=newest into .venv-newest: beside the other
# and with its own build.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint pin clean

PYTHON ?= python3
IMAGES ?=
MODEL ?=
OUT ?= out/demo
TEST_ARGS ?=
ROS ?=
VERSIONS ?=
export PYTHON ROS VERSIONS

help:                       ## this list
	@sed -n 's/^\([a-z]*\):.*## */make \1\t/p' $(MAKEFILE_LIST)

setup:                      ## .venv with all that is needed, and the colcon build (ROS=kilted)
	@bash .ci/setup

demo: setup                 ## the node over real photographs, panels in out/demo (IMAGES=dir, MODEL=file)
	@. .ci/environment && nice -n 5 "$$EMU_INSTALL"/emu_perception/lib/emu_perception/emu_demo \
	    --out '$(OUT)' $(if $(IMAGES),--images '$(IMAGES)') $(if $(MODEL),--model '$(MODEL)') && \
	    echo "next, in any folder: . $$PWD/$$EMU_VENV/bin/activate && emu --help"

test: setup                 ## all tests, lint included (TEST_ARGS='-k risk -x'; ROS=kilted; VERSIONS=newest)
	@. .ci/environment && python -m pytest $(TEST_ARGS)

quick: setup                ## ruff and the quick tests, two minutes: no ROS, no GPU, nothing slow
	@. .ci/environment && python -m ruff check . && python -m pytest -q --durations=5 \
	    --durations-min=2 -m 'not slow and not ros and not system and not gpu' $(TEST_ARGS)

lint: setup                 ## ruff and mypy alone
	@. .ci/environment && python -m ruff check . && python -m mypy

pin: setup                  ## the versions of this environment into requirements/known_good*.txt
	@. .ci/environment && python .ci/pin

clean:                      ## forget builds and results, keep .venv*
	rm -rf build install log out .venv-*/build .venv-*/install .venv-*/log
