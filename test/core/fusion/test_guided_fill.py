# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a depth camera knows is spread along surfaces, not across the picture's edges."""

from __future__ import annotations

from emu_perception.fusion.guided_fill import guided_fill, MULTIPLE
import numpy as np
import pytest

SIZE = (2 * MULTIPLE, 4 * MULTIPLE)
GREY = np.full((*SIZE, 3), 0.5, np.float32)


def known_at(*cells: tuple[int, int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return values and weights of single known cells."""
    values, weights = np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)
    for row, column, value in cells:
        values[row, column], weights[row, column] = value, 1.0
    return values, weights


def test_one_value_is_everywhere():
    values, weights = known_at((3, 5, 0.25), (20, 40, 0.25))
    # Each sweep is an average: of equal values that value, but for roundings of it.
    assert guided_fill(values, weights, GREY) == pytest.approx(np.full(SIZE, 0.25), rel=1e-4)


def test_nothing_known_is_no_correction():
    nothing = np.zeros(SIZE, np.float32)
    assert not guided_fill(nothing, nothing, GREY).any()


def test_no_value_is_invented_beyond_those_known():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(SIZE).astype(np.float32)
    weights = (rng.random(SIZE) < 0.1).astype(np.float32)
    filled = guided_fill(values, weights, rng.random((*SIZE, 3), np.float32))
    known = values[weights > 0]
    slack = 1e-4 * np.abs(known).max()
    assert known.min() - slack <= filled.min() and filled.max() <= known.max() + slack


def test_an_edge_of_the_picture_keeps_two_surfaces_apart_and_its_absence_does_not():
    values, weights = np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)
    weights[:, 2], weights[:, -3] = 1.0, 1.0
    values[:, -3] = 1.0
    middle = SIZE[1] // 2
    edge = np.zeros((*SIZE, 3), np.float32)
    edge[:, middle:] = 1.0
    apart = guided_fill(values, weights, edge)
    # As resistors in series the edge, which lets a thousandth through, has nearly the whole step;
    # the sweeps leave some of it: half of what there is without an edge is the least asked for.
    assert apart[:, :middle].max() < 0.25 and apart[:, middle:].min() > 0.75
    joined = guided_fill(values, weights, GREY)
    # One surface: a ramp, its middle in the middle.
    assert joined[:, middle - 1:middle + 1].mean() == pytest.approx(0.5, abs=0.02)
    assert (np.diff(joined[:, 4:-4], axis=1) > 0).all()


def test_the_solution_is_near_that_of_the_equations():
    rng = np.random.default_rng(1)
    guide = rng.random((*SIZE, 3), np.float32) * 0.05
    weights = (rng.random(SIZE) < 0.05).astype(np.float32)
    values = np.cumsum(rng.standard_normal(SIZE), axis=1).astype(np.float32) * 0.1
    filled = guided_fill(values, weights, guide)
    exact = solved(values, weights, guide)
    step = np.abs(exact - values[weights > 0].mean()).mean()
    # A few sweeps at each size, and not a solve: most of the way from one value for all.
    assert np.abs(filled - exact).mean() < 0.25 * step


def solved(values: np.ndarray, weights: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Return the minimum of the docstring's sum, by a dense solve."""
    number = np.arange(values.size).reshape(values.shape)
    system = np.diag(weights.ravel().astype(np.float64))
    for axis in (0, 1):
        first, second = (number[:-1], number[1:]) if axis == 0 else (number[:, :-1],
                                                                     number[:, 1:])
        link = 0.02 * (np.exp(-45.0 * np.abs(np.diff(guide, axis=axis)).mean(2)) + 1e-3)
        for i, j, w in zip(first.ravel(), second.ravel(), link.ravel()):
            system[i, i] += w
            system[j, j] += w
            system[i, j] -= w
            system[j, i] -= w
    return np.linalg.solve(system, (weights * values).ravel()).reshape(values.shape)
