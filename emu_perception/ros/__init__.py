# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's side: the ROS 2 node and its conversions."""
