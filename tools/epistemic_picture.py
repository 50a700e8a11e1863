# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A picture of what is not known apart from noise, on a photograph that may be shown.

``python tools/epistemic_picture.py --checkpoint FILE --out docs/epistemic.jpg`` takes Middlebury's
motorcycle room, pastes a part of another photograph into it (upside down, in other colours, as
``emu study epistemic`` does), and lays out the whole uncertainty of labels and depth beside their
epistemic parts, as a student gives them in one pass.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
_ENTROPY_TOP, _SIGMA_TOP_M = 3.0, 3.0


def main(args: list[str] | None = None) -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--checkpoint', type=Path, required=True,
                        help='of training.distill emuformer.epistemic=true')
    options = parser.parse_args(args)
    sys.path.insert(0, str(ROOT))
    from emu_perception import Predictor
    from emu_perception.panels import scaled_tile, Tile
    from emu_perception.visualization import color_bar, label_color, scalar_color
    from pictures.photographs import photographs, write_panel
    from training.studies.epistemic import with_foreign

    given = photographs()
    strange, _ = with_foreign(given.room, given.other, np.random.default_rng(3))
    predictor = Predictor.load(options.checkpoint)
    found = predictor(strange, fx=given.fx)
    if found.mutual_information is None or found.depth_epistemic_sigma is None:
        parser.error(f'--checkpoint {options.checkpoint}: has no epistemic outputs of labels and '
                     'depth (docs/uncertainty.md says how it gets them)')

    def in_nats(title: str, values: np.ndarray, top: float) -> Tile:
        return Tile(title, scalar_color(values, 0.0, top), color_bar(top, 'nat', 230))
    # An epistemic part is small beside its whole: each of the two has colours of its own.
    tiles = [
        Tile('image, a strange thing pasted in', strange),
        in_nats('labels: entropy', found.segmentation_entropy, _ENTROPY_TOP),
        in_nats('labels: mutual information', found.mutual_information,
                float(np.percentile(found.mutual_information, 99))),
        Tile('labels', label_color(found.label, predictor.metadata.palette)),
        scaled_tile('depth: sigma', found.depth_sigma, _SIGMA_TOP_M),
        scaled_tile('depth: epistemic sigma', found.depth_epistemic_sigma,
                    float(np.percentile(found.depth_epistemic_sigma, 99))),
    ]
    write_panel(tiles, options.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
