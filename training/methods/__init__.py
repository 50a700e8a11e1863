# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One file a method: how it is trained, and how its samples are drawn."""
