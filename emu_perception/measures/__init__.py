# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How each score of an image is read off the network's grid: one file a score."""
