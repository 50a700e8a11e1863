# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Run a launch file by the real launch system, where there is no ros2 command beside it.

``python tools/launch_file.py FILE [name:=value ...]`` needs launch and launch_ros and ends as
``ros2 launch FILE name:=value ...`` does. What starts the launch file in tests and in
tools/launch_log.py.
"""

from __future__ import annotations

import argparse
import sys


def main(args: list[str] | None = None) -> int:
    """Run until it ends by itself or by Ctrl-C; return the launch service's exit code."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('file')
    parser.add_argument('arguments', nargs='*', metavar='name:=value')
    options = parser.parse_args(args)
    for argument in options.arguments:
        if ':=' not in argument:
            parser.error(f"argument is '{argument}': give name:=value")
    from launch import LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    service = LaunchService()
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(options.file),
        launch_arguments=[argument.split(':=', 1) for argument in options.arguments])]))
    return int(service.run())


if __name__ == '__main__':
    sys.exit(main())
