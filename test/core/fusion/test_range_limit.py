# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A limit of the sensor moves depths only where it is proven, and widens sigma where it may be."""

from __future__ import annotations

from emu_perception.fusion.range_limit import Beyond, beyond_limit
import numpy as np

SIZE = (48, 64)
SIGMA = np.full(SIZE, 0.1, np.float32)


def room(far: float) -> np.ndarray:
    """Return log depths: a floor of 1 to 2 m, and above it a wall ``far`` metres away."""
    depth = np.repeat(np.linspace(2.0, 1.0, SIZE[0], dtype=np.float32)[:, None], SIZE[1], 1)
    depth[:12] = far
    return np.log(depth)


def said(log_depth: np.ndarray, hidden: np.ndarray, seen: np.ndarray | None = None
         ) -> Beyond | None:
    """Return what the limit says; ``seen``: the sensor's log depths, where it differs."""
    known = ~hidden
    return beyond_limit(log_depth, SIGMA, known,
                        (log_depth if seen is None else seen)[known])


def wall() -> np.ndarray:
    """Return a mask of the right half of the wall."""
    hidden = np.zeros(SIZE, bool)
    hidden[:12, 32:] = True
    return hidden


def test_a_hole_predicted_at_the_limit_is_doubted_though_nothing_is_predicted_beyond_it():
    # The left half of the wall is the farthest that is seen: no proof that it is a limit.
    found = said(room(4.0), wall())
    assert found is not None
    assert not found.shift.any(), 'a depth was moved without a proof'
    assert found.chance[wall()].min() > 0.9 and not found.chance[~wall()].any()


def test_a_hole_that_is_clearly_nearer_is_not_doubted():
    hidden = wall()
    hidden[40:, :8] = True
    found = said(room(4.0), hidden)
    assert found is not None and found.chance[40:, :8].max() < 1e-3


def test_a_proven_limit_moves_what_lies_beyond_farther():
    hidden = np.zeros(SIZE, bool)
    hidden[:12] = True
    seen = room(4.0)
    seen[12:14] = np.log(4.0)
    found = said(room(4.2), hidden, seen)
    assert found is not None
    assert (found.shift[hidden] > 0).all() and found.chance[hidden].min() > 0.9


def test_where_as_much_is_hidden_nearby_a_hole_tells_nothing():
    hidden = wall()
    hidden[12:] = np.random.default_rng(0).random((36, 64)) < 0.4
    assert said(room(4.0), hidden) is None


def test_too_few_nearer_surfaces_to_tell_leave_the_doubt():
    """All is one wall: how often the sensor sees nothing near is not known."""
    flat = np.full(SIZE, np.log(3.0), np.float32)
    found = said(flat, wall())
    assert found is not None
    assert found.chance[wall()].min() > 0.9 and not found.shift.any()
