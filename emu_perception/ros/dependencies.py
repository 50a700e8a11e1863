# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is missing on this machine, and how to get it, in one line."""

from __future__ import annotations

from emu_perception.errors import text_of

_PIP = {'cv2': 'opencv-python-headless'}
_ROS = ('rclpy', 'rcl_interfaces', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'geometry_msgs',
        'lifecycle_msgs', 'visualization_msgs', 'builtin_interfaces')


def missing_dependency(error: ImportError) -> str:
    """Say which package is missing and how to install it."""
    module = (error.name or '').split('.')[0]
    if not isinstance(error, ModuleNotFoundError) or not module:
        return f'a Python package cannot be imported: {text_of(error)}'
    if module in _ROS:
        return (f'the ROS 2 package {module} is missing: source /opt/ros/DISTRIBUTION/setup.bash '
                'and run `rosdep install --from-paths . --ignore-src`')
    return (f'the Python package {module} is missing: run `python3 -m pip install '
            f'{_PIP.get(module, module)}` for the Python that runs this node (README: install)')
