# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A cross-fitted teacher: each image is answered for by members that have not learned from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
import shutil

import pytest
from small_models import small_recipe
from synthetic_data import make_dataset
import torch
from training.data.dataset_folder import DatasetFolder
from training.fit import fit
from training.methods.ensemble import Ensemble
from training.methods.moments_by_image import moments_by_image
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe
from training.runs.cross_fit import answering_members
import yaml


@pytest.fixture
def members(tmp_path, saved):
    """Return a data set, and what makes a teacher of members that have left out some images."""
    root = make_dataset(tmp_path / 'data', images=6)

    def teacher(*left_out: tuple[str, ...], **provenance: object) -> Ensemble:
        paths = []
        for i, stems in enumerate(left_out):
            folder = tmp_path / f'ens/member_{i:02d}'
            folder.mkdir(parents=True)
            path = folder / 'best.safetensors'
            fold = {'left_out_fold': f'{i + 1}/{len(left_out)}'}
            os.replace(saved(f'm{i}', i, {'data_set': DatasetFolder(root).name, 'recipe': fold,
                                          **provenance}), path)
            (folder / 'recipe.yaml').write_text(yaml.safe_dump({'data': str(root), **fold}))
            (folder / 'images.json').write_text(json.dumps(
                {'train': [stem for stem in 'abcd' if stem not in stems],
                 'left_out': list(stems)}))
            paths.append(path)
        return Ensemble(paths)
    return DatasetFolder(root), teacher


def test_of_each_image_those_answer_that_have_left_it_out(members):
    folder, teacher = members
    found = answering_members(teacher(('a', 'b'), ('c', 'd'), ('a',)), folder, 'abcd', False)
    assert found == ((0, 2), (0,), (1,), (1,))


def test_an_image_that_all_have_learned_from_is_refused_by_name(members):
    folder, teacher = members
    with pytest.raises(RecipeError, match="cross_fit' is true, but 'c', the first of 2 of 4 "
                                          'images, is new to fewer than 1 of the 2 members'):
        answering_members(teacher(('a',), ('b',)), folder, 'abcd', False)


def test_what_members_disagree_by_takes_two_that_answer(members):
    folder, teacher = members
    both = teacher(('a', 'b'), ('b', 'a'))
    assert answering_members(both, folder, 'ab', True) == ((0, 1), (0, 1))
    with pytest.raises(RecipeError, match='fewer than 2 .*2 N members or more'):
        answering_members(both, folder, 'abc', True)


@pytest.mark.parametrize('spoil', [Path.unlink, lambda path: path.write_text('{'),
                                   lambda path: path.write_text('{"left_out": ["a"]}')])
def test_a_member_that_does_not_say_what_it_has_left_out_is_refused(members, spoil):
    folder, teacher = members
    both = teacher(('a',), ('b',))
    spoil(both.members[1].path.parent / 'images.json')
    with pytest.raises(RecipeError, match='member_01/images.json: does not say'):
        answering_members(both, folder, 'ab', False)


def test_a_member_that_starts_from_what_has_learned_them_is_refused(members):
    folder, teacher = members
    both = teacher(('a',), ('b',), ancestors=[
        {'role': 'start', 'name': 'older', 'data_set': folder.name}])
    with pytest.raises(RecipeError, match="comes from 'older', which has learned from"):
        answering_members(both, folder, 'ab', False)


def test_the_stems_of_another_data_set_say_nothing_of_this_one(members):
    folder, teacher = members
    both = teacher(('a',), ('b',), data_set='other')
    with pytest.raises(RecipeError, match=f"has learned from 'other', .* from '{folder.name}'"):
        answering_members(both, folder, 'ab', False)


def test_a_checkpoint_from_elsewhere_in_a_members_folder_is_refused(members, tmp_path):
    """As files that were copied into one folder, beside the images of one of them."""
    folder, teacher = members
    both = teacher(('a',), ('b',))
    path = both.members[0].path
    shutil.copy(path, tmp_path / 'ens/member_01/other.safetensors')
    mixed = Ensemble([path, tmp_path / 'ens/member_01/other.safetensors'])
    with pytest.raises(RecipeError, match='member_01: its checkpoint has left out fold 1/2, its '
                                          'recipe.yaml says 2/2'):
        answering_members(mixed, folder, 'ab', False)


def test_a_network_that_has_left_out_nothing_is_refused(members):
    """As the default model would be, by the name of a member."""
    folder, teacher = members
    whole = teacher(('a', 'b'), ('c',), recipe={'left_out_fold': 'none'})
    with pytest.raises(RecipeError, match='has left out fold none, its recipe.yaml says 1/2'):
        answering_members(whole, folder, 'ab', False)


def test_what_was_learned_before_a_resume_is_not_new(members):
    folder, teacher = members
    both = teacher(('a', 'b'), ('a', 'b'))
    path = both.members[0].path.parent / 'images.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'earlier': ['a']}))
    assert answering_members(both, folder, 'ab', False) == ((1,), (0, 1))


def test_each_image_gets_what_its_own_members_say(members):
    _, make = members
    teacher = make(('a',), ('b',), ('c',))
    images = torch.randint(0, 256, (5, 3, 64, 96), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(1))
    answering = [(0, 1), (2,), (0, 1), (1,), (2,)]
    found = moments_by_image(lambda views, chosen: teacher.moments(
        views, (64, 96), members=chosen, epistemic=True), images, answering)
    for i, chosen in enumerate(answering):
        alone = teacher.moments(images[i:i + 1], (64, 96), members=chosen, epistemic=True)
        for name in ('probabilities', 'depth', 'depth_variance', 'mutual_information',
                     'depth_epistemic'):
            assert torch.allclose(getattr(found, name)[i], getattr(alone, name)[0],
                                  rtol=1e-4, atol=1e-5), (i, name)


@pytest.mark.slow
def test_a_student_learns_from_the_members_that_have_not_seen_its_views(tmp_path, monkeypatch):
    root = make_dataset(tmp_path / 'data', images=8, size=(64, 96))
    stems = list('cdefgh')  # Of no numbers: each is a run of frames of its own.
    for path in root.glob('*/*'):
        path.rename(path.with_stem('abcdefgh'[int(path.stem)]))
    (root / 'train.txt').write_text('\n'.join(stems))
    (root / 'val.txt').write_text('a\nb')
    fields = {'data': str(root), 'output': str(tmp_path / 'runs'), 'batch_size': 2, 'epochs': 1}
    for i in (1, 2):
        fit(small_recipe(**fields | {'name': f'ens/member_{i:02d}', 'left_out_fold': f'{i}/2'}),
            progress=False)
    asked = []
    own = Ensemble.moments

    def moments(teacher, images, size, *, members=None, **more):
        asked.append((len(images), tuple(members)))
        return own(teacher, images, size, members=members, **more)
    monkeypatch.setattr(Ensemble, 'moments', moments)
    recipe = small_recipe(**fields | {'name': 'student', 'method': 'emuformer', 'emuformer': {
        'teacher': [str(tmp_path / 'runs/ens')], 'cross_fit': True}})
    teacher = Ensemble(recipe.emuformer.teacher)
    expected = answering_members(teacher, DatasetFolder(root), stems, False)
    assert {len(chosen) for chosen in expected} == {1}  # Each image is new to one of the two.
    fit(recipe, progress=False)
    counts = {members: sum(count for count, own in asked if own == members)
              for _, members in asked}
    learned = len(stems) // 2 * 2
    assert sum(counts.values()) == learned and set(counts) == {(0,), (1,)}
    for members, count in counts.items():
        assert count <= expected.count(members)


@pytest.mark.parametrize(('field', 'value'), [('mix', 'cutmix'), ('members_per_step', '2')])
def test_what_mixes_images_or_draws_members_does_not_go_with_it(tmp_path, field, value):
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({'data': 'd', 'method': 'emuformer',
                                    'emuformer': {'cross_fit': True}}))
    with pytest.raises(RecipeError, match=f"'emuformer.cross_fit' is true.*'emuformer.{field}'"):
        load_recipe(path, [f'emuformer.{field}={value}'])
    assert load_recipe(path).emuformer.cross_fit
