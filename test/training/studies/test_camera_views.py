# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated cameras move the truth with the image, and metres stay metres."""

from __future__ import annotations

import json
from types import SimpleNamespace

from emu_perception.checkpoint import Calibration, CheckpointMetadata, FittedThreshold
import numpy as np
import pytest
from small_models import saved  # noqa: F401, a fixture
from training.data.dataset_folder import Example
from training.studies import cameras
from training.studies.camera_views import CAMERA_VIEWS, CameraView
from training.studies.cameras import main
import yaml

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def example() -> Example:
    """Return an image whose red and green are the pixel's own row and column."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    return Example('a', image, (rows > 60).astype(np.uint8), (1 + columns / 10).astype(np.float32))


@pytest.mark.parametrize('name', CAMERA_VIEWS)
def test_truth_goes_where_the_image_goes_and_keeps_its_metres(name, example):
    view = CAMERA_VIEWS[name]
    seen = view.seen(example, np.random.default_rng(0))
    size = (HEIGHT, WIDTH) if view.enlarged else (round(HEIGHT / view.zoom),
                                                  round(WIDTH / view.zoom))
    assert seen.image.shape == (*size, 3) and seen.image.dtype == np.uint8
    assert seen.label.shape == seen.depth.shape == size
    assert np.isin(seen.depth, example.depth).all(), 'a depth was mixed of two'
    if view.zoom != 1.0:
        # Half a source pixel of the cubic, one of the nearest.
        assert np.abs(seen.image[..., 1] - (seen.depth - 1) * 10).max() <= 2
        assert ((seen.image[..., 0] > 61.5) <= (seen.label == 1)).all()


def test_the_axis_is_where_it_is_said(example):
    top = CameraView(2.0, (0.0, 0.5), enlarged=False).seen(example, np.random.default_rng(0))
    assert top.image[0, 0].tolist() == [0, 40, 0] and top.image[-1, -1].tolist() == [59, 119, 0]
    low = CameraView(2.0, (1.0, 1.0), enlarged=False).seen(example, np.random.default_rng(0))
    assert low.image[-1, -1].tolist() == [119, 159, 0]


def test_a_sensor_changes_the_picture_and_not_its_truth(example):
    for name, view in CAMERA_VIEWS.items():
        if view.zoom == 1.0 and name != 'as it is':
            seen = view.seen(example, np.random.default_rng(0))
            assert not np.array_equal(seen.image, example.image), name
            assert seen.depth is example.depth and seen.label is example.label


def test_what_a_network_says_is_beyond_its_range_is_wrong_and_counts():
    """Left out, a network would look right of an image that it takes for endless."""
    truth = np.full((4, 10), 2.0, np.float32)
    depth = truth.copy()
    depth[:, :5], depth[:, 5:7] = np.inf, np.nan
    found = SimpleNamespace(label=None, depth=depth, depth_sigma=np.full_like(truth, 0.1),
                            scores={})

    def predictor(image: np.ndarray, fx: float) -> SimpleNamespace:
        return found
    predictor.metadata = CheckpointMetadata(
        architecture={}, input_size=(32, 32), classes=(), palette=(), depth_max=10.0)
    seen = cameras._one(predictor, Example('a', np.zeros((4, 10, 3), np.uint8), None, truth), 1.0)
    assert seen.figures['delta1'] == seen.figures['coverage_90'] == (12.0, 40)
    assert seen.figures['abs_rel'] == (28 * 4.0, 40) and seen.log_factor == 0.0


def test_what_all_depths_of_an_image_share_is_no_error_of_ranking_once_it_is_out():
    """Half of the pixels is wrong beside the others, by a larger sigma; all are 1.5 times off."""
    wrong = np.arange(1600) % 32 == 0  # Every 16th is ranked.
    own = np.where(wrong, np.log(1.4), 0.0).astype(np.float32)
    relative = np.where(wrong, 0.3, 0.1).astype(np.float32)
    common = float(np.log(1.5))
    seen = [cameras.Seen({}, factor, None, (own + factor)[::16], relative[::16])
            for factor in (common, -common)]
    found = cameras._pooled(seen, np.arange(2))
    assert found['auroc_relative_factor_out'] == 1.0
    # With the factor in, every pixel of the first is wrong, and those of the second that are not.
    assert found['auroc_relative'] < 0.7


@pytest.mark.slow
def test_every_camera_is_measured_with_its_own_focal_length(
        synthetic, saved, tmp_path, capsys):  # noqa: F811
    scores = {'segmentation_entropy': FittedThreshold(1e-6)}
    checkpoint = saved(metadata={'calibration': Calibration(scores=scores)})
    out = tmp_path / 'cameras.json'
    assert main(['--checkpoint', str(checkpoint), '--data', str(synthetic), '--json', str(out),
                 '--no-progress', '--device', 'cpu']) == 0
    result = json.loads(out.read_text())
    assert [row['camera'] for row in result['cameras']] == list(CAMERA_VIEWS)
    for row in result['cameras']:
        for name in ('pixel_accuracy', 'delta1', 'coverage_90'):
            low, high = row[name]['interval']
            assert 0 <= low <= row[name]['value'] <= high <= 1
        assert row['factor']['smallest'] <= row['factor']['median'] <= row['factor']['largest']
        assert row['flagged'] == 1.0
        assert 0 <= row['auroc_relative'] <= 1 and 0 <= row['auroc_relative_factor_out'] <= 1
    assert capsys.readouterr().out.count('| lens') == 7


def test_without_the_real_camera_there_is_no_other(synthetic, saved, capsys):  # noqa: F811
    document = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    del document['intrinsics']
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump(document))
    assert main(['--checkpoint', str(saved()), '--data', str(synthetic), '--no-progress']) == 1
    assert "'intrinsics' is missing" in capsys.readouterr().err
