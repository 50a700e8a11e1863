# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A synthetic data set folder: drawn rooms with labels and depths that are known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import yaml

CLASSES = ('wall', 'floor', 'box')
FIELDS = {  # Of a recipe that trains in seconds.
    'name': 'synthetic', 'input_size': [96, 128], 'batch_size': 4, 'epochs': 1,
    'network': {'encoder': 'resnet10t', 'head_dim': 16},
    'optimizer': {'learning_rate': 2e-3, 'head_factor': 2.0, 'gradient_clip': 5.0}}
SCALE_M = 0.001  # Metres of one step of the synthetic depth maps.


def make_dataset(root: Path, images: int = 6, size: tuple[int, int] = (96, 128)) -> Path:
    """
    Draw rooms: a wall, a floor that comes nearer, and a box in front, each with its own colour.

    Depth is uint16 millimetres with 0 = invalid; a corner of each label map is 255.
    """
    rng = np.random.default_rng(0)
    height, width = size
    for name in ('image', 'label', 'depth'):
        (root / name).mkdir(parents=True)
    stems = [f'{i:03d}' for i in range(images)]
    for stem in stems:
        horizon = int(rng.integers(height // 3, height // 2))
        far = rng.uniform(3.0, 5.0)
        rows = np.arange(height)[:, None].repeat(width, 1)
        depth = np.where(rows < horizon, far, far * horizon / np.maximum(rows, 1))
        label = (rows >= horizon).astype(np.uint8)
        top, left = int(rng.integers(10, horizon)), int(rng.integers(0, width // 2))
        box = (slice(top, top + height // 2), slice(left, left + width // 3))
        label[box], depth[box] = 2, rng.uniform(1.0, 1.6)
        colors = np.array([[200, 190, 170], [90, 60, 40], [30, 90, 200]])
        image = colors[label] + rng.normal(0, 4, (height, width, 3))
        label[:4, :4] = 255
        millimetres = np.round(depth / SCALE_M).astype(np.uint16)
        millimetres[-2:] = 0
        cv2.imwrite(str(root / 'image' / f'{stem}.png'),
                    cv2.cvtColor(image.clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(root / 'label' / f'{stem}.png'), label)
        cv2.imwrite(str(root / 'depth' / f'{stem}.png'), millimetres)
    for split, part in (('train', stems[:4]), ('val', stems[-2:] if images > 4 else stems)):
        (root / f'{split}.txt').write_text('\n'.join(part))
    (root / 'dataset.yaml').write_text(yaml.safe_dump({
        'name': 'synthetic', 'classes': list(CLASSES), 'ignore_index': 255,
        'depth': {'scale': SCALE_M, 'offset': 0.0, 'invalid': [0], 'min': 0.1, 'max': 10.0},
        'intrinsics': {'width': width, 'height': height, 'fx': 110.0, 'fy': 110.0,
                       'cx': width / 2, 'cy': height / 2}}))
    return root


def members(root: Path) -> list[Path]:
    """Return the checkpoints of the fixture ``trained``."""
    return sorted((root / 'synthetic').glob('member_*/best.safetensors'))
