# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The two studies of issue 4's kind: does the uncertainty mean something, do members differ."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import shutil

import cv2
from emu_perception.checkpoint import (
    Calibration,
    FittedThreshold,
    load_checkpoint,
    save_checkpoint,
)
from emu_perception.corruptions import BASIC
from emu_perception.corruptions.photographs import no_room_files
from emu_perception.predictor import Predictor
from emu_perception.scores import SCORES
from emu_perception.uncertainty import PredictiveMoments
import numpy as np
import pytest
from synthetic_data import members
import torch
from training.data.dataset_folder import DatasetFolder
from training.metrics.image_ranks import auroc, rank_correlation
from training.reporting.uncertainty_study import study_figure
from training.studies import teacher as study_teacher
from training.studies import uncertainty as study_uncertainty
from training.studies.teacher import pair_figures, uncertainty_parts
import yaml


# -- uncertainty --------------------------------------------------------------------------------
@pytest.mark.parametrize('kind', BASIC)
def test_a_corrupted_image_is_corrupted_and_the_same_each_time(kind):
    image = np.random.default_rng(1).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    one, two = (study_uncertainty.as_seen(image, kind, '0042') for _ in range(2))
    assert one.dtype == np.uint8 and one.shape == image.shape and np.array_equal(one, two)
    assert np.abs(one.astype(float) - image).mean() > 20
    other = study_uncertainty.as_seen(image, kind, '0043')
    assert not np.array_equal(one, other), 'trouble at one place in every image'


def test_auroc_and_rank_correlation_by_hand():
    assert auroc([1.0, 2.0], [3.0, 4.0]) == 1.0 and auroc([3.0], [1.0]) == 0.0
    assert auroc([1.0, 2.0], [2.0]) == 0.75
    assert auroc([None], [1.0]) is None
    assert rank_correlation([1.0, 2.0, 30.0], [0.1, 0.2, 0.21]) == pytest.approx(1.0)
    assert rank_correlation([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == pytest.approx(-1.0)
    assert rank_correlation([1.0, 2.0, None, 3.0], [5.0, 6.0, 0.0, 7.0]) == pytest.approx(1.0)
    assert rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert rank_correlation([1.0, None], [1.0, 2.0]) is None


@pytest.fixture(scope='module')
def judged(trained, tmp_path_factory) -> tuple[Path, Path, dict]:
    """Return a checkpoint, the result's folder, and the result of the study of it."""
    root = tmp_path_factory.mktemp('study')
    network, metadata = load_checkpoint(members(trained)[0])
    checkpoint = root / 'synthetic.safetensors'
    # A threshold that flags half: between the two clean images, which differ by a millionth; so as
    # the study's own backend sees them.
    predictor = Predictor(network, metadata, device='cpu', backend='eager')
    folder = DatasetFolder(trained / 'data')
    sigma = [predictor(folder.image(stem), fx=110.0).scores['depth_sigma']
             for stem in folder.stems('val')]
    save_checkpoint(checkpoint, network, replace(metadata, calibration=Calibration(scores={
        'segmentation_entropy': FittedThreshold(50.0, 50.0),
        'depth_sigma': FittedThreshold(float(np.mean(sigma)), 50.0)})))
    other = root / 'other'
    other.mkdir()
    cv2.imwrite(str(other / 'grey.png'), np.full((96, 128, 3), 90, np.uint8))
    assert study_uncertainty.main([
        '--checkpoint', str(checkpoint), '--data', str(trained / 'data'), '--images',
        f'grey={other}', '--json', str(root / 'out.json'), '--figure', str(root / 'out.png'),
        '--device', 'cpu', '--no-progress']) == 0
    return checkpoint, root, json.loads((root / 'out.json').read_text())


@pytest.mark.slow
def test_the_flag_is_the_nodes_at_the_shipped_thresholds(judged, trained):
    checkpoint, _, result = judged
    groups = {group['group']: group for group in result['groups']}
    assert set(groups) == {'clean', *BASIC, 'grey', *(
        ['out of distribution'] if no_room_files() else [])}
    clean = groups['clean']
    assert clean['images'] == 2
    assert clean['flagged_by_segmentation'] == 0.0, 'its threshold is out of reach'
    assert clean['flagged'] == clean['flagged_by_depth'] == 0.5
    predictor = Predictor.load(checkpoint, 'cpu')
    folder = DatasetFolder(trained / 'data')
    for row in clean['rows']:
        prediction = predictor(folder.image(row['image']), fx=110.0)
        assert row['mean_depth_sigma'] == pytest.approx(
            prediction.scores['depth_sigma'], rel=1e-5)
        assert row['mean_segmentation_entropy'] == pytest.approx(
            prediction.scores['segmentation_entropy'], rel=1e-5)
    assert clean['mean_depth_sigma']['auroc'] == 0.5


def test_figures_with_truth_are_those_of_evaluate_and_corruption_changes_them(judged, trained):
    from training.evaluation.measuring import evaluate
    from training.methods.ensemble import Ensemble
    checkpoint, _, result = judged
    folder = DatasetFolder(trained / 'data')
    expected = evaluate(Ensemble([checkpoint], method='deterministic'), folder,
                        folder.stems('val'), progress=False)
    groups = {group['group']: group for group in result['groups']}
    for task in ('segmentation', 'depth'):
        for name, value in groups['clean'][task].items():
            assert value == pytest.approx(expected[task][name], rel=1e-5), (task, name)
    assert groups['cover']['depth']['rmse'] != groups['clean']['depth']['rmse']
    assert 'depth' not in groups['grey'], 'nothing is known of it'


def test_the_figure_and_the_table_are_written(judged, capsys):
    _, root, result = judged
    picture = cv2.imread(str(root / 'out.png'))
    assert picture is not None and picture.std() > 10
    text = study_uncertainty.table(result)
    assert len(text.splitlines()) == 2 + len(result['groups'])
    assert '| clean | 2 | 50 % |' in text


def test_a_score_that_was_fitted_has_a_place_in_the_figure():
    """After ``emu calibrate --fit-scores`` the study ended in a KeyError: it has no task."""
    def group(name):
        return {'group': name, 'images': 2,
                'rows': [{f'mean_{score}': value for score in SCORES} for value in (1.0, 2.0)],
                **{f'mean_{score}': {'auroc': 0.5} for score in SCORES},
                **{f'flagged_by_{row.tag}': 0.5 for row in SCORES.values()}}
    figure = study_figure({
        'checkpoint': 'c', 'data_set': 'd', 'groups': [group('clean'), group('dark')],
        'thresholds': {row.tag: 1.5 for row in SCORES.values()}})
    assert len(figure.axes) == len(SCORES) and any(not row.task for row in SCORES.values())


@pytest.mark.parametrize(('options', 'words'), [
    (['--images', 'grey'], ("'grey'", 'NAME=FOLDER')),
    (['--images', 'grey={tmp}/none'], ('no folder',)),
    (['--images', 'grey={tmp}'], ('no image',)),
    (['--limit', '0'], ('--limit is 0',)),
    (['--figure', '{tmp}/x.foo'], ('x.foo', '.png')),
    (['--images', 'clean={other}'], ("'clean'", 'another name')),
    (['--images', 'a={other}', '--images', 'a={other}'], ("'a'", 'another name')),
    (['--split', 'other'], ('other',))])
def test_what_cannot_be_studied_is_one_line(judged, trained, tmp_path, capsys, options, words):
    code = study_uncertainty.main([
        '--checkpoint', str(judged[0]), '--data', str(trained / 'data'), '--device', 'cpu',
        '--no-progress', *(option.format(tmp=tmp_path, other=judged[1] / 'other')
                           for option in options)])
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith('error')]
    assert code == 1 and len(lines) == 1 and all(word in lines[0] for word in words), lines


@pytest.mark.slow
def test_a_task_without_a_threshold_is_not_judged(judged, trained, tmp_path, capsys):
    network, metadata = load_checkpoint(judged[0])
    path, out = tmp_path / 'one.safetensors', tmp_path / 'one.json'
    save_checkpoint(path, network, replace(metadata, calibration=Calibration(scores={
        'depth_sigma': FittedThreshold(1e-3)})))
    assert study_uncertainty.main([
        '--checkpoint', str(path), '--data', str(trained / 'data'), '--limit', '1', '--json',
        str(out), '--device', 'cpu', '--no-progress']) == 0
    clean = json.loads(out.read_text())['groups'][0]
    assert clean['flagged_by_segmentation'] is None and clean['flagged'] == 1.0
    assert '| clean | 1 | 100 % | – | 100 % |' in capsys.readouterr().out


@pytest.mark.parametrize('study', [study_uncertainty, study_teacher])
def test_labels_of_other_classes_are_refused(judged, trained, tmp_path, capsys, study):
    data = tmp_path / 'data'
    shutil.copytree(trained / 'data', data)
    document = yaml.safe_load((data / 'dataset.yaml').read_text())
    document['classes'] = ['person', 'car', 'sky']
    (data / 'dataset.yaml').write_text(yaml.safe_dump(document))
    which = ['--checkpoint', str(judged[0])] if study is study_uncertainty else [
        '--teacher', str(trained / 'synthetic')]
    assert study.main([*which, '--data', str(data), '--device', 'cpu', '--no-progress']) == 1
    assert 'classes' in capsys.readouterr().err


def test_a_checkpoint_without_thresholds_and_a_broken_image_are_one_line(
        judged, trained, tmp_path, capsys):
    network, metadata = load_checkpoint(judged[0])
    bare = tmp_path / 'bare.safetensors'
    save_checkpoint(bare, network, replace(metadata, calibration=Calibration()))
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    for checkpoint, word in ((bare, f'{bare}: has no risk thresholds'), (judged[0], 'broken.jpg')):
        assert study_uncertainty.main([
            '--checkpoint', str(checkpoint), '--data', str(trained / 'data'), '--images',
            f'mine={tmp_path}', '--device', 'cpu', '--no-progress', '--limit', '1']) == 1
        assert word in capsys.readouterr().err


# -- teacher ------------------------------------------------------------------------------------
def moments(p: list[list[float]], depth: list[float], variance: list[float]) -> PredictiveMoments:
    """Return an image of one row; ``p`` by pixel."""
    return PredictiveMoments(torch.tensor(p).T[None, :, None], torch.tensor([[depth]]),
                             torch.tensor([[variance]]))


def test_parts_of_the_uncertainty_by_hand():
    """Two sure members that disagree: all of the entropy is mutual information."""
    one = moments([[1.0, 0.0], [0.5, 0.5]], [1.0, 4.0], [0.5, 0.1])
    two = moments([[0.0, 1.0], [0.5, 0.5]], [3.0, 4.0], [1.5, 0.3])
    parts = uncertainty_parts([one, two])
    ln2 = float(np.log(2))
    assert parts['entropy'][0].tolist() == pytest.approx([ln2, ln2])
    assert parts['mutual_information'][0].tolist() == pytest.approx([ln2, 0.0], abs=1e-6)
    assert parts['depth_aleatoric'][0].tolist() == pytest.approx([1.0, 0.2])
    assert parts['depth_epistemic'][0].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)
    assert parts['depth_variance'][0].tolist() == pytest.approx([2.0, 0.2])
    assert parts['depth_sigma'][0].tolist() == pytest.approx([2 ** 0.5, 0.2 ** 0.5])


def test_pairs_by_hand():
    one = moments([[0.9, 0.1]] * 4, [1.0, 2.0, 3.0, 4.0], [1.0] * 4)
    two = moments([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], [2.0, 4.0, 6.0, 8.0],
                  [1.0] * 4)
    label = np.array([[0, 0, 255, 1]], np.uint8)
    depth = np.array([[1.5, 3.0, 4.5, 0.0]], np.float32)
    figures = pair_figures(one, two, label, depth)
    assert float(figures['disagreement']) == pytest.approx(1 / 4)
    # Labelled: one of three differs; errors 1/3 and 0, their mean 1/6.
    assert float(figures['normalised_disagreement']) == pytest.approx(2.0)
    assert float(figures['depth_ratio']) == pytest.approx(float(np.log(2)))
    assert float(figures['depth_error_correlation']) == pytest.approx(-1.0)


@pytest.mark.slow
def test_the_study_of_a_teacher_tells_copies_from_members(trained, tmp_path, capsys):
    def studied(*teacher: Path) -> dict:
        out = tmp_path / 'teacher.json'
        assert study_teacher.main(['--teacher', *map(str, teacher), '--data',
                                   str(trained / 'data'), '--json', str(out), '--device', 'cpu',
                                   '--no-progress']) == 0
        return json.loads(out.read_text())
    real = studied(trained / 'synthetic')
    copies = studied(members(trained)[0], members(trained)[0])
    assert [row['images_of'] for row in real['uncertainty']] == [
        'training images', 'training images, jittered', 'validation images']
    assert real['uncertainty'][0] != real['uncertainty'][1] != real['uncertainty'][2]
    assert real['pairs'][0]['disagreement'] > 0 == copies['pairs'][0]['disagreement']
    assert real['uncertainty'][2]['depth_epistemic'] > 1e-6
    assert copies['uncertainty'][2]['depth_epistemic'] == pytest.approx(0.0, abs=1e-9)
    assert copies['uncertainty'][2]['mutual_information'] == pytest.approx(0.0, abs=1e-5)
    assert '| images_of |' in capsys.readouterr().out


@pytest.mark.parametrize(('options', 'word'), [
    (['--limit', '0'], '--limit is 0'), (['--jitter', '0', '0', '0', '0.9'], '--jitter')])
def test_options_of_the_teacher_study_out_of_range_are_one_line(trained, capsys, options, word):
    assert study_teacher.main(['--teacher', str(trained / 'synthetic'), '--data',
                               str(trained / 'data'), *options]) == 1
    assert word in capsys.readouterr().err


def test_one_checkpoint_is_no_ensemble(trained, capsys):
    assert study_teacher.main(['--teacher', str(members(trained)[0]), '--data',
                               str(trained / 'data'), '--no-progress']) == 1
    assert 'deep ensemble' in capsys.readouterr().err


@pytest.mark.parametrize('entropy, raised', [(0.95, False), (1.0, False), (1.05, True)])
def test_an_image_of_a_study_is_judged_by_its_threshold_alone(entropy, raised):
    """Not by the share of it that lowers the flag of a stream of images."""
    judge = study_uncertainty.Judge.__new__(study_uncertainty.Judge)
    judge.thresholds = {'segmentation_entropy': 1.0}
    scores = {'segmentation_entropy': entropy}
    assert judge._raised('segmentation_entropy', scores) is raised
    assert judge._raised('depth_sigma', scores) is None
