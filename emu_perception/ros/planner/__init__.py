# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of the topics for planners: a file each, all in ``table.BUILDERS``."""
