# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The data set folder: what is read, and that what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from training.data.dataset_folder import DatasetError, DatasetFolder
import yaml


def edit(root: Path, **changes: object) -> None:
    path = root / 'dataset.yaml'
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_a_sample_decodes_to_rgb_labels_and_metres(synthetic):
    folder = DatasetFolder(synthetic)
    example = folder.example(folder.stems('train')[0])
    assert example.image.dtype == np.uint8 and example.image.shape == (96, 128, 3)
    assert set(np.unique(example.label)) == {0, 1, 2, 255}
    box = example.label == 2
    assert np.allclose(example.image[box].mean(0), [30, 90, 200], atol=3), 'rgb order is wrong'
    assert 1.0 <= example.depth[box][:50].mean() <= 1.6
    assert (example.depth[-2:] == 0).all(), 'invalid raw value 0 must decode to 0'


def test_scale_offset_and_range_are_applied(synthetic):
    edit(synthetic, depth={'scale': 0.5, 'offset': 1.0, 'invalid': [7], 'min': 2.0, 'max': 5.0})
    metres = DatasetFolder(synthetic).metres(np.array([[1, 2, 4, 7, 8]], np.uint16))
    # 1.5 is below min, 2 -> 2.0 is not above min, 4 -> 3.0, 7 is invalid, 8 -> 5.0 not below max.
    assert metres.tolist() == [[0, 0, 3.0, 0, 0]]


def test_missing_truth_is_none_not_an_error(synthetic):
    (synthetic / 'label/000.png').unlink()
    (synthetic / 'depth/000.png').unlink()
    example = DatasetFolder(synthetic).example('000')
    assert example.label is None and example.depth is None


def test_another_ignore_index_becomes_255(synthetic):
    label = cv2.imread(str(synthetic / 'label/000.png'), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(synthetic / 'label/000.png'), np.where(label == 255, 9, label))
    edit(synthetic, ignore_index=9)
    assert set(np.unique(DatasetFolder(synthetic).example('000').label)) == {0, 1, 2, 255}


def broken_size(root: Path) -> None:
    cv2.imwrite(str(root / 'depth/000.png'), np.ones((10, 10), np.uint16))


def broken_class(root: Path) -> None:
    cv2.imwrite(str(root / 'label/000.png'), np.full((96, 128), 3, np.uint8))


@pytest.mark.parametrize(('spoil', 'words'), [
    (lambda root: (root / 'dataset.yaml').unlink(), ('dataset.yaml', 'cannot be read')),
    (lambda root: (root / 'dataset.yaml').write_text('a: [1'), ('dataset.yaml', 'not YAML')),
    (lambda root: edit(root, depth={'offset': 1}), ('dataset.yaml', "'depth'", 'scale')),
    (lambda root: edit(root, depth={'scale': 1, 'min': 5, 'max': 1}), ("'depth'", 'min')),
    (lambda root: edit(root, intrinsics={'width': 5}), ("'intrinsics'", 'height')),
    (lambda root: edit(root, palette=[[0, 0, 0]]), ("'palette'", '3 classes')),
    (lambda root: (root / 'train.txt').write_text(''), ('train.txt', 'empty')),
    (lambda root: (root / 'train.txt').unlink(), ('train.txt', "'train'")),
    (lambda root: (root / 'image/000.png').unlink(), ('image/000', 'missing')),
    (lambda root: (root / 'image/000.png').write_bytes(b'no'), ('image/000', 'not a readable')),
    (broken_size, ('depth/000.png', '10x10', '128x96')),
    (broken_class, ('label/000.png', 'class 3', '3 classes')),
])
def test_what_is_wrong_is_one_line_naming_file_and_field(synthetic, spoil, words):
    spoil(synthetic)
    with pytest.raises(DatasetError) as caught:
        folder = DatasetFolder(synthetic)
        folder.example(folder.stems('train')[0])
    message = str(caught.value)
    assert '\n' not in message
    for word in words:
        assert word in message, message


def test_the_real_folder_holds_what_the_loops_expect(nyuv2):
    folder = DatasetFolder(nyuv2)
    train, val = folder.stems('train'), folder.stems('val')
    assert not set(train) & set(val), 'a validation image in the training split'
    example = folder.example(val[0])
    assert len(folder.classes) == 40 and example.image.shape == (480, 640, 3)
    assert 0.3 < example.depth[example.depth > 0].min() < example.depth.max() < 10.0


def test_images_that_are_missing_are_found_before_a_training_starts(synthetic):
    folder = DatasetFolder(synthetic)
    folder.check_files(('train', 'val'))
    (synthetic / 'image/002.png').unlink()
    with pytest.raises(DatasetError, match="1 of 4 images of train.txt are missing, '002'"):
        folder.check_files(('train', 'val'))


def test_an_image_in_two_splits_is_refused(synthetic):
    (synthetic / 'val.txt').write_text('004\n000\n')
    with pytest.raises(DatasetError, match="val.txt: '000' is in train.txt too"):
        DatasetFolder(synthetic).check_files(('train', 'val'))


@pytest.mark.parametrize(('field', 'value'), [
    ('classes', 'wall'), ('classes', 3), ('palette', [1, 2, 3]), ('palette', 'red'),
    ('ignore_index', 'foo'),
    ('intrinsics', {'width': 128, 'height': 96, 'fx': -5, 'fy': 5, 'cx': 1, 'cy': 1})])
def test_a_field_of_the_wrong_kind_is_named(synthetic, field, value):
    document = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump({**document, field: value}))
    with pytest.raises(DatasetError, match=f"dataset.yaml: field '{field}'"):
        DatasetFolder(synthetic)


def test_a_stem_kept_apart_cannot_be_read(synthetic):
    """The test images may not be seen by any run that trains, chooses or calibrates."""
    (synthetic / 'test.txt').write_text('000\n')
    (synthetic / 'train.txt').write_text('001\n002\n')
    folder = DatasetFolder(synthetic)
    folder.restrict(('train', 'val'))
    assert folder.example('001').label is not None and folder.image('005') is not None
    for read in (folder.example, folder.image, folder.label):
        with pytest.raises(DatasetError, match="'000' is kept apart"):
            read('000')
    (synthetic / 'test.txt').write_text('000\n001\n')
    with pytest.raises(DatasetError, match="test.txt: '001' is in train.txt or val.txt too"):
        folder.restrict(('train', 'val'))
