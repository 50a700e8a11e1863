# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Offline: train, evaluate and export the networks of emu_perception.

``training`` in the tree, ``emu_training`` where it is installed: its files import each other
relatively.
"""
