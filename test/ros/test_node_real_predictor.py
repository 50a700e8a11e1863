# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node with the core's real Predictor and a small network of random weights."""

from __future__ import annotations

import inspect
from pathlib import Path

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    Intrinsics,
    save_checkpoint,
)
from emu_perception.instances import InstanceSettings
from emu_perception.networks.deeplab import MultitaskDeepLab
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.ros.lifecycle_node import load_predictor
from emu_perception.visualization import default_palette
from node_bench import Bench, camera_info, FakePredictor, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2
import torch


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a network of five classes with random weights."""
    network = MultitaskNetwork('tf_efficientnet_lite0', num_classes=5, head_dim=16)
    path = tmp_path_factory.mktemp('model') / 'small.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), name='small',
        classes=tuple('abcde'), palette=tuple(default_palette(5)), depth_max=10.0,
        intrinsics=Intrinsics(96, 64, 80.0, 80.0, 47.5, 31.5),
        calibration=Calibration(scores={
            'segmentation_entropy': FittedThreshold(1.55, 95.0),
            'depth_sigma': FittedThreshold(0.9, 95.0)})))
    return path


def start(make_bench, path, **parameters) -> Bench:
    return make_bench(loader=load_predictor, active=False, parameters={
        'model_file': str(path), 'device': 'cpu', **parameters})


def test_fake_has_the_interface_of_the_real_predictor():
    for name in ('__call__', 'warm_up', 'network_size'):
        real, fake = (list(inspect.signature(getattr(kind, name)).parameters)
                      for kind in (Predictor, FakePredictor))
        assert fake == real, name
    for name in ('device_description', 'close', 'load'):
        assert hasattr(Predictor, name)


def test_a_missing_focal_length_is_the_nodes_to_say_and_not_said_twice(checkpoint, caplog):
    predictor = load_predictor(checkpoint, device='cpu', precision='auto', backend='eager')
    predictor(np.zeros((64, 96, 3), np.uint8))
    assert 'NOT scaled' not in caplog.text
    assert Predictor.load(checkpoint, 'cpu', backend='eager').says_unscaled


def test_image_becomes_maps_and_points_and_a_flag(make_bench, checkpoint):
    bench = start(make_bench, checkpoint)
    assert bench.transition('configure') and bench.transition('activate')
    topics = {'label': 'mono8', 'confidence': 'mono8', 'depth/image': '32FC1',
              'segmentation_uncertainty': '32FC1', 'depth_uncertainty': '32FC1',
              'overlay': 'rgb8', 'label_color': 'rgb8', 'segmentation_uncertainty_color': 'rgb8',
              'depth_uncertainty_color': 'rgb8'}
    for topic in topics:
        bench.listen(Image, topic)
    points = bench.listen(PointCloud2, 'points')
    bench.until(lambda: points and all(bench.received[topic] for topic in topics),
                send=rgb_image(128, 96), camera_info=camera_info(128, 96))
    for topic, encoding in topics.items():
        message = bench.received[topic][-1]
        assert (message.encoding, message.width, message.height) == (encoding, 128, 96), topic
        assert message.header.stamp.sec == 1234
    label = np.frombuffer(bench.received['label'][-1].data, np.uint8)
    assert label.max() < 5
    entropy = np.frombuffer(bench.received['segmentation_uncertainty'][-1].data, np.float32)
    assert 0 <= entropy.min() and entropy.max() <= np.log(5) + 1e-5
    sigma = np.frombuffer(bench.received['depth_uncertainty'][-1].data, np.float32)
    assert (sigma > 0).all()
    bench.until(lambda: bench.diagnostics()['model']['training_fx'] == '80')
    assert bench.diagnostics()['risk']['threshold_segmentation_nat'] == '1.55'


def test_the_three_task_network_runs_with_its_instances_and_says_what_its_sigma_is(
        make_bench, tmp_path):
    network = MultitaskDeepLab('test_resnet', num_classes=5, aspp_dim=16, decoder_dim=8)
    network.initialize_depth(4.0, 0.5)
    with torch.no_grad():
        # Everything is a thing; all votes, wherever they go, are one object to such settings.
        network.decoders['segmentation'].classifier.bias[2] = 99.0
    path = tmp_path / 'three.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), classes=tuple('abcde'),
        palette=tuple(default_palette(5)), depth_max=80.0,
        intrinsics=Intrinsics(96, 64, 80.0, 80.0, 47.5, 31.5),
        instances=InstanceSettings((2,), votes=200, max_eps_px=100.0, max_radius_px=500.0)))
    bench = start(make_bench, path)
    assert bench.transition('configure') and bench.transition('activate')
    topics = {'instance': '16UC1', 'label': 'mono8', 'depth/image': '32FC1',
              'depth_uncertainty': '32FC1'}
    for topic in topics:
        bench.listen(Image, topic)
    bench.until(lambda: all(bench.received[topic] for topic in topics),
                send=rgb_image(128, 96), camera_info=camera_info(128, 96))
    for topic, encoding in topics.items():
        message = bench.received[topic][-1]
        assert (message.encoding, message.width, message.height) == (encoding, 128, 96), topic
        assert message.header.stamp.sec == 1234 and message.header.frame_id
    instance = np.frombuffer(bench.received['instance'][-1].data, np.uint16)
    assert set(instance) == {1}
    sigma = np.frombuffer(bench.received['depth_uncertainty'][-1].data, np.float32)
    assert (sigma > 0).all() and np.isfinite(sigma).all()
    bench.until(lambda: 'instances_time_ms' in bench.diagnostics()['inference'],
                send=rgb_image(128, 96))
    assert bench.diagnostics()['model']['depth_variance'] == "the task's noise"


def test_focal_length_of_camera_info_scales_sigma(make_bench, checkpoint):
    bench = start(make_bench, checkpoint, clear_after=1)
    assert bench.transition('configure') and bench.transition('activate')
    sigmas = bench.listen(Image, 'depth_uncertainty')
    means = []
    for stamp, fx in ((1, 80.0), (2, 160.0)):
        image = rgb_image(96, 64, sec=stamp)
        bench.until(lambda: bench.diagnostics()['input']['camera_info'] == 'used',
                    send=rgb_image(96, 64, sec=99), camera_info=camera_info(96, 64, fx=fx))
        bench.until(lambda s=stamp: any(m.header.stamp.sec == s for m in sigmas), send=image,
                    camera_info=camera_info(96, 64, fx=fx))
        message = [m for m in sigmas if m.header.stamp.sec == stamp][-1]
        means.append(np.frombuffer(message.data, np.float32).mean())
    assert means[1] / means[0] == pytest.approx(2.0, rel=1e-3)


def test_diagnostics_name_the_backend_and_one_that_is_not_there_is_refused(make_bench, checkpoint):
    bench = start(make_bench, checkpoint, backend='eager')
    assert bench.transition('configure') and bench.transition('activate')
    bench.until(lambda: bench.diagnostics()['model'].get('backend') == 'eager')
    refused = bench.set(backend='abacus')
    assert not refused.successful and "backend is 'abacus': give auto, eager" in refused.reason


@pytest.mark.parametrize('kind', ['missing', 'truncated', 'garbage', 'empty', 'folder'])
def test_unusable_checkpoint_is_one_clear_line_and_the_node_goes_on(
        make_bench, checkpoint, tmp_path, kind):
    bad = tmp_path / f'{kind}.safetensors'
    if kind == 'truncated':
        bad.write_bytes(checkpoint.read_bytes()[:-1000])
    elif kind == 'garbage':
        bad.write_bytes(b'this is no checkpoint' * 100)
    elif kind == 'empty':
        bad.write_bytes(b'')
    elif kind == 'folder':
        bad.mkdir()
    bench = start(make_bench, bad)
    assert not bench.transition('configure')
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x02')
    message = bench.diagnostics()['model']['message']
    assert str(bad) in message and '\n' not in message
    assert bench.state() == 'unconfigured'
    assert bench.set(model_file=str(checkpoint)).successful
    assert bench.transition('configure') and bench.state() == 'inactive'


@pytest.mark.parametrize('parameters, named', [
    ({'device': 'cuda:99'}, 'cuda:99'), ({'device': 'tpu'}, 'tpu'), ({'precision': 'fp8'}, 'fp8'),
    ({'backend': 'abacus'}, 'abacus')])
def test_device_that_is_not_there_is_refused_and_not_replaced_silently(
        make_bench, checkpoint, parameters, named):
    bench = start(make_bench, checkpoint, **parameters)
    assert not bench.transition('configure')
    bench.until(lambda: named in bench.diagnostics()['model']['message'])
