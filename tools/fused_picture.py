# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A picture of what a depth camera joined in is worth, on a photograph that may be shown.

``python tools/fused_picture.py --out docs/fusion_panels.jpg`` takes Middlebury's motorcycle room
(as scikit-image brings it, with its true depth), lets a simulated stereo camera see it (nothing
beyond 4 m, in the dark, at edges and grazing; noise, 5 % outliers) and lays out side by side what
the network says alone, what both say together, and how far each is off.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
_TOP_M, _ERROR_TOP_M = 6.0, 2.0


def main(args: list[str] | None = None) -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args(args)
    sys.path.insert(0, str(ROOT))
    from emu_perception import Predictor
    from emu_perception.maps import MAPS
    from emu_perception.panels import legend_tile, numbered, scaled_tile, Tile
    from pictures.photographs import photographs, write_panel
    from training.data.dataset_folder import Example
    from training.studies.fusion_holes import as_sensed, HOLES

    given = photographs()
    image, true, fx = given.room, given.depth, given.fx
    rng = np.random.default_rng(0)
    example = Example('motorcycle', image, None, true)
    hidden = (true == 0) | HOLES['sensor'](example, (), rng) | HOLES['beyond_4m'](example, (), rng)
    sensed = as_sensed(np.where(hidden, 0, true).astype(np.float32), rng)
    predictor = Predictor.load()
    alone = predictor(image, fx=fx)
    fused = predictor(image, fx=fx, depth_hint=sensed)
    unknown = np.where(true > 0, true, np.nan)

    def error(whose: str, prediction: object) -> Tile:
        off = np.abs(prediction.depth - unknown)
        return scaled_tile(f'{whose} error: RMSE {np.sqrt(np.nanmean(off ** 2)):.2f} m', off,
                           _ERROR_TOP_M)
    sources = numbered(MAPS['depth_source'])
    colors = np.array([color for _, color in sources], np.uint8)
    tiles = [
        Tile('image', image),
        scaled_tile('a depth camera, with holes', np.where(sensed > 0, sensed, np.nan), _TOP_M),
        scaled_tile('true depth', unknown, _TOP_M),
        scaled_tile('the network alone', alone.depth, _TOP_M), error('its', alone),
        scaled_tile('its sigma', alone.depth_sigma, _ERROR_TOP_M),
        scaled_tile('both together', fused.depth, _TOP_M), error('their', fused),
        scaled_tile('their sigma', fused.depth_sigma, _ERROR_TOP_M),
        Tile('source', colors[np.minimum(fused.depth_source, len(colors) - 1)]),
        Tile('what its colours mean', legend_tile(sources, image.shape[:2])),
    ]
    write_panel(tiles, options.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
