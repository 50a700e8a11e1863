# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What the filters of ``~/points/filtered`` are worth, by an example's settings, on a data set.

``python tools/filtered_points.py --data DIR --out results/node/filtered_points.json`` runs the
network on the images of a split and compares the points before and after the filter with the true
depth: how many stay, and what becomes of those that are more than half a metre wrong. It also
takes the time of a message on the largest image, and its size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import platform
import sys
import time

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ROOT / 'examples/nav2/emu.yaml'
WRONG_M = 0.5
_REPEATS = 50


def main(args: list[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help='data set folder with depth')
    parser.add_argument('--split', default='val')
    parser.add_argument('--model', default='', help="checkpoint; default: the package's")
    parser.add_argument('--settings', type=Path, default=SETTINGS)
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args(args)
    sys.path.insert(0, str(ROOT))
    from emu_perception import Predictor
    from emu_perception.cameras.calibration import pinhole_info
    from emu_perception.cameras.judgement import judge
    from emu_perception.cloud_layout import POINT
    from emu_perception.planning.thinning import middles
    from emu_perception.risk import RiskReason, RiskState
    from emu_perception.ros.parameters import validate
    from emu_perception.ros.planner import filtered
    from emu_perception.ros.planner.source import PlannerSource
    from emu_perception.shown import Look, Shown
    from emu_perception.whole_files import write_json
    from std_msgs.msg import Header
    from training.data.dataset_folder import DatasetFolder, training_fx

    values = yaml.safe_load(options.settings.read_text())['/**']['ros__parameters']
    settings = validate({**values, 'max_filtered_share': 1.0, 'points_sigma_margin': 0.0})
    folder = DatasetFolder(options.data)
    predictor = Predictor.load(options.model or None)
    state = RiskState(False, RiskReason.NONE, 'certain')
    before, after = [], []
    size, seconds = 0, []
    for stem in folder.stems(options.split):
        rgb, truth = folder.image(stem), folder.example(stem).depth
        assert truth is not None, f'{stem} has no depth'
        fx = training_fx(folder, rgb)
        assert fx is not None, f'{options.data}: the camera is not known'
        height, width = rgb.shape[:2]
        camera = judge(pinhole_info(width, height, fx), width, height, rectified=True,
                       what=stem).camera
        prediction = predictor(rgb, fx=fx, unknown_label_entropy=settings.unknown_label_entropy
                               or None)
        depth = prediction.depth
        assert depth is not None and camera is not None
        # Which pixel a point is of is told by its colour: the picture is a map of the indices.
        index = np.arange(height * width, dtype=np.uint32).reshape(height, width)
        numbered = np.stack([index >> 16 & 255, index >> 8 & 255, index & 255],
                            axis=-1).astype(np.uint8)
        source = PlannerSource(
            Header(), Shown(numbered, prediction, state, Look.of(predictor.metadata, {})), depth,
            camera, predictor.metadata.classes, predictor.metadata.depth_max, settings)
        cloud = filtered.build(source)
        points = np.frombuffer(bytes(cloud.data), POINT)
        size = max(size, len(cloud.data))
        known = (truth > 0) & np.isfinite(depth)
        error = np.abs(depth - truth)
        thinned = np.zeros(height * width, bool)
        thinned[middles(height, width, settings.points_stride)] = True
        before.append(error[known & thinned.reshape(height, width)])
        kept = points['rgb'].astype(np.int64)
        after.append(error.ravel()[kept[known.ravel()[kept]]])
        for _ in range(_REPEATS if not seconds else 0):
            begun = time.perf_counter()
            filtered.build(source)
            seconds.append(time.perf_counter() - begun)
    all_before, all_after = np.concatenate(before), np.concatenate(after)
    wrong_before, wrong_after = ((values > WRONG_M).sum() for values in (all_before, all_after))
    result = {
        'command': f'python tools/filtered_points.py --data {options.data} --split '
                   f'{options.split}', 'machine': f'{platform.machine()}, {platform.system()}',
        'images': len(before), 'settings': {
            name: value for name, value in values.items()
            if name.startswith(('filtered_', 'points_stride'))},
        'points_before': len(all_before), 'kept_share': len(all_after) / len(all_before),
        f'wrong_by_{WRONG_M}_m_before': int(wrong_before),
        f'wrong_by_{WRONG_M}_m_after': int(wrong_after),
        'wrong_left_share': float(wrong_after / wrong_before),
        'largest_message_bytes': size, 'message_ms_median': 1e3 * float(np.median(seconds))}
    write_json(options.out, result, indent=2)
    print(options.out.read_text(), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
