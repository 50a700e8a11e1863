# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How wide the central intervals of a normal distribution are."""

from __future__ import annotations

from statistics import NormalDist


def half_width(share: float) -> float:
    """Return by how many standard deviations either way an interval holds a share, 0..1."""
    return NormalDist().inv_cdf((1.0 + share) / 2.0)


Z90 = half_width(0.9)
