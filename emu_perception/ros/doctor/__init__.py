# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu doctor``: is all here that the node needs? It runs where ROS 2, or torch, is missing."""
