# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The node beside Nav2, brought up by a lifecycle manager of its own.

Not by Nav2's: that waits 4 s for a bond, which this node (rclpy) does not make, and takes all of
Nav2 down. What supervises instead is ``~/risk``: a second without it is risk (docs/robot.md,
examples/risk_stop.py), and clouds that stop coming (collision_monitor.yaml, costmap.yaml).
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

HERE = Path(__file__).resolve().parent
NODE = 'emu'
MANAGER = 'nav2_lifecycle_manager'


def check(context):
    """Refuse before anything is started, which nobody would end."""
    try:
        get_package_prefix(MANAGER)
    except PackageNotFoundError:
        raise RuntimeError(f'the package {MANAGER} is not installed: apt install '
                           'ros-$ROS_DISTRO-nav2-lifecycle-manager') from None


def manager(context):
    """Return the manager of the node, or of one for each of several cameras."""
    def given(name):
        return LaunchConfiguration(name, default='').perform(context)
    cameras = [camera.strip('/ ') for camera in given('cameras').split(',')]
    nodes = [f'{camera}/{NODE}' for camera in cameras if camera] or [NODE]
    return [Node(package=MANAGER, executable='lifecycle_manager', name='lifecycle_manager_emu',
                 namespace=given('namespace').strip('/'), output='screen',
                 parameters=[{'autostart': True, 'node_names': nodes, 'bond_timeout': 0.0,
                              'use_sim_time': given('use_sim_time').lower() in ('true', '1')}])]


def generate_launch_description():
    """Return node and manager; all arguments of emu.launch.py may be given too."""
    # In the source tree and where it is installed alike: examples/ lies beside launch/.
    emu = HERE.parents[1] / 'launch' / 'emu.launch.py'
    namespace, use_sim_time = LaunchConfiguration('namespace'), LaunchConfiguration('use_sim_time')
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='', description='Of node and manager.'),
        DeclareLaunchArgument('use_sim_time', default_value='',
                              description="'true': time from /clock, for node and manager. Empty: "
                              'for the node as params_file says.'),
        DeclareLaunchArgument('params_file', default_value=str(HERE / 'emu.yaml'),
                              description='Parameters of the node (YAML).'),
        OpaqueFunction(function=check),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(emu)),
            launch_arguments={'namespace': namespace, 'use_sim_time': use_sim_time,
                              'params_file': LaunchConfiguration('params_file'),
                              'autostart': 'false'}.items()),
        OpaqueFunction(function=manager),
    ])
