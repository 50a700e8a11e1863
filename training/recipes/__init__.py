# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes: what a run is made of, as data; nothing here imports a network."""
