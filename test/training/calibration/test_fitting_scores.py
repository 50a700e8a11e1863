# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Scores fitted to training images: what they are shown, and that no run judges itself."""

from __future__ import annotations

import copy
from dataclasses import replace
import shutil

import cv2
from emu_perception.cache_files import cache_key
from emu_perception.checkpoint import load_checkpoint
from emu_perception.corruptions import CORRUPTIONS, MILD
from emu_perception.errors import InputError
from emu_perception.familiarity import fit_familiarity, PREDICTED_FAILURE, UNFAMILIARITY
from emu_perception.observer import Observer
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from synthetic_data import members
from training.calibration import familiarity
from training.calibration import observations as observations_module
from training.calibration.badness import badness, errors, Truth, truth_at
from training.calibration.familiarity import fit_familiar, fit_scores
from training.calibration.observations import Observations, observed, training_observations
from training.calibration.training_pictures import (
    border_of,
    changed,
    CLEAN,
    clean_picture,
    FITTED_BREAKS,
    generator,
    training_pictures,
    VIEW,
    without_border,
)
from training.data.dataset_folder import DatasetFolder
from training.studies.uncertainty import as_seen


@pytest.fixture(scope='module')
def folder(trained) -> DatasetFolder:
    """Return the data that the checkpoint was trained on."""
    return DatasetFolder(trained / 'data')


@pytest.fixture(scope='module')
def observer(trained) -> Observer:
    """Return a trained network."""
    path = members(trained)[0]
    network, metadata = load_checkpoint(path)
    return Observer(network, metadata, path)


@pytest.mark.slow
# -- pictures -----------------------------------------------------------------------------------
def test_each_image_comes_clean_in_a_view_corrupted_broken_and_mildly_changed(folder, observer):
    stems = folder.stems('train')
    pictures = list(training_pictures(folder, stems, observer.metadata, 3))
    assert len(pictures) == len(stems) * (2 + 3 + 2)
    kinds = [picture.kind for picture in pictures]
    assert kinds.count(CLEAN) == kinds.count(VIEW) == len(stems)
    assert sum(kind in CORRUPTIONS for kind in kinds) == 3 * len(stems)
    assert sum(kind in MILD for kind in kinds) == len(stems)
    assert {kind for kind in kinds if kind in FITTED_BREAKS} == set(FITTED_BREAKS)
    for picture in pictures:
        assert (1 <= picture.severity <= 5) == (picture.kind in CORRUPTIONS)
    again = list(training_pictures(folder, stems, observer.metadata, 3))
    assert all(np.array_equal(one.example.image, two.example.image)
               for one, two in zip(pictures, again))


@pytest.mark.parametrize(('factor', 'expected'), [(1.0, 1.0), (2.0, 2.0), (None, None)])
def test_views_of_another_camera_are_at_its_own_metres(folder, observer, factor, expected):
    """They were taken for the training camera's: all metres of a robot's camera were wrong."""
    other = copy.copy(folder)
    camera = folder.intrinsics
    other.intrinsics = None if factor is None else replace(camera, fx=factor * camera.fx)
    picture = next(one for one in training_pictures(other, ['000'], observer.metadata, 0)
                   if one.kind == VIEW)
    assert picture.focal == (None if expected is None else pytest.approx(
        expected * camera.fx / camera.width))


def test_nothing_is_fitted_to_photographs_that_measure():
    assert not {'foreign', 'foreign_restyled', 'foreign_objects'} & set(FITTED_BREAKS)


def test_the_frame_is_cut_off_and_the_camera_keeps_its_focal_length(folder, observer):
    metadata = replace(observer.metadata, provenance={
        'recipe': {'augmentation': {'border': [2, 3, 4, 12]}}})
    assert border_of(metadata) == (2, 3, 4, 12) and border_of(observer.metadata) == (0, 0, 0, 0)
    stem = folder.stems('val')[0]
    whole, inside = folder.example(stem), clean_picture(folder, stem, border_of(metadata))
    for name in ('image', 'label', 'depth'):
        assert np.array_equal(getattr(inside.example, name),
                              getattr(whole, name)[2:93, 4:116])
    assert inside.focal == pytest.approx(110.0 / 112)
    view = next(picture for picture in training_pictures(
        folder, [stem], replace(metadata, input_size=(96, 128)), 1) if picture.kind == VIEW)
    assert view.example.image.shape == (96, 128, 3)


@pytest.mark.parametrize('kind', ['upside_down', 'jigsaw', 'mirrored'])
def test_truth_is_moved_with_the_image(folder, kind):
    clean = clean_picture(folder, folder.stems('val')[0], (0, 0, 0, 0))
    moved = changed(clean, kind)
    assert not np.array_equal(moved.example.depth, clean.example.depth)
    # Each class has its own colour: where the label goes, its colour goes.
    for index in range(3):
        before, after = (picture.example.image[picture.example.label == index].mean(axis=0)
                         for picture in (clean, moved))
        assert after == pytest.approx(before, abs=1e-9)


def test_truth_of_a_corrupted_picture_stays(folder):
    clean = clean_picture(folder, folder.stems('val')[0], (0, 0, 0, 0))
    corrupted = changed(clean, 'blur', 3)
    assert np.array_equal(corrupted.example.label, clean.example.label)
    assert not np.array_equal(corrupted.example.image, clean.example.image)


def test_an_example_without_depth_has_none_without_its_frame(folder):
    example = replace(folder.example(folder.stems('val')[0]), depth=None, label=None)
    cut = without_border(example, (1, 1, 1, 1))
    assert cut.depth is None and cut.label is None


@pytest.mark.slow
# -- one pass -----------------------------------------------------------------------------------
def test_one_pass_says_what_the_predictor_says(trained, folder, observer):
    predictor = Predictor.load(members(trained)[0], 'cpu', backend='eager')
    image = folder.image(folder.stems('val')[0])
    seen, prediction = observer(image, 110.0 / 128), predictor(image, fx=110.0)
    assert np.array_equal(seen.maps.label.numpy(), prediction.label)
    assert seen.maps.depth.numpy() == pytest.approx(prediction.depth, rel=1e-5)
    for name, value in seen.scores.items():
        assert value == pytest.approx(prediction.scores[name], rel=1e-5)
    assert np.isfinite(seen.statistics).all() and len(seen.statistics) > observer.familiar_length


def test_errors_by_hand(observer, folder):
    maps = observer(folder.image(folder.stems('val')[0])).maps
    depth, label = maps.depth.numpy(), maps.label.numpy()
    right = Truth(label.copy(), depth.copy())
    assert errors(maps, right) == (0.0, 1.0)
    half = label.copy()
    half[:48] = (half[:48] + 1) % 3
    half[0] = 255  # Not counted.
    far = 2.0 * depth
    far[48:] = 0.0  # Unknown.
    assert errors(maps, Truth(half, far)) == (pytest.approx(0.5), pytest.approx(48 / 95))
    assert np.isnan(errors(maps, Truth(None, None))).all()


def test_bad_is_above_one():
    found = badness(np.array([0.3, 0.15, np.nan, 0.6]), np.array([1.0, 0.45, 0.725, np.nan]))
    assert found == pytest.approx([1.0, 1.0, 0.5, 2.0])
    assert np.isnan(badness(np.array([np.nan]), np.array([np.nan])))


def test_truth_comes_to_the_networks_grid_by_its_nearest_pixel(folder):
    example = folder.example(folder.stems('val')[0])
    small = truth_at(example, (48, 64))
    assert small.label.shape == small.depth.shape == (48, 64)
    assert set(np.unique(small.label)) <= set(np.unique(example.label))


# -- the fit ------------------------------------------------------------------------------------
def made(count: int = 400, width: int = 10) -> Observations:
    """Return observations of eight runs; a run's pictures lie far from the others'."""
    rng = np.random.default_rng(0)
    run = np.arange(count) % 8
    statistics = rng.normal(size=(count, width)) + 3.0 * rng.normal(size=(8, width))[run]
    kind = np.array([CLEAN, VIEW, 'blur', 'noise'])[rng.integers(0, 4, count)]
    worse = np.isin(kind, ('blur', 'noise'))
    statistics[:, -1] += 4.0 * worse
    return Observations(
        np.array([f'{1000 * r + i // 8:05d}' for i, r in enumerate(run)]), kind,
        np.where(worse, 3, 0), statistics.astype(np.float32),
        {'segmentation_entropy': np.exp(rng.normal(size=count)),
         'relative_depth_sigma': np.exp(rng.normal(size=count))},
        np.where(worse, 0.5, 0.1) * np.exp(rng.normal(0, 0.1, count)),
        np.where(worse, 0.3, 0.8))


def test_the_failure_model_is_shown_unfamiliarity_as_other_runs_see_it(monkeypatch):
    """In-sample every picture is familiar: a model fitted to that would trust it too much."""
    observations, shown = made(), {}
    fit = familiarity.fit_predicted_failure

    def spy(statistics, scores, *arguments, **named):
        shown.update(scores)
        return fit(statistics, scores, *arguments, **named)
    monkeypatch.setattr(familiarity, 'fit_predicted_failure', spy)
    fitted = fit_scores(observations, fit_familiar(observations, 6))
    inside = fitted.familiarity.unfamiliarity(observations.statistics)
    assert shown[UNFAMILIARITY].mean() > 1.5 * inside.mean()


def test_both_scores_tell_what_they_were_fitted_to():
    observations = made()
    fitted = fit_scores(observations, fit_familiar(observations, 6))
    found = fitted.measure_all(observations.statistics, observations.scores)
    bad = observations.badness > 1
    failure = found[PREDICTED_FAILURE]
    assert failure[bad].mean() > 1.05 > 0.8 > failure[~bad].mean()
    familiar = np.isin(observations.kind, (CLEAN, VIEW))
    alone = fit_familiarity(observations.statistics[familiar, :6])
    assert found[UNFAMILIARITY] == pytest.approx(alone.unfamiliarity(observations.statistics))


def test_pictures_without_truth_do_not_count_for_failure():
    observations = made()
    unknown = np.arange(400) % 5 == 0
    nan = np.where(unknown, np.nan, observations.abs_rel)
    some = replace(observations, abs_rel=nan,
                   pixel_accuracy=np.where(unknown, np.nan, observations.pixel_accuracy))
    familiar = fit_familiar(some, 6)
    assert np.isfinite(fit_scores(some, familiar).failure.weights).all()
    none = replace(some, abs_rel=np.full(400, np.nan), pixel_accuracy=np.full(400, np.nan))
    with pytest.raises(InputError, match='needs the truth'):
        fit_scores(none, familiar)


def test_a_kind_that_is_left_out_changes_nothing_by_its_errors():
    observations = made()
    familiar = fit_familiar(observations, 6)
    blurred = observations.kind == 'blur'
    other = replace(observations, abs_rel=np.where(blurred, 9.0, observations.abs_rel))
    one, two = (fit_scores(part, familiar, 'blur').failure for part in (observations, other))
    assert np.array_equal(one.weights, two.weights) and one.bias == two.bias
    assert not np.array_equal(fit_scores(other, familiar).failure.weights, one.weights)


def test_one_run_is_fitted_to_all_the_same():
    observations = made()
    one = observations.where(np.char.startswith(observations.stem, '00'))
    assert np.isfinite(fit_scores(one, fit_familiar(one, 6)).failure.weights).all()


def test_observations_come_back_from_their_file(folder, observer, tmp_path):
    found = observed(observer, training_pictures(folder, folder.stems('train')[:2],
                                                 observer.metadata, 2))
    found.save(tmp_path / 'kept.npz')
    again = Observations.load(tmp_path / 'kept.npz')
    assert np.array_equal(again.statistics, found.statistics)
    assert again.kind.tolist() == found.kind.tolist() and set(again.scores) == set(found.scores)
    whole = (tmp_path / 'kept.npz').read_bytes()
    # A cut one was a traceback of each command from then on.
    for content in (b'no archive', whole[:len(whole) // 2], whole[:-200] + bytes(200), b''):
        (tmp_path / 'broken.npz').write_bytes(content)
        with pytest.raises(InputError, match='broken.npz: holds no observations'):
            Observations.load(tmp_path / 'broken.npz')


def test_observations_of_other_depths_are_not_taken(trained, folder, observer, tmp_path,
                                                    monkeypatch):
    """A mended scale in dataset.yaml left what was kept of the wrong one."""
    network, asked = load_checkpoint(members(trained)[0])[0], []

    def made(*arguments):
        asked.append(arguments)
        return iter([clean_picture(folder, '000', (0, 0, 0, 0))])
    monkeypatch.setattr(observations_module, 'training_pictures', made)

    def keep(of):
        training_observations(observer, network, of, ['000'], 1, tmp_path / 'kept', False)
        return len(asked)
    assert keep(folder) == keep(folder) == 1
    other = copy.copy(folder)
    other.depth = replace(folder.depth, scale=0.002)
    assert keep(other) == 2
    # Nor those of other files: a label map that was mended under the same name.
    mended = DatasetFolder(shutil.copytree(folder.root, tmp_path / 'mended'))
    assert keep(mended) == 2
    path = mended.root / 'label/000.png'
    cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
    assert keep(mended) == 3


def test_stems_that_are_no_utf_8_have_noise_too():
    stem = 'caf\udce9'
    assert generator(stem, CLEAN).random() == generator(stem, CLEAN).random()
    image = np.full((8, 8, 3), 90, np.uint8)
    assert np.array_equal(as_seen(image, 'noise', stem), as_seen(image, 'noise', stem))
    assert cache_key(stem) != cache_key('caf')


def test_no_picture_is_nothing_to_observe(observer):
    with pytest.raises(InputError, match='no picture'):
        observed(observer, [])
