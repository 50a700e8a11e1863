# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a prediction shows of itself: names, flag, picture, files, points; never wrong metres."""

from __future__ import annotations

from dataclasses import replace
import json

import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.errors import InputError
from emu_perception.maps import MAPS
from emu_perception.panels import in_scene_colors, numbered, scene_top
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
from emu_perception.risk import RiskReason
from emu_perception.shown import Look, Shown
from emu_perception.visualization import default_palette
import numpy as np
import pytest

FX = 90.0
RGB = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (128, 96))


@pytest.fixture(scope='module')
def predictor():
    """Return the default model, on PyTorch: nothing is to be compiled."""
    return Predictor.load(device='cpu', backend='eager')


@pytest.fixture(scope='module')
def prediction(predictor):
    """Return the prediction of a picture of a known camera."""
    return predictor(RGB, fx=FX)


def test_names_are_those_of_the_labels(predictor, prediction):
    assert prediction.names == predictor.metadata.classes
    assert prediction.names[prediction.label[0, 0]]


def test_a_list_gives_what_each_image_gives(predictor, prediction, tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), cv2.cvtColor(RGB, cv2.COLOR_RGB2BGR))
    for one in predictor([RGB, path], fx=FX):
        assert np.array_equal(one.depth, prediction.depth)
    with pytest.raises(InputError, match='give a list without it'):
        predictor([RGB], fx=FX, depth_hint=np.ones(RGB.shape[:2], np.float32))


def test_the_flag_is_that_of_the_scores_and_of_an_unknown_camera(predictor, prediction):
    risk = prediction.risk
    limits = predictor.metadata.calibration.thresholds
    above = any(prediction.scores[name] > limit for name, limit in limits.items())
    assert risk.raised is above
    unknown = predictor(RGB).risk
    assert unknown.raised and unknown.reason is RiskReason.NO_CALIBRATION
    assert 'fx=' in unknown.detail


@pytest.mark.parametrize('fx', [1.0, 1e4])
def test_a_focal_length_that_no_camera_has_raises_the_flag_as_in_node_and_command(
        predictor, tmp_path, fx):
    """Else a focal length of another resolution, or in millimetres, gives sure wrong metres."""
    prediction = predictor(RGB, fx=fx)
    risk = prediction.risk
    assert risk.raised and risk.reason is RiskReason.NO_CALIBRATION
    assert 'field of view' in risk.detail
    with pytest.raises(InputError, match='field of view'):
        prediction.to_pointcloud()
    assert not (prediction.save(tmp_path) / 'depth_mm.png').exists()


def test_the_picture_is_what_a_notebook_shows(prediction):
    picture = prediction.plot()
    assert picture.dtype == np.uint8 and picture.ndim == 3
    shown = cv2.imdecode(np.frombuffer(prediction._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(cv2.cvtColor(shown, cv2.COLOR_BGR2RGB), picture)


def test_what_is_saved_is_what_was_predicted(prediction, tmp_path):
    folder = prediction.save(tmp_path / 'new/folder')
    label = cv2.imread(str(folder / 'label.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(label, prediction.label)
    depth = cv2.imread(str(folder / 'depth_mm.png'), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    known = np.isfinite(prediction.depth)
    assert np.abs(depth[known] / 1000.0 - prediction.depth[known]).max() <= 0.0005 + 1e-6
    maps = np.load(folder / 'maps.npz')
    assert np.array_equal(maps['depth_sigma'], prediction.depth_sigma)
    document = json.loads((folder / 'prediction.json').read_text())
    assert document['fx_px'] == FX and document['depth_is_to_scale'] is True
    assert document['names'][0] == prediction.names[0]
    assert maps.files and {*maps.files} == {*document['maps']}


@pytest.mark.parametrize('fx', [np.float32(FX), np.float64(FX), np.array(FX), int(FX)])
def test_a_focal_length_may_be_numpys_and_what_is_no_number_is_saved_as_none(
        predictor, tmp_path, fx):
    """Of other languages' programs none reads NaN in JSON."""
    prediction = predictor(RGB, fx=fx)
    prediction = replace(prediction, scores={**prediction.scores, 'depth_sigma': float('nan')})

    def odd(name):
        raise AssertionError(f'{name} is no JSON')
    document = json.loads((prediction.save(tmp_path) / 'prediction.json').read_text(),
                          parse_constant=odd)
    assert document['fx_px'] == pytest.approx(FX, abs=1.0)
    assert document['scores']['mean_depth_uncertainty_m'] is None


def test_without_a_focal_length_there_are_neither_millimetres_nor_points(predictor, tmp_path):
    prediction = predictor(RGB)
    folder = prediction.save(tmp_path)
    assert not (folder / 'depth_mm.png').exists()
    assert json.loads((folder / 'prediction.json').read_text())['depth_is_to_scale'] is False
    with pytest.raises(InputError, match='fx='):
        prediction.to_pointcloud()


def test_points_project_back_onto_their_pixels(predictor):
    prediction = predictor(RGB, fx=FX, size=(48, 64))  # Maps of half the size.
    points = prediction.to_pointcloud()
    assert points.shape == (48, 64)
    known = np.isfinite(points['z'])
    assert np.array_equal(points['z'][known], prediction.depth[known])
    rows, columns = np.indices(points.shape)
    camera = judge(pinhole_info(128, 96, FX), 128, 96, rectified=True).needed().scaled(64, 48)
    u = points['x'] / points['z'] * camera.fx + camera.cx
    v = points['y'] / points['z'] * camera.fy + camera.cy
    # Of float32 numbers below 64: a few steps of 2**-18.
    assert np.abs(u - columns)[known].max() < 1e-4 and np.abs(v - rows)[known].max() < 1e-4
    assert np.array_equal(points['label'], prediction.label)


@pytest.mark.parametrize(('camera', 'words'), [
    ((128, 96, 2 * FX), 'predict with fx=180'), ((64, 48, FX), '64x48')])
def test_points_of_another_camera_are_refused(prediction, camera, words):
    width, height, fx = camera
    other = judge(pinhole_info(width, height, fx), width, height, rectified=True).needed()
    with pytest.raises(InputError, match=words):
        prediction.to_pointcloud(other)


def test_a_prediction_made_by_hand_says_what_it_lacks():
    with pytest.raises(InputError, match='plot: this prediction was made by hand'):
        Prediction({'depth': np.ones((2, 2), np.float32)}, {}, (2, 2)).plot()


def test_the_legend_says_where_each_depth_is_from(predictor, prediction):
    rows = numbered(MAPS['depth_source'])
    assert [meaning for meaning, _ in rows] == ['network', 'corrected', 'sensor', 'unknown']
    source = {'depth_source': np.array([[0, 1, 2, 255]], np.uint8)}
    shown = Shown(RGB[:1, :4], Prediction(source, {}, (1, 4)), prediction.risk, Look.of(
        predictor.metadata, {})).colored(MAPS['depth_source'])[0].tolist()
    assert [color for _, color in rows] == shown and len({*map(tuple, shown)}) == 4


def test_sources_of_depth_are_told_apart_by_who_sees_no_hues():
    """Red-green blind or in a grey print: by lightness, L* of CIELAB (0 to 100), 20 apart."""
    lab = [lab_of(color) for _, color in numbered(MAPS['depth_source'])]
    lightness = sorted(color[0] for color in lab)
    assert min(np.diff(lightness)) > 20
    # Classes stand in the same legend: 2.3 is a difference that is just seen.
    for color in default_palette(40):
        assert min(np.linalg.norm(lab_of(color) - one) for one in lab) > 10


def lab_of(color):
    pixel = np.array(color, np.float32).reshape(1, 1, 3) / 255
    return cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0]


def test_a_scene_is_coloured_over_its_own_range_and_is_else_the_same(predictor, prediction):
    shown = Shown(RGB, prediction, prediction.risk, Look.of(predictor.metadata, {}))
    own = in_scene_colors(shown, RGB)
    assert own.look.tops['depth'] == scene_top(prediction.depth, 10.0) <= 10.0
    assert {**own.look.tops, 'depth': 0} == {**shown.look.tops, 'depth': 0}
    assert own.prediction is prediction and own.given('depth') is prediction.depth


def test_the_top_colour_is_a_round_number_above_the_scene():
    depth = np.linspace(0.5, 3.2, 1000, dtype=np.float32)
    assert scene_top(depth, 10.0) == 3.5
    assert scene_top(depth * 10, 80.0) == 35.0 and scene_top(depth, 2.0) == 2.0
    assert scene_top(np.full(3, np.nan), 10.0) == 10.0
