# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes: the published tree, made small here, becomes the right folder."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from training.data.dataset_folder import DatasetFolder
from training.prepare.__main__ import main
from training.prepare.cityscapes_classes import label_table, NAMES, SKY
import yaml

WIDTH, HEIGHT = 32, 16
ROAD, SKY_ID, PERSON, CAR, CARAVAN = 7, 23, 24, 26, 29
# Stem: split, fx, baseline. Two cities, and a camera of its own in each.
FRAMES = {
    'aachen_000000_000019': ('train', 2262.52, 0.209313),
    'aachen_000001_000019': ('train', 2262.52, 0.209313),
    'bochum_000000_000313': ('train', 2268.36, 0.222126),
    'munster_000000_000019': ('val', 2262.52, 0.209313),
    'berlin_000000_000019': ('test', 2262.52, 0.209313),
}
PIXELS = 30.0  # Disparity of the road.


def write(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """
    Draw the tree: sky on top, road below; a person, a group of cars and a caravan on it.

    Disparity: road 30 px, a far strip 0.5 px (beyond 80 m), a hole, a point at infinity.
    """
    root = tmp_path / 'cityscapes'
    for stem, (split, fx, baseline) in FRAMES.items():
        city = stem.split('_')[0]
        label = np.full((HEIGHT, WIDTH), ROAD, np.uint8)
        label[:4], label[15] = SKY_ID, 1
        instance = label.astype(np.uint16)
        for columns, label_id, value in ((slice(0, 4), PERSON, 24003), (slice(4, 8), CAR, CAR),
                                         (slice(8, 12), CARAVAN, 29001)):
            label[8:12, columns], instance[8:12, columns] = label_id, value
        disparity = np.full((HEIGHT, WIDTH), round(PIXELS * 256) + 1, np.uint16)
        disparity[:4, ::2], disparity[:4, 1::2] = 0, 5000  # Stereo finds nonsense in the sky.
        disparity[4], disparity[5], disparity[6] = 0.5 * 256 + 1, 0, 1
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[..., 2] = 200  # Red, as OpenCV writes bgr.
        truth = root / 'gtFine' / split / city
        write(root / 'leftImg8bit' / split / city / f'{stem}_leftImg8bit.png', image)
        write(root / 'disparity' / split / city / f'{stem}_disparity.png', disparity)
        if split != 'test':
            write(truth / f'{stem}_gtFine_labelIds.png', label)
            write(truth / f'{stem}_gtFine_labelTrainIds.png', label_table()[label])
            write(truth / f'{stem}_gtFine_instanceIds.png', instance)
        camera = root / 'camera' / split / city / f'{stem}_camera.json'
        camera.parent.mkdir(parents=True, exist_ok=True)
        camera.write_text(json.dumps({
            'extrinsic': {'baseline': baseline, 'pitch': 0.03, 'x': 1.7},
            'intrinsic': {'fx': fx, 'fy': fx - 1, 'u0': 15.5, 'v0': 7.5}}))
    return root


def prepare(root: Path, *more: str) -> int:
    """Run the command; the folder is out beside the root."""
    return main(['cityscapes', '--root', str(root), '--out', str(root.parent / 'out'),
                 '--no-progress', *more])


def test_each_images_own_camera_makes_its_metres(root):
    assert prepare(root) == 0
    folder = DatasetFolder(root.parent / 'out')
    depths = {stem: folder.example(stem).depth for stem in folder.stems('train')}
    for stem, depth in depths.items():
        _, fx, baseline = FRAMES[stem]
        assert depth[14, 20] == pytest.approx(baseline * fx / PIXELS, abs=1.1e-3), stem
        assert (depth[4] == 0).all(), 'beyond 80 m must be invalid'
        assert (depth[5] == 0).all() and (depth[6] == 0).all(), 'p = 0 and p = 1 have no depth'
    near, far = depths['aachen_000000_000019'][14, 20], depths['bochum_000000_000313'][14, 20]
    assert far - near > 0.9, 'one camera was used for all images'


def test_the_cap_of_depth_is_an_option(root):
    assert prepare(root, '--max-depth', '15') == 0
    folder = DatasetFolder(root.parent / 'out')
    assert folder.example('aachen_000000_000019').depth.max() == 0 and folder.depth.max == 15.0


def test_label_ids_become_the_nineteen_classes(root):
    assert prepare(root) == 0
    folder = DatasetFolder(root.parent / 'out')
    label = folder.example('munster_000000_000019').label
    assert [int(label[row, column]) for row, column in
            ((14, 20), (0, 0), (9, 1), (9, 5), (9, 9), (15, 0))] == [0, 10, 11, 13, 255, 255]
    assert len(folder.classes) == 19 and folder.classes[13] == 'car' == NAMES[13]
    assert folder.palette[13] == (0, 0, 142) and folder.palette[SKY] == (70, 130, 180)
    table = label_table()
    assert [int(i) for i in np.flatnonzero(table != 255)] == [
        7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]
    assert table[33] == 18 and table[31] == 16


def test_train_ids_are_taken_as_they_are(root):
    assert prepare(root) == 0 and prepare(root, '--labels', 'trainids', '--out',
                                          str(root.parent / 'two')) == 0
    one, two = DatasetFolder(root.parent / 'out'), DatasetFolder(root.parent / 'two')
    for stem in one.stems('train'):
        assert (one.example(stem).label == two.example(stem).label).all()


def test_instances_are_kept_for_single_things_only(root):
    assert prepare(root) == 0
    path = root.parent / 'out/instance/aachen_000000_000019.png'
    instance = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert instance.dtype == np.uint16
    assert set(np.unique(instance)) == {0, 24003}, 'groups, caravans and stuff are no instances'


def test_splits_are_the_official_ones_and_test_is_asked_for(root):
    assert prepare(root) == 0
    folder = DatasetFolder(root.parent / 'out')
    assert folder.stems('train') == sorted(s for s, v in FRAMES.items() if v[0] == 'train')
    assert folder.stems('val') == ['munster_000000_000019']
    assert not (root.parent / 'out/test.txt').exists()
    assert prepare(root, '--with-test', '--force') == 0
    example = folder.example(folder.stems('test')[0])
    assert example.label is None and example.depth.max() > 10


def test_disparity_is_in_pixels_of_the_written_width_with_sky_at_zero(root):
    assert prepare(root, '--depth', 'disparity', '--scale', '0.5') == 0
    out = root.parent / 'out'
    section = yaml.safe_load((out / 'dataset.yaml').read_text())['depth']
    assert section['quantity'] == 'disparity' and section['unit'] == 'px'
    stored = cv2.imread(str(out / 'depth/aachen_000000_000019.png'), cv2.IMREAD_UNCHANGED)
    assert stored.shape == (HEIGHT // 2, WIDTH // 2)
    pixels = stored * section['scale'] + section['offset']
    assert pixels[7, 10] == pytest.approx(PIXELS / 2)
    assert (pixels[:2] == 0).all() and (stored[:2] != 0).all(), 'sky must be 0 px and valid'
    assert section['invalid'] == [0] and (stored == 0).any()
    example = DatasetFolder(out).example('aachen_000000_000019', inverse=True)
    assert example.inverse[7, 10] == PIXELS / 2 and (example.inverse[:2] == 0).all()
    # Metres do not change with the width: fx is halved as the disparity is.
    assert example.depth[7, 10] == pytest.approx(0.209313 * 2262.52 / PIXELS, rel=1e-5)
    assert DatasetFolder(out).depth_range[1] == pytest.approx(80.0)
    assert DatasetFolder(out).things == tuple(range(SKY + 1, len(NAMES)))


def test_disparities_beyond_the_largest_depth_are_learned_but_are_no_metres(root):
    assert prepare(root, '--depth', 'disparity', '--max-depth', '40') == 0
    folder = DatasetFolder(root.parent / 'out')
    example = folder.example('aachen_000000_000019', inverse=True)
    assert folder.depth_range[1] == pytest.approx(40.0)
    # The far strip, 0.5 px or 947 m.
    assert (example.inverse[4] == 0.5).all() and (example.depth[4] == 0.0).all()


def test_scaling_keeps_metres_and_classes_and_scales_intrinsics(root):
    assert prepare(root, '--scale', '0.5') == 0
    folder = DatasetFolder(root.parent / 'out')
    example = folder.example('aachen_000000_000019')
    assert example.image.shape == (8, 16, 3) and (example.image == [200, 0, 0]).all()
    assert set(np.unique(example.label)) <= {0, 10, 11, 13, 255}
    assert example.depth[7, 10] == pytest.approx(0.209313 * 2262.52 / PIXELS, abs=1.1e-3)
    camera = folder.intrinsics
    assert (camera.width, camera.height, camera.fx) == (16, 8, pytest.approx(2262.52 / 2))
    # The middle of the image stays the middle: 15.5 of 32 pixels is 7.5 of 16.
    assert (camera.cx, camera.cy) == (pytest.approx(7.5), pytest.approx(3.5))


def test_without_depth_neither_disparity_nor_camera_is_needed(root):
    for path in [*root.rglob('*_disparity.png'), *root.rglob('*_camera.json')]:
        path.unlink()
    assert prepare(root, '--depth', 'none') == 0
    folder = DatasetFolder(root.parent / 'out')
    assert folder.depth is None and folder.intrinsics is None
    assert folder.example('aachen_000000_000019').depth is None


CAMERA = 'camera/train/aachen/aachen_000000_000019_camera.json'


@pytest.mark.parametrize(('spoil', 'options', 'words'), [
    (lambda root: (root / CAMERA).unlink(), (), (CAMERA, 'missing')),
    (lambda root: (root / CAMERA).write_text('{"intrinsic": {"fx": 1}, "extrinsic": {}}'), (),
     (CAMERA, "'fy'")),
    (lambda root: (root / CAMERA).write_text('no'), (), (CAMERA, 'not a camera file')),
    (lambda root: (root / CAMERA).write_text(
        (root / CAMERA).read_text().replace('0.209313', '0')), (), (CAMERA, 'baseline 0')),
    # Depths would be infinite, and the camera's centre nowhere.
    (lambda root: (root / CAMERA).write_text(
        (root / CAMERA).read_text().replace('0.209313', '1e999')), (), (CAMERA, 'baseline inf')),
    (lambda root: (root / CAMERA).write_text(
        (root / CAMERA).read_text().replace('15.5', 'NaN')), (), (CAMERA, 'u0 nan')),
    (lambda root: [path.unlink() for path in root.rglob('*_disparity.png')], (),
     ('disparity.png', '2 more', "'disparity'")),
    (lambda root: [path.unlink() for path in root.rglob('*labelTrainIds.png')],
     ('--labels', 'trainids'), ('labelTrainIds.png', 'csCreateTrainIdLabelImgs')),
    (lambda root: write(root / 'disparity/val/munster/munster_000000_000019_disparity.png',
                        np.ones((4, 5), np.uint16)), (), ('munster', '5x4', '32x16')),
    (lambda root: write(root / 'disparity/val/munster/munster_000000_000019_disparity.png',
                        np.ones((16, 32), np.uint8)), (), ('munster', '16 bits')),
    (lambda root: (root / 'leftImg8bit').rename(root / 'elsewhere'), (),
     ('leftImg8bit/train', '--root')),
    (lambda root: None, ('--scale', '2'), ('scale is 2',)),
    (lambda root: None, ('--max-depth', '1000'), ('1000', '131')),
    (lambda root: None, ('--max-depth', '-1'), ('-1', 'depth range')),
    (lambda root: None, ('--depth', 'disparity', '--max-depth', '0'), ('--max-depth', '0.0')),
    (lambda root: None, ('--depth', 'disparity', '--max-depth', '1'), ('--max-depth', '256 px')),
])
def test_what_is_wrong_is_one_line_and_leaves_no_dataset_yaml(root, capsys, spoil, options, words):
    spoil(root)
    assert prepare(root, *options) == 1
    message = capsys.readouterr().err
    assert message.startswith('error: ') and message.count('\n') == 1
    for word in words:
        assert word in message, message
    assert not (root.parent / 'out/dataset.yaml').exists()


def test_a_missing_file_is_found_before_anything_is_written(root):
    (root / 'disparity/val/munster/munster_000000_000019_disparity.png').unlink()
    assert prepare(root) == 1
    assert not (root.parent / 'out').exists()
