# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""examples/black_box beside a node: a raise keeps what led to it, and what is kept can be read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import re
import sys
import threading
from typing import Any
from unittest.mock import MagicMock

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.opening import open_source
from emu_perception.recordings.messages import Header
from node_bench import now_image, rgb_image
import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from training.prepare.__main__ import main as prepare
import yaml

FOLDER = Path(__file__).resolve().parents[2] / 'examples/black_box'


def load(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name.split('.')[0], FOLDER / name)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class Recorder:
    """Stands in for rosbag2's: the same service but for its type, which is on no wheel."""

    def __init__(self, node: Any, folder: Path) -> None:
        """Keep the last images and flags, and write them when asked."""
        self.folder, self.calls, self.fails = folder, 0, False
        self.images: list[Image] = []
        self.flags: list[bool] = []
        node.create_subscription(Image, '/image', self.images.append, 10)
        node.create_subscription(Bool, '/emu/risk', lambda m: self.flags.append(m.data), 10)
        node.create_service(Trigger, 'rosbag2_recorder/snapshot', self._on_call)

    def _on_call(self, _: Any, response: Any) -> Any:
        from emu_perception.recordings.writer import RecordingWriter
        self.calls += 1
        if self.fails:
            return response
        bag = RecordingWriter(self.folder / str(self.calls))
        for image in self.images[-20:]:
            stamp = image.header.stamp
            header = Header(stamp.sec * 10**9 + stamp.nanosec, image.header.frame_id)
            pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
            depth = np.full(pixels.shape[:2], 2000, np.uint16)
            bag.write('/image', bag.make.image(pixels, 'rgb8', header), header.stamp_ns)
            bag.write('/depth', bag.make.image(depth, '16UC1', header), header.stamp_ns)
            bag.write('/camera_info', bag.make.camera_info(pinhole_info(64, 48, 50.0), header),
                      header.stamp_ns)
            bag.write('/emu/risk', bag.make.flag(True), header.stamp_ns)
        bag.close()
        response.success = True
        return response


@pytest.fixture
def box(make_bench, tmp_path):
    """Return a node, a recorder and a function that starts the black box."""
    pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')
    bench = make_bench(parameters={'clear_after': 1})
    recorder = Recorder(bench.helper, tmp_path)
    started, ending = [], threading.Event()

    def start(**parameters: float) -> None:
        node = load('black_box.py').BlackBox(
            Trigger, cli_args=['--ros-args', '-r', 'risk:=/emu/risk'], parameter_overrides=[
                Parameter(name, value=value) for name, value in parameters.items()])
        executor = SingleThreadedExecutor()
        executor.add_node(node)

        def spin() -> None:
            while not ending.is_set():
                executor.spin_once(timeout_sec=0.05)
        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        started.append((node, executor, thread))
    yield bench, recorder, start
    ending.set()
    for node, executor, thread in started:
        thread.join(10.0)
        executor.shutdown()
        node.destroy_node()


def flap(bench: Any) -> None:
    """Lower the flag, see that all know, and raise it by one image."""
    bench.predictor.mean_entropy = 0.5
    flags = bench.received['risk']
    bench.clear_risk()
    count = len(flags)
    bench.until(lambda: len(flags) > count + 3 and not flags[-1].data, send=now_image())
    bench.predictor.mean_entropy = 1.2
    bench.until(lambda: bench.risk() is True, send=now_image())


@pytest.mark.slow
def test_a_raise_keeps_what_led_to_it_and_it_is_read_like_any_bag(box, tmp_path):
    bench, recorder, start = box
    start(after_s=0.3)
    bench.until(lambda: len(recorder.flags) > 4, send=now_image())
    assert recorder.calls == 0
    flap(bench)
    bench.until(lambda: recorder.calls, send=now_image())
    bag = tmp_path / '1'
    bench.until(lambda: (bag / 'metadata.yaml').exists())
    with open_source(str(bag), 10.0) as source:
        found = {image.header.stamp_ns: (image.read().shape, image.info is not None)
                 for image in source.images()}  # the bench sends some twice
    assert len(found) > 2 and set(found.values()) == {((48, 64, 3), True)}
    assert prepare(['bag', str(bag), '--image-topic', '/image', '--depth-topic', '/depth',
                    '--out', str(tmp_path / 'data'), '--no-progress']) in (0, None)
    assert len(list((tmp_path / 'data/image').iterdir())) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize('every, calls', [(0.0, 2), (1000.0, 1)])
def test_flag_that_flaps_is_kept_no_oftener_than_is_said(box, every, calls):
    bench, recorder, start = box
    start(after_s=0.0, at_most_every_s=every)
    for number in (1, 2):
        flap(bench)
        if number <= calls:
            bench.until(lambda wanted=number: recorder.calls == wanted)
    assert recorder.calls == calls


@pytest.mark.slow
def test_a_snapshot_that_failed_keeps_no_later_one_from_being_taken(box):
    bench, recorder, start = box
    start(after_s=0.0, at_most_every_s=1000.0)
    recorder.fails = True
    flap(bench)
    bench.until(lambda: recorder.calls == 1)
    recorder.fails = False
    flap(bench)
    bench.until(lambda: recorder.calls == 2)


@pytest.mark.slow
def test_silence_is_a_raise_and_a_flag_that_was_never_lowered_is_none(box):
    bench, recorder, start = box
    start(after_s=0.0)
    heard = len(recorder.flags)
    bench.until(lambda: len(recorder.flags) > heard + 4)
    assert recorder.calls == 0, 'raised since the start'
    bench.clear_risk()
    lowered = len(recorder.flags)
    bench.until(lambda: len(recorder.flags) > lowered + 3, send=rgb_image())
    bench.node._risk.stop()  # as a process that was killed
    bench.until(lambda: recorder.calls == 1)


def test_topics_are_those_of_a_camera_and_the_node_and_the_expression_matches_them_alone():
    topics = yaml.safe_load((FOLDER / 'topics.yaml').read_text())['topics']
    samples = (FOLDER.parents[1] / 'docs/topics.md').read_text()
    for topic in topics:
        if topic.startswith('/emu/'):
            assert f'## ~/{topic.removeprefix("/emu/")}\n' in samples, topic
    text = (FOLDER / 'black_box.launch.py').read_text()
    body = re.search(r'def regex.*?\n(    return .*?)\n', text, re.S)
    assert body and '--regex' in text and '--snapshot-mode' in text
    expression = '^(' + '|'.join(re.escape(topic) for topic in topics) + ')$'
    assert all(re.search(expression, topic) for topic in topics)
    assert not any(re.search(expression, f'{topic}_2') for topic in topics)


@pytest.mark.parametrize(('text', 'words'), [
    ('topics: /emu/risk', "field 'topics' is '/emu/risk': give a list"),
    ('topics: {/emu/risk: 1}', 'give a list'), ('topics: [emu/risk]', "'emu/risk'"),
    ('topics: [/emu/risk, 5]', 'has 5: give resolved names'), ('topics: []', 'is missing'),
    ('topics: [', 'cannot be read as YAML'), ('- /emu/risk', 'is missing')])
def test_topics_of_which_nothing_would_be_kept_are_refused_in_one_line(
        monkeypatch, tmp_path, text, words):
    """One name was taken for the list of its letters: a recorder of nothing, and nothing said."""
    for name in ('launch', 'launch.actions', 'launch.substitutions'):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    file = tmp_path / 'topics.yaml'
    file.write_text(text)
    with pytest.raises(RuntimeError) as error:
        load('black_box.launch.py').listed(file)
    assert words in str(error.value) and str(file) in str(error.value)
    assert '\n' not in str(error.value)
    own = FOLDER / 'topics.yaml'
    assert '/emu/risk' in load('black_box.launch.py').listed(own)


@pytest.mark.parametrize(('name', 'value', 'good'), [
    ('after_s', 2, True), ('after_s', float('nan'), False), ('after_s', -1.0, False),
    ('at_most_every_s', 'often', False), ('at_most_every_s', True, False)])
def test_seconds_are_a_number_and_what_is_none_is_said(make_bench, name, value, good):
    """``-p after_s:=2`` ended in a traceback; with .nan no snapshot was ever taken."""
    make_bench()  # Its context is the default one.
    given = [Parameter(name, value=value)]
    if good:
        load('black_box.py').BlackBox(Trigger, parameter_overrides=given).destroy_node()
        return
    with pytest.raises(ValueError, match=f'parameter {name} is .*: give a number of seconds'):
        load('black_box.py').BlackBox(Trigger, parameter_overrides=given)


def test_an_older_rosbag2_without_snapshots_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'rosbag2_interfaces.srv', None)
    assert load('black_box.py').main() == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'Humble or later' in said
