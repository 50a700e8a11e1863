# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The study of the flag: its figures by hand, and the command end to end."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from emu_perception.corruptions import CORRUPTIONS, FAULTS, MILD, SEVERITIES
from emu_perception.corruptions.photographs import no_room_files
import numpy as np
import pytest
from synthetic_data import members
from training.calibration import observations
from training.metrics.image_ranks import area_under_roc
from training.reporting.trust_study import table, trust_figure
from training.studies import trust
from training.studies.trust_cells import MEASURED_BREAKS, ruler_cells
from training.studies.trust_judgement import (
    risk_coverage,
    run_interval,
    runs_of,
    share_with_interval,
)


# -- by hand ------------------------------------------------------------------------------------
def test_area_under_roc_counts_pairs():
    rng = np.random.default_rng(0)
    score, bad = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.4
    low, high = score[~bad][:, None], score[bad][None]
    assert area_under_roc(score, bad) == pytest.approx(
        float((high > low).mean() + 0.5 * (high == low).mean()))
    assert area_under_roc(np.arange(4.0), np.array([False, False, True, True])) == 1.0
    assert np.isnan(area_under_roc(np.arange(3.0), np.ones(3, bool)))


def test_risk_by_coverage_keeps_the_lowest_scores():
    coverage, risk = risk_coverage(np.array([3.0, 1.0, 4.0, 2.0]),
                                   np.array([True, False, True, False]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_whole_runs_are_drawn():
    """Two runs of a hundred alike say as little as two pictures."""
    flagged = np.repeat([True, False], 100)
    low, high = run_interval(lambda i: float(flagged[i].mean()), np.repeat([0, 1], 100), 200)
    assert (low, high) == (0.0, 1.0)
    low, high = run_interval(lambda i: float(flagged[i].mean()), np.arange(200), 200)
    assert 0.4 < low < high < 0.6


def test_a_share_of_nothing_is_none():
    empty = share_with_interval(np.zeros(0, bool), np.zeros(0, int))
    assert empty == {'share': None, 'pictures': 0, 'interval': []}


def test_runs_are_numbered_alike_for_every_picture_of_an_image():
    stems = np.array(['0003', '0500', '0004', '0003'])
    run = runs_of(stems)
    assert run[0] == run[2] == run[3] != run[1]


def test_the_ruler_has_every_kind_and_severity_once():
    cells = ruler_cells()
    assert len(cells) == len(set(cells)) == (
        1 + len(CORRUPTIONS) * len(SEVERITIES) + len(MEASURED_BREAKS) + len(FAULTS)
        + len(MILD))


# -- the command --------------------------------------------------------------------------------
@pytest.fixture(scope='module')
def studied(trained, tmp_path_factory) -> tuple[Path, dict]:
    """Return the folder and the result of a study of two images."""
    if not no_room_files():
        pytest.skip('no photographs: pip install scikit-image')
    root = tmp_path_factory.mktemp('trust')
    (root / 'other').mkdir()
    for i in range(2):
        cv2.imwrite(str(root / 'other' / f'{i}.png'), np.full((96, 128, 3), 90, np.uint8))
    assert trust.main(arguments(trained, root, '--images', f'grey={root}/other', '--observations',
                                str(root / 'kept'), '--figure', str(root / 'out.png'))) == 0
    return root, json.loads((root / 'out.json').read_text())


def arguments(trained: Path, root: Path, *more: str) -> list[str]:
    """Return the command line of a small study."""
    return ['--checkpoint', str(members(trained)[0]), '--data', str(trained / 'data'),
            '--corrupted', '2', '--json', str(root / 'out.json'), '--device', 'cpu',
            '--no-progress', *more]


@pytest.mark.slow
def test_every_cell_is_measured_and_judged(studied):
    result = studied[1]
    assert [(cell['kind'], cell['severity']) for cell in result['cells']] == ruler_cells()
    for cell in result['cells']:
        assert cell['images'] == 2
        for name in ('abs_rel', 'pixel_accuracy', 'miou', 'ece', 'coverage_90', 'bad', 'flagged',
                     'flagged_as_shipped'):
            assert np.isfinite(cell[name]), (cell['kind'], name)
        assert {'unfamiliarity', 'predicted_failure', 'segmentation_entropy'} <= set(
            cell['flagged_by']) == set(result['thresholds'])


@pytest.mark.slow
def test_the_whole_is_the_sum_of_the_cells(studied):
    result = studied[1]
    corrupted = [cell for cell in result['cells'] if cell['kind'] in CORRUPTIONS]
    bars = result['bars']
    pictures = sum(cell['images'] for cell in corrupted)
    assert bars['corrupted_and_bad']['pictures'] == pytest.approx(
        sum(cell['bad'] * cell['images'] for cell in corrupted))
    assert (bars['corrupted_and_bad']['pictures']
            + bars['corrupted_and_good']['pictures']) == pictures
    flagged = sum((bars[name]['share'] or 0.0) * bars[name]['pictures']
                  for name in ('corrupted_and_bad', 'corrupted_and_good'))
    assert flagged == pytest.approx(sum(cell['flagged'] * cell['images'] for cell in corrupted))
    assert bars['mild']['pictures'] == 2 * len(MILD)


@pytest.mark.slow
def test_errors_of_all_sizes_make_the_good_and_the_bad(studied):
    result = studied[1]
    for name in ('corrupted', 'faulty'):
        rows, bars = result['by_error'][name], result['bars']
        assert rows[0]['above'] is None and rows[-1]['up_to'] is None
        assert [row['above'] for row in rows[1:]] == [row['up_to'] for row in rows[:-1]]
        for good, side in ((True, 'good'), (False, 'bad')):
            own = [row for row in rows
                   if (row['up_to'] is not None and row['up_to'] <= 1) is good]
            bar = bars[f'{name}_and_{side}']
            assert sum(row['pictures'] for row in own) == bar['pictures']
            assert sum(row['pictures'] * (row['share'] or 0) for row in own) == pytest.approx(
                bar['pictures'] * (bar['share'] or 0))


@pytest.mark.slow
def test_other_percentiles_say_what_the_bars_would_be(studied):
    result = studied[1]
    own, higher, lower = (result['percentiles'][name] for name in ('95', '97.5', '90'))
    assert own == {name: result['bars'][name]['share'] for name in own}
    for name, share in own.items():  # Thresholds are the higher, the fewer pictures pass them.
        assert share is None or higher[name] <= share <= lower[name], name


@pytest.mark.slow
def test_photographs_and_other_images_are_judged_without_truth(studied):
    groups = {group['group']: group for group in studied[1]['groups']}
    assert set(groups) == {'grey', 'no_rooms', 'no_rooms_restyled'}
    assert groups['grey']['images'] == 2
    assert groups['no_rooms']['images'] == len(no_room_files())


@pytest.mark.slow
def test_the_command_its_table_and_its_figure_are_written(studied):
    root, result = studied
    assert result['command'].startswith('python -m training.studies.trust --checkpoint')
    text = table(result)
    assert '| clean | 2 |' in text and '| predicted_failure |' in text
    assert len([line for line in text.splitlines() if line.startswith('| blur |')]) == 5
    picture = cv2.imread(str(root / 'out.png'))
    assert picture is not None and picture.std() > 10
    assert len(list((root / 'kept').glob('*.npz'))) == 1


@pytest.mark.slow
def test_what_was_kept_gives_the_same_again(studied, trained, tmp_path, monkeypatch):
    root, result = studied

    def asked(*ignored):
        raise AssertionError('what was kept is not asked for again')
    monkeypatch.setattr(observations, 'training_pictures', asked)
    assert trust.main(arguments(trained, tmp_path, '--observations', str(root / 'kept'))) == 0
    again = json.loads((tmp_path / 'out.json').read_text())
    assert again['cells'] == result['cells']


@pytest.mark.slow
@pytest.mark.parametrize(('options', 'words'), [
    (['--limit', '0'], ('--limit is 0',)), (['--corrupted', '0'], ('--corrupted is 0',)),
    (['--percentile', '101'], ('--percentile is 101',)),
    (['--figure', '{tmp}/x.foo'], ('x.foo', '.png')),
    (['--images', 'grey'], ("'grey'", 'NAME=FOLDER')),
    (['--images', 'a={tmp}/a', '--images', 'a={tmp}/a'], ("group 'a' already",)),
    (['--images', 'no_rooms={tmp}/a'], ("group 'no_rooms' already",)),
    (['--split', 'train'], ("trained on 'train'",)), (['--split', 'other'], ('other',))])
def test_what_cannot_be_studied_is_one_line(trained, tmp_path, capsys, options, words):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/1.jpg').write_bytes(b'')
    code = trust.main(arguments(trained, tmp_path, *(option.format(tmp=tmp_path)
                                                     for option in options)))
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith('error')]
    assert code == 1 and len(lines) == 1 and all(word in lines[0] for word in words), lines


@pytest.mark.slow
def test_errors_that_nobody_knows_are_drawn_as_none(studied):
    result = studied[1]
    none = {'share': None, 'pictures': 0, 'interval': []}
    unknown = {**result, 'by_error': {
        name: [{**row, **none} for row in rows] for name, rows in result['by_error'].items()},
        'percentiles': {at: {**shares, 'faulty_and_bad': None}
                        for at, shares in result['percentiles'].items()}}
    assert trust_figure(unknown).axes and '| - |' in table(unknown).replace('–', '-')
