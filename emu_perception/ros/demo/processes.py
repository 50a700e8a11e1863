# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Start and end the installed executables of this package, on a ROS domain of their own."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from emu_perception.errors import EmuError
from emu_perception.ros.shared_memory import installed_profile, PROFILES

PACKAGE = 'emu_perception'


def isolated_environment() -> dict[str, str]:
    """
    Return the environment with a ROS domain of this process's own, on this machine only.

    Domains 1..99 keep clear of the default 0 and of the ephemeral ports from 102 on.
    """
    environment = dict(os.environ)
    environment['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 99)
    if environment.get('ROS_DISTRO') == 'humble':
        environment['ROS_LOCALHOST_ONLY'] = '1'
    else:
        environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        environment.pop('ROS_LOCALHOST_ONLY', None)
    # Shared memory for whole images, unless the user has a profile already. rmw_fastrtps adds
    # its own transports to that here: both carry the same images, and the larger loses none.
    profile = installed_profile()
    if profile.is_file():
        for name in PROFILES:
            environment.setdefault(name, str(profile))
    return environment


def executable(name: str) -> Path:
    """
    Return the path of an installed executable of the package.

    :raises EmuError: if the package is not built or not sourced.
    """
    try:
        path = Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE / name
    except PackageNotFoundError as error:
        raise EmuError(f'{PACKAGE} is not installed here: colcon build it and source '
                       'install/setup.bash (make does both)') from error
    if not path.is_file():
        raise EmuError(f'{path} is missing: colcon build the package again')
    return path


def arguments(parameters: Mapping[str, object]) -> list[str]:
    """Return the --ros-args for parameters; strings stay strings."""
    result = ['--ros-args']
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else (
            f"'{value}'" if isinstance(value, str) else str(value))
        result += ['-p', f'{name}:={text}']
    return result


class Child:
    """A started executable; its output goes to a file."""

    def __init__(self, name: str, args: list[str], environment: Mapping[str, str],
                 log_file: Path) -> None:
        """
        Start it.

        :raises EmuError: if the executable is not installed.
        """
        self.name = name
        self.log_file = log_file
        with log_file.open('wb') as log:
            # A session of its own: Ctrl-C in the terminal reaches the demo, which ends it.
            self.process = subprocess.Popen([str(executable(name)), *args], env=dict(environment),
                                            stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True)

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return self.process.poll() is None

    @property
    def log(self) -> str:
        """Return what it has said so far."""
        return self.log_file.read_text(errors='replace')

    def stop(self, timeout_s: float = 20.0) -> int:
        """Send SIGINT, wait, and return the exit code; kill it after ``timeout_s``."""
        if self.running:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
