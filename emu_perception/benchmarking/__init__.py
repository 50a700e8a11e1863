# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Speed, measured: the same weights and image, end to end, interleaved, median."""
