# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The study of what is not known: its parts by hand, and the whole on a tiny training."""

from __future__ import annotations

import json

from emu_perception.checkpoint import load_checkpoint, read_metadata
import numpy as np
import pytest
from synthetic_data import FIELDS, members
from training.fit import fit
from training.recipes.recipe import load_recipe
from training.studies import epistemic, teacher
import yaml


def test_a_whole_is_its_two_parts_and_none_is_below_nothing():
    found = epistemic.parts(np.array([1.0, 0.1]), np.array([0.25, 0.3]), np.array([4.0, 0.01]),
                            np.array([3.0, 0.05]))
    assert found['labels, aleatoric'].tolist() == [0.75, 0.0]
    assert found['depth, whole'].tolist() == [2.0, pytest.approx(0.1)]
    assert found['depth, aleatoric'].tolist() == [1.0, 0.0]
    assert found['depth, epistemic'][0] == pytest.approx(3.0 ** 0.5)
    assert epistemic.parts(None, None, None, None) == {}


def test_what_is_strange_is_strange_inside_its_mask_alone():
    rng = np.random.default_rng(0)
    image, other = (rng.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(2))
    for strange, mask in (epistemic.with_foreign(image, other, np.random.default_rng(1)),
                          epistemic.with_corrupted(image, 'dark', np.random.default_rng(1))):
        assert 0.02 < mask.mean() < 0.3 and strange.dtype == np.uint8
        assert np.array_equal(strange[~mask], image[~mask])
        assert np.abs(strange[mask].astype(float) - image[mask]).mean() > 20
        assert epistemic.found_by({'x': mask.astype(float)}, mask) == {'x': 1.0}
        assert epistemic.found_by({'x': 1.0 - mask}, mask) == {'x': 0.0}


@pytest.mark.parametrize(('seen', 'study'), [
    ('student', epistemic), ('other', epistemic), ('one', epistemic), ('other', teacher)])
def test_what_was_trained_on_the_images_is_refused(saved, synthetic, capsys, seen, study):
    """Of what it has learned a network is sure: its figures would flatter it, without a word."""
    made = {name: saved(name, seed, {
        'data_set': 'synthetic', 'split': 'train+val' if name == seen else 'train'}, **more)
        for seed, (name, more) in enumerate({
            'student': {'epistemic': True}, 'one': {}, 'other': {}}.items())}
    words = ['--data', str(synthetic), '--device', 'cpu', '--limit', '1', '--no-progress',
             '--teacher', str(made['one']), str(made['other'])]
    if study is epistemic:
        words += ['--checkpoint', str(made['student']), '--rounds', '1', '--backend', 'eager']
    assert study.main(words) == 1
    said = capsys.readouterr().err
    assert f"{made[seen]}: was trained on 'val' of synthetic too" in said and said.count('\n') == 1


def test_a_teacher_without_a_task_of_the_student_is_one_clear_line(saved, synthetic, capsys):
    student = saved('student', 0, epistemic=True)
    members = [saved(name, seed, tasks=('segmentation',)) for seed, name in enumerate('ab', 1)]
    assert epistemic.main(['--checkpoint', str(student), '--data', str(synthetic), '--teacher',
                           *map(str, members), '--device', 'cpu', '--no-progress']) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith(f'error: --teacher {members[0]}: has no task depth')


@pytest.fixture(scope='module')
def student(trained, tmp_path_factory):
    """Return a student of two members, trained with what they disagree by."""
    root = tmp_path_factory.mktemp('student')
    path = root / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(trained / 'data'),
                                    'output': str(root), 'name': 'student'}))
    return fit(load_recipe(path, [
        'method=emuformer', 'emuformer.epistemic=true', 'network.initial_weights=teacher',
        f'emuformer.teacher=[{", ".join(map(str, members(trained)))}]', 'epochs=2']),
        progress=False)


@pytest.mark.slow
def test_the_study_of_a_student_measures_it_against_its_teacher(trained, student, tmp_path,
                                                                capsys):
    assert read_metadata(student).architecture['epistemic'] is True
    network, _ = load_checkpoint(student)
    start = load_checkpoint(members(trained)[0])[0]
    assert start.state_dict().keys() < network.state_dict().keys()
    bias = network.head('depth').epistemic.bias.item()
    assert bias != -3.0, 'nothing was learned'
    out = tmp_path / 'study.json'
    assert epistemic.main(['--checkpoint', str(student), '--teacher', str(trained / 'synthetic'),
                           '--data', str(trained / 'data'), '--rounds', '1', '--json', str(out),
                           '--device', 'cpu', '--backend', 'eager', '--limit', '1',
                           '--no-progress']) == 0
    result = json.loads(out.read_text())
    names = [f'{task}, {part}' for task in ('labels', 'depth')
             for part in ('whole', 'epistemic', 'aleatoric')]
    assert [row['of'] for row in result['correlation']] == names
    assert {row['what'] for row in result['detection']} == {
        'foreign object', 'dark', 'blur', 'cover', 'noise', 'flare'}
    assert all(0 <= row['auroc'] <= 1 for row in result['detection'])
    assert result['cost']['gmac_with'] > result['cost']['gmac_without']
    assert result['samples'] == 2 and '| rank_correlation |' in capsys.readouterr().out


@pytest.mark.slow
def test_a_student_without_them_or_a_teacher_of_one_is_one_clear_line(trained, student, capsys):
    one = str(members(trained)[0])
    for checkpoint, other, word in ((one, one, 'no epistemic outputs'),
                                    (str(student), one, 'cannot disagree')):
        assert epistemic.main(['--checkpoint', checkpoint, '--teacher', other, '--data',
                               str(trained / 'data'), '--device', 'cpu', '--no-progress']) == 1
        said = capsys.readouterr().err
        assert word in said and said.count('\n') == 1
