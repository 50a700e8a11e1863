# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Studies of what has been trained; each of uncertainty, teacher and weights is a command."""
