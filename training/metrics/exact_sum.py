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


def fixed_point(values: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """
    Return int64 [3, ...]: the high part, the low 32 bits, and 1 where a value is NaN.

    :param values: any shape; ±inf and what is beyond the range saturate.
    """
    return torch.stack(list(_parts(values, fraction_bits)))


def _parts(values: torch.Tensor, fraction_bits: int) -> Iterator[torch.Tensor]:
    """Yield the three parts, int64; one by one, each is summed while it is in the cache."""
    wide = values.double()
    limit = 2.0**(62 - fraction_bits)
    inside = wide.nan_to_num(nan=0.0, posinf=limit, neginf=-limit).clamp_(-limit, limit)
    # Multiplying by a power of two is exact: the one rounding is round().
    whole = inside.mul_(2.0**fraction_bits).round_().long()
    yield whole >> _LOW_BITS
    yield whole & (2**_LOW_BITS - 1)
    yield wide.isnan().long()


def _plain_parts(values: torch.Tensor, fraction_bits: int) -> list[torch.Tensor] | None:
    """Return the first two parts, in half the time, if no value is NaN or beyond; else None."""
    if values.device.type != 'cpu' or not values.numel():
        return None
    low, high = (float(end) for end in torch.aminmax(values))
    limit = 2.0**(62 - fraction_bits)
    if not (-limit <= low and high <= limit):  # NaN is neither.
        return None
    whole = (values.double() * 2.0**fraction_bits).round_().long()
    return [whole >> _LOW_BITS, whole & (2**_LOW_BITS - 1)]


def exact_sum(values: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """Return the sum of all values as int64 [3]."""
    return exact_row_sums(values.flatten(), fraction_bits)


def exact_row_sums(values: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """Return the sums over the last dimension as int64 [3, ...]."""
    plain = _plain_parts(values, fraction_bits)
    if plain is None:
        return torch.stack([part.sum(-1) for part in _parts(values, fraction_bits)])
    sums = [part.sum(-1) for part in plain]
    return torch.stack([*sums, torch.zeros_like(sums[0])])


def exact_bin_sums(values: torch.Tensor, index: torch.Tensor, bins: int,
                   fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """
    Return the sum of the values of each bin as int64 [3, bins].

    :param values: [N].
    :param index: bin of each value, int64 [N].
    """
    sums = torch.zeros(3, bins, dtype=torch.long, device=values.device)
    if values.dtype == torch.bool and fraction_bits >= _LOW_BITS:  # Ones are counted.
        sums[0] = torch.bincount(index[values], minlength=bins) << (fraction_bits - _LOW_BITS)
        return sums
    plain = _plain_parts(values, fraction_bits)
    for row, part in zip(sums, _parts(values, fraction_bits) if plain is None else plain):
        row.scatter_add_(0, index, part)
    return sums


def as_float(total: torch.Tensor, fraction_bits: int = FRACTION_BITS) -> torch.Tensor:
    """
    Return sums int64 [3, ...] as float64 [...]; NaN where a value was NaN.

    The parts do not depend on the order, so neither does this rounding.
    """
    value = (total[0].double() * 2.0**(_LOW_BITS - fraction_bits) +
             total[1].double() * 2.0**-fraction_bits)
    return torch.where(total[2] > 0, torch.nan, value)
