# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 as the node finds it: which one, its middleware, shared memory, cv_bridge."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
import os
from pathlib import Path
import platform
import shutil

from emu_perception.ros.doctor.finding import FAULT, Finding, OK, tried, WARNING
from emu_perception.ros.shared_memory import objection, PROFILES, ROOM_BYTES

_SHARED_MEMORY = Path('/dev/shm')
_NODE = ('import rclpy; rclpy.init(); node = rclpy.create_node("emu_doctor"); '
         'print(rclpy.get_rmw_implementation_identifier()); node.destroy_node(); rclpy.shutdown()')
_CONVERT = ('import numpy; print(numpy.__version__, flush=True); from cv_bridge import CvBridge; '
            'bridge = CvBridge(); image = numpy.arange(48, dtype=numpy.uint8).reshape(4, 4, 3); '
            'back = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, "rgb8"), "rgb8"); '
            'assert (back == image).all(), "other pixels come back"; print(numpy.__version__)')


def findings() -> Iterator[Finding]:
    """Yield what there is to say of ROS 2; without one nothing else is asked."""
    found = ros()
    yield found
    if find_spec('rclpy') is None:
        return
    yield rmw()
    yield shared_memory()
    yield cv_bridge()


def ros() -> Finding:
    """Return which ROS 2 there is, and whose."""
    sourced, spec = os.environ.get('ROS_DISTRO', ''), find_spec('rclpy')
    if spec is None and sourced:
        return Finding('ros', FAULT, f'ROS 2 {sourced} is sourced, but Python '
                       f'{platform.python_version()} cannot import rclpy: it is of another Python',
                       'use the Python of that ROS: python3 -m venv --system-site-packages')
    if spec is None:
        return Finding('ros', WARNING, 'none: emu node, emu replay and emu demo need one',
                       ". /opt/ros/jazzy/setup.bash, or pip install '.[ros]' for its wheels")
    wheels = [name for name in packages_distributions().get('rclpy', ())
              if name.startswith('ros-')]
    whose = f'wheels of pip ({wheels[0]})' if wheels else sourced or 'of no known distribution'
    return Finding('ros', OK, f'{whose}, {Path(str(spec.origin)).parent}')


def rmw() -> Finding:
    """Return the middleware that a node gets, by making one."""
    said, problem = tried(_NODE)
    if not problem:
        return Finding('middleware', OK, said)
    wanted = os.environ.get('RMW_IMPLEMENTATION', '')
    text = f'a node cannot be made: {problem}'
    if wanted:
        package = wanted.replace('_', '-')
        return Finding('middleware', FAULT, f'RMW_IMPLEMENTATION is {wanted}; {text}',
                       f'unset RMW_IMPLEMENTATION, or apt install ros-$ROS_DISTRO-{package}')
    return Finding('middleware', FAULT, text, 'source ROS 2 and this package in this shell '
                   '(install/setup.bash); AMENT_PREFIX_PATH is '
                   f"'{os.environ.get('AMENT_PREFIX_PATH', '')}'")


def shared_memory() -> Finding:
    """Return whether images above 0.5 MB go through shared memory."""
    usage = shutil.disk_usage(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None
    room = 'no /dev/shm' if usage is None else (f'/dev/shm {usage.total >> 20} MB, '
                                                f'{usage.free >> 20} MB free')
    problem = objection(os.environ, None if usage is None else usage.free)
    if not problem:
        return Finding('shared memory', OK, f'{room}; config/fastdds.xml is used')
    if 'may be lost' not in problem:  # Another middleware, or a profile of the user's own.
        return Finding('shared memory', OK, f'{room}; {problem}')
    remedy = (f'give {4 * ROOM_BYTES >> 20} MB: docker run --shm-size=512m, or mount -o '
              'remount,size=512m /dev/shm' if usage is None or usage.free < ROOM_BYTES else
              f'leave that variable out, or name a profile of your own in {PROFILES[0]}')
    return Finding('shared memory', WARNING, f'{room}; {problem}', remedy)


def cv_bridge() -> Finding:
    """Return whether cv_bridge works with the NumPy that is beside it."""
    if find_spec('cv_bridge') is None:
        return Finding('cv_bridge', OK, "not there: the package's own converter is used")
    said, problem = tried(_CONVERT)
    if not problem:
        return Finding('cv_bridge', OK, f'converts, beside NumPy {said}')
    return Finding('cv_bridge', WARNING, f'does not work beside NumPy {said or "?"}: {problem}; '
                   "the package's own converter is used",
                   "pip install 'numpy<2': cv_bridge of Humble and Jazzy was compiled for NumPy 1")
