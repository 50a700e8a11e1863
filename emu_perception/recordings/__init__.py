# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags without ROS: reading and writing them with ``rosbags``, which is optional."""
