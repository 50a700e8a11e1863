# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The node and nvblox: a mask of what moves, and depth of the camera's or, without one, the node's.

nvblox pairs colour with mask by equal stamps, depth with mask by near ones: so colour is the very
topic that the node reads.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

HERE = Path(__file__).resolve().parent
NODE = '/emu'


def remappings(image_topic, depth_topic, node=NODE):
    """Return nvblox's topics for those of the camera and the node."""
    def info(topic):
        return '/'.join([*topic.split('/')[:-1], 'camera_info'])

    depth = depth_topic or f'{node}/depth/image'
    return [('camera_0/color/image', image_topic),
            ('camera_0/color/camera_info', info(image_topic)),
            ('camera_0/mask/image', f'{node}/mask'),
            ('camera_0/mask/camera_info', f'{node}/camera_info'),
            ('camera_0/depth/image', depth), ('camera_0/depth/camera_info', info(depth))]


def check(context):
    """Refuse before anything is started, which nobody would end."""
    try:
        get_package_prefix('nvblox_ros')
    except PackageNotFoundError:
        raise RuntimeError('the package nvblox_ros is not installed: see the documentation of '
                           'Isaac ROS nvblox') from None
    if LaunchConfiguration('cameras', default='').perform(context).strip(', '):
        raise RuntimeError('launch argument cameras: nvblox is set up for one camera here; give '
                           'its namespace')


def nodes(context):
    """Return nvblox for the arguments as they were given."""
    image, depth, namespace = (LaunchConfiguration(name).perform(context)
                               for name in ('image_topic', 'depth_topic', 'namespace'))
    place = f'/{namespace.strip("/")}' if namespace.strip('/') else ''
    node = f'{place}{NODE}'
    # nvblox is in no namespace: relative topics would be others than the node's.
    image, depth = (topic if not topic or topic.startswith('/') else f'{place}/{topic}'
                    for topic in (image, depth))
    return [Node(package='nvblox_ros', executable='nvblox_node', name='nvblox_node',
                 output='screen', parameters=[str(HERE / 'nvblox.yaml')],
                 remappings=remappings(image, depth, node))]


def generate_launch_description():
    """Return node and nvblox; all other arguments of emu.launch.py may be given too."""
    emu = HERE.parents[1] / 'launch' / 'emu.launch.py'
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='', description='Of the node.'),
        DeclareLaunchArgument('image_topic', default_value='/camera/color/image_rect',
                              description='Rectified colour images, camera_info beside them.'),
        DeclareLaunchArgument('depth_topic', default_value='',
                              description="A depth camera's images. Empty: the node's own depth."),
        OpaqueFunction(function=check),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(emu)),
            launch_arguments={'namespace': LaunchConfiguration('namespace'),
                              'image_topic': LaunchConfiguration('image_topic'),
                              'params_file': str(HERE / 'emu.yaml')}.items()),
        OpaqueFunction(function=nodes)])
