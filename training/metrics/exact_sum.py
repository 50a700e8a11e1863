# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Sums of real values that are the same whatever the order, the chunks or the processes.

Adding floats rounds, and each order rounds differently. Here each value becomes a fixed-point
integer, split in two 64-bit parts that are summed apart: a sum is a tensor int64 [3, ...] of the
sum of the high parts, of the low 32 bits, and the number of values that are NaN. Two such
tensors simply add. With ``fraction_bits`` f a value is rounded to 2^-f and saturates at
±2^(62 - f): for the usual f = 40, steps of 1e-12 up to ±4.2e6. A sum holds 2^31 values.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

FRACTION_BITS = 40
_LOW_BITS = 32


def _parts(values: torch.Tensor, fraction_bits: int) -> Iterator[torch.Tensor]:
    """
    Yield int64 of any shape: the high parts, the low 32 bits, and 1 where a value is NaN.

    One by one: each is summed while it is in the cache. What is beyond the range, ±inf too,
    saturates.
    """
    wide = values.double()
    limit = 2.0**(62 - fraction_bits)
    inside = wide.nan_to_num(nan=0.0, posinf=limit, neginf=-limit).clamp_(-limit, limit)
    # Multiplying by a power of two is exact: the one rounding is round().
    whole = inside.mul_(2.0**fraction_bits).round_().long()
    yield whole >> _LOW_BITS
    yield whole & (2**_LOW_BITS - 1)
    yield wide.isnan().long()


def _whole(values: torch.Tensor, fraction_bits: int) -> torch.Tensor | None:
    """Return the fixed-point integers if no value is NaN or beyond the range; else None."""
    if values.device.type != 'cpu' or not values.numel():
        return None
    low, high = (float(end) for end in torch.aminmax(values))
    limit = 2.0**(62 - fraction_bits)
    if not (-limit <= low and high <= limit):  # NaN is neither.
        return None
    return (values.double() * 2.0**fraction_bits).round_().long()


def _of_plain(total: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """
    Return the three sums of values of which none is NaN.

    :param total: their sum, which may have wrapped around at 2^64: the low parts alone are below
        2^63, so that what is left of it is theirs.
    :param high: the sum of their high parts.
    """
    return torch.stack([high, total - (high << _LOW_BITS), torch.zeros_like(high)])


def exact_sum(values: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """Return the sum of all values as int64 [3]."""
    return exact_row_sums(values.flatten(), fraction_bits)


def exact_row_sums(values: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """Return the sums over the last dimension as int64 [3, ...]."""
    whole = _whole(values, fraction_bits)
    if whole is None:
        return torch.stack([part.sum(-1) for part in _parts(values, fraction_bits)])
    return _of_plain(whole.sum(-1), (whole >> _LOW_BITS).sum(-1))


def exact_bin_sums(values: torch.Tensor, index: torch.Tensor, bins: int,
                   fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """
    Return the sum of the values of each bin as int64 [3, bins].

    :param values: [N].
    :param index: bin of each value, int64 [N].
    """
    if values.dtype == torch.bool and fraction_bits >= _LOW_BITS:
        return exact_ones(torch.bincount(index[values], minlength=bins), fraction_bits)
    sums = torch.zeros(3, bins, dtype=torch.long, device=values.device)
    whole = _whole(values, fraction_bits)
    if whole is not None:
        total, high, _ = sums
        return _of_plain(total.scatter_add_(0, index, whole),
                         high.scatter_add_(0, index, whole >> _LOW_BITS))
    for row, part in zip(sums, _parts(values, fraction_bits)):
        row.scatter_add_(0, index, part)
    return sums


def exact_ones(count: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """Return the sums of so many ones, int64 [3, ...]; ``fraction_bits`` is 32 or more."""
    nothing = torch.zeros_like(count)
    return torch.stack([count << (fraction_bits - _LOW_BITS), nothing, nothing])


def as_float(total: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """
    Return sums int64 [3, ...] as float64 [...]; NaN where a value was NaN.

    The parts do not depend on the order, so neither does this rounding.
    """
    value = (total[0].double() * 2.0**(_LOW_BITS - fraction_bits) +
             total[1].double() * 2.0**-fraction_bits)
    return torch.where(total[2] > 0, torch.nan, value)
