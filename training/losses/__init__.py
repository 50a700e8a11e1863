# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The terms of the loss, and what weighs them."""
