# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What training.benchmark compares: steps and ensembles in both layouts."""
