# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The networks: encoders, all-MLP heads, and their exact folded form."""

from emu_perception.networks import mix_transformer  # noqa: F401  registers mit_b0..b5 with timm
