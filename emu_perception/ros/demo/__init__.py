# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``make demo``: the node over real photographs, seen only through its messages."""
