# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Maps with a number beside them: how often they hold, in new rooms of the same camera and kind.

A file a map, which makes it of a prediction's maps by constants that ``emu calibrate`` has fitted;
its row in ``maps.MAPS`` names it. ``constants.py`` has what a checkpoint holds of it,
``holding.py`` says where it does not hold.
"""
