# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Offline: train, evaluate and export the networks of emu_perception; run from the root."""
