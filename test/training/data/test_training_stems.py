# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a run learns from, and the fold that a member of an ensemble leaves out."""

from __future__ import annotations

import pytest
from training import ensemble
from training.data.dataset_folder import DatasetFolder
from training.data.frame_runs import frame_runs
from training.data.training_stems import training_stems
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe
from training.runs.members import member_recipe

STEMS = [f'room_{room:03d}{frame:02d}' for room in range(7) for frame in range(1 + room % 3)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'dataset.yaml').write_text('name: rooms\n')
    (tmp_path / 'train.txt').write_text('\n'.join(STEMS))
    (tmp_path / 'val.txt').write_text('hall_1\nhall_2')
    return DatasetFolder(tmp_path)


def recipe(folder, *overrides):
    return load_recipe('nyuv2_lite0', [f'data={folder.root}', *overrides])


def test_every_image_is_new_to_one_member_and_whole_runs_are_left_out(folder):
    whole = recipe(folder)
    assert training_stems(whole, folder) == STEMS
    left_out = []
    for index in range(4):
        seen = training_stems(member_recipe(whole, index, 4), folder)
        assert [stem for stem in STEMS if stem in seen] == seen
        assert all(set(run) <= set(seen) or not set(run) & set(seen) for run in frame_runs(STEMS))
        left_out += [stem for stem in STEMS if stem not in seen]
    assert sorted(left_out) == sorted(STEMS)


def test_members_beyond_the_folds_begin_anew_and_without_folds_the_recipe_s_own_stays(folder):
    one = recipe(folder, 'left_out_fold=2/3')
    assert member_recipe(one, 5).left_out_fold == '2/3'
    assert [member_recipe(one, i, 3).left_out_fold for i in (0, 2, 3)] == ['1/3', '3/3', '1/3']


def test_folds_are_of_all_that_is_trained_on(folder):
    both = recipe(folder, 'train_on=train+val')
    parts = [training_stems(member_recipe(both, i, 2), folder) for i in range(2)]
    assert sum('hall_1' in part for part in parts) == 1


@pytest.mark.parametrize('text', ['1', '0/4', '5/4', '1/1', 'a/b', '-1/4', '1/4/2', '²/3'])
def test_what_is_no_fold_is_said_before_anything_runs(folder, text):
    with pytest.raises(RecipeError, match=r'nyuv2_lite0\.yaml with the fields given beside it: '
                                          r"field 'left_out_fold'.*1/4"):
        recipe(folder, f"left_out_fold='{text}'")


def test_more_folds_than_runs_of_frames_are_said(folder):
    with pytest.raises(RecipeError, match="'left_out_fold' is 1/99.*has 7 runs.*I/7"):
        training_stems(recipe(folder, 'left_out_fold=1/99'), folder)


def test_folds_that_cannot_be_are_said_before_any_member_starts(
        synthetic, tmp_path, capsys, monkeypatch):
    def started(*_, **__):
        raise AssertionError('a member was started')
    monkeypatch.setattr(ensemble, 'train_all', started)
    command = ['--recipe', 'nyuv2_lite0', '--members', '2', '--folds', '2', '--no-progress',
               f'data={synthetic}', f'output={tmp_path}']
    assert ensemble.main(command) == 1
    assert 'is 1/2, but' in (error := capsys.readouterr().err) and error.count('\n') == 1
    # Its four images are neighbours: I/1 would be no fold either.
    assert "has 1 run of frames: give 'none'" in error
    assert ensemble.main([*command, 'left_out_fold=1/3']) == 1
    assert "--folds is 2, but field 'left_out_fold' is 1/3: give one" in capsys.readouterr().err
