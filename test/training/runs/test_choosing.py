# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which epoch is the best: of a run that has moved, and where no epoch can be told apart."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_models import small_recipe
import torch
from training.data.dataset_folder import DatasetFolder
from training.data.examples import ExampleCache
from training.methods.baseline import Baseline
from training.methods.parts import Parts
from training.recipes.options import RecipeError
from training.runs.choosing import can_choose
from training.runs.state_files import KeptState, MovingAverage


def val_of(root: Path) -> ExampleCache:
    folder = DatasetFolder(root)
    return ExampleCache(folder, folder.stems('val'))


def forget(root: Path, *kinds: str) -> None:
    """Leave the maps of val where they are, with nothing in them that is known."""
    for stem in (root / 'val.txt').read_text().split():
        for kind in kinds:
            path = str(root / kind / f'{stem}.png')
            unknown = 255 if kind == 'label' else 0
            cv2.imwrite(path, np.full_like(cv2.imread(path, cv2.IMREAD_UNCHANGED), unknown))


@pytest.mark.parametrize(('kinds', 'tasks', 'chooses'), [
    ((), ('segmentation', 'depth'), True), (('label',), ('segmentation', 'depth'), True),
    (('label',), ('segmentation',), False), (('label',), ('depth',), True),
    (('label', 'depth'), ('segmentation', 'depth'), False)])
def test_the_last_epoch_is_the_best_where_val_has_no_truth_for_what_is_learned(
        synthetic, caplog, kinds, tasks, chooses):
    """Every score is 0 there, and the first of them was taken: a network of one epoch."""
    forget(synthetic, *kinds)
    recipe = small_recipe(network={'encoder': 'resnet10t', 'tasks': list(tasks)})
    with caplog.at_level(logging.WARNING, 'training'):
        assert can_choose(recipe, val_of(synthetic)) == chooses
    assert ('best is the last one' in caplog.text) != chooses
    early = small_recipe(network={'encoder': 'resnet10t', 'tasks': list(tasks)}, early_stopping=2)
    if not chooses:
        with pytest.raises(RecipeError, match="val.txt.*'early_stopping' is 2"):
            can_choose(early, val_of(synthetic))


@pytest.mark.parametrize(('known', 'chooses'), [('004', True), ('005', False)])
def test_images_that_are_not_validated_on_tell_no_epochs_apart(synthetic, caplog, known, chooses):
    """With validation_images=1 the first of two is looked at: labels of the other help nothing."""
    assert (synthetic / 'val.txt').read_text().split() == ['004', '005']
    for stem in {'004', '005'} - {known}:
        path = str(synthetic / f'label/{stem}.png')
        cv2.imwrite(path, np.full_like(cv2.imread(path, cv2.IMREAD_UNCHANGED), 255))
    recipe = small_recipe(network={'encoder': 'resnet10t', 'tasks': ['segmentation']},
                          validation_images=1)
    with caplog.at_level(logging.WARNING, 'training'):
        assert can_choose(recipe, val_of(synthetic)) == chooses
    assert ('none of the 1 of its images that validation_images takes' in caplog.text) != chooses


def test_a_figure_of_no_pixel_is_no_figure():
    """A depth network had an RMSE of 0 m where no depth was known."""
    from small_models import small_network
    module = Baseline(small_network(), small_recipe(), Parts((0.5,) * 3, (0.5,) * 3))
    module._scores = module.validation_scores()
    assert module.validation_values() == ({}, 0.0)


def kept(folder: Path) -> KeptState:
    return KeptState(folder / 'state', filename='best', monitor='val/score', mode='max',
                     enable_version_counter=False)


def test_a_run_that_was_moved_knows_its_best(tmp_path):
    """Else the next epoch would be the best, and written over it."""
    before, after = kept(tmp_path / 'a'), kept(tmp_path / 'b')
    assert before.state_key.startswith('ModelCheckpoint{'), 'states of before are found by it'
    assert MovingAverage(decay=0.9).state_key == 'EMAWeightAveraging'
    path = str(tmp_path / 'a/state/best.ckpt')
    before.best_model_path = before.kth_best_model_path = path
    before.best_model_score = before.kth_value = torch.tensor(0.5)
    before.best_k_models = {path: torch.tensor(0.5)}
    (tmp_path / 'a/state').mkdir(parents=True)
    Path(path).write_text('the best')
    (tmp_path / 'a').rename(tmp_path / 'b')
    after.load_state_dict(before.state_dict())
    moved = str(tmp_path / 'b/state/best.ckpt')
    assert after.best_model_path == after.kth_best_model_path == moved
    assert after.best_model_score == 0.5 and [*after.best_k_models] == [moved]


def test_a_best_state_that_is_gone_is_said_and_not_waited_for(tmp_path, caplog):
    before, after = kept(tmp_path), kept(tmp_path)
    path = str(tmp_path / 'state/best.ckpt')
    before.best_model_path, before.best_k_models = path, {path: torch.tensor(0.5)}
    with caplog.at_level(logging.WARNING, 'training'):
        after.load_state_dict(before.state_dict())
    assert after.best_model_path == '' and not after.best_k_models
    assert f'{path}: the best state so far is not there' in caplog.text
