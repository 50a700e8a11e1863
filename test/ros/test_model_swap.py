# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Another model while the node runs: the old one answers meanwhile, a bad one changes nothing."""

from __future__ import annotations

import os
from pathlib import Path
import threading
import time
from types import SimpleNamespace

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    Promise,
    PromiseLevel,
    save_checkpoint,
)
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.ros import model_swap
from emu_perception.ros.map_publishers import MapPublishers
from emu_perception.visualization import default_palette
from node_bench import (
    camera_info,
    fake_calibration,
    fake_promises,
    FakePredictor,
    rgb_image,
    TIMEOUT_S,
)
import pytest
from sensor_msgs.msg import Image


class Garage:
    """Loads a fake by the name of its file; ``gate`` holds loads up, ``fails`` makes them fail."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.fails = None
        self.loaded = []
        self.calibration = {}

    def load(self, path, **options):
        if self.loaded:  # the first is the node's own configure
            assert self.gate.wait(TIMEOUT_S)
            if self.fails is not None:
                raise self.fails
        predictor = FakePredictor(calibration=self.calibration.get(Path(path).name))
        predictor.loaded = {'path': Path(path), **options}
        self.loaded.append(predictor)
        return predictor


def write(path: Path, promises=None, **arguments) -> Path:
    """Write a checkpoint whose document can be read; its weights are of no matter here."""
    network = MultitaskNetwork('tf_efficientnet_lite0', num_classes=5, head_dim=8, **arguments)
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), name=path.stem, depth_max=10.0,
        classes=tuple('abcde'), palette=tuple(default_palette(5)),
        calibration=Calibration(promises=promises or {})), half=True)
    return path


@pytest.fixture(scope='module')
def stock(tmp_path_factory):
    """Write the files once; tests take links to them, which are the same to the node."""
    folder = tmp_path_factory.mktemp('models')
    return {'old': write(folder / 'old'), 'new': write(folder / 'new'),
            'depth': write(folder / 'depth', tasks=('depth',))}


@pytest.fixture
def garage(make_bench, stock):
    """Return a running node's bench and the garage its models come from."""
    made = Garage()
    bench = make_bench(loader=made.load, parameters={'model_file': str(stock['old'])})
    bench.garage = made
    return bench


def shown(bench):
    return bench.node.get_parameter('model_file').value


def test_old_model_answers_until_the_new_one_takes_over_and_is_freed(garage, stock):
    bench, old = garage, garage.garage.loaded[0]
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    bench.clear_risk()
    bench.garage.gate.clear()
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: 'loading' in bench.diagnostics()['model']['message'])
    calls = len(old.calls)
    bench.until(lambda: len(old.calls) > calls + 2, send=rgb_image())
    assert bench.state() == 'active' and bench.set(overlay_alpha=0.3).successful
    assert bench.diagnostics()['model']['model_file'] == str(stock['old'])
    assert not old.closed.is_set()
    bench.garage.gate.set()
    bench.until(lambda: len(bench.garage.loaded) == 2 and bench.garage.loaded[1].calls,
                send=rgb_image())
    assert old.closed.wait(TIMEOUT_S), 'two networks stay in memory'
    assert bench.garage.loaded[1].warmed_up
    bench.until(lambda: bench.diagnostics()['model']['model_file'] == str(stock['new']))
    assert shown(bench) == str(stock['new'])
    labels.clear()
    bench.until(lambda: labels, send=rgb_image())
    assert int(bench.diagnostics()['inference']['dropped_failure']) == 0


def test_new_calibration_comes_with_the_new_model(make_bench, stock):
    made = Garage()
    made.calibration['new'] = fake_calibration(segmentation=0.4)
    bench = make_bench(loader=made.load, parameters={'model_file': str(stock['old'])})
    bench.clear_risk()
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: bench.diagnostics()['risk']['threshold_segmentation_nat'] == '0.4')
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'uncertain', send=rgb_image())


def test_a_parameter_set_at_the_handover_does_not_judge_the_last_image_by_the_next_model(
        make_bench, stock):
    """It lowered the flag by thresholds that are another network's."""
    made = Garage()
    made.calibration['new'] = fake_calibration(segmentation=50.0)
    bench = make_bench(loader=made.load, parameters={
        'model_file': str(stock['old']), 'clear_after': 1, 'stale_after_s': 600.0,
        'max_image_age_s': 600.0})
    bench.clear_risk()
    bench.predictor = old = made.loaded[0]
    old.mean_entropy = 5.0
    bench.hang(sec=99)
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: bench.node._pipeline.predictor.key.path == stock['new'])
    assert bench.set(clear_below=0.8).successful
    old.gate.set()
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'uncertain')
    bench.until(lambda: bench.diagnostics()['risk']['threshold_segmentation_nat'] == '50')
    assert bench.node._risk._monitor.clear_below == 0.8


def test_names_of_a_new_model_wait_for_its_first_maps_unless_nothing_is_on_its_way(
        garage, stock, monkeypatch):
    """A reader would name the last labels of the old one by the new names."""
    bench, at_once = garage, []

    def asked(self, **options):
        at_once.append(options['at_once'])
        return True
    monkeypatch.setattr(MapPublishers, 'publish_label_info', asked)
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: at_once == [False])
    assert bench.transition('deactivate') and bench.set(model_file=str(stock['old'])).successful
    bench.until(lambda: at_once == [False, True])


def test_a_new_model_without_thresholds_is_said_to_raise_nothing(garage, stock, monkeypatch):
    bench, said = garage, []
    bench.garage.calibration['new'] = fake_calibration(None, None)
    monkeypatch.setattr(bench.node._log, '_logger', SimpleNamespace(
        **dict.fromkeys(('info', 'warning', 'error'), said.append)))
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: any('neither the checkpoint nor a parameter' in line for line in said))


def test_promises_of_a_new_model_come_and_one_without_the_level_is_refused(
        make_bench, stock, tmp_path):
    made = Garage()
    made.calibration['new'] = fake_promises()
    bench = make_bench(loader=made.load, parameters={'model_file': str(stock['old'])})
    interval = bench.listen(Image, 'depth/interval')
    other = write(tmp_path / 'other', promises={
        'depth_interval': Promise((PromiseLevel(0.8, (1.0, 1.0), True),), 15)})
    refused = bench.set(model_file=str(other))
    assert not refused.successful
    assert refused.reason == (f'parameter model_file: {other}: promise_level is 0.9: the '
                              'checkpoint has 0.8')
    # Both at once: the level is the new model's.
    made.calibration['other'] = fake_promises()
    assert bench.set(model_file=str(other), promise_level=0.8).successful
    bench.until(lambda: bench.diagnostics()['model']['model_file'] == str(other))
    assert bench.set(promise_level=0.9).successful, 'what it has, says the fake'
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: interval, send=rgb_image(), camera_info=camera_info(fx=50.0))


@pytest.mark.parametrize('kind, said', [
    ('missing', 'no such checkpoint'), ('garbage', 'not a whole .safetensors'),
    ('depth', 'has the tasks depth,')])
def test_file_that_cannot_take_over_is_refused_at_once_and_the_old_one_stays(
        garage, stock, tmp_path, kind, said):
    bench = garage
    if kind == 'garbage':
        (tmp_path / kind).write_bytes(b'no checkpoint' * 99)
    path = stock.get(kind, tmp_path / kind)
    result = bench.set(model_file=str(path), overlay_alpha=0.1)
    assert not result.successful and said in result.reason and str(path) in result.reason
    assert shown(bench) == str(stock['old']) and bench.node._settings.overlay_alpha == 0.5
    assert len(bench.garage.loaded) == 1
    bench.clear_risk()


def test_model_that_fails_to_load_gives_the_value_back_and_says_why(garage, stock):
    bench = garage
    bench.garage.fails = RuntimeError('CUDA out\nof memory')
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x01')
    message = bench.diagnostics()['model']['message']
    assert str(stock['new']) in message and 'CUDA out of memory' in message
    bench.until(lambda: shown(bench) == str(stock['old']))
    assert bench.node._settings.model_file == str(stock['old'])
    bench.clear_risk()
    bench.garage.fails = None
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x00'
                and bench.diagnostics()['model']['model_file'] == str(stock['new']))


def test_a_gpu_that_cannot_even_be_cleared_leaves_no_swap_without_an_end(
        garage, stock, monkeypatch):
    bench = garage

    def broken():
        raise RuntimeError('CUDA is gone')
    monkeypatch.setattr(model_swap, 'empty_cuda_cache', broken)
    bench.garage.fails = RuntimeError('no memory')
    assert bench.set(model_file=str(stock['new'])).successful
    problem = bench.until(lambda: bench.node._swap.problem)
    assert 'no memory' in problem and 'CUDA is gone' in problem
    assert bench.node._swap.loading == ''
    bench.until(lambda: shown(bench) == str(stock['old']))


def test_classes_are_asked_of_the_model_that_is_to_come_and_hold_up_nothing_else(garage, stock):
    bench = garage
    assert bench.set(ground_classes=['floor']).successful
    bench.garage.gate.clear()
    assert bench.set(model_file=str(stock['new']), ground_classes=['a', 'b']).successful
    assert bench.set(raise_after=2).successful, 'the running model has no class a'
    refused = bench.set(mask_classes=['floor'])
    assert not refused.successful and "mask_classes names 'floor'" in refused.reason
    assert bench.set(mask_classes=['c']).successful
    bench.garage.fails = RuntimeError('no memory')
    bench.garage.gate.set()
    bench.until(lambda: shown(bench) == str(stock['old']))
    bench.until(lambda: bench.node._settings.ground_classes == ('floor',))
    bench.until(lambda: bench.node._settings.mask_classes == ())
    assert list(bench.node.get_parameter('ground_classes').value) == ['floor']
    assert bench.set(mask_classes=['chair']).successful


def test_file_that_was_replaced_is_loaded_anew_only_when_it_is_set_again(garage, stock, tmp_path):
    bench, mine = garage, tmp_path / 'mine'
    mine.write_bytes(stock['new'].read_bytes())
    assert bench.set(model_file=str(mine)).successful
    bench.until(lambda: bench.diagnostics()['model']['model_file'] == str(mine))
    assert bench.set(model_file=str(mine)).successful and bench.node._swap.loading == ''
    (tmp_path / 'next').write_bytes(stock['old'].read_bytes())
    os.replace(tmp_path / 'next', mine)
    assert bench.set(overlay_alpha=0.2).successful and bench.node._swap.loading == ''
    assert len(bench.garage.loaded) == 2
    assert bench.set(model_file=str(mine)).successful
    bench.until(lambda: len(bench.garage.loaded) == 3 and bench.garage.loaded[1].closed.is_set())
    assert not bench.garage.loaded[2].closed.is_set()


def test_replaced_file_that_fails_is_tried_once_and_not_for_ever(garage, stock, tmp_path):
    bench, mine = garage, tmp_path / 'mine'
    mine.write_bytes(stock['new'].read_bytes())
    assert bench.set(model_file=str(mine)).successful
    bench.until(lambda: bench.diagnostics()['model']['model_file'] == str(mine))
    (tmp_path / 'next').write_bytes(stock['old'].read_bytes())
    os.replace(tmp_path / 'next', mine)
    bench.garage.fails = ValueError('bad weights')
    assert bench.set(model_file=str(mine)).successful
    bench.until(lambda: 'bad weights' in bench.diagnostics()['model']['message'])
    assert bench.node._swap.loading == '' and shown(bench) == str(mine)
    bench.clear_risk()


def test_newest_wish_wins_and_what_was_loaded_before_is_freed(garage, stock):
    bench = garage
    bench.garage.gate.clear()
    assert bench.set(model_file=str(stock['new'])).successful
    assert bench.set(model_file=str(stock['old'])).successful  # changed their mind
    bench.garage.gate.set()
    bench.until(lambda: len(bench.garage.loaded) == 2 and bench.garage.loaded[1].closed.is_set())
    assert shown(bench) == str(stock['old']) and not bench.garage.loaded[0].closed.is_set()
    bench.clear_risk()


def test_device_and_backend_are_swapped_likewise_and_one_that_is_not_there_is_refused(garage):
    bench = garage
    result = bench.set(device='cuda:99')
    assert not result.successful and 'cuda:99' in result.reason
    assert bench.set(device='cpu').successful
    bench.until(lambda: len(bench.garage.loaded) == 2
                and bench.garage.loaded[0].closed.is_set())
    assert bench.garage.loaded[1].loaded['device'] == 'cpu'
    assert bench.set(backend='eager').successful
    bench.until(lambda: len(bench.garage.loaded) == 3
                and bench.garage.loaded[1].closed.is_set())
    assert bench.garage.loaded[2].loaded['backend'] == 'eager'


def test_precision_that_is_none_is_refused_at_once_with_those_there_are(garage):
    result = garage.set(precision='fp8')
    assert not result.successful and "precision is 'fp8': give auto, fp32" in result.reason
    assert len(garage.garage.loaded) == 1


def test_cleanup_while_loading_frees_both_and_configure_takes_the_value_shown(garage, stock):
    bench = garage
    bench.garage.gate.clear()
    assert bench.set(model_file=str(stock['new'])).successful
    assert bench.transition('deactivate') and bench.transition('cleanup')
    assert bench.garage.loaded[0].closed.wait(TIMEOUT_S)
    bench.garage.gate.set()
    bench.until(lambda: len(bench.garage.loaded) == 2)
    assert bench.garage.loaded[1].closed.wait(TIMEOUT_S), 'a swap nobody wants stays in memory'
    assert bench.node.predictor_pool.loaded == 0
    assert bench.transition('configure')
    assert bench.garage.loaded[2].loaded['path'] == stock['new']


def test_image_in_work_at_the_handover_is_finished_by_the_old_model(garage, stock):
    bench, old = garage, garage.garage.loaded[0]
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    bench.predictor = old
    bench.hang(sec=99)
    assert bench.set(model_file=str(stock['new'])).successful
    bench.until(lambda: len(bench.garage.loaded) == 2
                and bench.node._pipeline.predictor.key.path == stock['new'])
    bench.send(rgb_image(sec=100))
    assert not old.closed.is_set(), 'freed under the image in work'
    old.gate.set()
    bench.until(lambda: any(label.header.stamp.sec == 100 for label in labels))
    stamps = [label.header.stamp.sec for label in labels if label.header.stamp.sec in (99, 100)]
    assert stamps == sorted(stamps)
    # Its maps may be overtaken by the next ones before they are published, which is counted.
    behind = bench.node._statistics.snapshot(time.monotonic()).drops.get('publishing_behind', 0)
    assert (99 in stamps) != bool(behind), bench.node._statistics.snapshot(time.monotonic())
    assert old.closed.wait(TIMEOUT_S)
