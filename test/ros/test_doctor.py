# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The doctor names what is planted: small memory, a broken cv_bridge, middleware, checkpoint."""

from __future__ import annotations

from collections import namedtuple
import json
from pathlib import Path
import sys

from emu_perception.backends import registry
from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.networks.deeplab import MultitaskDeepLab
from emu_perception.ros.doctor import command, machine, middleware, model
from emu_perception.ros.doctor.finding import FAULT, Finding, OK, tried, WARNING
import pytest

Usage = namedtuple('Usage', 'total used free')
# What NumPy 2 says of an extension that was compiled for NumPy 1.
OLD_BRIDGE = """
raise ImportError('A module that was compiled using NumPy 1.x cannot be run in NumPy 2.4.6')
"""


@pytest.fixture
def path_for_children(tmp_path, monkeypatch):
    """Return a folder whose packages come first, in processes that are started too."""
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    return tmp_path


@pytest.fixture
def plain_environment(monkeypatch):
    """Leave out what the user says of shared memory."""
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE',
                 'RMW_IMPLEMENTATION', 'EMU_SHARED_MEMORY', 'FASTDDS_BUILTIN_TRANSPORTS',
                 'ROS_DISCOVERY_SERVER', 'ROS_LOCALHOST_ONLY', 'ROS_AUTOMATIC_DISCOVERY_RANGE'):
        monkeypatch.delenv(name, raising=False)


def test_a_small_dev_shm_is_a_warning_with_dockers_remedy(monkeypatch, plain_environment):
    monkeypatch.setattr(middleware.shutil, 'disk_usage', lambda path: Usage(64 << 20, 0, 64 << 20))
    found = middleware.shared_memory()
    assert found.level == WARNING and '/dev/shm 64 MB, 64 MB free' in found.text
    assert 'may be lost' in found.text and '--shm-size=512m' in found.remedy


def test_enough_of_it_is_ok(monkeypatch, plain_environment):
    monkeypatch.setattr(middleware.shutil, 'disk_usage', lambda path: Usage(1 << 30, 0, 1 << 30))
    assert middleware.shared_memory().level == OK


def test_an_old_cv_bridge_beside_numpy_2_is_named_with_what_to_do(path_for_children):
    (path_for_children / 'cv_bridge.py').write_text(OLD_BRIDGE)
    found = middleware.cv_bridge()
    assert found.level == WARNING and 'compiled using NumPy 1.x' in found.text
    assert "pip install 'numpy<2'" in found.remedy


def test_a_cv_bridge_that_takes_its_process_along_is_named(path_for_children):
    (path_for_children / 'cv_bridge.py').write_text('import os, signal\n'
                                                    'os.kill(os.getpid(), signal.SIGSEGV)')
    assert 'SIGSEGV' in middleware.cv_bridge().text


def test_a_middleware_that_is_not_there_is_a_fault(monkeypatch):
    pytest.importorskip('rclpy', reason='NOT TESTED: there is no ROS 2')
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_nothing_cpp')
    found = middleware.rmw()
    assert found.level == FAULT and found.text.startswith('RMW_IMPLEMENTATION is rmw_nothing_cpp')
    assert 'unset RMW_IMPLEMENTATION' in found.remedy


def test_a_ros_of_another_python_is_a_fault_and_none_a_warning(monkeypatch):
    monkeypatch.setattr(middleware, 'find_spec', lambda name: None)
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    assert middleware.ros().level == FAULT and 'humble' in middleware.ros().text
    monkeypatch.delenv('ROS_DISTRO')
    assert [finding.level for finding in middleware.findings()] == [WARNING]


@pytest.mark.parametrize('content', [b'', b'no checkpoint at all', b'\x10' + bytes(40)])
def test_a_broken_checkpoint_is_a_fault_that_names_the_file(tmp_path, content):
    path = tmp_path / 'broken.safetensors'
    path.write_bytes(content)
    found, = model.findings(str(path), 'cpu', 0.0)
    assert (found.name, found.level) == ('model', FAULT) and str(path) in found.text


@pytest.mark.parametrize('there', [True, False])
def test_a_network_that_the_fastest_backend_does_not_know_is_no_fault(
        tmp_path, monkeypatch, there):
    """Of a good three-task checkpoint it said: give --device cpu; or: install openvino."""
    network = MultitaskDeepLab('test_resnet', num_classes=3, aspp_dim=16, decoder_dim=8,
                               tasks=('segmentation', 'depth'))
    path = tmp_path / 'two.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), classes=('a', 'b', 'c'),
        palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)), depth_max=80.0))
    monkeypatch.setattr(registry, 'preferred', lambda device: ('openvino', 'eager'))
    monkeypatch.setattr(registry, 'is_installed', lambda name: there or name == 'eager')
    found = {finding.name: finding for finding in model.findings(str(path), 'cpu', 0.0)}
    assert found['backend'].level == OK and found['backend'].text.startswith('eager on cpu')


@pytest.mark.parametrize(('kilobytes', 'level'), [(500_000, FAULT), (1_500_000, WARNING),
                                                  (8_000_000, OK)])
def test_little_memory_is_said(tmp_path, monkeypatch, kilobytes, level):
    monkeypatch.setattr(machine, '_MEMORY', tmp_path / 'meminfo')
    (tmp_path / 'meminfo').write_text(f'MemTotal: 9 kB\nMemAvailable:   {kilobytes} kB\n')
    assert machine.memory().level == level


def test_a_package_that_does_not_work_is_a_fault_with_what_it_says():
    found = machine.module('opencv', 'raise ImportError("libGL.so.1: cannot open")', 'do this')
    assert found.level == FAULT and 'libGL.so.1' in found.text and found.remedy == 'do this'
    assert tried('print("a"); print("b")') == ('b', '')


@pytest.mark.parametrize('build, level', [
    ('1.13.1', WARNING), ('strange', WARNING), ('2.0.1+cpu', WARNING), ('2.5.0a0+nv24.8', OK),
    ('2.14.1+cu130', OK)])
def test_a_torch_that_is_too_old_is_a_warning(build, level):
    found = machine.torch_build(build, 'None')
    assert found.level == level and build in found.text and bool(found.remedy) == (level != OK)


def test_a_driver_without_a_torch_for_it_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, '_DRIVER', tmp_path / 'version')
    assert machine.graphics('None', '').level == OK
    (tmp_path / 'version').write_text('NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14')
    found = machine.graphics('None', '')
    assert found.level == WARNING and '550.54.14' in found.text and 'built for CPUs' in found.text
    assert machine.graphics('12.4', 'H100').text == 'H100, NVIDIA driver 550.54.14'


def test_the_exit_code_and_the_document_tell_the_worst(monkeypatch, capsys):
    lines = [Finding('a', OK, 'fine'), Finding('b', FAULT, 'broken', 'mend it')]
    monkeypatch.setattr(command, 'findings', lambda *options: iter(lines))
    assert command.main([]) == 1
    out = capsys.readouterr().out
    assert 'fault    b' in out and '-> mend it' in out and 'faults: 1, warnings: 0, ok: 1' in out
    assert command.main(['--json']) == 1
    document = json.loads(capsys.readouterr().out)
    assert document['level'] == FAULT and document['findings'][1]['remedy'] == 'mend it'
    lines.pop()
    assert command.main(['--json']) == 0


@pytest.mark.slow
def test_here_every_line_of_the_model_is_there_and_timed():
    names = {finding.name: finding for finding in model.findings('', 'cpu', 0.1)}
    assert [*names] == ['model', 'backend', 'speed']
    assert names['model'].level == OK and Path(names['model'].text.split(', ')[1]).is_file()
    assert ' ms an image of 640x480' in names['speed'].text
