# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The data set folder: what is read, and that what is wrong is said in one line."""

from __future__ import annotations

from collections.abc import Callable
import math
import os
from pathlib import Path
import struct
import unicodedata

import cv2
import numpy as np
import pytest
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.prepare.__main__ import main as check
from training.prepare.problems import inspect
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
    with pytest.raises(DatasetError, match=r"1 of 4 images of train.txt are missing, '002' first: "
                                           r'emu prepare check \S+ lists them'):
        folder.check_files(('train', 'val'))


@pytest.mark.parametrize('name', ['000.png', 'image/000', 'image/000.png'])
def test_names_of_files_in_a_split_are_told_from_images_that_are_missing(synthetic, name):
    (synthetic / 'train.txt').write_text(name)
    with pytest.raises(DatasetError, match=f"train.txt: names '{name}': give stems, as '000'"):
        DatasetFolder(synthetic).check_files(('train', 'val'))


def test_an_image_in_two_splits_is_refused(synthetic):
    (synthetic / 'val.txt').write_text('004\n000\n')
    with pytest.raises(DatasetError, match="val.txt: '000' is in train.txt too"):
        DatasetFolder(synthetic).check_files(('train', 'val'))


@pytest.mark.parametrize(('field', 'value'), [
    ('classes', 'wall'), ('classes', 3), ('classes', ['wall', 'floor', 'wall']),
    ('classes', ['wall', False, 'box']), ('classes', ['wall', None, 'box']),
    ('palette', [1, 2, 3]), ('palette', 'red'),
    ('ignore_index', 'foo'),
    ('intrinsics', {'width': 128, 'height': 96, 'fx': -5, 'fy': 5, 'cx': 1, 'cy': 1})])
def test_a_field_of_the_wrong_kind_is_named(synthetic, field, value):
    document = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump({**document, field: value}))
    with pytest.raises(DatasetError, match=f"dataset.yaml: field '{field}'"):
        DatasetFolder(synthetic)


def test_a_field_that_stands_there_twice_is_one_line(synthetic):
    path = synthetic / 'dataset.yaml'
    path.write_text(path.read_text() + 'depth: {scale: 0.01}\n')
    with pytest.raises(DatasetError, match="dataset.yaml: not YAML: field 'depth' stands there "
                                           'twice'):
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


def rename(root: Path, stem: str, other: str, suffix: str = 'png') -> None:
    """Give an image and its maps another name, in the split too."""
    for kind in ('image', 'label', 'depth'):
        (root / kind / f'{stem}.png').rename(root / kind / f'{other}.{suffix}')
    path = root / 'train.txt'
    lines = [other if line == stem else line for line in path.read_text().splitlines()]
    path.write_bytes(b'\r\n'.join(map(os.fsencode, lines)))


@pytest.mark.parametrize(('name', 'suffix'), [
    ('two words', 'png'), ('IMG_0001', 'PNG'), ('1²3', 'png'), ('Tür', 'Png'),
    (os.fsdecode(b'a_\x89\xe6'), 'png')])
def test_names_as_other_systems_give_them_are_read(synthetic, capsys, name, suffix):
    """OpenCV's own reader dies of the last one."""
    expected = DatasetFolder(synthetic).example('000')
    rename(synthetic, '000', name, suffix)
    folder = DatasetFolder(synthetic)
    assert folder.stems('train')[0] == name
    folder.check_files(('train', 'val'))
    example = folder.example(name)
    for kind in ('image', 'label', 'depth'):
        assert (getattr(example, kind) == getattr(expected, kind)).all(), kind
    assert check(['check', str(synthetic), '--no-progress']) == 0, capsys.readouterr().out
    assert '0 faults' in capsys.readouterr().out


@pytest.mark.parametrize('files', ['NFC', 'NFD'])
@pytest.mark.parametrize('maps', ['NFC', 'NFD'])
@pytest.mark.parametrize('listed', ['NFC', 'NFD'])
def test_accents_of_one_system_are_those_of_another(synthetic, capsys, files, maps, listed):
    """A Mac takes them apart in the names of files, and lists are made elsewhere."""
    expected = DatasetFolder(synthetic).example('000')
    rename(synthetic, '000', unicodedata.normalize(listed, 'Tür'))
    for kind in ('image', 'label', 'depth'):
        path = synthetic / kind / f"{unicodedata.normalize(listed, 'Tür')}.png"
        form = files if kind == 'image' else maps
        path.rename(path.with_name(f"{unicodedata.normalize(form, 'Tür')}.png"))
    folder = DatasetFolder(synthetic)
    folder.check_files(('train', 'val'))
    example = folder.example(folder.stems('train')[0])
    for kind in ('image', 'label', 'depth'):
        assert (getattr(example, kind) == getattr(expected, kind)).all(), kind
    assert check(['check', str(synthetic), '--no-progress']) == 0, capsys.readouterr().out
    assert '0 faults' in capsys.readouterr().out
    # One file under both spellings is one: what is trained on cannot measure.
    other = unicodedata.normalize('NFD' if listed == 'NFC' else 'NFC', 'Tür')
    with open(synthetic / 'val.txt', 'a') as file:
        file.write(f'\n{other}\n')
    with pytest.raises(DatasetError, match='is in train.txt too'):
        DatasetFolder(synthetic).check_files(('train', 'val'))


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'cp1252'])
def test_text_files_of_other_systems_are_read(synthetic, encoding):
    for name in ('train.txt', 'dataset.yaml'):
        text = (synthetic / name).read_text().replace('wall', 'Tür')
        (synthetic / name).write_bytes(text.replace('\n', '\r\n').encode(encoding))
    folder = DatasetFolder(synthetic)
    assert folder.stems('train') == ['000', '001', '002', '003']
    assert folder.classes == ('Tür', 'floor', 'box')


def test_what_other_systems_leave_is_no_image(synthetic):
    for name in ('._000.png', '.DS_Store', 'Thumbs.db'):
        (synthetic / 'image' / name).write_bytes(b'\0')
    assert len(DatasetFolder(synthetic).files('image')) == 6
    assert inspect(DatasetFolder(synthetic))[0] == []


@pytest.mark.parametrize(('field', 'meant'), [
    ({'ignor_index': 0}, "'ignor_index' is none of its fields.*did you mean 'ignore_index'"),
    ({'colours': []}, "'colours' is none of its fields"),
    ({'depth': {'scal': 0.001}}, "field 'depth'.*'scal' is none .*did you mean 'scale'"),
    ({'intrinsics': {'f_x': 1}}, "field 'intrinsics'.*did you mean 'fx'"),
    ({'depth': {'scale': 0.001, 'maxx': 3}}, "did you mean 'max'")])
def test_an_unknown_field_is_refused_and_not_passed_over(synthetic, field, meant):
    """A misspelled ignore_index would train on what is unlabelled."""
    edit(synthetic, **field)
    with pytest.raises(DatasetError, match=meant):
        DatasetFolder(synthetic)


def test_numbers_as_yaml_has_them_are_taken(synthetic):
    (synthetic / 'dataset.yaml').write_text(
        'name: x\nclasses: [wall, floor, box]\ndepth: {scale: 1e-3, max: .inf, invalid: [0.0]}\n'
        'intrinsics: {width: 128.0, height: 96, fx: 110, fy: 1.1e2, cx: 64, cy: 48, note: made}\n')
    folder = DatasetFolder(synthetic)
    assert (folder.depth.scale, folder.depth.max, folder.depth.invalid) == (0.001, math.inf, (0,))
    assert (folder.intrinsics.width, folder.intrinsics.fy) == (128, 110.0)


def test_labels_of_one_bit_are_0_and_1(synthetic):
    label = np.zeros((96, 128), np.uint8)
    label[48:] = 1
    cv2.imwrite(str(synthetic / 'label/000.png'), label, [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert (DatasetFolder(synthetic).label('000') == label).all()
    assert [problem for problem in inspect(DatasetFolder(synthetic))[0] if not problem.note] == []


def write_jpeg(root: Path, change: Callable[[bytes], bytes]) -> Path:
    """Make the first training image a JPEG whose bytes are changed."""
    image = cv2.imread(str(root / 'image/000.png'))
    (root / 'image/000.png').unlink()
    path = root / 'image/000.jpg'
    path.write_bytes(change(cv2.imencode('.jpg', image)[1].tobytes()))
    return path


def test_a_jpeg_cut_to_a_third_is_found_where_it_is_read_and_by_the_check(synthetic):
    path = write_jpeg(synthetic, lambda data: data[:len(data) // 3])
    with pytest.raises(DatasetError, match='000.jpg: not a readable image: .*truncated'):
        DatasetFolder(synthetic).image('000')
    (fault,) = [each for each in inspect(DatasetFolder(synthetic))[0] if not each.note]
    assert fault.path == path and 'truncated' in fault.text


def test_a_jpeg_with_a_tail_is_whole_and_one_without_end_is_noted(synthetic):
    path = write_jpeg(synthetic, lambda data: data + data[:500])
    assert inspect(DatasetFolder(synthetic))[0] == []
    path.write_bytes(path.read_bytes()[:-502])
    (note,) = inspect(DatasetFolder(synthetic))[0]
    assert note.note and note.path == path and 'no end marker' in note.text


def test_an_image_that_would_be_turned_and_its_label_not_is_refused(synthetic):
    """OpenCV turns the one and not the other; whether the label is upright nobody can know."""
    tag = b'Exif\0\0II*\0' + struct.pack('<IHHHIHH', 8, 1, 0x112, 3, 1, 3, 0)
    path = write_jpeg(synthetic, lambda data: b''.join((
        data[:2], b'\xff\xe1', struct.pack('>H', 2 + len(tag)), tag, data[2:])))
    with pytest.raises(DatasetError, match='EXIF orientation 3 .*mogrify .*exiftool'):
        DatasetFolder(synthetic).image('000')
    (fault,) = [each for each in inspect(DatasetFolder(synthetic))[0] if not each.note]
    assert fault.path == path and 'EXIF orientation' in fault.text


def test_a_name_that_is_left_empty_is_the_folders_and_not_none(synthetic):
    """All folders called 'None' would be taken for one: what is trained on would be refused."""
    edit(synthetic, name=None)
    assert DatasetFolder(synthetic).name == synthetic.name
