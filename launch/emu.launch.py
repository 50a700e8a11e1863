# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Start the node, or one for each of several cameras, and, by argument, replay cameras and rviz2.

An argument left empty changes nothing: the parameter file keeps its say. ``autostart`` is a
parameter of the node itself, so this file is the same on Humble, Jazzy and Kilted.
"""

from difflib import get_close_matches
from pathlib import Path
import re

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
from emu_perception.ros.shared_memory import profile_variables, SWITCH
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
import yaml

SHARE = Path(get_package_share_directory('emu_perception'))
# The robot stands still meanwhile, and there is nothing to wait for: when launch hears of the
# death, memory and GPU are free again. Not 0: what dies at its start, each time, would leave no
# pause in which the log can be read and other processes get their share.
RESPAWN_DELAY_S = 0.5
# The absolute topics of config/emu.rviz, which move with the namespace.
RVIZ_TOPICS = ('overlay', 'depth/image', 'segmentation_uncertainty_color',
               'depth_uncertainty_color', 'points', 'risk_marker')

ARGUMENTS = [
    DeclareLaunchArgument('namespace', default_value='',
                          description='Namespace of all nodes, such as front_camera.'),
    DeclareLaunchArgument('cameras', default_value='',
                          description='Namespaces of several cameras, such as front,left: one '
                          'process with a node for each, which share one network on the GPU. '
                          'Relative topics are in the namespace of each. Empty: one node.'),
    DeclareLaunchArgument('params_file', default_value=str(SHARE / 'config' / 'emu.yaml'),
                          description='Parameters of the node (YAML).'),
    DeclareLaunchArgument('use_sim_time', default_value='',
                          description="'true': time from /clock. Empty: as params_file says."),
    DeclareLaunchArgument('log_level', default_value='info',
                          description='debug, info, warn, error or fatal.'),
    DeclareLaunchArgument('autostart', default_value='',
                          description="'true': the node configures and activates itself; 'false': "
                          'a lifecycle manager does. Empty: as params_file says.'),
    DeclareLaunchArgument('image_topic', default_value='image',
                          description='Camera images to read, such as /camera/color/image_raw; '
                          'they are rectified by their camera_info.'),
    DeclareLaunchArgument('camera_info_topic', default_value='',
                          description='Their calibration. Empty: camera_info beside image_topic.'),
    DeclareLaunchArgument('depth_hint_topic', default_value='',
                          description="A depth camera's images, aligned to them, to join in. "
                          'Empty: as params_file says.'),
    DeclareLaunchArgument('transport', default_value='',
                          description="'raw', or 'compressed' to read <image_topic>/compressed. "
                          'Empty: as params_file says.'),
    DeclareLaunchArgument('model_file', default_value='',
                          description='Checkpoint (.safetensors). Empty: as params_file says.'),
    DeclareLaunchArgument('device', default_value='',
                          description="'auto', 'cpu', 'cuda' or 'cuda:1'. Empty: as params_file "
                          'says.'),
    DeclareLaunchArgument('backend', default_value='',
                          description="What runs the network: 'auto' (the fastest installed), "
                          "'eager', ... Empty: as params_file says."),
    DeclareLaunchArgument('shared_memory', default_value='true',
                          description="'true': give what is started here Fast DDS's profile "
                          'config/fastdds.xml, without which images above 0.5 MB are lost; not '
                          'where your environment speaks of Fast DDS or discovery already (the '
                          "log says so). 'false': never."),
    DeclareLaunchArgument('respawn', default_value='false',
                          description="'true': start the node anew, 0.5 s after it died; until it "
                          'is active again its risk flag is silent, and then raised.'),
    DeclareLaunchArgument('rviz', default_value='false',
                          description="'true': start rviz2 with config/emu.rviz, for the first of "
                          'several cameras.'),
    DeclareLaunchArgument('rviz_frame', default_value='',
                          description="Fixed frame of rviz2. Empty: the first image's frame_id, "
                          'for which rviz2 waits.'),
    DeclareLaunchArgument('replay', default_value='',
                          description='Folder of images (or data set root), image, video, ROS 2 '
                          "bag or camera ('0', '/dev/video0') to publish on image_topic. Empty: "
                          'none.'),
    DeclareLaunchArgument('replay_rate', default_value='10.0',
                          description="Images a second of the replay; 0: the source's own rate."),
    DeclareLaunchArgument('replay_frame', default_value='camera_optical_frame',
                          description='frame_id of the replayed images; of several cameras '
                          "CAMERA_ before it, '/' as '_'."),
    DeclareLaunchArgument('replay_clock', default_value='false',
                          description="'true': keep the stamps of a bag and publish /clock; the "
                          'node runs with use_sim_time.'),
    DeclareLaunchArgument('replay_loop', default_value='true',
                          description='Start the replay over at its end.'),
    DeclareLaunchArgument('replay_camera_info', default_value='',
                          description='ROS calibration YAML of the replayed images. Empty: '
                          '<stem>.yaml beside each image, else dataset.yaml of the folder.'),
]


def nodes(context):
    """Return the actions for the arguments as they were given."""
    def given(name):
        return LaunchConfiguration(name).perform(context)

    params_file = given('params_file')
    if not Path(params_file).is_file():
        # launch_ros only warns, and the node would run with other parameters than were asked for.
        raise RuntimeError(f"launch argument params_file is '{params_file}': no such file")
    namespace, image_topic = given('namespace').strip('/'), given('image_topic')
    cameras = [camera.strip('/ ') for camera in given('cameras').split(',') if camera.strip('/ ')]
    places = [_join(namespace, camera) for camera in cameras] or [namespace]
    for name, topic in (('image_topic', image_topic),
                        ('camera_info_topic', given('camera_info_topic')),
                        ('depth_hint_topic', given('depth_hint_topic'))):
        _check_name(name, topic, 'a topic, such as /camera/color/image_raw')
    _check_name('namespace', namespace, 'letters, digits and _, with / between them')
    for camera in cameras:
        _check_name('cameras', camera, 'namespaces with commas between them, such as front,left')
    info_topic = given('camera_info_topic') or _beside(image_topic, 'camera_info')
    remappings = [('image', image_topic), ('camera_info', info_topic)]
    if given('depth_hint_topic'):
        remappings.append(('depth_hint', given('depth_hint_topic')))
    arguments = ['--ros-args', '--log-level', given('log_level')]
    transport, use_sim_time = given('transport'), given('use_sim_time')
    replay_clock = _flag('replay_clock', given('replay_clock'))
    if replay_clock and given('replay') and not use_sim_time:
        use_sim_time = 'true'
    clock = {'use_sim_time': _flag('use_sim_time', use_sim_time)} if use_sim_time else {}

    overrides = dict(clock)
    if given('depth_hint_topic'):
        overrides['depth_hint'] = True
    if given('autostart'):
        overrides['autostart'] = _flag('autostart', given('autostart'))
    for name, value in (('transport', transport), ('model_file', given('model_file')),
                        ('device', given('device')), ('backend', given('backend'))):
        if value:
            overrides[name] = _text(value)
    parameters = [params_file] + ([overrides] if overrides else [])
    if _flag('shared_memory', given('shared_memory')):
        memory, said = profile_variables(context.environment, SHARE / 'config' / 'fastdds.xml')
    else:
        memory, said = {SWITCH: 'off'}, ''
    rviz, rate_hz = _flag('rviz', given('rviz')), _number('replay_rate', given('replay_rate'))
    # All that can fail does before anything is started, which nobody would end.
    if rviz:
        _executable('rviz', 'rviz2', 'rviz2')
    if len(set(places)) < len(places):
        raise RuntimeError(f"launch argument cameras is '{given('cameras')}': give each once")
    if given('replay_camera_info') and not Path(given('replay_camera_info')).is_file():
        raise RuntimeError("launch argument replay_camera_info is "
                           f"'{given('replay_camera_info')}': no such file")
    replay = given('replay')
    if replay and not replay.isdecimal() and not Path(replay).expanduser().exists():
        raise RuntimeError(f"launch argument replay is '{replay}': no such file or folder")
    common = {'package': 'emu_perception', 'output': 'screen', 'remappings': remappings,
              'additional_env': memory}
    again = {'respawn': True, 'respawn_delay': RESPAWN_DELAY_S} if _flag(
        'respawn', given('respawn')) else {}
    if cameras:
        # Without name and namespace of its own: they would be those of all nodes in the process.
        actions = [Node(executable='emu_multi', parameters=parameters,
                        arguments=[*places, *arguments], **again, **common)]
    else:
        actions = [Node(executable='emu_node', name='emu', namespace=namespace,
                        parameters=parameters, arguments=arguments, **again, **common)]

    if replay:
        actions += [Node(
            executable='replay_camera', name='replay_camera', namespace=place,
            arguments=arguments, on_exit=_end_on_failure,
            parameters=[{'source': _text(replay), 'rate_hz': rate_hz,
                         'loop': _flag('replay_loop', given('replay_loop')),
                         'frame_id': _text('_'.join([*camera.split('/'), given('replay_frame')])
                                           if camera else given('replay_frame')),
                         'camera_info_file': _text(given('replay_camera_info')),
                         'transport': _text(transport or 'raw'), 'wait_for_listener': True,
                         # It would wait for the clock that it makes itself.
                         **({'clock': True} if replay_clock else clock)}],
            **common) for place, camera in zip(places, cameras or [''])]

    if rviz:
        prefix = f'/{places[0]}' if places[0] else ''
        moved = [(f'/emu/{topic}', f'{prefix}/emu/{topic}') for topic in RVIZ_TOPICS]
        actions.append(Node(
            package='rviz2', executable='rviz2', name='rviz2', namespace=places[0],
            output='screen', parameters=[clock] if clock else [], additional_env=memory,
            remappings=moved if prefix else [], **_frame_first(
                given('rviz_frame'), _resolved(places[0], image_topic), transport or 'raw')))
    lines = [*([said] if said else []), *_misspelt(context.launch_configurations)]
    if replay and given('depth_hint_topic'):
        lines.append('the replay sends images and camera_info alone: '
                     f"{given('depth_hint_topic')} has to come from elsewhere, as ros2 bag play")
    return [*(LogInfo(msg=line) for line in lines), *actions]


def _misspelt(given):
    """Return a line for each argument that is nearly one of these: launch says nothing."""
    known = [argument.name for argument in ARGUMENTS]
    ours = yaml.safe_load((SHARE / 'config' / 'emu.yaml').read_text())['/**']['ros__parameters']
    lines = []
    for name in sorted({*given} - {*known}):
        near = get_close_matches(name, known, 1, 0.85)
        if name in ours:
            lines.append(f'launch argument {name} is none of emu.launch.py, and changes nothing: '
                         'it is a parameter of the node; give a params_file that has it')
        elif near:
            lines.append(f'launch argument {name} is none of emu.launch.py: did you mean '
                         f'{near[0]}?')
    return lines


def generate_launch_description():
    """Return the arguments and what they start."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])


def _frame_first(frame, image_topic, transport):
    """Return rviz2's arguments, and where the frame is not known what finds it out first."""
    arguments = ['-d', str(SHARE / 'config' / 'emu.rviz')]
    if frame:
        return {'arguments': [*arguments, '-f', frame]}
    topic = f'{image_topic}/compressed' if transport == 'compressed' else image_topic
    waiting = _executable('rviz', 'emu_perception', 'wait_for_frame')
    return {'arguments': arguments, 'prefix': f'{waiting} {topic} {transport}'}


def _executable(argument, package, name):
    """Return the path of a package's executable, which a launch argument asks for."""
    try:
        path = Path(get_package_prefix(package)) / 'lib' / package / name
    except PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise RuntimeError(f'launch argument {argument} needs {name} of the package {package}, '
                           f'which is not installed: apt install ros-$ROS_DISTRO-{package}, or '
                           f'{argument}:=false')
    return path


def _resolved(namespace, topic):
    return topic if topic.startswith('/') else '/' + _join(namespace, topic)


def _check_name(name, text, wanted):
    """Refuse what ROS would refuse in the midst of other lines, as a topic with a space."""
    # {node} and {ns} are ROS's own substitutions.
    if text and not re.fullmatch(r'(~?/)?[A-Za-z_{][\w{}]*(/[A-Za-z_{][\w{}]*)*', text, re.ASCII):
        raise RuntimeError(f"launch argument {name} is '{text}': give {wanted}")


def _number(name, text):
    try:
        return float(text)
    except ValueError:
        raise RuntimeError(f"launch argument {name} is '{text}': give a number") from None


def _join(*parts):
    return '/'.join(part for part in parts if part)


def _beside(topic, name):
    """Return the topic ``name`` in the namespace of ``topic`` (image_transport's convention)."""
    return '/'.join([*topic.split('/')[:-1], name])


def _flag(name, text):
    if text.lower() not in ('true', 'false', '1', '0'):
        raise RuntimeError(f"launch argument {name} is '{text}': give true or false")
    return text.lower() in ('true', '1')


def _text(value):
    # Left alone, launch_ros reads values as YAML: '0' becomes a number, 'off' a boolean.
    return ParameterValue(value, value_type=str)


def _end_on_failure(event, context):
    """End everything, and not with 0, where the replay could not start; its line has said why."""
    if event.returncode in (0, -2, -15):
        return []
    # A Shutdown event would end with 0; what is raised while an event is handled ends with 1.
    return [OpaqueFunction(function=_fail)]


def _fail(context):
    raise RuntimeError('the replay camera failed (its line above says why): shutting down')
