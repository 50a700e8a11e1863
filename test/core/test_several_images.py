# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images that go through the network together are answered as each would be by itself."""

from __future__ import annotations

from core_bench import INPUT_SIZE, make_metadata, make_network
from emu_perception.backends import BackendOptions, Request
from emu_perception.backends.agreement import Expected
from emu_perception.backends.eager import EagerBackend
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor
import numpy as np
import pytest
import torch

SIZES = (INPUT_SIZE, INPUT_SIZE[::-1], INPUT_SIZE, INPUT_SIZE, INPUT_SIZE[::-1])


@pytest.fixture(scope='module')
def images():
    """Return images of two sizes, mixed."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*size, 3), np.uint8) for size in SIZES]


def test_together_is_as_one_by_one_within_the_bounds_of_backends(images):
    torch.manual_seed(0)
    network = make_network().folded()
    backend = EagerBackend(network, BackendOptions(
        torch.device('cpu'), 'fp32', (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), temperature=1.3,
        variance_scale=1.7, depth_max=10.0, statistics=True))
    found = backend.predict_several(images, [Request(size, size) for size in SIZES])
    assert len(found) == len(images)
    for image, size, prediction in zip(images, SIZES, found):
        with torch.inference_mode():
            raw = backend.network(backend.prepare(image, size))
            expected = Expected(raw, backend.maps(raw, size), backend.options)
        assert expected.problem(prediction) == ''
        assert prediction.timing_ms.keys() == backend.predict(
            image, Request(size, size)).timing_ms.keys()


def test_a_list_is_answered_in_its_order_and_the_network_runs_once_a_batch(images, monkeypatch):
    torch.manual_seed(0)
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    singly = [predictor(image, fx=100.0, size=(40, 50)) for image in images]
    batches = []
    run = EagerBackend.network
    monkeypatch.setattr(EagerBackend, 'network', lambda self, x: batches.append(len(x)) or run(
        self, x))
    assert [*map(len, (predictor(images, fx=100.0), batches))] == [5, 5]
    batches.clear()
    monkeypatch.setattr(predictor._backend, 'batch', 3)
    together = predictor(iter_tensors(images), fx=100.0, size=(40, 50))
    assert batches == [2, 1, 1, 1]  # Of the first three two are alike, of the last two none.
    for one, other in zip(singly, together, strict=True):
        assert one.network_size == other.network_size
        assert one.risk.raised == other.risk.raised
        for name, score in one.scores.items():
            assert other.scores[name] == pytest.approx(score, rel=1e-4)
        # Of depths of 0.1 mm float32 leaves no thousandth: they are differences of larger numbers.
        np.testing.assert_allclose(other.depth, one.depth, rtol=1e-3, atol=1e-6)
        assert other.plot().shape == one.plot().shape


def iter_tensors(images):
    """Return a list of what are images in other ways."""
    return [torch.from_numpy(image) for image in images]


def test_an_image_of_a_list_that_cannot_be_used_is_said(images):
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    with pytest.raises(InputError, match='both sides must be at least'):
        predictor([images[0], np.zeros((8, 8, 3), np.uint8)])
    assert predictor([]) == []
