# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Shared memory that holds whole images, for processes that send them over Fast DDS.

Fast DDS cuts a message into pieces and writes them into a segment of the *sender's*. Its default,
512 KB, is smaller than a 640x480 rgb8 image: the first pieces are overwritten before a receiver
that got no processor time has read them, and a best-effort image is lost. This module knows
nothing of ROS, so that the launch file may use it.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
import shutil

PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# Humble and Jazzy read the first, later ones the second.
SWITCH = 'EMU_SHARED_MEMORY'
# With the last two rmw_fastrtps adds transports of its own, with the default segment, to ours.
_SPEAKING = ('FASTDDS_BUILTIN_TRANSPORTS', 'ROS_DISCOVERY_SERVER', 'ROS_LOCALHOST_ONLY',
             'ROS_AUTOMATIC_DISCOVERY_RANGE')
_RMW = 'RMW_IMPLEMENTATION'
_SHARED_MEMORY = Path('/dev/shm')
# Four segments of config/fastdds.xml: a container with less than that would rather lose images
# than be killed for writing into memory that is not there.
ROOM_BYTES = 4 * (32 << 20)


def objection(environment: Mapping[str, str], free_bytes: int | None) -> str:
    """
    Say why the package's profile is not to be set, and what follows; '' where it is to be.

    :param free_bytes: of ``/dev/shm``; None where there is none.
    """
    if other := _another(environment):
        return other
    lost = 'images above 0.5 MB may be lost'
    if environment.get(SWITCH, '').lower() in ('0', 'off', 'false'):
        return f'{SWITCH} is {environment[SWITCH]}; {lost}'
    for name in _SPEAKING:
        # An empty ROS_LOCALHOST_ONLY or one of 0 is its default.
        if environment.get(name, '') not in ('', '0'):
            return f'{name} is set; {lost}'
    if free_bytes is None or free_bytes < ROOM_BYTES:
        room = 'absent' if free_bytes is None else f'{free_bytes >> 20} MB free'
        return (f'/dev/shm has less than {ROOM_BYTES >> 20} MB ({room}; docker: --shm-size); '
                f'{lost}')
    return ''


def _another(environment: Mapping[str, str]) -> str:
    """Say which other middleware or profile there is; '' where there is none."""
    rmw = environment.get(_RMW, '')
    if rmw and 'fastrtps' not in rmw:
        return f'{_RMW} is {rmw}, and it is for Fast DDS'
    for name in PROFILES:
        if environment.get(name, ''):
            return f'{name} is set, and is to hold what images need'
    return ''


def profile_variables(environment: Mapping[str, str], profile: Path) -> tuple[dict[str, str], str]:
    """
    Return the variables that give a process whole images in shared memory, and a line on it.

    :param environment: of the process.
    :param profile: config/fastdds.xml, as installed.
    :return: no variable, and why, where the user has spoken or it would not work.
    """
    variables = dict.fromkeys(PROFILES, str(profile))
    done = f'shared memory for images: {profile}'
    ours = {name for name in PROFILES
            if environment.get(name) and Path(environment[name]).resolve() == profile.resolve()}
    rest = {name: value for name, value in environment.items() if name not in ours}
    if ours and not _another(rest):
        # Which of the two is read depends on the version of Fast DDS.
        return {name: value for name, value in variables.items() if name not in ours}, done
    free_bytes = shutil.disk_usage(_SHARED_MEMORY).free if _SHARED_MEMORY.is_dir() else None
    why_not = objection(rest, free_bytes)
    if not why_not and not profile.is_file():
        why_not = f'{profile} is missing'
    if why_not:
        return {}, f'config/fastdds.xml is not used: {why_not}'
    return variables, done


def use_shared_memory(environment: MutableMapping[str, str]) -> str:
    """Set the variables in this process's environment, before ROS starts; return a line on it."""
    variables, said = profile_variables(environment, installed_profile())
    environment.update(variables)
    return said


def installed_profile() -> Path:
    """Return config/fastdds.xml of the installed package, else of the source tree."""
    from ament_index_python.packages import get_package_share_directory, PackageNotFoundError
    try:
        share = Path(get_package_share_directory('emu_perception'))
    except PackageNotFoundError:
        share = Path(__file__).resolve().parents[2]
    return share / 'config' / 'fastdds.xml'
