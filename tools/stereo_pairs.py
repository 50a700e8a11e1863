# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The default model on a robot's stereo camera: its metres against those of the matched pairs.

The pictures are those of the PyPI package stereodemo (an OAK-D, one flat; CC BY 4.0, Nicolas
Burrus):

    pip download --no-deps --no-binary :all: stereodemo==0.7 && tar xf stereodemo-0.7.tar.gz
    python tools/stereo_pairs.py stereodemo-0.7/stereodemo/datasets/oak-d \
        --out results/cameras/oak_d.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import shlex
import sys

ROOT = Path(__file__).resolve().parents[1]


def main(args: list[str] | None = None) -> int:
    """Match, ask, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='NAME_left.png, NAME_right.png, '
                        'stereodemo_calibration.json')
    parser.add_argument('--model', type=Path, help='checkpoint; default: the one of the package')
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args(args)
    sys.path.insert(0, str(ROOT))
    from emu_perception import Predictor
    from emu_perception.cameras.image_files import read_image
    from emu_perception.normal_distribution import Z90
    from emu_perception.ros.demo.answers import DepthScore
    from emu_perception.ros.demo.scenes import stereo_depth
    from emu_perception.whole_files import write_json
    import numpy as np
    import torch

    calibration = json.loads((options.folder / 'stereodemo_calibration.json').read_text())
    fx = float(calibration['fx'])
    # Where the left picture is one: beyond, its rectification has no pixels.
    _, top, right, _ = calibration['left_image_rect_normalized']
    rows = slice(round(top * calibration['height']), None)
    columns = slice(0, round(right * calibration['width']))
    predictor = Predictor.load(options.model, device='cpu') if options.model else Predictor.load(
        device='cpu')
    form = predictor.metadata.depth_form
    pictures, scores = {}, []
    for left_file in sorted(options.folder.glob('*_left.png')):
        name = left_file.stem.removesuffix('_left')
        left, other = (np.ascontiguousarray(read_image(
            options.folder / f'{name}_{side}.png')[rows, columns]) for side in ('left', 'right'))
        true = stereo_depth(left, other, fx, float(calibration['baseline_meters']))
        answer = predictor(left, fx=fx)
        known = np.isfinite(true) & np.isfinite(answer.depth)
        error = np.abs(answer.depth - true)[known]
        scores.append(DepthScore.of(answer.depth, true))
        mean, variance, reference = form.as_gaussian(*(
            torch.from_numpy(values[known].astype(np.float64))
            for values in (answer.depth, answer.depth_variance, true)))
        pictures[name] = {
            **(DepthScore.pooled(scores[-1:]) or {}),
            'known_share': float(known.mean()),
            'factor': float(np.median((true / answer.depth)[known])),
            'interval_90_holds': float(((reference - mean).abs() <= Z90 * variance.sqrt())
                                       .double().mean()),
            'median_error_m': float(np.median(error)),
            'raised': answer.risk.raised, 'detail': answer.risk.detail}
        print(name, {key: round(value, 3) if isinstance(value, float) else value
                     for key, value in pictures[name].items()}, flush=True)
    write_json(options.out, {
        'command': shlex.join(['python', *sys.argv]),
        'reference': 'OpenCV SGBM of the rectified pair, where both directions agree, 1 to 5 m',
        'all_pixels': DepthScore.pooled(scores), 'pictures': pictures}, indent=1)
    return 0


if __name__ == '__main__':
    sys.exit(main())
