# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A training run: what it is built of, its folder, and many runs side by side."""
