# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The Predictor as one file for other runtimes: uint8 image in, all maps and scores out."""
