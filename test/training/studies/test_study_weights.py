# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The study of task weights: which trials it makes, its table, and a whole small one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from training.fit import fit
from training.prepare.synthetic import prepare_synthetic
from training.recipes.recipe import load_recipe
from training.reporting.noise_curves import noise_curves
from training.reporting.weight_study import table
from training.studies import weights as study_weights
from training.studies.weights import best_weights, first_trials, GRID_PAIRS, main, TASKS
import yaml

RECIPE = Path(__file__).parents[3] / 'training/recipes/kendall_made.yaml'


def row(group, tasks, weights, seeds, initial=None):
    mean = {name: float(np.mean([seed[name] for seed in seeds])) for name in seeds[0]}
    return {'key': f'{group}_{"_".join(tasks)}', 'group': group, 'tasks': list(tasks),
            'weights': weights, 'initial_s': initial, 'mean': mean, 'seeds': seeds, 'folders': []}


def test_every_trial_has_the_same_budget_and_seed_and_its_own_weights():
    base = load_recipe(RECIPE, ['data=x'])
    trials = first_trials([0.1, 0.9], [5.0])
    assert len({trial.key for trial in trials}) == len(trials) == 3 + 1 + 4 + 4 + 1
    for trial in trials:
        recipe = trial.recipe(base, 2)
        assert (recipe.epochs, recipe.batch_size, recipe.seed) == (base.epochs, 8, base.seed + 2)
        assert recipe.network.tasks == trial.tasks
    by_key = {trial.key: trial.recipe(base, 0) for trial in trials}
    assert by_key['grid_segmentation_0.1'].loss_weights.fixed == pytest.approx(
        {'ce': 0.1, 'inverse_l1': 0.9})
    assert by_key['start_5'].loss_weights.initial == 5.0
    assert by_key['learned_instance_depth'].loss_weights.mode == 'learned'
    assert by_key['learned_instance_depth'].loss_weights.learning_rate_factor == 10.0


def test_learned_trials_start_where_the_recipe_says_with_the_terms_that_they_have():
    base = load_recipe(RECIPE, ['data=x', 'loss_weights=learned',
                                'loss_weights.initial={ce: 1.5, inverse_l1: -3}'])
    by_key = {trial.key: trial.recipe(base, 0) for trial in first_trials([0.1], [5.0])}
    assert by_key[f'learned_{"_".join(TASKS)}'].loss_weights.initial == {
        'ce': 1.5, 'inverse_l1': -3}
    assert by_key['learned_segmentation_instance'].loss_weights.initial == {'ce': 1.5}
    assert by_key['start_5'].loss_weights.initial == 5.0
    assert by_key['equal'].loss_weights.initial == 0.0


@pytest.mark.parametrize(('start', 'trained'), [(0.0, 13), (2.0, 14)])
def test_a_start_that_a_learned_trial_has_is_not_trained_again(tmp_path, monkeypatch, start,
                                                               trained):
    asked = []
    monkeypatch.setattr(study_weights, 'train_all', lambda recipes, *_: asked.extend(recipes))
    monkeypatch.setattr(study_weights, 'measured', lambda *_: {'depth': 1.0})
    monkeypatch.setattr(study_weights, 'final_s', lambda _: {
        'ce': 0.0, 'instance_l1': 0.0, 'inverse_l1': 0.0})
    base, trials = load_recipe(RECIPE, ['data=x']), first_trials([0.1, 0.9], [start, 5.0])
    rows = study_weights.study(base, trials, 1, tmp_path, 1, False, False)
    assert len(asked) == len({recipe.name for recipe in asked}) == trained
    assert [row['key'] for row in rows] == [trial.key for trial in trials]
    row = next(row for row in rows if row['key'] == f'start_{start:g}')
    assert row['group'] == 'start' and row['initial_s'] == start
    assert row['folders'][0].endswith(
        'learned_segmentation_instance_depth/seed_0' if start == 0 else 'start_2/seed_0')


def test_fixed_weights_for_three_tasks_have_the_ratios_that_won_in_the_grids():
    alone = [row('single', ('segmentation',), {'segmentation': 1.0}, [{'segmentation': 0.5}]),
             row('single', ('instance',), {'instance': 1.0}, [{'instance': 4.0}]),
             row('single', ('depth',), {'depth': 1.0}, [{'depth': 0.1}])]
    grid = []
    for (task, other), best in zip(GRID_PAIRS, (0.2, 0.6)):
        for weight in (0.2, 0.6, 0.9):
            good = {'segmentation': 0.8, 'instance': 2.0, 'depth': 0.05}
            poor = {'segmentation': 0.4, 'instance': 5.0, 'depth': 0.2}
            figures = good if weight == best else poor
            grid.append(row('grid', (task, other), {task: weight, other: 1 - weight},
                            [{name: figures[name] for name in (task, other)}]))
    found = best_weights(alone + grid)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found['segmentation'] / found['depth'] == pytest.approx(0.2 / 0.8)
    assert found['instance'] / found['depth'] == pytest.approx(0.6 / 0.4)


def test_the_table_has_the_columns_of_the_papers_table_1():
    rows = [row('single', ('segmentation',), {'segmentation': 1.0},
                [{'segmentation': 0.5}, {'segmentation': 0.6}]),
            row('learned', TASKS, {'segmentation': 1.0, 'instance': 0.25, 'depth': 3.75},
                [{'segmentation': 0.6, 'instance': 3.5, 'depth': 0.0205}] * 2, initial=0.0)]
    lines = table(rows, '1/m').splitlines()
    assert lines[2].startswith('| Loss | Seg. | Inst. | Depth | Segmentation IoU [%] |')
    assert 'Inverse depth mean error [1/m]' in lines[2]
    assert lines[4] == '| Segmentation only | 1 | 0 | 0 | 55.0 ± 5.0 | - | - |'
    assert lines[5] == ('| 3 task uncertainty weighting | ✓ (0.2) | ✓ (0.05) | ✓ (0.75) | '
                        '60.0 ± 0.0 | 3.50 ± 0.00 | 0.0205 ± 0.0000 |')


def test_the_curves_of_a_resumed_run_are_one(tmp_path):
    for start, rows in ((0, 'step,s/ce,train/ce\n9,0.1,1\n19,0.2,1\n29,0.9,1\n'),
                        (1, 'step,s/ce\n19,\n29,0.3\n39,0.4\n')):
        (tmp_path / f'logs/start_{start}').mkdir(parents=True)
        (tmp_path / f'logs/start_{start}/metrics.csv').write_text(rows)
    curves = noise_curves(tmp_path)
    assert curves['step'].tolist() == [9, 19, 29, 39]
    assert curves['s/ce'].tolist() == [0.1, 0.2, 0.3, 0.4] and set(curves) == {'step', 's/ce'}


@pytest.mark.slow
def test_a_whole_study_leaves_table_and_figures_and_is_not_done_twice(tmp_path, monkeypatch):
    trained = []

    def train_all(recipes, parallel, progress):
        for recipe in recipes:
            if not (recipe.folder / 'finished.json').exists():
                trained.append(recipe.name)
                fit(recipe, progress=False)
        return []
    monkeypatch.setattr(study_weights, 'train_all', train_all)
    prepare_synthetic(tmp_path / 'data', images=10, size=(32, 64), progress=False)
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe.update(input_size=[32, 64], epochs=10, validate_every=10)
    (tmp_path / 'recipe.yaml').write_text(yaml.safe_dump(recipe))
    command = ['--recipe', str(tmp_path / 'recipe.yaml'), f'data={tmp_path}/data',
               f'output={tmp_path}/runs', '--grid', '0.1', '--initial-s=-1,2', '--results',
               str(tmp_path / 'results'), '--no-progress']
    assert main(command) == 0
    assert len(trained) == 3 + 1 + 2 + 4 + 2 + 1
    results = tmp_path / 'results'
    study = json.loads((results / 'study.json').read_text())
    assert study['unit'] == '1/m' and len(study['rows']) == len(trained)
    learned = next(row for row in study['rows'] if row['key'] == 'start_2')
    state = noise_curves(Path(learned['folders'][0]))
    assert state['s/ce'][0] < 2.0, 's did not move from its start'
    assert '3 task uncertainty weighting, s from 2' in (results / 'table.md').read_text()
    for name in ('figure.png', 'initial_s.png'):
        picture = cv2.imread(str(results / name))
        assert picture is not None and picture.std() > 10
    before = (results / 'table.md').read_text()
    assert main(command) == 0
    assert len(trained) == 13 and (results / 'table.md').read_text() == before
    # An edited val.txt is another measurement of the same networks.
    val = tmp_path / 'data/val.txt'
    val.write_text(val.read_text().split()[0])
    assert main(command) == 0
    assert len(trained) == 13 and (results / 'table.md').read_text() != before


@pytest.mark.parametrize(('options', 'words'), [
    (['--grid', '0,2'], '--grid'), (['--seeds', '0'], '--seeds is 0'),
    (['--initial-s=a'], '--initial-s'), (['--grid', ''], '--grid is empty'),
    (['--grid', '0.1'], 'x: no such data set'),
    (['network.tasks=[depth]'], 'tasks segmentation, instance, depth')])
def test_what_cannot_be_studied_is_one_line(tmp_path, capsys, options, words):
    assert main(['--recipe', str(RECIPE), 'data=x', *options]) == 1
    message = capsys.readouterr().err
    assert words in message and message.count('error') == 1
