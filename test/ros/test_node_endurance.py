# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a node over a long life: reconfigured, its file replaced, listeners gone."""

from __future__ import annotations

from dataclasses import replace
import gc
import os
import time

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    save_checkpoint,
)
from emu_perception.intrinsics import Intrinsics
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.ros import predictor_pool
from emu_perception.ros.lifecycle_node import load_predictor
from emu_perception.visualization import default_palette
from node_bench import camera_info, FakePredictor, rgb_image
import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import Image, PointCloud2
import torch

ROUNDS = 100
PAGE_MB = os.sysconf('SC_PAGE_SIZE') / 2**20


@pytest.fixture
def checkpoint(tmp_path):
    network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=16)
    path = tmp_path / 'small.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), classes=tuple('abcde'),
        palette=tuple(default_palette(5)), depth_max=100.0,
        intrinsics=Intrinsics(96, 64, 80.0, 80.0, 48.0, 32.0),
        calibration=Calibration(scores={'segmentation_entropy': FittedThreshold(5.0),
                                        'depth_sigma': FittedThreshold(50.0)})))
    return path


def memory_mb() -> float:
    gc.collect()
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * PAGE_MB


@pytest.mark.slow
def test_a_hundred_reconfigurations_leave_no_memory_behind(make_bench, checkpoint):
    bench = make_bench(loader=load_predictor, active=False, parameters={
        'model_file': str(checkpoint), 'device': 'cpu'})
    labels = bench.listen(Image, 'label')
    figures = []
    for turn in range(ROUNDS):
        assert bench.transition('configure') and bench.transition('activate')
        if turn % 10 == 0:
            labels.clear()
            bench.until(lambda: labels, send=rgb_image(96, 64))
        assert bench.transition('deactivate') and bench.transition('cleanup')
        figures.append(memory_mb())
    assert bench.node.predictor_pool.loaded == 0
    print('MB:', [round(figure, 1) for figure in figures[::10]])
    rounds = np.arange(ROUNDS)[30:]
    slope = np.polyfit(rounds, figures[30:], 1)[0]
    # A network left behind is at least its weights; memory in pieces is a small part of that.
    weights_mb = checkpoint.stat().st_size / 2**20
    assert slope < weights_mb / 4, f'{slope:.3f} MB for each reconfiguration'


@pytest.mark.parametrize('how', ['replaced', 'overwritten', 'emptied', 'deleted'])
def test_checkpoint_that_changes_on_disk_does_not_disturb_what_runs(make_bench, checkpoint, how):
    bench = make_bench(loader=load_predictor, parameters={
        'model_file': str(checkpoint), 'device': 'cpu'})
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image(96, 64))
    before = bytes(labels[-1].data)
    size = checkpoint.stat().st_size
    if how == 'replaced':
        other = checkpoint.with_suffix('.new')
        other.write_bytes(b'x' * size)
        os.replace(other, checkpoint)
    elif how == 'overwritten':
        with checkpoint.open('r+b') as file:
            file.write(b'\xff' * size)
    elif how == 'emptied':
        os.truncate(checkpoint, 0)
    else:
        checkpoint.unlink()
    labels.clear()
    bench.until(lambda: len(labels) >= 3, send=rgb_image(96, 64))
    assert bytes(labels[-1].data) == before, 'the weights in use are those on disk'
    assert bench.set(overlay_alpha=0.1).successful
    result = bench.set(model_file=str(checkpoint))
    assert not result.successful and str(checkpoint) in result.reason
    bench.clear_risk()


def out_of_memory(maps):
    raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')


def broken(maps):
    raise IndexError('a layer')


def not_a_number(maps):
    return replace(maps, entropy=torch.full_like(maps.entropy, float('nan')))


@pytest.mark.parametrize('action, said', [
    (out_of_memory, 'out of GPU memory'), (broken, 'IndexError: a layer'),
    (not_a_number, 'not finite')])
def test_fault_inside_the_real_network_raises_failure_and_the_next_image_is_tried(
        make_bench, checkpoint, monkeypatch, action, said):
    emptied = []
    monkeypatch.setattr('emu_perception.ros.faults.empty_cuda_cache',
                        lambda: emptied.append(time.monotonic()))
    bench = make_bench(loader=load_predictor, parameters={
        'model_file': str(checkpoint), 'device': 'cpu'})
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image(96, 64))
    backend = bench.node._pipeline.predictor._network.predictor._backend
    maps = backend.maps
    monkeypatch.setattr(backend, 'maps', lambda raw, size: action(maps(raw, size)))
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'failure',
                send=rgb_image(96, 64, sec=666))
    assert bench.risk() is True
    assert said in bench.diagnostics()['inference']['last_error']
    assert bool(emptied) is (action is out_of_memory)
    assert not any(label.header.stamp.sec == 666 for label in labels)
    monkeypatch.setattr(backend, 'maps', maps)
    labels.clear()
    bench.until(lambda: labels, send=rgb_image(96, 64))
    bench.clear_risk()


def test_out_of_memory_lets_go_of_the_networks_maps_before_the_cache_is_emptied(
        make_bench, monkeypatch):
    alive = []

    class Map:
        """Counted while it lives."""

        def __init__(self):
            alive.append(1)

        def __del__(self):
            alive.pop()

    class Greedy(FakePredictor):

        def __call__(self, *args, **options):
            held = Map()
            raise torch.cuda.OutOfMemoryError(f'CUDA out of memory {type(held).__name__}')
    seen = []
    monkeypatch.setattr('emu_perception.ros.faults.empty_cuda_cache',
                        lambda: seen.append(len(alive)))
    bench = make_bench(predictor=Greedy())
    bench.until(lambda: seen, send=rgb_image())
    assert set(seen) == {0}, 'emptied while the maps were still held'


def test_the_flag_goes_up_even_where_making_room_fails_too(make_bench, monkeypatch):
    class Greedy(FakePredictor):

        def __call__(self, *args, **options):
            raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    def fail():
        raise RuntimeError('CUDA error: an illegal memory access was encountered')
    monkeypatch.setattr('emu_perception.ros.faults.empty_cuda_cache', fail)
    bench = make_bench(predictor=Greedy())
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'failure', send=rgb_image())
    assert bench.risk() is True
    assert bench.diagnostics()['inference']['dropped_failure'] != '0'


def test_cache_is_emptied_only_where_there_is_a_gpu(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: calls.append(1))
    for there, expected in ((False, 0), (True, 1)):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda there=there: there)
        predictor_pool.empty_cuda_cache()
        assert len(calls) == expected


def test_listeners_that_vanish_amid_the_stream_leave_the_others_served(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=rclpy.get_default_context().get_domain_id())
    for turn in range(3):
        other = rclpy.create_node(f'listener{turn}', context=context)
        for topic in ('label', 'depth/image', 'overlay', 'points'):
            kind = PointCloud2 if topic == 'points' else Image
            other.create_subscription(kind, f'/emu/{topic}', lambda message: None, 1)
        bench.until(lambda: bench.node.count_subscribers('/emu/overlay'), send=rgb_image(),
                    camera_info=camera_info())
        bench.hang()
        if turn == 2:
            rclpy.try_shutdown(context=context)  # without a word
        else:
            other.destroy_node()
        bench.predictor.gate.set()
        labels.clear()
        bench.until(lambda: labels, send=rgb_image())
    bench.clear_risk()
    assert bench.diagnostics()['inference']['dropped_failure'] == '0'
    assert bench.node._last_worker.join(0.0) is False, 'the worker has died'
