# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""NYU Depth v2: files as MATLAB wrote them (made small here) become the right folder."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from training.data.dataset_folder import DatasetFolder
from training.prepare.__main__ import main
from training.prepare.nyuv2 import INTRINSICS
from training.prepare.scene_split import validation_scenes
import yaml

COUNT, WIDTH, HEIGHT = 12, 16, 12
SCENES = ('kitchen_0001a', 'kitchen_0001b', 'kitchen_0001b', 'bath_0002', 'bath_0002',
          'study_0003', 'study_0003', 'attic_0004', 'attic_0004', 'cafe_0005', 'office_0006',
          'office_0006')
TRAIN, TEST = (1, 2, 3, 4, 5, 6, 7, 10), (8, 9, 11, 12)  # As MATLAB counts: from 1.


def cell(names: list[str]) -> np.ndarray:
    """Return what savemat writes as a 1xN cell array of strings."""
    array = np.empty((1, len(names)), object)
    array[0] = names
    return array


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write the published files' structure; pixel (x, y) of image i tells i, x and y."""
    x, y = np.arange(WIDTH)[:, None], np.arange(HEIGHT)[None]
    with h5py.File(tmp_path / 'labeled.mat', 'w', userblock_size=512) as file:
        shape = (COUNT, WIDTH, HEIGHT)
        images = file.create_dataset('images', (COUNT, 3, WIDTH, HEIGHT), np.uint8)
        depths = file.create_dataset('depths', shape, np.float32)
        raw = file.create_dataset('rawDepths', shape, np.float32)
        labels = file.create_dataset('labels', shape, np.uint16)
        for i in range(COUNT):
            images[i] = np.stack([x * 10 + 0 * y, y * 10 + 0 * x, np.full((WIDTH, HEIGHT), i)])
            depths[i] = 1 + i + 0.01 * x + 0.1234 * (y == 3)
            raw[i] = np.where(x < 4, 0, 1 + i)
            labels[i] = np.where(y == 0, 0, x + 1)
        file['#refs#/dummy'] = np.zeros(1)
        references = file.create_dataset('scenes', (1, COUNT), h5py.ref_dtype)
        for i, name in enumerate(SCENES):
            file[f'#refs#/s{i}'] = np.array([[ord(letter)] for letter in name], np.uint16)
            references[0, i] = file[f'#refs#/s{i}'].ref
    savemat(tmp_path / 'splits.mat', {'trainNdxs': np.array([TRAIN], float).T,
                                      'testNdxs': np.array([TEST], float).T})
    # Label k of 1..894 is class (k - 1) % 40 + 1; class c of 1..40 is (c - 1) % 13 + 1.
    savemat(tmp_path / 'classMapping40.mat', {
        'className': cell([f'forty{i}' for i in range(1, 41)]),
        'mapClass': np.arange(894.0)[None] % 40 + 1,
        'mapToNYUSuperClass': np.arange(40.0)[None] % 4 + 1,
        'allClassName': cell([f'label{i}' for i in range(1, 895)])})
    savemat(tmp_path / 'class13Mapping.mat', {'classMapping13': {
        'labels13': np.arange(40.0)[None] % 13 + 1,
        'classNames': cell([f'thirteen{i}' for i in range(1, 14)])}})
    return tmp_path


def prepare(files: Path, *more: str) -> int:
    """Run the command; the folder is files/out."""
    return main(['nyuv2', '--mat', str(files / 'labeled.mat'), '--splits',
                 str(files / 'splits.mat'), '--mapping', str(files / 'classMapping40.mat'),
                 '--out', str(files / 'out'), '--no-progress', *more])


def test_pixels_depth_and_labels_arrive_at_their_place_and_value(files):
    assert prepare(files) == 0
    folder = DatasetFolder(files / 'out')
    for number in (1, 8):
        example = folder.example(f'{number:04d}')
        # Row 3, column 5: transposed or mirrored maps, swapped colours and 0-based stems all show.
        assert example.image.shape == (HEIGHT, WIDTH, 3)
        assert example.image[3, 5].tolist() == [50, 30, number - 1]
        assert example.depth[3, 5] == pytest.approx(number + 0.05 + 0.1234, abs=6e-4)
        assert example.depth[4, 5] == pytest.approx(number + 0.05, abs=6e-4)
        assert example.label[3, 5] == 5, 'label 6 is class 6 of 40, index 5'
        assert (example.label[0] == 255).all() and (example.label[1:] != 255).all()
    assert folder.classes[0] == 'forty1' and len(folder.classes) == 40
    assert (folder.depth.min, folder.depth.max) == (1e-3, 10.0)
    assert folder.example('0012').depth.max() == 0, '12 m is beyond the valid range'


def test_the_official_splits_are_kept_counted_from_one(files):
    assert prepare(files, '--val-share', '0') == 0
    folder = DatasetFolder(files / 'out')
    assert folder.stems('train') == [f'{number:04d}' for number in TRAIN]
    assert folder.stems('test') == [f'{number:04d}' for number in TEST]
    assert not (files / 'out/val.txt').exists()


def test_no_room_is_on_both_sides_of_the_validation_split(files):
    rooms = [name.rstrip('ab') for name in SCENES]
    for seed in range(5):
        assert prepare(files, '--val-share', '0.5', '--seed', str(seed), '--force') == 0
        folder = DatasetFolder(files / 'out')
        train, val = folder.stems('train'), folder.stems('val')
        assert sorted(train + val) == [f'{number:04d}' for number in TRAIN]
        assert not {rooms[int(s) - 1] for s in train} & {rooms[int(s) - 1] for s in val}


def test_a_validation_part_can_be_given(files):
    (files / 'val.txt').write_text('0002\n0007\n')
    assert prepare(files, '--val-from', str(files / 'val.txt')) == 0
    folder = DatasetFolder(files / 'out')
    assert folder.stems('val') == ['0002', '0007'] and len(folder.stems('train')) == 6
    assert folder.source.endswith('val split off the official train by val.txt'), 'not by room'
    assert prepare(files, '--val-share', '0', '--force') == 0
    assert DatasetFolder(files / 'out').source.endswith('the official splits, val none')


def test_thirteen_classes_go_through_both_mappings(files):
    assert prepare(files, '--classes', '13', '--mapping13', str(files / 'class13Mapping.mat')) == 0
    folder = DatasetFolder(files / 'out')
    assert folder.classes == tuple(f'thirteen{i}' for i in range(1, 14))
    label = folder.example('0001').label
    assert label[3].tolist() == [*range(13), 0, 1, 2] and (label[0] == 255).all()


def test_raw_depth_keeps_its_holes(files):
    assert prepare(files, '--raw-depth') == 0
    depth = DatasetFolder(files / 'out').example('0003').depth
    assert (depth[:, :4] == 0).all() and np.allclose(depth[:, 4:], 3.0)


def test_jpeg_images_are_read_back(files):
    assert prepare(files) == 0
    assert prepare(files, '--image-format', 'jpg', '--force') == 0
    assert not list((files / 'out/image').glob('*.png')), 'two images of one stem'
    image = DatasetFolder(files / 'out').image('0001')
    assert np.abs(image[3, 5].astype(int) - [50, 30, 0]).max() < 16


def test_intrinsics_are_the_kinects_and_only_for_its_size(files, nyuv2):
    assert prepare(files) == 0
    assert DatasetFolder(files / 'out').intrinsics is None, 'made images are not 640x480'
    assert DatasetFolder(nyuv2).intrinsics == INTRINSICS


def test_a_folder_that_is_not_empty_is_left_alone(files, capsys):
    (files / 'out').mkdir()
    (files / 'out/precious').write_text('1')
    assert prepare(files) == 1
    assert 'not empty' in capsys.readouterr().err
    assert [path.name for path in (files / 'out').iterdir()] == ['precious']


def rewrite(files: Path, name: str, **values: object) -> None:
    """Replace a MATLAB v5 file."""
    savemat(files / name, values)


def remove_field(files: Path, name: str) -> None:
    """Remove a field of the labelled images."""
    with h5py.File(files / 'labeled.mat', 'a') as file:
        del file[name]


def large_label(files: Path) -> None:
    """Set a label beyond the 894 of the mapping, in an image that comes late."""
    with h5py.File(files / 'labeled.mat', 'a') as file:
        file['labels'][9, 0, 0] = 895


def of_type(files: Path, name: str, dtype: type) -> None:
    """Write a field of the labelled images in another type of numbers."""
    with h5py.File(files / 'labeled.mat', 'a') as file:
        values = file[name][()]
        del file[name]
        file[name] = values.astype(dtype)


def damage(files: Path) -> None:
    """Overwrite what the names of scenes point to; the file's length stays."""
    path = files / 'labeled.mat'
    with h5py.File(path) as file:
        start = 512 + h5py.h5o.get_info(file['scenes'].id).addr
    whole = bytearray(path.read_bytes())
    whole[start:start + 64] = b'\xff' * 64
    path.write_bytes(whole)


def cut(files: Path) -> None:
    """Cut the file off, as a broken download does."""
    path = files / 'labeled.mat'
    path.write_bytes(path.read_bytes()[:4000])


@pytest.mark.parametrize(('spoil', 'words'), [
    (lambda files: (files / 'labeled.mat').unlink(), ('labeled.mat', 'no such file')),
    (lambda files: rewrite(files, 'labeled.mat', images=1), ('labeled.mat', 'HDF5')),
    (cut, ('labeled.mat', 'HDF5')),
    (lambda files: remove_field(files, 'depths'), ('labeled.mat', "'depths'", 'rawDepths')),
    (lambda files: remove_field(files, 'scenes'), ('labeled.mat', "'scenes'")),
    (damage, ("'scenes' cannot be read", 'is the download whole?')),
    # Written as they are, they would be other colours, millimetres for metres, other classes.
    (lambda files: of_type(files, 'images', np.float64), ("'images' is of float64", 'uint8')),
    (lambda files: of_type(files, 'depths', np.uint16), ("'depths' is of uint16", 'metres')),
    (lambda files: of_type(files, 'labels', np.int16), ("'labels' is of int16", 'uint16')),
    (large_label, ("'labels'", 'image 10', '895', '894')),
    (lambda files: (files / 'splits.mat').write_text('no'), ('splits.mat', 'MATLAB')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=[1]), ('splits.mat', "'testNdxs'")),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=[0, 1], testNdxs=[2]),
     ("'trainNdxs'", 'holds 0', '12 images')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=[1], testNdxs=[2, 13]),
     ("'testNdxs'", 'holds 13', '12 images')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=[1, 2.5], testNdxs=[3]),
     ("'trainNdxs'", 'holds 2.5')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=[1, np.nan], testNdxs=[3]),
     ("'trainNdxs'", 'holds nan')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=np.zeros((0, 1)), testNdxs=[3]),
     ("'trainNdxs'", 'no numbers')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=cell(['kitchen']), testNdxs=[3]),
     ("'trainNdxs'", 'no numbers')),
    (lambda files: rewrite(files, 'classMapping40.mat', mapClass=np.linspace(1, 40, 894)[None],
                           className=cell([f'class{i}' for i in range(40)])),
     ('classMapping40.mat', 'no mapping of 894')),
    (lambda files: rewrite(files, 'splits.mat', trainNdxs=[1, 2], testNdxs=[2]),
     ('splits.mat', 'image 2')),
    (lambda files: rewrite(files, 'classMapping40.mat', mapClass=[1]),
     ('classMapping40.mat', '894', 'mapClass')),
    (lambda files: (files / 'classMapping40.mat').unlink(), ('classMapping40.mat', 'no such')),
    *((lambda files, data=data: (files / 'classMapping40.mat').write_bytes(data),
       ('classMapping40.mat: not a MATLAB v5 file',))
      for data in (b'', b'x', b'name: t\ndata: data\n' * 9, bytes(300))),
])
def test_what_is_wrong_is_one_line_and_leaves_no_dataset_yaml(files, capsys, spoil, words):
    spoil(files)
    assert prepare(files) == 1
    message = capsys.readouterr().err
    assert message.startswith('error: ') and message.count('\n') == 1
    for word in words:
        assert word in message, message
    assert not (files / 'out/dataset.yaml').exists()


@pytest.mark.parametrize(('options', 'words'), [
    (('--classes', '13'), ('--classes', '--mapping13')),
    (('--val-share', '1.5'), ('1.5', 'share')),
    (('--val-share', '.01'), ('--val-share is 0.01', 'of 8 images that is none', '0 for no val')),
    (('--val-from', 'nowhere.txt'), ('nowhere.txt', 'no such file')),
    (('--val-from', '{files}/none.txt'), ('none.txt', 'names 0 of the 8', '--val-share 0')),
    (('--val-from', '{files}/all.txt'), ('all.txt', 'names 8 of the 8')),
    (('--seed', '-1'), ('--seed is -1', '0 or more')),
])
def test_a_wrong_option_is_one_line(files, capsys, options, words):
    (files / 'none.txt').write_text('\n')
    (files / 'all.txt').write_text(' '.join(f'{number:04d}' for number in TRAIN))
    assert prepare(files, *(option.format(files=files) for option in options)) == 1
    message = capsys.readouterr().err
    assert message.count('\n') == 1 and all(word in message for word in words), message


def test_a_validation_file_may_name_training_images_only(files, capsys):
    (files / 'val.txt').write_text('0002 0008')
    assert prepare(files, '--val-from', str(files / 'val.txt')) == 1
    assert "'0008'" in capsys.readouterr().err


def test_the_mapping_of_a_later_version_with_other_field_names_is_read(files):
    rewrite(files, 'class13Mapping.mat', classMapping13={
        'labels1to13': np.arange(40.0)[:, None] % 13 + 1,
        'className': cell([f'other{i}' for i in range(1, 14)])})
    assert prepare(files, '--classes', '13', '--mapping13', str(files / 'class13Mapping.mat')) == 0
    assert yaml.safe_load((files / 'out/dataset.yaml').read_text())['classes'][0] == 'other1'


def test_one_long_scene_does_not_make_up_the_validation_part():
    scenes = ['long'] * 18 + [f'short{i}' for i in range(182)]
    for seed in range(10):
        chosen = validation_scenes(scenes, 0.1, seed)
        assert 'long' not in chosen and len(chosen) == 20
