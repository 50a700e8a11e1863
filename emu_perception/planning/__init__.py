# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What planners eat, made of a prediction's maps: which points, and how near in each direction."""
