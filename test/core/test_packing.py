# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of the maps on a GPU is what NumPy and OpenCV make of them, packed into bytes."""

from __future__ import annotations

from dataclasses import replace
import math

import cv2
from emu_perception.backends.packing import header, packed, packed_bytes, Resizing, unpacked
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.scores import measured
import numpy as np
import pytest
from rounding import FEW, rounding, weights_error
import torch

SMALL = (24, 32)


def noise() -> NetworkMaps:
    """Return maps whose every pixel differs from the next, with depths of all kinds."""
    depth = torch.rand(SMALL) * 12.0
    depth[0, 0], depth[3, 5], depth[7, 7] = 0.0, math.nan, math.inf
    return NetworkMaps(torch.randint(0, 5, SMALL, dtype=torch.uint8), torch.rand(SMALL) * 1.6,
                       torch.rand(SMALL), depth, torch.rand(SMALL) + 0.1)


def finished(maps: NetworkMaps, request: Request, variance_scale: float = 1.0):
    tasks = tuple(task for task, there in ((SEGMENTATION, maps.label), (DEPTH, maps.depth))
                  if there is not None)
    cpu = torch.device('cpu')
    options = BackendOptions(cpu, 'fp32', (0.5,) * 3, (0.2,) * 3, depth_max=10.0,
                             variance_scale=variance_scale)
    block = packed(maps, torch.from_numpy(header(request, options)), Resizing.between(
        SMALL, request.size, cpu))
    assert len(block) == packed_bytes(tasks, request.size)
    return unpacked(block.numpy(), tasks, request.size, SMALL, {'network': 1.0})


@pytest.mark.parametrize('size', [SMALL, (50, 61), (12, 13)])
@pytest.mark.parametrize('unknown', [None, 0.8])
def test_maps_are_finished_as_by_numpy_and_opencv(size, unknown):
    maps = noise()
    found = finished(maps, Request(SMALL, size, 1.25, unknown), 0.5)
    label = np.where(maps.entropy > unknown, 255, maps.label) if unknown else maps.label.numpy()
    depth = maps.depth.numpy()
    depth = 1.25 * np.where(depth > 10.0, np.inf, np.where(depth > 0, depth, np.nan))
    variance = maps.depth_variance * (0.5 * 1.25 ** 2)

    def resized(values, mode):
        return values if size == SMALL else cv2.resize(np.ascontiguousarray(values), size[::-1],
                                                       interpolation=mode)
    assert np.array_equal(found.label, resized(label.astype(np.uint8), cv2.INTER_NEAREST_EXACT))
    assert np.allclose(found.depth, resized(depth.astype(np.float32), cv2.INTER_NEAREST_EXACT),
                       rtol=rounding(4), atol=0, equal_nan=True)
    # Of the label's own pixel.
    assert np.array_equal(found.confidence,
                          resized(maps.confidence.numpy(), cv2.INTER_NEAREST_EXACT))
    for name, values in (('segmentation_entropy', maps.entropy), ('depth_variance', variance)):
        # OpenCV's coordinates are float32; both have two products and a sum for each axis.
        bound = weights_error(values, size) + 2 * rounding(8, float(values.max()))
        assert np.allclose(getattr(found, name), resized(values.numpy(), cv2.INTER_LINEAR),
                           rtol=0, atol=bound), name
    # Over the network's grid, whatever the size asked for.
    assert found.scores == pytest.approx(
        {name: float(score) for name, score in measured(
            maps.calibrated(1.25, 0.5 * 1.25 ** 2)).items()}, rel=rounding(FEW), nan_ok=True)
    assert found.network_size == SMALL and found.timing_ms == {'network': 1.0}


def test_a_task_that_is_not_there_leaves_no_bytes():
    maps = noise()
    found = finished(NetworkMaps(depth=maps.depth, depth_variance=maps.depth_variance),
                     Request(SMALL, (30, 30), 1.0, 0.5))
    assert found.label is found.confidence is found.scores.get('segmentation_entropy') is None
    assert found.depth.shape == (30, 30) and found.scores['depth_sigma'] > 0
    found = finished(NetworkMaps(maps.label, maps.entropy, maps.confidence),
                     Request(SMALL, (30, 30)))
    assert found.depth is found.depth_variance is found.scores.get('depth_sigma') is None
    assert found.label.shape == (30, 30)


def test_one_bad_variance_makes_the_mean_bad():
    maps = noise()
    maps.depth_variance[2, 2] = math.nan
    assert math.isnan(finished(maps, Request(SMALL, SMALL)).scores['depth_sigma'])


def test_statistics_lie_between_the_scores_and_the_maps():
    maps = noise()
    vector = torch.rand(7)
    options = BackendOptions(torch.device('cpu'), 'fp32', (0.5,) * 3, (0.2,) * 3, depth_max=10.0)
    request, tasks = Request(SMALL, (30, 31)), (SEGMENTATION, DEPTH)
    resizing = Resizing.between(SMALL, request.size, torch.device('cpu'))
    blocks = [packed(x, torch.from_numpy(header(request, options)), resizing).numpy()
              for x in (maps, replace(maps, statistics=vector))]
    assert len(blocks[1]) == packed_bytes(tasks, request.size, 7) == len(blocks[0]) + 28
    plain, found = (unpacked(block, tasks, request.size, SMALL, {}, count)
                    for block, count in zip(blocks, (0, 7)))
    assert np.array_equal(found.statistics, vector.numpy()) and plain.statistics is None
    assert repr(found.scores) == repr(plain.scores)
    for name, values in plain.maps.items():
        assert np.array_equal(values, found.maps[name], equal_nan=values.dtype != np.uint8)
