# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The data set folder and what the loops read from it."""
