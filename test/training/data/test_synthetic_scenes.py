# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Made scenes: their maps agree with each other and with the camera, always the same."""

from __future__ import annotations

import numpy as np
import pytest
from training.data.dataset_folder import DatasetFolder
from training.data.synthetic_scenes import (
    CAMERA_HEIGHT_M,
    CLASSES,
    FLOOR,
    FOCAL,
    POLE,
    SKY,
    synthetic_scene,
    THINGS,
)
from training.prepare.__main__ import main
from training.prepare.problems import inspect
import yaml

SIZE = (64, 128)
THING_CLASSES = [CLASSES.index(name) for name in THINGS]


def scenes(count: int = 60):
    return [synthetic_scene(np.random.default_rng(seed), SIZE) for seed in range(count)]


def test_instances_are_of_things_and_every_map_agrees():
    for scene in scenes():
        assert scene.image.dtype == np.uint8 and scene.image.shape == (*SIZE, 3)
        assert ((scene.instance > 0) == np.isin(scene.label, THING_CLASSES)).all()
        assert ((scene.depth == 0) == (scene.label == SKY)).all()
        for instance in np.unique(scene.instance[scene.instance > 0]):
            where = scene.instance == instance
            assert len(np.unique(scene.label[where])) == 1, 'an id is one object'
            assert len(np.unique(scene.depth[where])) == 1, 'that stands at one depth'


def test_the_floor_obeys_the_camera():
    scene = scenes(1)[0]
    rows = np.indices(SIZE)[0][scene.label == FLOOR]
    depth = scene.depth[scene.label == FLOOR]
    # depth = f · height / (row - horizon): 1/depth is a straight line over the rows.
    slope, _ = np.polyfit(rows, 1 / depth, 1)
    assert slope == pytest.approx(1 / (FOCAL * SIZE[1] * CAMERA_HEIGHT_M), rel=1e-3)


def test_what_is_nearer_hides_what_is_behind_and_poles_split_masks():
    split = 0
    for scene in scenes():
        for instance in np.unique(scene.instance[scene.instance > 0]):
            where = scene.instance == instance
            columns = np.flatnonzero(where.any(0))
            gaps = np.setdiff1d(np.arange(columns[0], columns[-1] + 1), columns)
            row = np.flatnonzero(where.any(1))[where.any(1).sum() // 2]
            for column in gaps:
                assert 0 < scene.depth[row, column] < scene.depth[where].min()
            split += len(gaps) > 0 and (scene.label[row, gaps] == POLE).any()
    assert split >= 5, 'too few split masks to test with'


def test_every_class_occurs_and_the_same_seed_is_the_same_scene():
    assert set(np.unique([scene.label for scene in scenes(20)])) == set(range(len(CLASSES)))
    one, two, other = (synthetic_scene(np.random.default_rng(seed), SIZE) for seed in (3, 3, 4))
    assert all((getattr(one, name) == getattr(two, name)).all() for name in vars(one))
    assert (one.image != other.image).any()


def test_the_command_writes_a_folder_without_faults(tmp_path):
    for command, name in (('synthetic', 'one'), ('made', 'two')):  # By its earlier name, too.
        assert main([command, '--out', str(tmp_path / name), '--images', '10', '--size',
                     '64x96', '--no-progress']) == 0
    folder = DatasetFolder(tmp_path / 'one')
    assert [p for p in inspect(folder)[0] if not p.note] == []
    assert len(folder.stems('train')) == 8 and len(folder.stems('val')) == 2
    assert folder.things == tuple(THING_CLASSES) and folder.sky == SKY
    document = yaml.safe_load((tmp_path / 'one/dataset.yaml').read_text())
    assert document['things'] == list(THINGS) and document['intrinsics']['fx'] == FOCAL * 96
    for path in sorted((tmp_path / 'one').rglob('*.png')):
        twin = tmp_path / 'two' / path.relative_to(tmp_path / 'one')
        assert path.read_bytes() == twin.read_bytes(), 'two runs differ'
    example = folder.example('00000', inverse=True)
    assert (example.inverse[example.label == SKY] == 0).all()
    known = example.depth > 0
    assert np.allclose(example.inverse[known] * example.depth[known], 1, rtol=1e-5)


@pytest.mark.parametrize(('options', 'words'), [
    (['--images', '3'], '--images is 3'), (['--images', '0'], '--images is 0'),
    (['--size', 'big'], "--size is 'big'"),
    (['--size', '8x8'], '--size is 8x8'), (['--seed', '-1'], '--seed is -1')])
def test_what_cannot_be_drawn_is_one_line(tmp_path, capsys, options, words):
    assert main(['synthetic', '--out', str(tmp_path / 'x'), '--no-progress', *options]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'x/dataset.yaml').exists()
