# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_benchmark --node``: the running node, measured over the middleware."""
