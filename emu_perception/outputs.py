# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a network gives beside its tasks, by the task: of their uncertainty, the epistemic part."""

EPISTEMIC = {'segmentation': 'segmentation_epistemic', 'depth': 'depth_epistemic'}
