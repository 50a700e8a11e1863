# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The process: code 0 on a signal at any time, and one line about what is missing."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import threading
import time

from node_bench import now_image
import pytest
import rclpy
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 40.0
# Three quick images lower the flag, the fourth takes longer than any test waits.
SLOW_NETWORK = """
import time
from emu_perception.ros import lifecycle_node
from node_bench import FakePredictor
class Slow(FakePredictor):
    def __call__(self, *args, **options):
        if len(self.calls) >= 3:
            print('IN WORK', flush=True)
            time.sleep(600)
        return super().__call__(*args, **options)
lifecycle_node.load_predictor = Slow().load
"""
ONE_LOAD = """
from emu_perception.ros import lifecycle_node
from node_bench import FakePredictor
def load(path, **options):
    print('LOADED', flush=True)
    return FakePredictor().load(path, **options)
lifecycle_node.load_predictor = load
"""
SLOW_WARM_UP = """
import time
from emu_perception.ros import lifecycle_node
def load(path, **options):
    print('LOADING', flush=True)
    time.sleep(600)
lifecycle_node.load_predictor = load
"""
SLOW_IMPORT = """
import importlib.abc, sys, time
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == 'emu_perception.ros.lifecycle_node':
            print('IMPORTING', flush=True)
            time.sleep(600)
sys.meta_path.insert(0, Finder())
"""

# Says whether the collector is at work when a large library is imported.
IMPORTS = """
import gc, importlib.abc, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ('rclpy', 'torch'):
            print(name, 'COLLECTING' if gc.isenabled() else 'AT ONCE', flush=True)
sys.meta_path.insert(0, Finder())
"""


class Process:
    """emu_node with a prelude that fakes something; its lines are collected."""

    def __init__(self, prelude: str, domain_id: int, *parameters: str, entry: str = 'main',
                 words: tuple[str, ...] = (), model: str | None = '/fake',
                 files: tuple[str, ...] = ()) -> None:
        """Start it; ``words`` come before the ROS arguments, ``files`` of parameters last."""
        code = (f'{prelude}\nimport sys\nfrom emu_perception.ros.node import {entry}\n'
                f'sys.exit({entry}())')
        given = (*([f'model_file:={model}'] if model else []), *parameters)
        args = [word for value in given for word in ('-p', value)]
        args += [word for path in files for word in ('--params-file', path)]
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id), 'PYTHONUNBUFFERED': '1',
                       'PYTHONPATH': f'{ROOT}:{ROOT / "test" / "ros"}'}
        self.process = subprocess.Popen(
            [sys.executable, '-c', code, *words, '--ros-args', *args], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until_said(self, text: str, *, meanwhile=lambda: None) -> str:
        """Wait for a line with this text and return it."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            for line in list(self.lines):
                if text in line:
                    return line
            meanwhile()
            time.sleep(0.05)
        raise AssertionError(f'{text!r} was not said: {self.lines}')

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


@pytest.fixture
def start(domain_id: int) -> Iterator[object]:
    """Return a function that starts a process; what still runs is killed at the end."""
    started = []

    def run(prelude: str, *parameters: str, **options) -> Process:
        started.append(Process(prelude, domain_id, *parameters, **options))
        return started[-1]
    yield run
    for process in started:
        process.process.kill()
        process.process.wait()


def clean(process):
    """Assert that nobody sees a traceback."""
    text = '\n'.join(process.lines)
    assert 'Traceback' not in text and 'terminate called' not in text, text


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_amid_inference_ends_with_code_0_and_the_flag_raised(ros, start, number):
    process = start(SLOW_NETWORK, 'fallback_hfov_deg:=65.0')
    node = rclpy.create_node('helper')
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(node)
    publisher = node.create_publisher(Image, 'image', 1)
    flags = []
    node.create_subscription(
        Bool, '/emu/risk', lambda message: flags.append(message.data),
        QoSProfile(depth=20, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL))

    def step():
        publisher.publish(now_image())
        executor.spin_once(timeout_sec=0.05)
    try:
        process.until_said('IN WORK', meanwhile=step)
        while flags[-1:] != [False]:
            executor.spin_once(timeout_sec=1.0)
        flags.clear()
        assert process.end(number) == 0
        clean(process)
        end = time.monotonic() + TIMEOUT_S
        while True not in flags:
            assert time.monotonic() < end, 'the flag stayed lowered'
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.remove_node(node)
        node.destroy_node()


@pytest.mark.parametrize('prelude, marker', [
    (SLOW_IMPORT, 'IMPORTING'), (SLOW_WARM_UP, 'LOADING')])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_amid_the_start_ends_with_code_0(start, prelude, marker, number):
    process = start(prelude)
    process.until_said(marker)
    assert process.end(number) == 0
    clean(process)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_to_an_idle_node_ends_with_code_0(start, number):
    process = start(SLOW_NETWORK)
    process.until_said('active: reading')
    assert process.end(number) == 0
    clean(process)


def test_end_leaves_no_shared_memory_behind(start):
    process = start(ONE_LOAD, entry='main_multi', words=('front', 'left'))
    for camera in ('front', 'left'):
        process.until_said(f'active: reading /{camera}/image')
    maps = Path(f'/proc/{process.process.pid}/maps').read_text()
    own = set(re.findall(r'/dev/shm/fastrtps_[0-9a-f]{16}', maps))
    if not own:
        pytest.skip('NOT TESTED: this middleware has no segments in /dev/shm')
    assert process.end(signal.SIGTERM) == 0
    assert not [name for name in own if Path(name).exists()], 'each run leaves megabytes'


def test_missing_package_of_the_node_is_said_in_one_line_with_the_remedy(start):
    process = start("import sys; sys.modules['cv2'] = None")
    assert process.process.wait(TIMEOUT_S) == 1
    line = process.until_said('emu_node:')
    assert 'cv2' in line and 'pip install opencv-python-headless' in line
    clean(process)


def test_missing_torch_leaves_the_node_alive_and_says_the_remedy(start):
    process = start("import sys; sys.modules['torch'] = None")
    assert 'pip install torch' in process.until_said('cannot configure')
    assert process.process.poll() is None
    assert process.end(signal.SIGINT) == 0
    clean(process)


def test_the_start_imports_large_libraries_without_the_garbage_collector(start):
    """It would take a fifth of their time: a killed node is to be back soon."""
    process = start(IMPORTS)
    process.until_said('cannot configure')
    assert 'rclpy AT ONCE' in process.lines and 'torch AT ONCE' in process.lines
    assert process.end(signal.SIGINT) == 0
    clean(process)


def test_bad_parameter_at_the_start_ends_in_one_line(start):
    process = start(SLOW_NETWORK, 'overlay_alpha:=7.0')
    assert process.process.wait(TIMEOUT_S) == 1
    assert 'overlay_alpha' in process.until_said('emu_node:')
    clean(process)


def test_bad_value_of_one_camera_names_it_and_leaves_the_others(start, tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text('/front/emu:\n  ros__parameters: {overlay_alpha: 7.0}\n'
                    '/lfet/emu:\n  ros__parameters: {raise_after: 2}\n')
    process = start(ONE_LOAD, entry='main_multi', words=('front', 'left'),
                    files=(str(path),))
    line = process.until_said('emu_multi: front/emu is not there')
    assert 'overlay_alpha' in line
    process.until_said("'/lfet/emu' is no node here")
    process.until_said('active: reading /left/image')
    assert process.end(signal.SIGTERM) == 0
    clean(process)


def until(node, condition, *, meanwhile=lambda: None):
    """Spin a helper node until a condition holds."""
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + TIMEOUT_S
    try:
        while not condition():
            assert time.monotonic() < end, 'not in time'
            meanwhile()
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.remove_node(node)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_process_of_several_cameras_loads_once_serves_each_and_ends_with_code_0(
        ros, start, number):
    process = start(ONE_LOAD, 'fallback_hfov_deg:=65.0', entry='main_multi',
                    words=('front,left', 'robot/rear'))
    node = rclpy.create_node('helper')
    cameras = {'front': [], 'left': [], 'robot/rear': []}
    flags = {name: [] for name in cameras}
    publishers = {name: node.create_publisher(Image, f'/{name}/image', 1) for name in cameras}
    for name, labels in cameras.items():
        node.create_subscription(Image, f'/{name}/emu/label', labels.append, 1)
        node.create_subscription(
            Bool, f'/{name}/emu/risk', lambda m, to=flags[name]: to.append(m.data),
            QoSProfile(depth=20, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL))

    def send():
        for name, publisher in publishers.items():
            publisher.publish(now_image(frame_id=name))
    try:
        until(node, lambda: all(cameras.values()) and all(f[-1:] == [False]
                                                          for f in flags.values()),
              meanwhile=send)
        for name, labels in cameras.items():
            assert {label.header.frame_id for label in labels} == {name}
        assert process.lines.count('LOADED') == 1, 'a network for each camera'
        for name in flags:
            flags[name].clear()
        assert process.end(number) == 0
        clean(process)
        until(node, lambda: all(True in f for f in flags.values()))
    finally:
        node.destroy_node()


@pytest.mark.parametrize('words, said', [
    ((), 'usage: emu_multi'), (('--cameras', 'front'), 'usage: emu_multi'),
    (('front', 'front'), 'share a name'), (('front', 'le ft'), 'namespace')])
def test_cameras_that_cannot_be_are_refused_in_one_line(start, words, said):
    process = start(ONE_LOAD, entry='main_multi', words=words)
    assert process.process.wait(TIMEOUT_S) in (1, 2)
    process.until_said(said)
    clean(process)


@pytest.mark.parametrize('cameras', [('front', 'left'), ('front',)])
def test_global_namespace_that_would_move_or_merge_the_cameras_is_refused(start, cameras):
    """Who listens to /front/emu/risk would hear nothing, and never learn why."""
    process = start(ONE_LOAD, entry='main_multi',
                    words=(*cameras, '--ros-args', '-r', '__ns:=/x', '--'))
    assert process.process.wait(TIMEOUT_S) == 1
    assert 'no __ns beside' in process.until_said('emu_multi:')
    clean(process)


def test_parameters_of_one_camera_come_by_its_name(start, tmp_path):
    file = tmp_path / 'cameras.yaml'
    file.write_text('/**:\n  ros__parameters: {model_file: /a}\n'
                    '/left/emu:\n  ros__parameters: {model_file: /b}\n')
    process = start(ONE_LOAD.replace("'LOADED'", "f'LOADED {path}'"), entry='main_multi',
                    words=('front', 'left', 'rear', '--ros-args', '--params-file', str(file),
                           '--'), model=None)
    for camera in ('front', 'left', 'rear'):
        process.until_said(f'active: reading /{camera}/image')
    loads = sorted(line for line in process.lines if line.startswith('LOADED'))
    assert loads == ['LOADED /a', 'LOADED /b']
    assert process.end(signal.SIGINT) == 0
    clean(process)
