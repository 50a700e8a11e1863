# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_benchmark --node``: its figures, its errors, and one short run of the real node."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys

from emu_perception.benchmarking.command import main
from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.errors import EmuError, InputError
from emu_perception.intrinsics import Intrinsics
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.ros.benchmark import command, figures
from emu_perception.ros.benchmark.figures import Record
from emu_perception.visualization import default_palette
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
import torch


def record() -> Record:
    """Return four images at 10 Hz: the second's depth never comes, the third is the slowest."""
    sent = {(0, number): 0.1 * number for number in range(4)}
    label = {(0, 0): 0.010, (0, 1): 0.110, (0, 2): 0.210, (0, 3): 0.310}
    depth = {(0, 0): 0.030, (0, 2): 0.250, (0, 3): 0.320, (9, 9): 0.400}  # 9.9: of the warm-up
    return Record(sent, {'label': label, 'depth': depth}, cpu_s=0.2, wall_s=0.4, rss_mb=123.45,
                  before={'processed': '10', 'dropped_newer_image': '4', 'dropped_failure': '1'},
                  values={'processed': '14', 'dropped_newer_image': '6', 'dropped_failure': '1',
                          'overhead_time_ms_median': '2.5', 'publish_time_ms_median': 'n/a',
                          'lost_before_node': '3'})


def test_figures_are_those_of_the_images_that_came_back_whole():
    found = figures.summary(record(), ['label', 'depth'])
    assert (found['sent'], found['answered'], found['missed']) == (4, 3, 1)
    assert found['mean_fps'] == pytest.approx(2 / (0.320 - 0.030), abs=1e-3)
    assert (found['first_latency_ms'], found['last_latency_ms']) == (30.0, 20.0)
    assert found['median_latency_ms'] == 30.0
    assert found['p99_latency_ms'] == pytest.approx(50.0, abs=0.5)
    assert found['jitter_ms'] == pytest.approx(75.0)  # of 220 and 70 ms
    assert (found['cpu_percent'], found['cpu_ms_per_image']) == (50.0, 50.0)
    assert found['drops'] == {'newer_image': 2} and found['lost_before_node'] == 3
    assert (found['overhead_ms'], found['publish_ms'], found['risk_ms']) == (2.5, None, None)


def test_nothing_that_came_back_is_no_figure_and_no_error():
    found = figures.summary(Record({(0, 0): 0.0}, wall_s=1.0), ['label'])
    assert (found['missed'], found['mean_fps'], found['median_latency_ms']) == (1, None, None)
    assert found['cpu_ms_per_image'] is None and found['jitter_ms'] is None
    assert figures.topic_cost(found, found)['median_latency_ms'] is None


def test_cost_of_a_topic_is_the_difference():
    base = {'publish_ms': 1.0, 'cpu_ms_per_image': 20.0, 'median_latency_ms': 30.0}
    more = {'publish_ms': 1.5, 'cpu_ms_per_image': 21.0, 'median_latency_ms': None}
    assert figures.topic_cost(base, more) == {
        'publish_ms': 0.5, 'cpu_ms_per_image': 1.0, 'median_latency_ms': None}


def test_a_topic_that_is_withheld_for_the_made_picture_is_said_and_costs_no_other(capsys):
    class Camera:
        """One of its topics stays silent."""

        def topics(self):
            return ['label', 'quiet', 'points']

        def listen(self, topics, patience_s=60.0):
            if 'quiet' in topics:
                raise EmuError('the node has not answered')

        def run(self, rate, seconds):
            return record()

    options = argparse.Namespace(seconds=1.0, no_progress=False)
    assert list(command._topic_costs(Camera(), ['label'], options)) == ['points']
    assert 'quiet: nothing to measure, the node has not answered' in capsys.readouterr().err


@pytest.mark.parametrize('kind', [Image, CameraInfo, PointCloud2])
def test_stamp_is_read_from_the_bytes(kind):
    message = kind()
    message.header.stamp.sec, message.header.stamp.nanosec = 1234567, 89
    assert figures.stamp_of(serialize_message(message)) == (1234567, 89)


def test_rates_are_numbers_and_max():
    assert figures.rates('10,0.5,max') == [10.0, 0.5, None]
    for text in ('', '0', 'fast', '10,,20', 'nan', '1e9'):
        with pytest.raises(InputError, match='--rates has'):
            figures.rates(text)


@pytest.mark.parametrize('arguments, said', [
    (['--image-size', '480'], "--image-size is '480'"), (['--image-size', '0x5'], '0x5'),
    (['--rates', '10,often'], "'often'"), (['--seconds', '0'], '--seconds is 0'),
    (['--topics', ','], '--topics is empty')])
def test_option_that_cannot_be_used_is_one_line(capsys, arguments, said):
    assert command.main(arguments) == 1
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1


def test_without_ros_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr('emu_perception.benchmarking.node.find_spec', lambda name: None)
    assert main(['--node', '--rates', '10']) == 1
    error = capsys.readouterr().err
    assert 'needs ROS 2' in error and error.count('\n') == 1


def tiny(path: Path) -> Path:
    """Write a small network of random weights."""
    torch.manual_seed(0)
    network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=16)
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), name='tiny', classes=tuple('abcde'),
        palette=tuple(default_palette(5)), depth_max=10.0,
        intrinsics=Intrinsics(96, 64, 80.0, 80.0, 48.0, 32.0)))
    return path


@pytest.mark.slow
def test_short_run_of_the_real_node(tmp_path, capfd):
    out = tmp_path / 'out' / 'node.json'
    arguments = ['--node', '--checkpoint', str(tiny(tmp_path / 'tiny.safetensors')), '--device',
                 'cpu', '--backend', 'eager', '--image-size', '64x96', '--rates', '20,max',
                 '--seconds', '2', '--topics', 'label,depth/image', '--no-topic-costs', '--json',
                 str(out), '--no-progress']
    assert main(arguments) == 0, capfd.readouterr().err
    result = json.loads(out.read_text())
    assert result['model']['backend'] == 'eager' and result['image'] == [64, 96]
    assert set(result['rows']) == {'20 Hz', 'max'} and result['command'].endswith('--no-progress')
    slow = result['rows']['20 Hz']
    assert 0 < slow['sent'] <= 41 and slow['answered'] > 0 and slow['median_latency_ms'] > 0
    assert slow['cpu_ms_per_image'] > 0 and slow['rss_mb'] > 50 and slow['overhead_ms'] > 0
    assert slow['processing_ms'] >= slow['publish_ms'] > 0
    printed = capfd.readouterr().out
    assert 'overhead ms' in printed and '20 Hz' in printed


@pytest.mark.slow
def test_node_that_cannot_start_says_why_in_one_line(tmp_path, capfd):
    path = tmp_path / 'no.safetensors'
    path.write_bytes(b'no checkpoint' * 99)
    assert main(['--node', '--checkpoint', str(path), '--device', 'cpu', '--no-progress']) == 1
    error = capfd.readouterr().err
    assert 'the node cannot start' in error and str(path) in error and error.count('\n') == 1


def test_who_ends_the_command_ends_the_program_that_started_the_node(tmp_path):
    """Else the node, in a session of its own, would run on."""
    mark, code = tmp_path / 'ended', tmp_path / 'program.py'
    code.write_text('import pathlib, signal, sys, time\n'
                    f'def end(*_): pathlib.Path({str(mark)!r}).touch(); sys.exit(3)\n'
                    'signal.signal(signal.SIGTERM, end)\n'
                    "print('ready', flush=True)\ntime.sleep(60)\n")
    command = subprocess.Popen(
        [sys.executable, '-c', 'import sys\nfrom emu_perception.benchmarking import node\n'
         "node.PROGRAM = 'program'\nsys.exit(node.benchmark_node([]))"],
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}'},
        stdout=subprocess.PIPE, text=True)
    try:
        assert command.stdout is not None and command.stdout.readline() == 'ready\n'
        command.terminate()
        assert command.wait(30) == 3 and mark.exists()
    finally:
        command.kill()
