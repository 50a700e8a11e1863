# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The part of an image that its scores are measured on, such as the lower half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from emu_perception.errors import InputError


@dataclass(frozen=True)
class Region:
    """
    A part of an image; all are fractions of it, from its top left corner.

    :raises InputError: if it is not inside the image, or empty.
    """

    top: float
    bottom: float
    left: float
    right: float

    def __post_init__(self) -> None:
        """Check it."""
        # Written so that NaN is refused.
        if not (0.0 <= self.top < self.bottom <= 1.0 and 0.0 <= self.left < self.right <= 1.0):
            raise InputError(
                f'risk_region is {", ".join(f"{value:g}" for value in astuple(self))}: give top, '
                'bottom, left, right as fractions of the image, 0 to 1, top above bottom and left '
                'before right')

    @classmethod
    def of(cls, values: Sequence[float]) -> Region | None:
        """
        Return the region of top, bottom, left and right; None, the whole image, for nothing.

        :raises InputError: if it is no region.
        """
        if not values:
            return None
        if len(values) != 4:
            raise InputError(f'risk_region has {len(values)} values: give top, bottom, left, '
                             'right, or nothing for the whole image')
        return cls(*values)

    def spans(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Return rows and columns of a grid of ``size`` (height, width); at least one each."""
        return _span(self.top, self.bottom, size[0]), _span(self.left, self.right, size[1])


def _span(begin: float, end: float, length: int) -> slice:
    first = min(round(begin * length), length - 1)
    return slice(first, max(first + 1, round(end * length)))
