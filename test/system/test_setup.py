# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Which versions ``make setup`` installs.

A script stands in for Python: it installs nothing, notes what it was called with, and refuses what
a test has it refuse.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import shutil
import subprocess

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTS = sorted((ROOT / 'requirements').glob('*.txt'))
PINNED = [file for file in LISTS if file.name.startswith('known_good')]

PYTHON = r"""#!/usr/bin/env bash
# $REFUSED: what pip does not find. $MISSING: what cannot be imported.
case "$*" in
    '-c import sys; print("%d.%d"'*) echo "$FAKE_VERSION" ;;
    *'numpy.__version__'*) echo 'numpy<2' ;;
    '-c import rclpy') [ -n "${ROS_DISTRO:-}" ] ;;
    "-c import ${MISSING:-nothing}") exit 1 ;;
    '-m venv '*) mkdir -p "${@: -1}/bin"; cp "$0" "${@: -1}/bin/python"
                 echo "PATH=$PWD/${@: -1}/bin:\$PATH" > "${@: -1}/bin/activate" ;;
    '-m pip '*' install '*) echo "$*" >> "$CALLS"
        if [ -n "${REFUSED:-}" ] && [[ "$*" == *"$REFUSED"* ]]; then
            echo 'ERROR: No matching distribution found for numpy==2.4.6' >&2; exit 1
        fi ;;
esac
"""
Setup = Callable[..., tuple[subprocess.CompletedProcess, list[str]]]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Return a function that runs .ci/setup in a copy and returns what it said and asked pip."""
    for folder in ('.ci', 'requirements'):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    fake = tmp_path / 'python-of-this-test'
    fake.write_text(PYTHON)
    fake.chmod(0o755)
    calls = tmp_path / 'calls.txt'

    def run(**changes: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        calls.write_text('')
        environment = {'PATH': os.environ['PATH'], 'PYTHON': str(fake), 'CALLS': str(calls),
                       'FAKE_VERSION': '3.11', **changes}
        done = subprocess.run(['bash', '.ci/setup'], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)
        return done, calls.read_text().splitlines()
    return run


def test_every_step_is_held_to_the_versions_that_were_tested(setup):
    done, calls = setup()
    assert done.returncode == 0, done.stderr
    assert len(calls) == 4, 'pip itself, torch, ROS 2, the rest'
    for name in ('known_good', 'known_good_jazzy'):
        assert all(f'--constraint requirements/{name}.txt' in call for call in calls)
    assert not any('--upgrade-strategy' in call for call in calls)
    assert 'versions: known_good,' in done.stdout


def test_the_second_run_installs_nothing(setup):
    setup()
    done, calls = setup()
    assert done.returncode == 0 and not calls and 'versions: known_good,' in done.stdout


@pytest.mark.parametrize('python', ['3.10', '3.13'])
def test_a_version_that_is_not_to_be_had_does_not_stop_the_setup_and_is_said(setup, python):
    done, calls = setup(FAKE_VERSION=python, REFUSED='jazzy.txt -r requirements/pypi.txt')
    assert done.returncode == 0, done.stderr
    held = ['known_good' in call for call in calls]
    # pip; torch in vain; torch, ROS 2 and the rest at their newest.
    assert held == [True, True, False, False, False]
    said, = [line for line in done.stdout.splitlines() if 'not to be had' in line]
    assert python in said and 'numpy==2.4.6' in said and 'newest' in said
    assert 'versions: the newest' in done.stdout


def test_what_is_not_to_be_had_in_any_version_stops_the_setup_with_pips_own_words(setup):
    done, _ = setup(REFUSED='install')
    assert done.returncode != 0 and 'No matching distribution' in done.stderr
    assert 'ready' not in done.stdout


def test_the_newest_are_tried_in_an_environment_of_their_own(setup, tmp_path):
    setup()
    done, calls = setup(VERSIONS='newest')
    assert done.returncode == 0, done.stderr
    assert calls and not any('known_good' in call for call in calls)
    assert all('--upgrade --upgrade-strategy eager' in call for call in calls)
    assert (tmp_path / '.venv-newest/.versions').read_text() == 'the newest'
    assert (tmp_path / '.venv/.versions').read_text() == 'known_good'
    assert '.venv-newest/install' in done.stdout


def test_wheels_of_another_distribution_have_versions_of_their_own(setup):
    done, calls = setup(ROS='kilted')
    assert done.returncode == 0, done.stderr
    assert not any('known_good_jazzy' in call for call in calls)
    assert all('known_good.txt' in call for call in calls)
    assert 'ROS 2 kilted: the newest' in done.stdout


def test_on_a_sourced_ros_nothing_is_pinned_and_the_robots_torch_stays(setup, tmp_path):
    done, calls = setup(ROS_DISTRO='jazzy')
    assert done.returncode == 0, done.stderr
    assert calls and not any('known_good' in call for call in calls)
    assert not any(' torch' in call or 'numpy' in call or 'opencv' in call for call in calls)
    assert (tmp_path / '.venv/constraints.txt').read_text() == 'numpy<2\n'
    assert "versions: this machine's" in done.stdout


def test_on_a_sourced_ros_without_torch_it_is_installed(setup):
    done, calls = setup(ROS_DISTRO='jazzy', MISSING='torch')
    assert done.returncode == 0, done.stderr
    assert sum(' torch torchvision' in call for call in calls) == 1


def test_emu_is_in_the_environment_and_finds_its_build_from_anywhere(setup, tmp_path):
    done, _ = setup()
    assert done.returncode == 0, done.stderr
    built = tmp_path / 'install/emu_perception/lib/emu_perception'
    built.mkdir(parents=True)
    (built / 'emu').write_text('')
    # The stand-in for Python, as emu calls it.
    (tmp_path / '.venv/bin/python').write_text(
        '#!/bin/sh\necho "$PYTHONPATH|$AMENT_PREFIX_PATH|$*"\n')
    said = subprocess.run([tmp_path / '.venv/bin/emu', 'predict', 'a b'], cwd='/', text=True,
                          capture_output=True, env={'PATH': os.environ['PATH'], 'PYTHONPATH': 'x'})
    prefix = tmp_path / 'install/emu_perception'
    assert said.stdout == (f'{prefix}/lib/python3.11/site-packages:x|{prefix}:{tmp_path}/.venv|'
                           f'{built}/emu predict a b\n'), said.stderr


def test_the_last_line_of_the_demo_says_how_emu_is_reached():
    said = subprocess.run(['make', '-n', 'demo'], cwd=ROOT, capture_output=True, text=True).stdout
    assert '/bin/activate && emu --help' in said.splitlines()[-1]


def test_versions_of_another_name_are_refused(setup):
    done, calls = setup(VERSIONS='oldest')
    assert done.returncode == 1 and not calls
    assert 'VERSIONS=oldest: say known_good (the default) or newest' in done.stderr


# -- the lists -----------------------------------------------------------------------------------
def pins() -> dict[str, str]:
    """Return the versions of both constraints files."""
    lines = [line for file in PINNED for line in file.read_text().splitlines()
             if line and not line.startswith('#')]
    found = dict(line.split('==') for line in lines)
    assert len(found) == len(lines), 'a package is pinned twice'
    return found


@pytest.mark.parametrize('file', [file for file in LISTS if file not in PINNED],
                         ids=lambda file: file.stem)
def test_what_a_list_asks_for_has_a_known_version(file):
    known = pins()
    for line in file.read_text().splitlines():
        if line and not line.startswith(('#', '-r')):
            wanted = Requirement(line)
            name = canonicalize_name(wanted.name)
            assert name in known, f'{file.name}: {line} has no version in known_good.txt: make pin'
            assert known[name] in wanted.specifier, f'{line}, but {known[name]} is pinned'


def test_what_colcon_needs_of_setuptools_is_pinned():
    assert int(pins()['setuptools'].split('.')[0]) < 80
