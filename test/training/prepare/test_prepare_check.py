# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The check of a data set folder finds every fault, by its file, and nothing in a whole folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
import signal

import cv2
from emu_perception.commands.program import called_as
import numpy as np
import pytest
from training.data.dataset_folder import DatasetFolder
from training.prepare.__main__ import main
from training.prepare.check import depth_percentiles
from training.prepare.problems import inspect, Problem
import yaml

SIZE = (96, 128)


def faults(root: Path) -> list[Problem]:
    """Return the problems that are no notes."""
    return [problem for problem in inspect(DatasetFolder(root))[0] if not problem.note]


def edit(root: Path, **changes: object) -> None:
    """Change fields of dataset.yaml; None removes one."""
    path = root / 'dataset.yaml'
    fields = {**yaml.safe_load(path.read_text()), **changes}
    path.write_text(yaml.safe_dump({k: v for k, v in fields.items() if v is not None}))


def test_a_whole_folder_has_no_problem(synthetic, capsys):
    assert inspect(DatasetFolder(synthetic))[0] == []
    assert main(['check', str(synthetic), '--no-progress']) == 0
    assert '0 faults' in capsys.readouterr().out


def write(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG."""
    cv2.imwrite(str(path), pixels)


def append(path: Path, text: str) -> None:
    """Add lines to a split."""
    path.write_text(path.read_text().rstrip('\n') + f'\n{text}\n')


def a_folder(path: Path) -> None:
    """Put a folder in the place of a file, which nobody can read as one."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(('spoil', 'file', 'words'), [
    (lambda r: (r / 'image/001.png').unlink(), 'image/001.jpg', 'missing'),
    (lambda r: (r / 'image/001.png').write_bytes(b'no'), 'image/001.png', 'not a readable'),
    (lambda r: write(r / 'image/001.png', np.zeros((5, 4, 3), np.uint8)), 'image/001', '4x5'),
    (lambda r: (r / 'label/001.png').write_bytes(b'no'), 'label/001.png', 'not a readable PNG'),
    (lambda r: write(r / 'label/001.png', np.zeros((9, 7), np.uint8)), 'label/001.png', '7x9'),
    (lambda r: write(r / 'label/001.png', np.zeros((*SIZE, 3), np.uint8)), 'label/001.png',
     'one channel'),
    (lambda r: write(r / 'label/001.png', np.full(SIZE, 3, np.uint8)), 'label/001.png',
     'class 3 in 100.0%'),
    (lambda r: write(r / 'label/001.png', np.full(SIZE, 255, np.uint8)), 'label/001.png',
     'unlabelled everywhere'),
    (lambda r: write(r / 'depth/001.png', np.full(SIZE, 60000, np.uint16)), 'depth/001.png',
     'no valid depth (stored values 60000..60000)'),
    (lambda r: write(r / 'depth/001.png', np.ones((2, 3), np.uint16)), 'depth/001.png', '3x2'),
    (lambda r: (r / 'depth/001.png').write_bytes(b''), 'depth/001.png', 'not a readable PNG'),
    (lambda r: a_folder(r / 'label/001.png'), 'label/001.png', 'cannot be read (Is a directory)'),
    (lambda r: a_folder(r / 'depth/001.png'), 'depth/001.png', 'cannot be read (Is a directory)'),
    (lambda r: append(r / 'train.txt', '000'), 'train.txt', "'000' twice"),
    (lambda r: append(r / 'val.txt', '000'), 'val.txt', 'which train.txt has too'),
    (lambda r: append(r / 'train.txt', '777'), 'image/777.jpg', 'missing'),
    (lambda r: (r / 'val.txt').unlink(), 'val.txt', "split 'val'"),
    (lambda r: (r / 'train.txt').write_text(''), 'train.txt', 'is empty'),
    (lambda r: (r / 'test.txt').write_text('\n'), 'test.txt', 'is empty'),
    (lambda r: edit(r, classes=None), 'dataset.yaml', "'classes' is missing"),
    (lambda r: edit(r, intrinsics={'width': 9, 'height': 9, 'fx': 1, 'fy': 1, 'cx': 1, 'cy': 1}),
     'image/001', '9x9'),
    (lambda r: edit(r, intrinsics={'width': 128, 'height': 96, 'fx': 400, 'fy': 400, 'cx': 256,
                                   'cy': 192}), 'dataset.yaml', 'another resolution'),
    (lambda r: edit(r, intrinsics={'width': 128, 'height': 96, 'fx': 2.1, 'fy': 2.1, 'cx': 64,
                                   'cy': 48}), 'dataset.yaml', "'intrinsics' is not plausible"),
    (lambda r: [path.unlink() for path in (r / 'depth').glob('*')], 'depth', '4 of 4 images'),
])
def test_each_fault_is_found_and_named_by_its_file(synthetic, capsys, spoil, file, words):
    spoil(synthetic)
    found = [problem for problem in faults(synthetic) if problem.path == synthetic / file]
    assert found and words in found[0].text, [str(problem) for problem in faults(synthetic)]
    assert main(['check', str(synthetic), '--no-progress']) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f'{synthetic / file}: ') and words in line for line in lines)


def test_every_fault_is_listed_not_only_the_first(synthetic):
    (synthetic / 'label/000.png').write_bytes(b'no')
    (synthetic / 'depth/000.png').write_bytes(b'no')
    (synthetic / 'image/002.png').unlink()
    write(synthetic / 'label/005.png', np.full(SIZE, 9, np.uint8))
    assert {problem.path.name for problem in faults(synthetic)} == {
        '000.png', '002.jpg', '005.png'}
    assert len(faults(synthetic)) == 4


def test_what_may_be_meant_is_a_note_and_no_fault(synthetic, capsys):
    write(synthetic / 'image/900.png', np.zeros((*SIZE, 3), np.uint8))  # Named by no split.
    (synthetic / 'label/001.png').unlink()  # An unlabelled image among labelled ones.
    edit(synthetic, classes=['wall', 'floor', 'box', 'cat'])
    notes = [str(problem) for problem in inspect(DatasetFolder(synthetic))[0]]
    assert faults(synthetic) == []
    for words in ("1 of 7 images are named by no split, '900.png' first",
                  '1 of 4 images of split train have no readable label',
                  'no pixel of 1 classes: cat'):
        assert any(words in note for note in notes), notes
    assert main(['check', str(synthetic), '--no-progress']) == 0
    assert 'note: ' in capsys.readouterr().out


def test_intrinsics_that_may_be_of_another_resolution_are_a_note(synthetic):
    edit(synthetic, intrinsics={'width': 128, 'height': 96, 'fx': 80, 'fy': 80, 'cx': 43,
                                'cy': 32})
    assert faults(synthetic) == []
    (note,) = inspect(DatasetFolder(synthetic))[0]
    assert note.path == synthetic / 'dataset.yaml' and 'may be of another resolution' in note.text


@pytest.mark.parametrize(('scale', 'around'), [(1.0, '2'), (1e-6, '0.00')])
def test_depths_that_are_hardly_metres_are_a_note(synthetic, scale, around):
    """Millimetres taken for metres train all the same, to a network of kilometres."""
    edit(synthetic, depth={'scale': scale})
    notes = [problem for problem in inspect(DatasetFolder(synthetic))[0] if 'depth.scale' in
             problem.text]
    assert [note.note for note in notes] == [True] * 2 and faults(synthetic) == []
    assert all(note.path.name == 'dataset.yaml' and f'around {around}' in note.text
               for note in notes), notes
    edit(synthetic, depth={'scale': 0.001})
    assert inspect(DatasetFolder(synthetic))[0] == []


def test_a_folder_for_depth_alone_is_no_fault(synthetic):
    for path in (synthetic / 'label').glob('*'):
        path.unlink()
    (synthetic / 'label').rmdir()
    edit(synthetic, classes=None)
    assert faults(synthetic) == []
    edit(synthetic, depth=None)
    assert ['nothing to learn' in problem.text for problem in faults(synthetic)] == [True]


def test_statistics_count_pixels_of_each_split(synthetic):
    for stem in ('000', '001', '002', '003'):
        label = np.full(SIZE, 255, np.uint8)
        label[:10], label[10:12] = 0, 1
        write(synthetic / f'label/{stem}.png', label)
    _, statistics = inspect(DatasetFolder(synthetic))
    train, val = statistics['train'], statistics['val']
    assert train.class_pixels.tolist() == [4 * 10 * 128, 4 * 2 * 128, 0]
    assert train.class_images.tolist() == [4, 4, 0]
    assert train.unlabelled_pixels == 4 * 84 * 128
    assert (train.images, train.label_maps, val.images, val.depth_maps) == (4, 4, 2, 2)


def test_depth_percentiles_are_those_of_the_valid_pixels(synthetic):
    folder = DatasetFolder(synthetic)
    raw = np.zeros(1 << 16, np.int64)
    raw[1001:1101], raw[0], raw[60000] = 1, 50, 50  # 1.001..1.100 m; invalid; beyond the range.
    percentiles, valid = depth_percentiles(folder, raw)
    assert percentiles == pytest.approx([1.001, 1.050, 1.099], abs=1e-6) and valid == 0.5
    assert np.isnan(depth_percentiles(folder, raw * 0)[0]).all()


def test_two_images_of_one_stem_are_a_fault(synthetic):
    """The JPEG was read, the PNG beside it not, and nobody was told."""
    first = min((synthetic / 'image').glob('*'))
    write(first.with_suffix('.png' if first.suffix == '.jpg' else '.jpg'), cv2.imread(str(first)))
    one, = faults(synthetic)
    assert '2 images share their stems' in str(one) and first.name in str(one)


def test_names_of_files_in_a_split_are_said_to_be_no_stems(synthetic):
    stems = (synthetic / 'train.txt').read_text().split()
    (synthetic / 'train.txt').write_text('\n'.join(f'{stem}.png' for stem in stems))
    assert str(faults(synthetic)[0]).endswith(
        f"missing (nor .png); splits name stems, as '{stems[0]}'")


def test_another_ignore_index_counts_as_unlabelled(synthetic):
    for path in (synthetic / 'label').glob('*'):
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        write(path, np.where(label == 255, 200, label).astype(np.uint8))
    assert len(faults(synthetic)) == 6
    edit(synthetic, ignore_index=200)
    assert faults(synthetic) == []


def test_a_folder_that_cannot_be_opened_is_one_line(tmp_path, capsys):
    assert main(['check', str(tmp_path / 'nowhere')]) == 1
    assert capsys.readouterr().err == f'error: {tmp_path}/nowhere: no such data set folder\n'


def test_what_stops_or_fails_a_command_is_one_line(tmp_path, capsys, monkeypatch):
    """Both were tracebacks."""
    out = tmp_path / 'new'

    def run(options):
        if options.seed:
            os.kill(os.getpid(), signal.SIGINT)
        raise PermissionError(errno.EACCES, 'Permission denied', '/shut')
    monkeypatch.setattr('training.prepare.synthetic.run', run)
    assert main(['synthetic', '--out', str(out)]) == 1
    assert capsys.readouterr().err == 'error: /shut: Permission denied\n'
    assert main(['synthetic', '--out', str(out), '--seed', '1']) == 130
    assert capsys.readouterr().err == 'stopped by Ctrl-C: nothing was written\n'


def test_the_real_folder_is_whole(nyuv2):
    folder = DatasetFolder(nyuv2)
    folder.stems = lambda split: DatasetFolder(nyuv2).stems(split)[:12]
    assert [problem for problem in inspect(folder)[0] if not problem.note] == []


def test_what_comes_next_is_said_by_the_name_that_it_was_called_by(tmp_path, caplog):
    """After pip install there is no module training.prepare, but emu prepare."""
    caplog.set_level('INFO', logger='training')
    with called_as('emu prepare'):
        assert main(['synthetic', '--images', '5', '--size', '32x32', '--no-progress',
                     '--out', str(tmp_path / 'of two words')]) == 0
    # As a shell reads it.
    assert f"look it over: emu prepare check '{tmp_path / 'of two words'}'" in caplog.text
