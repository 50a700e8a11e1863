# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The one vector an image that fitted scores read."""

from __future__ import annotations

from emu_perception.networks.statistics import BANDS, picture_statistics, with_statistics
import pytest
from rounding import FEW, NETWORK, rounding
import torch


def test_numbers_by_hand():
    """Two channels and a head of two classes and depth, worked out on paper."""
    x = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]], [[1.0, 1.0], [1.0, 1.0]]]])
    logits = torch.zeros(1, 2, 5, 1)
    logits[0, 0, 4] = 100.0  # The lowest third is sure.
    # Every second row counts, the others are none of it.
    depth = torch.tensor([[[[1.0], [9.0], [2.0], [9.0], [4.0]], [[0.0]] * 5]])
    found = picture_statistics([x], {'segmentation': logits, 'depth': depth})[0]
    ln2 = torch.tensor(2.0).log()
    sigma = (torch.tensor(1.0).exp().add(0).log1p() * 0 + ln2).sqrt()  # softplus(0) = ln 2.
    expected = [3.0, 1.0, 5.0 ** 0.5, 0.0, ln2, ln2, 0.0, -ln2, 0.0, ln2,
                *(sigma / metres for metres in (1.0, 2.0, 4.0)), ln2, ln2 * (2 / 3) ** 0.5]
    expected[10:13] = [float(ratio.log()) for ratio in expected[10:13]]
    assert found.tolist() == pytest.approx([float(value) for value in expected],
                                           abs=rounding(FEW, 5))


def test_one_pass_gives_the_networks_own_maps_and_a_vector_of_its_channels(network):
    folded = network.folded()
    images = torch.randn(2, 3, 64, 96)
    raw, statistics = with_statistics(folded, images)
    for task, maps in folded(images).items():
        assert torch.equal(raw[task], maps)
    bands = {'segmentation': BANDS, 'depth': 2 * BANDS + 2}
    length = 2 * sum(folded.encoder.channels) + sum(bands[task] for task in folded.tasks)
    assert statistics.shape == (2, length) and statistics.dtype == torch.float32
    alone = with_statistics(folded, images[1:])[1]
    assert alone[0].tolist() == pytest.approx(statistics[1].tolist(), rel=NETWORK, abs=NETWORK)


def test_no_depth_gives_no_logarithm_of_zero(network):
    raw = {'depth': torch.full((1, 2, 6, 6), -100.0)}
    assert torch.isfinite(picture_statistics([torch.zeros(1, 1, 4, 4)], raw)).all()


@pytest.mark.parametrize('height', [5, 6, 7, 8, 13])  # A network's raw maps have 8 and more.
def test_every_row_is_in_a_band(height):
    logits = torch.zeros(1, 2, height, 2)
    found = picture_statistics([], {'segmentation': logits})
    assert found.shape == (1, BANDS) and torch.isfinite(found).all()
