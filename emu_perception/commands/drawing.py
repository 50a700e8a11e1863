# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The panel of one image of ``emu_run``: which image, and when."""

from __future__ import annotations

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.result import Result
from emu_perception.panels import compared_tiles, in_scene_colors, panel_of
import numpy as np


def draw_panel(result: Result, metadata: CheckpointMetadata, *,
               scene_colors: bool = False) -> np.ndarray:
    """
    Return the panel, rgb8; tasks that the checkpoint lacks are left out.

    :param scene_colors: whether depth is coloured over the range of each image by itself.
    """
    shown, source = result.shown, result.source
    assert shown is not None
    if scene_colors and result.rgb is not None:
        shown = in_scene_colors(shown, result.rgb)
    # The images of a bag have no name but their stamp.
    name = '' if source.record else f'{source.name}   '
    truth = result.truth
    more = [] if truth is None else compared_tiles(
        shown, truth.label, truth.depth if result.camera is not None else None)
    return panel_of(shown, metadata, title=f'{name}t = {source.header.stamp_ns / 1e9:.3f} s',
                    to_scale=result.camera is not None, more=more)
