# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the examples for Nav2 and nvblox name is what a running node has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
import importlib.util
from pathlib import Path
import re
import shlex
import sys
import types
from typing import Any

from emu_perception.checkpoint import read_metadata
from emu_perception.commands import nav2_layer
from emu_perception.label_names import label_names
from emu_perception.model_file import default_model
from emu_perception.ros.parameters import TABLE, validate
from node_bench import camera_info, FakePredictor, rgb_image
import pytest
from rclpy.qos import qos_check_compatible, qos_profile_sensor_data, QoSCompatibility
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / 'examples'
NODE_FILES = sorted(EXAMPLES.glob('*/emu.yaml'))
# Which type each consumer subscribes to, by the name under which its file has the topic.
TYPES = {'topic': PointCloud2, 'segmentation_topic': Image, 'confidence_topic': Image,
         'pointcloud_topic': PointCloud2}
NVBLOX = {'camera_0/mask/image': Image, 'camera_0/mask/camera_info': CameraInfo,
          'camera_0/depth/image': Image, 'camera_0/depth/camera_info': CameraInfo}


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value of a document with its path."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from leaves(value, (*path, name))
    else:
        yield path, document


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def node_values(path: Path) -> dict[str, Any]:
    return read(path)['/**']['ros__parameters']


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a launch file as a module, whatever there is of the launch system."""
    if importlib.util.find_spec('launch_ros') is None:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith('launch'):
                module = types.ModuleType(node.module)
                for alias in node.names:
                    setattr(module, alias.name, lambda *args, **options: (args, options))
                monkeypatch.setitem(sys.modules, node.module, module)
    specification = importlib.util.spec_from_file_location(path.stem.replace('.', '_'), path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def subscriptions(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, type]]:
    """Return what all examples subscribe to of the node."""
    found = {(value, TYPES[path[-1]]) for file in EXAMPLES.glob('nav2/*.yaml')
             for path, value in leaves(read(file)) if path[-1] in TYPES}
    remapped = load(EXAMPLES / 'nvblox/emu_nvblox.launch.py', monkeypatch).remappings('/cam/i', '')
    return found | {(topic, NVBLOX[name]) for name, topic in remapped if name in NVBLOX}


@pytest.fixture
def bench(make_bench):
    """Return a node with the parameters of both examples and the default model's classes."""
    predictor = FakePredictor()
    classes = read_metadata(default_model()).classes
    predictor.metadata = replace(predictor.metadata, classes=classes,
                                 palette=tuple((9, 9, 9) for _ in classes))
    values = {name: value for path in NODE_FILES for name, value in node_values(path).items()}
    return make_bench(predictor=predictor, parameters={**values, 'gate': ['points', 'depth'],
                                                       'unknown_label_entropy': 0.0})


def test_every_topic_of_the_examples_arrives_with_its_type_at_a_best_effort_consumer(
        bench, monkeypatch):
    wanted = subscriptions(monkeypatch)
    assert {topic for topic, _ in wanted} == {
        '/emu/label', '/emu/confidence', '/emu/points', '/emu/points/obstacles', '/emu/mask',
        '/emu/camera_info', '/emu/depth/image', '/emu/depth/camera_info'}
    received: dict[str, list[Any]] = {topic: [] for topic, _ in wanted}
    for topic, kind in wanted:
        (publisher,) = bench.helper.get_publishers_info_by_topic(topic)
        assert publisher.topic_type == f'sensor_msgs/msg/{kind.__name__}', topic
        assert qos_check_compatible(publisher.qos_profile, qos_profile_sensor_data)[
            0] != QoSCompatibility.ERROR
        bench.helper.create_subscription(kind, topic, received[topic].append,
                                         qos_profile_sensor_data)
    bench.until(lambda: all(received.values()), send=rgb_image(), camera_info=camera_info())
    # Nav2's layer and nvblox pair by equal stamps.
    assert len({(one[-1].header.stamp.sec, one[-1].header.stamp.nanosec)
                for one in received.values()}) == 1
    mask, info = received['/emu/mask'][-1], received['/emu/camera_info'][-1]
    assert (mask.width, mask.height, mask.encoding) == (info.width, info.height, 'mono8')
    cloud, label = received['/emu/points'][-1], received['/emu/label'][-1]
    assert (cloud.width, cloud.height) == (label.width, label.height)


def test_labels_are_where_the_semantic_layer_looks():
    (topic,) = (value for path, value in leaves(read(EXAMPLES / 'nav2/semantic_layer.yaml'))
                if path[-1] == 'labels_topic')
    assert topic == '/emu/label_info'
    section = (ROOT / 'docs/topics.md').read_text().split('## ~/label_info', 1)[1]
    assert 'vision_msgs/msg/LabelInfo, reliable, transient_local' in section


@pytest.mark.parametrize('path', NODE_FILES, ids=lambda path: path.parent.name)
def test_parameters_are_the_nodes_and_classes_the_default_models(path):
    values = node_values(path)
    assert set(values) <= set(TABLE)
    validate(values).check_classes(read_metadata(default_model()).classes)


def test_the_settings_that_are_a_comment_work_too():
    text = (EXAMPLES / 'nav2/emu.yaml').read_text()
    values = yaml.safe_load(re.sub(r'# (scan_\w+: )', r'\1', text))['/**']['ros__parameters']
    settings = validate(values)
    assert settings.scan_frame and settings.scan_camera_height_m > 0


def test_semantic_layer_names_every_class_once_and_is_what_the_command_writes(capsys):
    text = (EXAMPLES / 'nav2/semantic_layer.yaml').read_text()
    source = read(EXAMPLES / 'nav2/semantic_layer.yaml')['local_costmap']['local_costmap'][
        'ros__parameters']['semantic_layer']['emu']
    named = [name for kind in source['class_types'] for name in source[kind]['classes']]
    assert sorted(named) == sorted(
        name for _, name in label_names(read_metadata(default_model()).classes))
    ground = node_values(EXAMPLES / 'nav2/emu.yaml')['ground_classes']
    assert source['ground']['classes'] == ground, 'two examples of two minds'
    words = shlex.split(text.split('nav2-layer', 1)[1].split('\n', 1)[0])
    assert nav2_layer.main(words[:words.index('--out')]) == 0
    assert capsys.readouterr().out.split('\n', 1)[1] == text.split('\n', 1)[1]


@pytest.mark.parametrize(('out', 'words'), [
    ('nav2.yaml', 'not of this command'), ('file/layer.yaml', 'is a file, not a folder'),
    ('.', 'is a folder')])
def test_layer_replaces_no_parameters_of_others_and_says_in_one_line_what_cannot_be_written(
        tmp_path, capsys, out, words):
    """All of a user's Nav2 parameters were; where nothing can be written a traceback came."""
    (tmp_path / 'nav2.yaml').write_text('amcl: mine')
    (tmp_path / 'file').write_text('mine')
    assert nav2_layer.main(['--ground', 'floor', '--out', str(tmp_path / out)]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert words in line and str(tmp_path / out) in line
    assert (tmp_path / 'nav2.yaml').read_text() == 'amcl: mine'


def test_layer_that_was_written_is_written_anew(tmp_path):
    for ground in ('floor', 'floor mat'):
        assert nav2_layer.main(['--ground', ground, '--out', str(tmp_path / 'a.yaml')]) == 0
        assert f'classes:\n              - "{ground}"\n' in (tmp_path / 'a.yaml').read_text()


def test_layer_names_classes_of_any_spelling_once_each_and_only_in_its_classes():
    names = ('floor', 'tv "flat"', 'a\\b: #c', 'Tür', 'wall', 'wall')
    metadata = replace(read_metadata(default_model()), classes=names, name='two\nlines: [')
    document = yaml.safe_load(nav2_layer.layer_yaml(metadata, ['floor'], [], '/emu', 'by\nhand'))
    source = document['local_costmap']['local_costmap']['ros__parameters']['semantic_layer']['emu']
    assert source['obstacle']['classes'] == ['tv "flat"', 'a\\b: #c', 'Tür', 'wall', 'UNLABELED']


def test_pixels_without_a_label_are_obstacles_to_the_layer_and_what_it_cannot_see_is_said():
    """The layer's source: a class id that label_info does not name is passed over."""
    text = (EXAMPLES / 'nav2/semantic_layer.yaml').read_text()
    source = yaml.safe_load(text)['local_costmap']['local_costmap'][
        'ros__parameters']['semantic_layer']['emu']
    assert source['obstacle']['classes'][-1] == 'UNLABELED'
    assert 'labelled ground by mistake marks nothing' in text
    assert '/emu/points/obstacles' in (EXAMPLES / 'nav2/costmap.yaml').read_text()


def test_costmap_drops_no_obstacle_that_the_margin_brought_to_the_camera():
    values = {path[-1]: value for path, value in leaves(read(EXAMPLES / 'nav2/costmap.yaml'))}
    assert values['obstacle_min_range'] == 0.0
    assert values['raytrace_min_range'] >= 0.5, 'what is below the view is cleared over its head'


def test_nvblox_finds_the_node_in_its_namespace(monkeypatch):
    module = load(EXAMPLES / 'nvblox/emu_nvblox.launch.py', monkeypatch)
    given = {'image_topic': '/cam/i', 'depth_topic': '', 'namespace': '/robot/'}
    monkeypatch.setattr(module, 'Node', lambda **options: options)
    monkeypatch.setattr(module, 'LaunchConfiguration', lambda name, default='':
                        types.SimpleNamespace(perform=lambda _: given.get(name, default)))
    (node,) = module.nodes(None)
    assert dict(node['remappings'])['camera_0/mask/image'] == '/robot/emu/mask'
    assert dict(node['remappings'])['camera_0/color/image'] == '/cam/i'
    given.update(image_topic='cam/i', depth_topic='cam/d/j')
    (node,) = module.nodes(None)
    remapped = dict(node['remappings'])
    assert remapped['camera_0/color/image'] == '/robot/cam/i', 'as the node reads it'
    assert remapped['camera_0/depth/camera_info'] == '/robot/cam/d/camera_info'
    given['image_topic'] = given['depth_topic'] = ''
    given['namespace'] = ''
    (node,) = module.nodes(None)
    assert dict(node['remappings'])['camera_0/mask/camera_info'] == '/emu/camera_info'


@pytest.mark.parametrize('words, advice', [
    (['--ground', 'floor,floor'], 'as ground or as overhead, once'),
    (['--ground', 'flor'], "did you mean 'floor'"), ([], 'give --ground'),
    (['--ground', 'floor', '--overhead', 'floor'], 'as ground or as overhead'),
    (['--ground', 'floor', '--model', '/nowhere.safetensors'], 'nowhere.safetensors')])
def test_command_refuses_in_one_line(capsys, words, advice):
    assert nav2_layer.main(words) == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and advice in said


def test_costmap_and_monitor_notice_silence_and_take_no_filtered_cloud():
    costmap = {path[-1]: value for path, value in leaves(read(EXAMPLES / 'nav2/costmap.yaml'))}
    assert 0 < costmap['expected_update_rate'] <= 1.0 and not costmap['inf_is_valid']
    monitor = [value for path, value in leaves(read(EXAMPLES / 'nav2/collision_monitor.yaml'))
               if path[-1] == 'source_timeout']
    assert len(monitor) == 2 and all(0 < value <= 1.0 for value in monitor)
    for path in EXAMPLES.glob('nav2/*.yaml'):
        assert not any('filtered' in str(value) for _, value in leaves(read(path))), path


def launched_with(module: Any, monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    """Let a launch file find these arguments, and a node be what it is given."""
    monkeypatch.setattr(module, 'Node', lambda **options: options)
    monkeypatch.setattr(module, 'LaunchConfiguration', lambda name, default='':
                        types.SimpleNamespace(perform=lambda _: given.get(name, default)))


def test_manager_is_our_own_without_bond_and_the_node_waits_for_it(monkeypatch):
    assert node_values(EXAMPLES / 'nav2/emu.yaml')['autostart'] is False
    module = load(EXAMPLES / 'nav2/emu_nav2.launch.py', monkeypatch)
    launched_with(module, monkeypatch, use_sim_time='1')
    (manager,) = module.manager(None)
    (values,) = manager['parameters']
    assert manager['executable'] == 'lifecycle_manager' and values['bond_timeout'] == 0.0
    assert values['node_names'] == ['emu'] and values['autostart'] is True
    assert values['use_sim_time'] is True
    assert "'autostart': 'false'" in (EXAMPLES / 'nav2/emu_nav2.launch.py').read_text()
    launched_with(module, monkeypatch, cameras='front, left/', namespace='/robot/')
    (manager,) = module.manager(None)
    assert manager['parameters'][0]['node_names'] == ['front/emu', 'left/emu']
    assert manager['namespace'] == 'robot' and not manager['parameters'][0]['use_sim_time']


@pytest.mark.parametrize('name', ['nav2/emu_nav2.launch.py', 'nvblox/emu_nvblox.launch.py'])
def test_what_is_not_installed_is_said_before_the_node_is_started(monkeypatch, name):
    """The node went on after the launch had failed, and the next launch's had its name."""
    module = load(EXAMPLES / name, monkeypatch)
    launched_with(module, monkeypatch)

    def missing(package):
        raise module.PackageNotFoundError(package)
    monkeypatch.setattr(module, 'get_package_prefix', missing)
    with pytest.raises(RuntimeError, match='is not installed') as caught:
        module.check(None)
    assert '\n' not in str(caught.value)
    order: list[str] = []
    monkeypatch.setattr(module, 'LaunchDescription', lambda actions: actions)
    monkeypatch.setattr(module, 'OpaqueFunction',
                        lambda function: order.append(function.__name__))
    monkeypatch.setattr(module, 'IncludeLaunchDescription',
                        lambda *_, **__: order.append('emu.launch.py'))
    module.generate_launch_description()
    assert order[:2] == ['check', 'emu.launch.py']


def test_nvblox_is_of_one_camera(monkeypatch):
    module = load(EXAMPLES / 'nvblox/emu_nvblox.launch.py', monkeypatch)
    monkeypatch.setattr(module, 'get_package_prefix', lambda package: '/opt')
    launched_with(module, monkeypatch, cameras='front,left')
    with pytest.raises(RuntimeError, match='cameras: nvblox is set up for one'):
        module.check(None)


def test_what_the_parameter_file_says_of_the_time_is_not_overruled_unasked(monkeypatch):
    module = load(EXAMPLES / 'nav2/emu_nav2.launch.py', monkeypatch)
    declared: dict[str, str] = {}
    monkeypatch.setattr(module, 'DeclareLaunchArgument',
                        lambda name, **options: declared.update({name: options['default_value']}))
    included: list[dict[str, Any]] = []
    monkeypatch.setattr(module, 'IncludeLaunchDescription', lambda source, launch_arguments:
                        included.append(dict(launch_arguments)))
    monkeypatch.setattr(module, 'LaunchDescription', lambda *args, **options: None)
    monkeypatch.setattr(module, 'LaunchConfiguration', lambda name: f'${name}')
    module.generate_launch_description()
    assert declared['use_sim_time'] == '', 'emu.launch.py: as params_file says'
    assert included[0]['use_sim_time'] == '$use_sim_time'


def test_managers_services_bring_the_node_up_and_down(make_bench):
    bench = make_bench(active=False, parameters={'autostart': False})
    for transition, state in (('configure', 'inactive'), ('activate', 'active'),
                              ('deactivate', 'inactive'), ('cleanup', 'unconfigured')):
        assert bench.transition(transition) and bench.state() == state
