# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From a file, a bag, a device or a message to an image of a camera and that camera. No ROS."""
