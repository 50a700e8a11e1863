# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Cross-fitting by runs of neighbouring frames: what is measured was not fitted to."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
from emu_perception.checkpoint import Calibration, FittedThreshold, Promise, PromiseLevel
from emu_perception.intrinsics import Intrinsics
from emu_perception.networks.depth_forms import LINEAR
from emu_perception.uncertainty import PredictiveMoments
import numpy as np
import pytest
import torch
from training import calibrate
from training.calibration import constants
from training.calibration.constants import fitted, Observation, observe, VarianceScale
from training.calibration.risk_thresholds import (
    image_scores,
    limits,
    older_limits,
    risk_thresholds,
    too_few,
)
from training.calibration.twins import unpromised
from training.data.dataset_folder import DatasetFolder
from training.data.frame_runs import folds, frame_runs


def test_runs_are_frames_that_follow_one_another():
    stems = ['0253', '0044', '0254', 'b_9', '0045', '0055', '0066', 'a_1', 'b_10', 'hall', 'a_2',
             'hall2', 'c_1']
    assert sorted(map(tuple, frame_runs(stems))) == [
        ('0044', '0045', '0055'), ('0066',), ('0253', '0254'), ('a_1', 'a_2'), ('b_9', 'b_10'),
        ('c_1',), ('hall',), ('hall2',)]


def test_frames_of_a_bag_are_one_run_until_it_pauses():
    """training.prepare bag calls them by their stamps."""
    start = 1_700_000_000_123_456_789
    first = [f'{start + i * 33_000_000:019d}' for i in range(5)]
    later = [f'{start + 60_000_000_000 + i * 500_000_000:019d}' for i in range(3)]
    assert frame_runs(later + first) == [first, later]


def test_frames_that_others_have_named_are_runs_too():
    """Each was a run of its own: neighbours were in the fitted and in the measured part."""
    tum = [f'1305031102.{fraction}' for fraction in ('175304', '211214', '9')]
    assert frame_runs([*tum, '1305031103.1', '1305031110.2']) == [
        [*tum, '1305031103.1'], ['1305031110.2']], "TUM's seconds"
    assert frame_runs(['1700000000123', '1700000000156', '1700000009156']) == [
        ['1700000000123', '1700000000156'], ['1700000009156']], 'milliseconds'
    scan = ['frame-000012.color', 'frame-000013.color']
    assert frame_runs([*scan, 'frame-000090.color', '07_left', '08_left', '08_right']) == [
        ['07_left', '08_left', '08_right'], scan, ['frame-000090.color']], 'words behind'


def test_numbers_of_images_are_no_cameras():
    for stems in (['hall_image_9', 'hall_image_10'], ['image09', 'image10'], ['cam_9', 'cam_10'],
                  ['room2_image_09', 'room2_image_10'], ['l_09', 'l_10']):
        runs = frame_runs([*stems, 'hall_image_70'])
        assert sorted(runs) == sorted([stems, ['hall_image_70']])
    assert frame_runs(['hall_cam_09', 'hall_cam_10', 'hall_cam_70']) == [
        ['hall_cam_09', 'hall_cam_10'], ['hall_cam_70']], 'with no other number it is the image'


@pytest.mark.parametrize('stems', [
    ['0007_left', '0007_right', '0008_left', '0008_right'], ['left_07', 'right_07', 'left_08'],
    ['07-L', '07-R', '08-L'], ['hall_left', 'hall_right'],
    # The last number was the camera's: the next frame was a room of its own.
    ['0001_cam0', '0001_cam1', '0002_cam0', '0002_cam1'],
    ['drive_image_02_0000000005', 'drive_image_03_0000000005', 'drive_image_02_0000000006'],
    ['front_1700000000123456789', 'rear_1700000000133456789'],
    ['left_1305031102.175304', 'right_1305031102.175310'],
    ['front_20261129_100058', 'rear_20261129_100059']])
def test_the_cameras_of_a_rig_are_never_in_two_folds(stems):
    """The left picture was fitted to, and measured on was the right one of the same moment."""
    elsewhere = ['0900_left', 'kitchen_0001', 'bath_0001', 'upright_0001', '1600000000123456789']
    runs = frame_runs([*elsewhere, *stems])
    assert sorted(stems) in [sorted(run) for run in runs]
    assert len(runs) == 1 + len(elsewhere)


def test_frames_around_a_full_minute_are_neighbours():
    """Named by the clock, each minute was a room of its own, beside itself in another fold."""
    for stems in (['IMG_20261129_095958', 'IMG_20261129_100003'],
                  ['2026-11-29_23-59-59', '2026-11-30_00-00-02'],
                  ['2026-12-31T23:59:58.900_left', '2027-01-01T00:00:01.1_left'],
                  ['20261129100058', '20261129100101']):
        later = stems[1].replace('2026', '2036').replace('2027', '2037')
        assert frame_runs([later, *stems[::-1]]) == [stems, [later]]
    bag = 'rosbag2_2026_11_29-10_00_58_{}'.format
    assert frame_runs([bag('0001'), bag('0009'), bag('0100')]) == [
        [bag('0001'), bag('0009')], [bag('0100')]], 'numbers of one recording'
    # No day or hour is this: numbers as before.
    assert frame_runs(['20261340_996158', '20261340_996160']) == [
        ['20261340_996158', '20261340_996160']]


def test_nyuv2_val_has_the_runs_that_were_counted_by_hand(nyuv2):
    runs = frame_runs((nyuv2 / 'val.txt').read_text().split())
    assert len(runs) == 15 and sum(map(len, runs)) == 86 and max(map(len, runs)) == 30


@pytest.mark.parametrize('count', [2, 3, 9])
def test_a_run_is_never_in_two_folds_and_no_fold_is_empty(count):
    runs = [[f'{run}_{i}' for i in range(size)] for run, size in enumerate((5, 1, 3, 2))]
    parts = folds(runs, count)
    assert len(parts) == min(count, 4) and all(parts)
    assert sorted(stem for part in parts for stem in part) == sorted(sum(runs, []))
    for run in runs:
        assert sum(bool(set(run) & set(part)) for part in parts) == 1


def seen(logits: torch.Tensor, label: torch.Tensor, z2: float) -> Observation:
    scale = VarianceScale()
    scale.add(torch.zeros(100), torch.ones(100), torch.full((100,), z2 ** 0.5))
    return Observation(logits, label, scale)


def test_images_that_no_robot_answers_for_have_no_part_in_thresholds(synthetic, caplog):
    """Found after all epochs were trained, one ended the run without a checkpoint."""
    for stem in ('004', '005'):
        strip = np.zeros((20, 128, 3) if stem == '004' else (96, 128, 3), np.uint8)
        cv2.imwrite(str(synthetic / f'image/{stem}.png'), strip)
    folder = DatasetFolder(synthetic)

    class Robot:
        metadata = SimpleNamespace(tasks=('segmentation', 'depth'), calibration=Calibration())

        def __call__(self, image, fx):
            return SimpleNamespace(scores={'segmentation_entropy': 0.0,
                                           'relative_depth_sigma': 0.2})
    found = risk_thresholds(Robot(), folder, 'val', folder.stems('val'), 95.0)
    assert '004.png: has no part in the risk thresholds: image is 128x20' in caplog.text
    thresholds = {name: one.threshold for name, one in found.scores.items()}
    # A checkpoint's are above 0: with one class its entropy ended the run, too.
    assert thresholds == {'segmentation_entropy': 1e-6, 'relative_depth_sigma': 0.2}
    assert {one.fitted_on['images'] for one in found.scores.values()} == {1}
    assert limits([], 95.0) == {}


@pytest.mark.parametrize('longer, given', [(1.0, False), (1.2, False), (1.5, True)])
def test_depths_as_far_as_the_robot_has_them_of_this_camera_are_fitted_to(longer, given):
    """13 m are beyond a range of 10 m, but not of one that 1.5 times the focal length scales."""
    metadata = SimpleNamespace(depth_max=10.0, input_size=(32, 64),
                               intrinsics=Intrinsics(64, 32, 50.0, 50.0, 31.5, 15.5))
    maps = PredictiveMoments(None, torch.full((1, 32, 64), 13.0), torch.ones(1, 32, 64))
    ensemble = SimpleNamespace(tasks=('depth',), classes=(), members=[SimpleNamespace(
        metadata=metadata, path='a')], predict=lambda image, focal: maps, depth_form=LINEAR)
    folder = SimpleNamespace(
        root='here', intrinsics=Intrinsics(128, 64, longer * 100.0, longer * 100.0, 63.5, 31.5),
        example=lambda stem: SimpleNamespace(image=np.zeros((32, 64, 3), np.uint8), label=None,
                                             depth=np.full((32, 64), 12.0, np.float32)))
    sample = observe(ensemble, folder, ['a'], progress=False)['a'].depth
    assert (sample is not None) is given


def test_an_image_of_another_size_is_of_the_same_field_of_view(synthetic):
    """Its thresholds and pictures were scaled as by another lens: intrinsics are of one size."""
    small = synthetic / 'image/000.png'
    cv2.imwrite(str(small), cv2.resize(cv2.imread(str(small)), (64, 48)))
    folder, asked = DatasetFolder(synthetic), {}

    def predictor(image, fx):
        asked[image.shape[1]] = fx
        return SimpleNamespace(scores={})
    image_scores(predictor, folder, ['000', '001'])
    assert asked == {64: 55.0, 128: folder.intrinsics.fx} and folder.intrinsics.fx == 110.0


def test_constants_pool_the_pixels_of_images_and_keep_what_has_no_truth():
    torch.manual_seed(0)
    logits = torch.randn(4000, 4)
    label = torch.multinomial(logits.softmax(1), 1).squeeze(1)
    both = fitted([seen(3 * logits[:2000], label[:2000], 1.0),
                   seen(3 * logits[2000:], label[2000:], 9.0)], Calibration())
    assert both.temperature == pytest.approx(3.0, rel=0.1)
    assert both.variance_scale == pytest.approx(5.0)
    none = fitted([Observation()], Calibration(temperature=1.5, variance_scale=2.5))
    assert (none.temperature, none.variance_scale) == (1.5, 2.5)


def test_false_alarms_come_from_the_thresholds_of_other_runs():
    """A room unlike the others is flagged by their threshold, but not by one that it set."""
    scores = {stem: {'segmentation_entropy': entropy, 'depth_sigma': 1.0}
              for stem, entropy in (('a1', 1.0), ('a2', 1.0), ('b1', 2.0), ('b2', 2.0))}
    parts = [['a1', 'a2'], ['b1', 'b2']]
    assert calibrate.false_alarms(scores, parts, 100.0) == 0.5
    assert calibrate.false_alarms(scores, [list(scores)], 100.0) == 0.0
    assert calibrate.false_alarms(dict.fromkeys(scores, {'depth_sigma': 1.0}), parts, 100.0) == 0.0


@pytest.mark.parametrize(('temperature', 'entropy'), [(1.0, 1.5), (0.8, 0.9)])
def test_thresholds_of_more_images_are_kept_for_the_new_constants(temperature, entropy):
    """Sigma doubles where its square is four times as large; no new temperature lowers a flag."""
    many, few = {'images': 500}, {'images': 4}
    old = Calibration(scores={'segmentation_entropy': FittedThreshold(1.5, 95.0, many),
                              'relative_depth_sigma': FittedThreshold(0.2, 95.0, many),
                              'depth_sigma': FittedThreshold(1.0, 95.0, few),
                              'unfamiliarity': FittedThreshold(2.0, 95.0, many)})
    new = Calibration(temperature, 4.0, {
        'segmentation_entropy': FittedThreshold(0.9, 95.0, few),
        'relative_depth_sigma': FittedThreshold(0.3, 95.0, few),
        'depth_sigma': FittedThreshold(3.0, 95.0, few)})
    kept = older_limits(new, old, 4)
    assert {name: fitted.threshold for name, fitted in kept.items()} == {
        'segmentation_entropy': entropy, 'relative_depth_sigma': pytest.approx(0.4)}
    assert all(fitted.fitted_on == many for fitted in kept.values())


def test_a_twins_promise_is_none_of_the_network_that_takes_its_constants():
    twin = {'depth_interval': Promise((PromiseLevel(0.9, (2.0, 2.0), True),), 15)}
    (mine,) = unpromised(twin)['depth_interval'].levels
    assert mine == PromiseLevel(0.9, (2.0, 2.0), False)


def refused(capsys, *words) -> str:
    """Return the one line that a calibration ends with."""
    assert calibrate.main([*map(str, words), '--device', 'cpu', '--no-progress']) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_a_drivable_class_that_there_is_none_of_is_named(saved, synthetic, tmp_path, capsys):
    """Misspelled, it would be left out without a word, and the rest promised alone."""
    words = ('--checkpoint', saved('tiny'), '--data', synthetic, '--out', tmp_path / 'c.st')
    line = refused(capsys, *words, '--drivable', 'floor,rod')
    assert "--drivable has 'rod'" in line and 'wall, floor, box' in line
    assert not (tmp_path / 'c.st').exists()


@pytest.mark.parametrize('option', [['--drivable', 'floor'], ['--figure', 'a.png'],
                                    ['--new-thresholds'], ['--observations', 'kept'],
                                    ['--fit-scores'], ['--folds', '3']])
def test_with_constants_of_a_twin_nothing_is_fitted_that_an_option_would_be_for(
        saved, capsys, tmp_path, option, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, '--checkpoint', saved('tiny'), '--constants-of', saved('other'),
                   *option)
    assert f'{option[0]}: nothing is fitted with --constants-of' in line


def test_where_sigma_is_infinite_nothing_is_promised_nor_counted_as_held():
    """The interval there is NaN; (truth - depth) / sigma would be 0, the best there can be."""
    variance = np.array([[1.0, np.inf]], np.float32)
    found = constants._sample(np.full((1, 2), 2.0), variance, np.full((1, 2), 3.0), 10.0, 2,
                              np.random.default_rng(0))
    assert found.residual.tolist() == [1.0] and found.sigma.tolist() == [1.0]


@pytest.mark.parametrize(('images', 'percentile', 'wanted'), [
    (10, 90.0, 0), (9, 90.0, 10), (20, 95.0, 0), (19, 95.0, 20), (1000, 99.9, 0),
    (999, 99.9, 1000),
    (1, 100.0, 0), (1, 1.0, 2)])
def test_images_are_few_where_a_percentile_is_of_the_largest_alone(images, percentile, wanted):
    """Ten images were called few for 90 %, with the advice to give ten."""
    assert too_few(images, percentile) == wanted
