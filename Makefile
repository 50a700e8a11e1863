# `make demo` and `make test` need nothing but python3: the set-up goes into .venv, build, install.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint clean

PYTHON ?= python3
IMAGES ?=
MODEL ?=
OUT ?= out/demo
TEST_ARGS ?=
export PYTHON

help:                       ## this list
	@sed -n 's/^\([a-z]*\):.*## */make \1\t/p' $(MAKEFILE_LIST)

setup:                      ## .venv with all that is needed, and the colcon build
	@bash .ci/setup

demo: setup                 ## the node over real photographs, panels in out/demo (IMAGES=dir, MODEL=file)
	@. .ci/environment && nice -n 5 install/emu_perception/lib/emu_perception/emu_demo \
	    --out '$(OUT)' $(if $(IMAGES),--images '$(IMAGES)') $(if $(MODEL),--model '$(MODEL)')

test: setup                 ## all tests, lint included (TEST_ARGS='-k risk -x')
	@. .ci/environment && python -m pytest $(TEST_ARGS)

lint: setup                 ## ruff and mypy alone
	@. .ci/environment && python -m ruff check . && python -m mypy

clean:                      ## forget builds and results, keep .venv
	rm -rf build install log out
