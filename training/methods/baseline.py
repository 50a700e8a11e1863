# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The baselines: SegFormer, DepthFormer and SegDepthFormer, L = CE + w1 · GNLL (equation 7)."""

from __future__ import annotations

from .module import TrainingModule


class Baseline(TrainingModule):
    """One network on labels and depth: what ``TrainingModule`` does by itself."""
