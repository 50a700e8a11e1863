# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Two measurements have one digest where images and truth are the same, and not otherwise."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
from training.data.dataset_folder import DatasetFolder
from training.data.digest import split_digest
import yaml


def test_whatever_changes_a_measurement_changes_the_digest(synthetic, tmp_path):
    folder = DatasetFolder(synthetic)
    stems = folder.stems('val')
    first = split_digest(folder, stems)
    copy = tmp_path / 'elsewhere'
    shutil.copytree(synthetic, copy)
    assert split_digest(DatasetFolder(copy), stems[::-1]) == first, 'the same, in another order'
    assert split_digest(folder, stems[1:]) != first
    label = cv2.imread(str(copy / f'label/{stems[0]}.png'), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(copy / f'label/{stems[0]}.png'), np.roll(label, 1, 0))
    assert split_digest(DatasetFolder(copy), stems) != first
    (synthetic / f'depth/{stems[0]}.png').rename(tmp_path / 'depth.png')
    assert split_digest(DatasetFolder(synthetic), stems) != first
    (tmp_path / 'depth.png').rename(synthetic / f'depth/{stems[0]}.png')
    assert split_digest(DatasetFolder(synthetic), stems) == first
    document = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    document['depth']['scale'] *= 2
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump(document))
    assert split_digest(DatasetFolder(synthetic), stems) != first
