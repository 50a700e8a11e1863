# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines that need no ROS."""
