# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The networks: encoders, all-MLP heads, and their exact folded form."""
