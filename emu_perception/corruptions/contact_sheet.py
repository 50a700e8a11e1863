# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Draw the ruler: one photograph in every kind and severity, as one picture.

python -m emu_perception.corruptions.contact_sheet [--image FILE] --out docs/corruptions.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

import cv2
from emu_perception.corruptions.content import fitted
from emu_perception.corruptions.levels import SEVERITIES
from emu_perception.corruptions.photographs import package_file, read_rgb, ROOM
from emu_perception.corruptions.registry import BREAKS, CORRUPTIONS, FAULTS, MILD
from emu_perception.errors import EmuError, InputError, text_of
import numpy as np

TILE = (96, 128)  # Height and width, pixels.
_DRAWN_AT = (192, 256)  # A tile of a larger picture would hide its noise.
_LETTERS = 18  # Rows of pixels for a tile's words.


def contact_sheet(rgb: np.ndarray, seed: int = 0) -> np.ndarray:
    """
    Return all kinds: a row for each corruption; then breaks of content, faults, mild changes.

    :param rgb: uint8 [H, W, 3], a photograph of a room.
    :raises InputError: if there are no photographs for the breaks of content.
    """
    rgb = fitted(rgb, _DRAWN_AT)
    rows = [_row([(f'{kind} {severity}', change(rgb, severity, _rng(seed)))
                  for severity in SEVERITIES]) for kind, change in CORRUPTIONS.items()]
    single = [(kind, change(rgb, _rng(seed)))
              for kind, change in (*BREAKS.items(), *FAULTS.items(), *MILD.items())]
    single += [('as it is', rgb)] * (-len(single) % len(SEVERITIES))
    rows += [_row(single[i:i + len(SEVERITIES)]) for i in range(0, len(single), len(SEVERITIES))]
    return np.concatenate(rows)


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _row(tiles: list[tuple[str, np.ndarray]]) -> np.ndarray:
    return np.concatenate([_tile(words, image) for words, image in tiles], axis=1)


def _tile(words: str, image: np.ndarray) -> np.ndarray:
    tile = np.full((TILE[0] + _LETTERS, TILE[1] + 2, 3), 255, np.uint8)
    tile[:TILE[0], :TILE[1]] = cv2.resize(image, TILE[::-1], interpolation=cv2.INTER_AREA)
    cv2.putText(tile, words, (2, TILE[0] + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1,
                cv2.LINE_AA)
    return tile


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m emu_perception.corruptions.contact_sheet', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--image', type=Path, metavar='FILE',
                        help="default: scikit-image's photograph of a garage")
    parser.add_argument('--out', type=Path, required=True, metavar='JPG')
    options = parser.parse_args(arguments)
    try:
        if options.out.suffix.lower() not in ('.jpg', '.jpeg', '.png'):
            raise InputError(f'--out is {options.out}: give a name that ends in .jpg or .png')
        path = options.image or package_file(*ROOM)
        if path is None:
            raise InputError('there is no photograph of a room: pip install scikit-image, or give '
                             '--image')
        sheet = contact_sheet(read_rgb(path))
        # OpenCV warns of a JPEG's quality where a PNG is written.
        quality = () if options.out.suffix.lower() == '.png' else (cv2.IMWRITE_JPEG_QUALITY, 80)
        if not cv2.imwrite(str(options.out), sheet[..., ::-1], quality):
            raise InputError(f'{options.out}: cannot be written')
    except EmuError as error:
        print(f'error: {text_of(error)}', file=sys.stderr)
        return 1
    print(f'wrote {options.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
