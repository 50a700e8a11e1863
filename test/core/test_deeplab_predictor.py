# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the Predictor makes of the three-task network: units, the sky, instances, backends."""

from __future__ import annotations

import math
import sys
from typing import Any

from core_bench import CLASSES
from deeplab_bench import constant, deeplab_document, picture, SIZE, small_deeplab, THINGS
from emu_perception.backends import registry
from emu_perception.checkpoint import Calibration
from emu_perception.errors import InputError
from emu_perception.instances import cluster_instances, InstanceSettings
from emu_perception.networks.deeplab import MultitaskDeepLab
from emu_perception.predictor import Predictor
from emu_perception.risk import RiskMonitor, RiskThresholds
import numpy as np
import pytest
import torch


def predict(network: MultitaskDeepLab, image: np.ndarray | None = None, fx: float | None = None,
            size: tuple[int, int] | None = None, **changes: Any) -> Any:
    """Return the prediction of the network with its document changed."""
    predictor = Predictor(network, deeplab_document(network, **changes), device='cpu')
    return predictor(picture() if image is None else image, fx=fx, size=size)


def test_prediction_keeps_the_contract_with_instances_added():
    network = small_deeplab()
    network.initialize_depth(4.0, 0.5)
    prediction = predict(network, picture(96, 128), fx=100.0)
    kinds = {'label': np.uint8, 'depth': np.float32, 'segmentation_entropy': np.float32,
             'confidence': np.float32, 'depth_variance': np.float32, 'instance': np.uint16}
    for name, kind in kinds.items():
        values = getattr(prediction, name)
        assert values.dtype == kind and values.shape == (96, 128), name
        assert values.flags.c_contiguous, name
    assert prediction.size == (96, 128) and (prediction.depth_variance > 0).all()
    assert math.isfinite(prediction.scores['depth_sigma'])
    assert set(prediction.timing_ms) == {'preprocess', 'network', 'postprocess', 'instances'}
    assert all(value > 0 for value in prediction.timing_ms.values())


def test_sky_is_infinite_its_variance_finite_and_it_raises_no_fault():
    network = small_deeplab()
    constant(network, 'depth', -0.5)
    network.depth_noise.fill_(1e-6)
    prediction = predict(network, depth_max=50.0, calibration=Calibration(variance_scale=4.0))
    assert np.isposinf(prediction.depth).all()
    assert prediction.depth_variance == pytest.approx(50.0 ** 4 * 1e-6 * 4.0)
    assert prediction.scores['depth_sigma'] == pytest.approx(5.0)
    risk = RiskMonitor(RiskThresholds({'depth_sigma': 6.0}), raise_after=1, clear_after=1)
    risk.activate()
    assert not risk.observe(prediction.scores, 0.0).raised


def test_a_fault_of_the_depth_map_is_still_a_mean_that_is_not_finite():
    network = small_deeplab()
    network.decoders['depth'].classifier.bias.data.fill_(math.inf)
    assert math.isnan(predict(network).scores['depth_sigma'])


def test_depth_beyond_the_range_is_infinite_and_within_it_is_not():
    network = small_deeplab()
    for metres, expected in ((9.9, 9.9), (10.1, math.inf)):
        constant(network, 'depth', 1 / metres)
        found = predict(network, depth_max=10.0)
        assert found.depth == pytest.approx(expected)
        calibrated = 0.8 * min(metres, 10.0) ** 4
        assert found.depth_variance == pytest.approx(calibrated, rel=1e-4)


def test_focal_length_scales_depth_and_sigma_alike():
    network = small_deeplab()
    constant(network, 'depth', 0.5)
    trained = deeplab_document(network).intrinsics
    assert trained is not None
    fx = trained.fx * SIZE[1] / trained.width
    one, two = (predict(network, fx=fx * factor) for factor in (1.0, 2.0))
    assert one.depth == pytest.approx(2.0, rel=1e-5) and two.depth == pytest.approx(4.0, rel=1e-5)
    assert two.depth_sigma == pytest.approx(2.0 * one.depth_sigma, rel=1e-5)


def test_instances_are_those_of_the_networks_size_brought_to_the_size_asked_for():
    network = small_deeplab()
    constant(network, 'segmentation', *(9.0 if index == 3 else 0.0 for index in range(CLASSES)))

    def halves(self: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        # Each half of the image votes for its own middle.
        x = torch.arange(12) * 8.0 + 3.5
        y = (torch.arange(8) * 8.0 + 3.5).view(8, 1)
        dx = torch.where(x < 48, 24.0, 72.0) - x
        return torch.stack([dx.expand(8, 12), (31.5 - y).expand(8, 12)])[None]
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: halves(module, inputs, output)
        if getattr(module, 'out_channels', 0) == 2 else None)
    try:
        found = predict(network, size=(128, 192)).instance
    finally:
        hook.remove()
    assert found.shape == (128, 192) and set(np.unique(found)) <= {0, 1, 2}
    left, right = found[10:-10, 10:80], found[10:-10, 112:-10]
    assert (left == left[0, 0]).mean() > 0.99 and (right == right[0, 0]).mean() > 0.99
    assert {int(left[0, 0]), int(right[0, 0])} == {1, 2}


@pytest.mark.parametrize('size', [(100, 150), (40, 60)])
def test_numbers_of_instances_are_never_mixed_into_another_number(monkeypatch, size):
    drawn = np.where(np.indices(SIZE).sum(axis=0) // 7 % 2, 300, 7).astype(np.uint16)
    monkeypatch.setattr('emu_perception.backends.base.cluster_instances', lambda *_: drawn)
    found = predict(small_deeplab(), size=size).instance
    assert found.shape == size and found.dtype == np.uint16 and set(found.flat) == {7, 300}


def test_pixels_without_a_label_belong_to_no_instance():
    network = small_deeplab()
    constant(network, 'segmentation', *([0.0] * CLASSES))
    constant(network, 'instance', 0.0, 0.0)
    metadata = deeplab_document(network, instances=InstanceSettings((0,), max_radius_px=500.0))
    predictor = Predictor(network, metadata, device='cpu', unknown_label_entropy=0.1)
    prediction = predictor(picture())
    assert (prediction.label == 255).all() and not prediction.instance.any()


def test_what_is_clustered_is_the_label_and_the_vectors_of_the_network(monkeypatch):
    network = small_deeplab()
    seen = {}

    def spy(label, vectors, settings):
        seen.update(label=label, vectors=vectors, settings=settings)
        return cluster_instances(label, vectors, settings)
    monkeypatch.setattr('emu_perception.backends.base.cluster_instances', spy)
    constant(network, 'instance', 3.0, -2.0)
    prediction = predict(network)
    assert seen['settings'] == THINGS and np.array_equal(seen['label'], prediction.label)
    assert seen['vectors'].shape == (2, *SIZE) and seen['vectors'].dtype == np.float32
    assert seen['vectors'][0] == pytest.approx(3.0) and seen['vectors'][1] == pytest.approx(-2.0)


@pytest.mark.parametrize(('tasks', 'there'), [
    (('segmentation',), {'label'}), (('depth',), {'depth'}),
    (('segmentation', 'instance'), {'label', 'instance'}), (('depth', 'instance'), {'depth'})])
def test_a_subset_of_tasks_leaves_the_other_fields_none(tasks, there, log):
    prediction = predict(small_deeplab(tasks=tasks))
    assert {name for name in ('label', 'depth', 'instance')
            if getattr(prediction, name) is not None} == there
    assert ('no instances: they need the labels' in log.text) == (tasks == ('depth', 'instance'))
    assert ("the task's noise" in log.text) == ('depth' in tasks)


def test_vectors_alone_are_refused_and_so_are_instances_without_scikit_learn(monkeypatch):
    with pytest.raises(InputError, match='only task is instance'):
        predict(small_deeplab(tasks=('instance',)))
    monkeypatch.setitem(sys.modules, 'sklearn.cluster', None)
    with pytest.raises(InputError, match='pip install scikit-learn'):
        predict(small_deeplab())
    predict(small_deeplab(tasks=('segmentation', 'depth')))


def test_backends_of_another_family_refuse_it_and_auto_goes_on_with_pytorch(caplog, monkeypatch):
    pytest.importorskip('openvino')
    monkeypatch.setattr(registry, 'preferred', lambda device: ('openvino', 'eager'))
    network = small_deeplab()
    metadata = deeplab_document(network)
    with pytest.raises(InputError, match="'openvino'.*'deeplab'.*'eager'"):
        Predictor(network, metadata, device='cpu', backend='openvino')
    with caplog.at_level('INFO'):
        predictor = Predictor(network, metadata, device='cpu', backend='auto')
    assert (predictor.backend, predictor.backend_notes) == ('eager', ())
    # That is how it is, and no fault of this machine.
    assert [(line.levelname, line.getMessage()) for line in caplog.records
            if 'openvino' in line.getMessage()] == [
        ('INFO', "openvino runs no network of the family 'deeplab': eager does")]
