# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Four cameras in one process: one network, and nothing else in common."""

from __future__ import annotations

import threading

from emu_perception.checkpoint import Calibration, CheckpointMetadata, Intrinsics, save_checkpoint
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.ros.lifecycle_node import load_predictor
from emu_perception.ros.predictor_pool import PredictorPool
from emu_perception.visualization import default_palette
from node_bench import camera_info, FakePredictor, rgb_image, TIMEOUT_S
import numpy as np
import pytest
from sensor_msgs.msg import Image

CAMERAS = ('front', 'left', 'right', 'rear')


@pytest.fixture
def cameras(make_bench):
    """Return four active benches that share a fake network, and the loads it took."""
    fake, loads = FakePredictor(), []

    def load(path, **options):
        loads.append(path)
        return fake.load(path, **options)
    pool = PredictorPool(load)
    benches = {name: make_bench(predictor=fake, pool=pool, namespace=name) for name in CAMERAS}
    return benches, fake, loads, pool


def test_one_network_is_loaded_and_freed_with_the_last_camera(cameras):
    benches, fake, loads, pool = cameras
    assert len(loads) == 1 and pool.loaded == 1
    benches['front'].until(
        lambda: benches['front'].diagnostics()['model']['nodes_sharing_it'] == '4')
    for name in CAMERAS:
        assert not fake.closed.is_set(), 'freed under a camera that still uses it'
        assert benches[name].transition('deactivate') and benches[name].transition('cleanup')
    assert fake.closed.wait(TIMEOUT_S) and pool.loaded == 0


def test_each_camera_gets_its_own_results_stamps_and_focal_length(cameras):
    benches, fake, _, _ = cameras
    labels = {name: benches[name].listen(Image, 'label') for name in CAMERAS}
    for number, name in enumerate(CAMERAS, 1):
        width = 64 * number
        benches[name].until(
            lambda name=name: labels[name], camera_info=camera_info(width, 48, fx=10.0 * number),
            send=rgb_image(width, 48, frame_id=name, sec=number))
    for number, name in enumerate(CAMERAS, 1):
        assert {(m.width, m.header.frame_id, m.header.stamp.sec) for m in labels[name]} == {
            (64 * number, name, number)}
    assert {(call['image'].shape[1], call['fx']) for call in fake.calls} >= {
        (64, 10.0), (128, 20.0), (192, 30.0), (256, 40.0)}


def test_bad_input_of_one_camera_disturbs_no_other(cameras):
    benches, _, _, _ = cameras
    for bench in benches.values():
        bench.clear_risk()
    bad = rgb_image()
    bad.data = bad.data[:10]
    front, left = benches['front'], benches['left']
    front.until(lambda: front.risk() is True, send=bad)
    left.received['risk'].clear()
    left.until(lambda: left.received['risk'], send=rgb_image())
    left.clear_risk()
    assert left.diagnostics()['inference']['dropped_unusable_input'] == '0'
    assert front.diagnostics()['inference']['dropped_unusable_input'] != '0'


def test_parameters_and_lifecycle_are_each_cameras_own(cameras):
    benches, _, _, _ = cameras
    front, left = benches['front'], benches['left']
    labels = {name: benches[name].listen(Image, 'label') for name in ('front', 'left')}
    assert front.set(unknown_label_entropy=0.7).successful
    for name in labels:
        benches[name].until(lambda name=name: labels[name], send=rgb_image())
    unknown = {name: (np.frombuffer(labels[name][-1].data, np.uint8) == 255).any()
               for name in labels}
    assert unknown == {'front': True, 'left': False}
    assert front.transition('deactivate') and front.transition('cleanup')
    assert left.state() == 'active'
    left.clear_risk()


def test_busy_cameras_take_turns(cameras):
    benches, fake, _, _ = cameras
    stop = threading.Event()

    def flood(bench):
        while not stop.wait(0.002):
            bench.send(rgb_image())
    threads = [threading.Thread(target=flood, args=(bench,)) for bench in benches.values()]
    for thread in threads:
        thread.start()
    try:
        def counts():
            return [int(bench.diagnostics()['inference']['processed'])
                    for bench in benches.values()]
        benches['front'].until(lambda: min(counts()) >= 30)
        assert max(counts()) < 5 * min(counts()), 'one camera takes the network for itself'
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_weights_are_in_memory_once(make_bench, tmp_path):
    network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=16)
    path = tmp_path / 'small.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), classes=tuple('abcde'),
        palette=tuple(default_palette(5)), depth_max=100.0, calibration=Calibration(),
        intrinsics=Intrinsics(96, 64, 80.0, 80.0, 47.5, 31.5)))
    loads = []

    def load(path, **options):
        loads.append(path)
        return load_predictor(path, **options)
    pool = PredictorPool(load)
    benches = [make_bench(pool=pool, namespace=name, parameters={
        'model_file': str(path), 'device': 'cpu'}) for name in CAMERAS]
    cores = {id(bench.node._pipeline.predictor._network.predictor) for bench in benches}
    assert len(cores) == len(loads) == pool.loaded == 1
    sigmas = [bench.listen(Image, 'depth_uncertainty') for bench in benches]
    for number, (bench, messages) in enumerate(zip(benches, sigmas), 1):
        bench.until(lambda b=bench: b.diagnostics()['input']['camera_info'] == 'used',
                    send=rgb_image(96, 64), camera_info=camera_info(96, 64, fx=80.0 * number))
        messages.clear()
        bench.until(lambda m=messages: m, send=rgb_image(96, 64),
                    camera_info=camera_info(96, 64, fx=80.0 * number))
    means = [np.frombuffer(messages[-1].data, np.float32).mean() for messages in sigmas]
    np.testing.assert_allclose(np.array(means) / means[0], [1, 2, 3, 4], rtol=1e-3)
