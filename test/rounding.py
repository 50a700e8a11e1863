# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How far rounding alone can carry a result off: bounds for tests that hold on every machine.

The order of a sum, fused multiply-adds and the next version of a library all change the last bits.
A bound read off one machine's result fails on another; one that counts the operations does not.
"""

from __future__ import annotations

import math

import torch

# For what is the same in exact arithmetic and is compared in float64: room for ten thousand
# roundings, and nothing that float32 could show.
EXACT = 1e-12
# Of the maps of a whole network in float32 that is run in another way, where values are of order
# 1: what ``emu_perception.backends.agreement`` allows on average, 1.9e-4.
NETWORK = 25 * 2.0 ** -17
# Of a path of operations that is not counted one by one, but is much shorter than this.
FEW = 32


def unit(dtype: torch.dtype = torch.float32) -> float:
    """Return u, the largest relative error of one rounding to the nearest: half of eps."""
    return torch.finfo(dtype).eps / 2


def rounding(operations: float, magnitude: float = 1.0,
             dtype: torch.dtype = torch.float32) -> float:
    """
    Return the largest error of a result after so many roundings: n u / (1 - n u) of its size.

    Higham, Accuracy and Stability of Numerical Algorithms, lemma 3.1 and equation 3.4. Two
    results of the same formula may be twice this apart.

    :param operations: on the way from the inputs to the result. A sum of n terms counts n in
        any order, an exponential or a logarithm 2 (libraries keep within one unit in the last
        place).
    :param magnitude: the largest sum of absolute values on the way, where terms may cancel.
    """
    product = operations * unit(dtype)
    assert product < 1, f'{operations} operations leave no digit of {dtype}'
    return magnitude * product / (1 - product)


def source_error(source: int, target: int) -> float:
    """
    Return how far the float32 source coordinate of a resized axis is off, in source pixels.

    (i + 0.5) * (source / target) - 0.5 rounds the factor, the product and the difference, each
    of a value up to ``source``; with a factor that is a power of two all three are exact.
    """
    factor = source / target
    return 0.0 if math.frexp(factor)[0] == 0.5 else rounding(3, source)


def weights_error(values: torch.Tensor, size: tuple[int, int]) -> float:
    """
    Return the error of ``values`` [..., h, w] resized bilinearly that the coordinates bring.

    :param size: (height, width) of the result.
    """
    found = 0.0
    for dim, target in zip((-2, -1), size):
        steps = values.double().diff(dim=dim).abs()
        if steps.numel():
            found += source_error(values.shape[dim], target) * float(steps.max())
    return found
