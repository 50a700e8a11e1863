# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The node beside Nav2, brought up by a lifecycle manager of its own.

Not by Nav2's: that waits 4 s for a bond, which this node (rclpy) does not make, and takes all of
Nav2 down. What supervises instead is ``~/risk``: a second without it is risk (docs/robot.md,
examples/risk_stop.py), and clouds that stop coming (collision_monitor.yaml, costmap.yaml).
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node

HERE = Path(__file__).resolve().parent
NODE = 'emu'


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
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(emu)),
            launch_arguments={'namespace': namespace, 'use_sim_time': use_sim_time,
                              'params_file': LaunchConfiguration('params_file'),
                              'autostart': 'false'}.items()),
        Node(package='nav2_lifecycle_manager', executable='lifecycle_manager',
             name='lifecycle_manager_emu', namespace=namespace, output='screen',
             parameters=[{'autostart': True, 'node_names': [NODE], 'bond_timeout': 0.0,
                          'use_sim_time': PythonExpression(
                              ["'", use_sim_time, "'.lower() == 'true'"])}]),
    ])
