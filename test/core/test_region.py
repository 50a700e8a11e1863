# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a part of the image are those of the part, in every form that finishes them."""

from __future__ import annotations

import math

from core_bench import make_metadata, make_network
from emu_perception.backends.packing import header, packed, Resizing, unpacked
from emu_perception.backends.postprocessing import Factors, finished
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.predictor import Predictor
from emu_perception.region import Region
from emu_perception.scores import measured, SCORES
import numpy as np
import pytest
import torch

SIZE = (24, 32)
LOWER = Region(0.5, 1.0, 0.0, 1.0)


def halves() -> NetworkMaps:
    """Return maps whose lower half is twice as unsure as the upper one."""
    amount = torch.ones(SIZE)
    amount[SIZE[0] // 2:] = 2.0
    return NetworkMaps(label=torch.zeros(SIZE, dtype=torch.uint8), entropy=0.3 * amount,
                       confidence=torch.full(SIZE, 0.5), depth=torch.full(SIZE, 2.0),
                       depth_variance=(0.1 * amount) ** 2)


@pytest.mark.parametrize('values', [
    (0.0, 0.0, 0.0, 1.0), (0.6, 0.5, 0.0, 1.0), (0.0, 1.0, 0.9, 0.1), (-0.1, 1.0, 0.0, 1.0),
    (0.0, 1.1, 0.0, 1.0), (math.nan, 1.0, 0.0, 1.0)])
def test_what_is_no_part_of_an_image_is_refused(values):
    with pytest.raises(InputError, match='risk_region is .*give top, bottom, left, right'):
        Region.of(values)


def test_nothing_is_the_whole_image_and_other_counts_are_refused():
    assert Region.of(()) is None
    with pytest.raises(InputError, match='risk_region has 3 values'):
        Region.of((0.0, 1.0, 0.0))


@pytest.mark.parametrize('region, rows, columns', [
    (LOWER, (12, 24), (0, 32)), (Region(0.0, 1.0, 0.25, 0.75), (0, 24), (8, 24)),
    (Region(0.0, 0.001, 0.999, 1.0), (0, 1), (31, 32)),
    (Region(0.0, 1.0, 0.0, 1.0), (0, 24), (0, 32))])
def test_region_is_rows_and_columns_of_the_grid_and_never_none(region, rows, columns):
    assert region.spans(SIZE) == (slice(*rows), slice(*columns))


@pytest.mark.parametrize('region, factor', [
    (None, 1.5), (LOWER, 2.0), (Region(0.0, 0.5, 0.0, 1.0), 1.0),
    (Region(0.25, 1.0, 0.0, 0.3), 5 / 3)])
def test_means_are_those_of_the_part(region, factor):
    found = measured(halves().within(region))
    assert float(found['segmentation_entropy']) == pytest.approx(0.3 * factor, rel=1e-6)
    assert float(found['depth_sigma']) == pytest.approx(0.1 * factor, rel=1e-6)
    assert float(found['relative_depth_sigma']) == pytest.approx(0.05 * factor, rel=1e-6)


def test_a_block_of_the_gpu_holds_the_scores_of_the_part_and_the_maps_of_all():
    options = BackendOptions(torch.device('cpu'), 'fp32', (0.5,) * 3, (0.2,) * 3)
    request = Request(SIZE, SIZE, 1.25, None, LOWER)
    named, scores = finished(halves(), Factors.of(request, options), LOWER)
    block = packed(halves(), torch.from_numpy(header(request, options)),
                   Resizing.between(SIZE, SIZE, options.device), LOWER)
    found = unpacked(block.numpy(), ('segmentation', 'depth'), SIZE, SIZE, {})
    assert found.scores == pytest.approx({name: float(value) for name, value in scores.items()})
    assert found.scores['depth_sigma'] == pytest.approx(0.25)
    np.testing.assert_allclose(found.segmentation_entropy, named['segmentation_entropy'])


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['eager', 'openvino'])
def test_predictor_measures_on_the_part_with_every_backend_of_this_machine(backend):
    if backend == 'openvino':
        pytest.importorskip('openvino', reason='NOT TESTED: openvino is not installed')
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend=backend)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    size = predictor.network_size((96, 128))
    whole = predictor(image, size=size)
    lower = predictor(image, size=size, score_region=LOWER)
    rows, columns = LOWER.spans(size)
    assert lower.scores.keys() == whole.scores.keys() <= SCORES.keys()
    assert lower.scores['segmentation_entropy'] == pytest.approx(
        float(whole.segmentation_entropy[rows, columns].mean(dtype=np.float64)), rel=1e-6)
    assert lower.scores['segmentation_entropy'] != whole.scores['segmentation_entropy']
    np.testing.assert_array_equal(lower.label, whole.label)
