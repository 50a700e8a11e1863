# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Labels, metric depth and the uncertainty of both from one network in one pass."""

__version__ = '0.1.0'
