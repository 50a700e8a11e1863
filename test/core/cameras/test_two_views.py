# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Two views in turn are told from one that moves, flickers, or is lit for every other picture."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
from emu_perception.cameras.two_views import TwoViews
import numpy as np
import pytest


def view(seed: int) -> np.ndarray:
    """Return a room of soft shapes, uint8 [96, 128, 3]."""
    rough = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    return cv2.resize(rough, (128, 96), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(
        np.uint8)


def noisy(rgb: np.ndarray, index: int) -> np.ndarray:
    """Return a picture with its own noise."""
    noise = np.random.default_rng(index).normal(0, 4, rgb.shape)
    return (rgb + noise).clip(0, 255).astype(np.uint8)


def said(pictures: Iterable[np.ndarray], period_s: float = 0.1) -> list[bool]:
    """Return after which pictures something is said."""
    views = TwoViews()
    return [views.see(noisy(rgb, index), index * period_s) is not None
            for index, rgb in enumerate(pictures)]


@pytest.mark.parametrize('order', ['ab', 'aab', 'abb', 'abaab'])
def test_two_views_in_turn_are_said_and_end_some_seconds_after_the_second(order):
    pair = {'a': view(1), 'b': view(2)}
    pictures = [pair[order[index % len(order)]] for index in range(25)]
    found = said([*pictures, *[pair['a']] * 80])
    assert found[24] and not any(found[:7]) and not any(found[-20:])


@pytest.mark.parametrize('odd', [
    lambda rgb: rgb // 3,  # Every other picture is exposed for the lights.
    lambda rgb: np.zeros_like(rgb),  # Or is dark.
    lambda rgb: (rgb.astype(int) + 60 * (np.indices((96, 128)).sum(0) % 8 == 0)[..., None]
                 ).clip(0, 255).astype(np.uint8)])  # Or has an emitter's dots.
def test_one_view_that_is_lit_otherwise_in_turn_is_one(odd):
    assert not any(said([view(3), odd(view(3))] * 20))


def test_one_camera_that_moves_or_looks_round_is_one():
    wide = cv2.resize(view(4), (1280, 96))
    moves = [wide[:, 20 * index:20 * index + 128] for index in range(50)]
    assert not any(said([*moves, *moves[::-1]]))
    assert not any(said([view(5)] * 10 + [view(6)] * 10 + [view(5)] * 10))
