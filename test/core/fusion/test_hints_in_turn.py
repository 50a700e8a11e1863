# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Metres of two depth cameras in turn are told from one camera's, whatever that goes through."""

from __future__ import annotations

from collections.abc import Callable

import cv2
from emu_perception.fusion import DepthHint, HintStream
from emu_perception.fusion.hint_stream import CONTRARY
from emu_perception.fusion.hints_in_turn import HintsInTurn, WITHIN_S
from emu_perception.prediction import Prediction
import numpy as np
import pytest

SIZE = (96, 128)
Shown = Callable[[int], tuple[np.ndarray, np.ndarray]]


def room(seed: int) -> np.ndarray:
    """Return a picture of soft shapes, uint8 [96, 128, 3]."""
    rough = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    return cv2.resize(rough, SIZE[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(
        np.uint8)


def depth(near_m: float, far_m: float, index: int) -> np.ndarray:
    """Return metres that grow from left to right, with a sensor's noise."""
    ramp = np.tile(np.linspace(near_m, far_m, SIZE[1], dtype=np.float32), (SIZE[0], 1))
    return ramp * (1 + np.random.default_rng(index).normal(0, 0.02, SIZE).astype(np.float32))


def said(shown: Shown, count: int = 24, period_s: float = 0.1) -> list[bool]:
    """Return after which hints something is said."""
    turns = HintsInTurn()
    return [bool(turns.see(*shown(index), index * period_s)) for index in range(count)]


def two(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the depth of one camera or of another beside one picture."""
    return depth(*((1.0, 3.0), (2.0, 1.5))[index % 2], index), room(1)


def test_metres_that_change_to_and_fro_beside_one_picture_are_said_until_they_have_stayed():
    def then_one(index: int) -> tuple[np.ndarray, np.ndarray]:
        return two(index) if index < 24 else (depth(1.0, 3.0, index), room(1))
    found = said(then_one, 90)
    assert not any(found[:4]) and all(found[6:60]) and not any(found[26 + round(WITHIN_S / 0.1):])


def moved(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a camera sees that nods: the picture changes as well."""
    return two(index)[0], room(index % 2)


def switched(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is seen by an emitter that is on for every other image."""
    found = depth(1.0, 3.0, index)
    if index % 2:
        found[:, 30:] = np.inf
    return found, room(1)


def stepped(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return somebody who comes and goes each second."""
    return depth(*((1.0, 3.0), (0.6, 0.8))[index // 10 % 2], index), room(1)


@pytest.mark.parametrize('shown', [moved, switched, stepped, lambda index: (
    depth(1.0, 3.0, index) if index % 2 else np.full(SIZE, np.inf, np.float32), room(1))])
def test_what_one_depth_camera_goes_through_is_not_said(shown):
    assert not any(said(shown, 60))


def test_hints_in_turn_are_not_joined_in_raise_the_flag_and_leave_no_scale():
    stream, network_m = HintStream(), np.full(SIZE, 2.0, np.float32)
    for index in range(12):
        metres, picture = two(index)
        image = stream.join(
            Prediction({'depth': network_m, 'depth_variance': 0.04 * network_m}, {}, SIZE),
            picture, DepthHint(metres), fx=100.0, prior=0.4, now_s=0.1 * index)
    assert image.cause == CONTRARY and image.hint is None
    assert 'two depth cameras' in stream.contradiction and 'depth hint: ' in image.contradiction
    assert not (image.prediction.depth_source == 2).any()
    assert image.prediction.scale_sigma > 0.35
