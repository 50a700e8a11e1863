# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The options of each converter of ``prepare``, and of ``check``."""
