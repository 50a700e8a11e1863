# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""launch/emu.launch.py: by the real launch system where it is, by its structure everywhere."""

from __future__ import annotations

import ast
import importlib.util
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.calibration_files import write_calibration
from emu_perception.ros.parameters import Settings
from emu_perception.ros.shared_memory import PROFILES
import pytest

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'emu.launch.py'
RUN = FILE.parents[1] / 'tools' / 'launch_file.py'
TREE = ast.parse(FILE.read_text())
# facts of the package's interface: to take one away breaks somebody's robot
PROMISED = {'namespace', 'cameras', 'params_file', 'use_sim_time', 'log_level', 'autostart',
            'image_topic', 'camera_info_topic', 'transport', 'model_file', 'device',
            'backend', 'rviz', 'rviz_frame', 'replay', 'replay_rate', 'replay_loop',
            'replay_camera_info', 'depth_hint_topic', 'shared_memory', 'respawn', 'replay_frame',
            'replay_clock'}

needs_launch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ('launch', 'launch_ros')),
    reason='NOT TESTED by the real launch system: launch and launch_ros are not on PyPI; run the '
    'tests where a normal ROS 2 is sourced')


def calls(name: str) -> list[ast.Call]:
    """Return the calls of a function in the launch file."""
    return [node for node in ast.walk(TREE) if isinstance(node, ast.Call)
            and getattr(node.func, 'id', None) == name]


def declared() -> dict[str, ast.Call]:
    """Return the declared arguments by name."""
    return {str(ast.literal_eval(call.args[0])): call for call in calls('DeclareLaunchArgument')}


def test_arguments_declared_are_arguments_used() -> None:
    """An argument that is declared and not used is a promise that is not kept."""
    used = {ast.literal_eval(call.args[0]) for call in calls('given')}
    assert set(declared()) == used == PROMISED


def test_every_argument_has_default_and_description() -> None:
    """``ros2 launch --show-args`` is the manual."""
    for name, call in declared().items():
        keywords = {str(keyword.arg): keyword.value for keyword in call.keywords}
        assert 'default_value' in keywords, name
        assert len(str(ast.literal_eval(keywords['description']))) > 20, name


def test_nothing_is_imported_that_humble_lacks() -> None:
    """launch_ros' own ``autostart`` and lifecycle actions differ between distributions."""
    imported = {alias.name for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)
                for alias in node.names}
    assert imported <= {'Path', 'get_package_share_directory', 'LaunchDescription',
                        'DeclareLaunchArgument', 'EmitEvent', 'LogInfo', 'OpaqueFunction',
                        'Shutdown', 'LaunchConfiguration', 'Node', 'ParameterValue',
                        'get_package_prefix', 'PackageNotFoundError',
                        'profile_variables', 'SWITCH',  # of this package, which imports no ROS
                        'get_close_matches'}  # of Python's own library


@needs_launch
@pytest.mark.parametrize('replay', ['', str(FILE.parent)])
def test_all_that_is_started_has_shared_memory_for_images(
        installed: Path, monkeypatch: pytest.MonkeyPatch, replay: str) -> None:
    """The sender's segment counts: a camera that is left out loses what it sends."""
    for name in ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY', 'RMW_IMPLEMENTATION',
                 *PROFILES):
        monkeypatch.delenv(name, raising=False)
    lines = started(replay=replay, rviz='true')
    assert ('replay_camera' in lines) == bool(replay) and 'rviz2' in lines
    for line in lines.values():
        assert {Path(line['additional_env'][name]).name for name in PROFILES} == {'fastdds.xml'}
    assert all(line['additional_env'] == {'EMU_SHARED_MEMORY': 'off'}
               for line in started(replay=replay, shared_memory='false').values())
    monkeypatch.setenv(PROFILES[0], '/mine.xml')
    assert all(line['additional_env'] == {} for line in started(replay=replay).values())


def launched(*, with_rviz: bool = True, **arguments: str) -> list[dict[str, Any]]:
    """Return what each node is given, in order; parameters by value as typed values."""
    from launch import LaunchContext

    module = load()
    if with_rviz:  # which the wheels do not have
        module._executable = lambda argument, package, name: f'/{package}/{name}'
    given: list[dict[str, Any]] = []
    module.Node = lambda **values: given.append(values) or values
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    for argument in module.ARGUMENTS:
        argument.execute(context)
    module.nodes(context)
    for values in given:
        values['remap'] = dict(values.get('remappings', []))
        values['values'] = {
            name: value.evaluate(context) if hasattr(value, 'evaluate') else value
            for parameters in values.get('parameters', []) if isinstance(parameters, dict)
            for name, value in parameters.items()}
    return given


def started(**arguments: Any) -> dict[str, dict[str, Any]]:
    """Return what the first node of each executable is given, and the namespaces of all."""
    found: dict[str, dict[str, Any]] = {}
    for values in launched(**arguments):
        first = found.setdefault(values['executable'], {**values, 'places': []})
        first['places'].append(values.get('namespace', ''))
    return found


def load() -> Any:
    """Return the launch file as a module."""
    specification = importlib.util.spec_from_file_location('emu_launch', FILE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@needs_launch
def test_defaults_start_the_node_alone_and_override_nothing(installed: Path) -> None:
    """The YAML keeps its say."""
    lines = started()
    assert set(lines) == {'emu_node'}
    node = lines['emu_node']
    assert node['values'] == {} and node['name'] == 'emu'
    assert [Path(file).name for file in node['parameters']] == ['emu.yaml']
    assert node['remap'] == {'image': 'image', 'camera_info': 'camera_info'}


@needs_launch
def test_a_depth_camera_is_joined_in_by_its_topic(installed: Path) -> None:
    """Nobody has to set a parameter besides."""
    node = started(depth_hint_topic='/cam/aligned_depth')['emu_node']
    assert node['remap']['depth_hint'] == '/cam/aligned_depth'
    assert node['values'] == {'depth_hint': True}


@needs_launch
def test_arguments_reach_the_node_with_their_types(installed: Path) -> None:
    """A device and a path stay text, a flag becomes a boolean."""
    node = started(namespace='front', image_topic='/cam/color/image_rect', autostart='false',
                   use_sim_time='true', device='cuda:1', backend='eager',
                   model_file='~/m.safetensors', transport='compressed', params_file=str(FILE),
                   log_level='debug')['emu_node']
    assert node['namespace'] == 'front'
    assert node['remap'] == {'image': '/cam/color/image_rect',
                             'camera_info': '/cam/color/camera_info'}
    assert node['values'] == {'autostart': False, 'use_sim_time': True, 'device': 'cuda:1',
                              'backend': 'eager', 'model_file': '~/m.safetensors',
                              'transport': 'compressed'}
    assert node['parameters'][0] == str(FILE)
    assert node['arguments'][-1] == 'debug'


@needs_launch
def test_replay_starts_the_camera_on_the_same_topics(installed: Path) -> None:
    """Camera number 0 stays text, and both processes agree on topic and transport."""
    lines = started(replay='0', replay_rate='5', transport='compressed', image_topic='/cam/image',
                    replay_loop='false', replay_camera_info=str(FILE), replay_frame='eye')
    camera = lines['replay_camera']
    assert camera['remap'] == lines['emu_node']['remap']
    assert camera['values'] == {
        'source': '0', 'rate_hz': 5.0, 'loop': False, 'frame_id': 'eye',
        'camera_info_file': str(FILE), 'transport': 'compressed', 'wait_for_listener': True}


@needs_launch
def test_several_cameras_are_one_process_without_a_name_of_its_own(installed: Path) -> None:
    """A name or namespace would be a global one and merge the nodes."""
    lines = started(cameras='front, left', namespace='/robot', image_topic='color/image_rect',
                    replay='0', rviz='true', model_file='/m.safetensors')
    assert set(lines) == {'emu_multi', 'replay_camera', 'rviz2'}
    node = lines['emu_multi']
    assert node['arguments'][:3] == ['robot/front', 'robot/left', '--ros-args']
    assert 'name' not in node and 'namespace' not in node
    assert node['remap']['camera_info'] == 'color/camera_info'
    assert node['values'] == {'model_file': '/m.safetensors'}
    assert lines['replay_camera']['places'] == ['robot/front', 'robot/left']
    assert lines['rviz2']['remap']['/emu/overlay'] == '/robot/front/emu/overlay'


@needs_launch
def test_rviz_follows_the_namespace_and_needs_no_tf(installed: Path) -> None:
    """The fixed frame is the camera's own; the configuration's topics move with the node."""
    rviz = started(rviz='true', rviz_frame='eye', namespace='front')['rviz2']
    assert rviz['arguments'][-2:] == ['-f', 'eye']
    assert rviz['remap']['/emu/overlay'] == '/front/emu/overlay'
    assert started(rviz='true')['rviz2']['remap'] == {}


@needs_launch
def test_rviz_waits_for_the_frame_of_the_images(installed: Path) -> None:
    """Without TF any other fixed frame shows nothing."""
    rviz = started(rviz='true', image_topic='color/image', namespace='front')['rviz2']
    assert rviz['prefix'] == '/emu_perception/wait_for_frame /front/color/image raw'
    assert '-f' not in rviz['arguments']
    rviz = started(rviz='true', image_topic='/cam', transport='compressed')['rviz2']
    assert rviz['prefix'].endswith(' /cam/compressed compressed')
    assert 'prefix' not in started(rviz='true', rviz_frame='eye')['rviz2']


@needs_launch
@pytest.mark.parametrize('arguments, problem', [
    ({'rviz': 'true'}, 'launch argument rviz needs rviz2'),
    ({'replay': '0', 'replay_rate': 'fast'}, "replay_rate is 'fast': give a number"),
    ({'cameras': 'front,left,front'}, 'cameras is .*give each once'),
    ({'replay_camera_info': '/nowhere.yaml'}, 'replay_camera_info is .*no such file'),
    ({'replay': '/nowhere'}, "replay is '/nowhere': no such file or folder"),
    ({'image_topic': '/a b'}, "image_topic is '/a b': give a topic"),
    ({'image_topic': 'image/'}, "image_topic is 'image/'"),
    ({'camera_info_topic': '/camera//info'}, "camera_info_topic is '/camera//info': give a topic"),
    ({'depth_hint_topic': '/cam/2d'}, "depth_hint_topic is '/cam/2d': give a topic"),
    ({'namespace': 'front-cam'}, "namespace is 'front-cam': give letters"),
    ({'cameras': 'front left'}, "cameras is 'front left': give namespaces with commas"),
    ({'cameras': 'front,rear-left'}, "cameras is 'rear-left': give namespaces"),
    ({'respawn': 'maybe'}, 'respawn'), ({'replay_clock': 'x'}, 'replay_clock')])
def test_what_can_fail_fails_by_name_before_anything_is_started(
        installed: Path, arguments: dict[str, str], problem: str) -> None:
    """A launch that fails half-way leaves processes behind that nobody ends."""
    if 'rviz' in arguments and importlib.util.find_spec('rviz2'):
        pytest.skip('NOT TESTED: rviz2 is installed')
    with pytest.raises(RuntimeError, match=problem):
        started(with_rviz=False, **arguments)


@needs_launch
@pytest.mark.parametrize(('ends', 'code'), [(3, 1), (0, 0)])
def test_a_replay_that_fails_ends_all_and_not_with_0(installed: Path, ends: int, code: int
                                                     ) -> None:
    """A script that starts a launch would take it for done."""
    from launch import LaunchDescription, LaunchService
    from launch.actions import ExecuteProcess

    def process(text: str, **options: Any) -> Any:
        return ExecuteProcess(cmd=[sys.executable, '-c', f'import sys, time; {text}'], **options)
    service = LaunchService()
    service.include_launch_description(LaunchDescription([
        process(f'sys.exit({ends})', on_exit=load()._end_on_failure),
        process(f'time.sleep({60 if ends else 0})')]))
    assert service.run() == code


@needs_launch
def test_node_is_started_anew_where_that_is_asked_for_and_nothing_else(installed: Path) -> None:
    """A replay that failed ends all."""
    lines = started(respawn='true', replay='0')
    node = lines['emu_node']
    # A pause, but none that adds to a silence as long as makes a consumer take it for risk.
    assert node['respawn'] and 0 < node['respawn_delay'] < Settings().consumer_timeout_s
    assert 'respawn' not in lines['replay_camera'] and 'respawn' not in started()['emu_node']


@needs_launch
def test_replayed_cameras_have_frames_of_their_own(installed: Path) -> None:
    """Two cameras in one frame would be in one place."""
    assert started(replay='0')['replay_camera']['values']['frame_id'] == 'camera_optical_frame'
    frames = [one['values']['frame_id'] for one in launched(cameras='a,b/c', replay='0')
              if one['executable'] == 'replay_camera']
    assert frames == ['a_camera_optical_frame', 'b_c_camera_optical_frame']


@needs_launch
def test_replayed_clock_is_made_by_the_camera_and_followed_by_the_node(installed: Path) -> None:
    """A camera that follows its own clock would wait for itself."""
    lines = started(replay=str(FILE.parent), replay_clock='true')
    assert lines['replay_camera']['values']['clock'] is True
    assert 'use_sim_time' not in lines['replay_camera']['values']
    assert lines['emu_node']['values']['use_sim_time'] is True


@needs_launch
@pytest.mark.parametrize('arguments', [{'autostart': 'perhaps'}, {'rviz': 'no'},
                                       {'use_sim_time': '2', 'replay': '0'}])
def test_wrong_flags_are_refused_by_name(installed: Path, arguments: dict[str, str]) -> None:
    """A typo must not mean false."""
    with pytest.raises(RuntimeError, match=next(iter(arguments))):
        started(**arguments)


@needs_launch
def test_an_argument_that_is_nearly_one_is_said(installed: Path) -> None:
    """``ros2 launch`` takes any name and says nothing of one that nobody reads."""
    module = load()
    line, = module._misspelt({'image_topc': '/x', 'image_topic': '/y', 'namespace': ''})
    assert 'image_topc is none' in line and line.endswith('did you mean image_topic?')
    # One that is no argument, but would be a gate that nobody has closed.
    line, = module._misspelt({'gate': '[points]', 'image_topic': '/y'})
    assert 'gate is none' in line and 'changes nothing' in line and 'params_file' in line
    # Of the launch system itself, of examples/, and of a file that includes this one.
    assert module._misspelt(dict.fromkeys(
        ('ros_namespace', 'ros_params', 'depth_topic', 'robot_name', 'map', 'slam'), '')) == []


@needs_launch
def test_a_replay_beside_a_depth_camera_says_that_it_is_none(
        installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who tries fusion with a recording waits for depths that nobody sends."""
    module, said = load(), []
    monkeypatch.setattr(module, 'LogInfo', lambda msg: said.append(msg))
    monkeypatch.setitem(globals(), 'load', lambda: module)
    launched(replay=str(FILE.parent), depth_hint_topic='/cam/aligned_depth')
    assert [line for line in said if '/cam/aligned_depth has to come from elsewhere' in line]
    said.clear()
    launched(depth_hint_topic='/cam/aligned_depth')
    assert not [line for line in said if 'elsewhere' in line]


@needs_launch
def test_missing_parameter_file_is_refused_by_name(installed: Path) -> None:
    """launch_ros alone would warn and start the node with other parameters."""
    with pytest.raises(RuntimeError, match="params_file is '/nowhere.yaml': no such file"):
        started(params_file='/nowhere.yaml')


@needs_launch
@pytest.mark.system
def test_launched_node_answers_in_its_namespace_and_ends_with_ctrl_c(
        ros: None, environment: dict[str, str], installed: Path, image_folder: Path,
        random_checkpoint: Path, tmp_path: Path) -> None:
    """The whole file, by the real launch system, with real processes."""
    import rclpy
    from sensor_msgs.msg import Image

    for image in list(image_folder.iterdir()):
        write_calibration(image.with_suffix('.yaml'), pinhole_info(128, 96, 100.0))
    log = tmp_path / 'launch.txt'
    with log.open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, str(RUN),
             str(installed / 'share/emu_perception/launch/emu.launch.py'),
             f'replay:={image_folder}', 'replay_rate:=5', f'model_file:={random_checkpoint}',
             'device:=cpu', 'namespace:=front', 'depth_hint_topic:=/depth'],
            env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    node = rclpy.create_node('listener')
    received: list[Image] = []
    node.create_subscription(Image, '/front/emu/depth/image', received.append, 1)
    try:
        end_s = time.monotonic() + 90.0
        while not received and time.monotonic() < end_s and process.poll() is None:
            rclpy.spin_once(node, timeout_sec=0.1)
        assert received, log.read_text()
        assert node.count_subscribers('/depth') == 1, 'the depth camera is not listened to'
        assert node.count_publishers('/front/emu/depth/source') == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 0, log.read_text()
        assert log.read_text().count('process has finished cleanly') == 2, log.read_text()
    finally:
        node.destroy_node()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
