# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is fitted to a trained network on images that it was not trained on."""
