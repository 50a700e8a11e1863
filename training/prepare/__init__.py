# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Makes data set folders from published data sets and ROS 2 bags, and checks them."""
