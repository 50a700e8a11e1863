# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A Predictor that is given a depth camera's view joins it in, and judges as before."""

from __future__ import annotations

from core_bench import make_metadata, make_network
from emu_perception.errors import InputError
from emu_perception.maps import MAPS
from emu_perception.predictor import Predictor
import numpy as np
import pytest
import torch

FX = 300.0


@pytest.fixture(scope='module')
def predictor() -> Predictor:
    """Return a predictor of both tasks."""
    torch.manual_seed(0)
    network = make_network()
    return Predictor(network, make_metadata(network), device='cpu', backend='eager')


def picture() -> np.ndarray:
    """Return a picture of noise."""
    return np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8)


def test_the_hint_changes_metres_and_leaves_the_judgement(predictor):
    image = picture()
    plain = predictor(image, fx=FX)
    seen = np.where(np.arange(128) < 64, 2000, 0).astype(np.uint16)[None].repeat(96, 0)
    # Of a network that was never trained.
    hinted = predictor(image, fx=FX, depth_hint=seen, any_hint_scale=True)
    assert hinted.scores == plain.scores and np.array_equal(hinted.label, plain.label)
    assert (hinted.depth[:, :64] == 2.0).all() and (hinted.depth_source[:, :64] == 2).all()
    assert not (hinted.depth_source[:, 64:] == 2).any()
    assert hinted.scale is not None and hinted.scale_sigma == hinted.scale.sigma > 0
    for name in ('depth', 'depth_variance', 'depth_source'):
        values = hinted.maps[name]
        assert values.dtype == MAPS[name].dtype and values.flags.c_contiguous
        assert values.shape == (96, 128)
    assert plain.scale is None and plain.depth_source is None and plain.scale_sigma is None


def test_its_accuracy_is_that_of_its_pixels(predictor):
    seen = np.full((96, 128), 2.0, np.float32)
    hinted = predictor(picture(), fx=FX, depth_hint=seen, hint_sigma=0.25, any_hint_scale=True)
    assert hinted.depth_sigma == pytest.approx(np.full((96, 128), 0.25))


def test_without_a_focal_length_there_are_no_metres_to_join(predictor):
    with pytest.raises(InputError, match='depth_hint is given without fx'):
        predictor(picture(), depth_hint=np.ones((96, 128), np.float32))


def test_a_network_without_depth_has_nothing_to_join():
    network = make_network(tasks=('segmentation',))
    labels = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    with pytest.raises(InputError, match='no task depth'):
        labels(picture(), fx=FX, depth_hint=np.ones((96, 128), np.float32))


def test_a_hint_of_another_size_is_refused_before_the_network_runs(predictor):
    with pytest.raises(InputError, match='depth_hint is 64x48, the image 128x96'):
        predictor(picture(), fx=FX, depth_hint=np.ones((48, 64), np.float32))


def test_a_hint_of_other_units_is_refused_unless_that_is_asked_for(predictor):
    said = float(np.nanmedian(predictor(picture(), fx=FX).depth))
    seen = np.full((96, 128), np.float32(0.03 * said))
    with pytest.raises(InputError, match='of the metres that the network says: .*any_hint_scale'):
        predictor(picture(), fx=FX, depth_hint=seen)
    taken = predictor(picture(), fx=FX, depth_hint=seen, any_hint_scale=True)
    assert (taken.depth_source == 2).all()
