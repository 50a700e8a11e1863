# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Promised maps: by hand, where nothing is known, and where they do not hold."""

from __future__ import annotations

from dataclasses import replace
import math

from core_bench import CLASSES, make_metadata, make_network
from emu_perception.checkpoint import load_checkpoint, Promise, PromiseLevel, save_checkpoint
from emu_perception.errors import CheckpointError, InputError
from emu_perception.maps import MAPS
from emu_perception.prediction import Prediction, Scale
from emu_perception.presenting import Presenter
from emu_perception.promises import depth_interval, label_set_size
from emu_perception.promises.constants import most_promised
from emu_perception.promises.holding import (
    level_problem,
    promise_lines,
    promise_problem,
    promises_for,
)
import numpy as np
import pytest

FITTED_ON = {'data_set': 'made up', 'split': 'val', 'images': 86}
PROMISES = {
    'depth_interval': Promise((PromiseLevel(0.8, (1.0, 1.5), True),
                               PromiseLevel(0.95, (2.0, 3.0), False)), 15, FITTED_ON),
    'label_set_size': Promise((PromiseLevel(0.8, (1.5, float(CLASSES)), True),
                               PromiseLevel(0.95, (4.0, float(CLASSES)), False)), 15, FITTED_ON)}
SIZE = (48, 64)
FOCAL = 518.9 / 640  # Of make_metadata's training camera, in widths.
MAPS_OF = {'depth': np.full(SIZE, 2.0, np.float32),
           'depth_variance': np.full(SIZE, 0.25, np.float32),
           'segmentation_entropy': np.full(SIZE, 1.0, np.float32),
           'label': np.zeros(SIZE, np.uint8), 'confidence': np.full(SIZE, 0.8, np.float32)}


def promising(**changes):
    metadata = make_metadata(make_network('resnet10t'))
    return replace(metadata, calibration=replace(metadata.calibration, promises=PROMISES),
                   **changes)


def prediction(metadata, fx=FOCAL * 64, **changes):
    presenter = Presenter(metadata, np.zeros((*SIZE, 3), np.uint8), fx)
    return Prediction(**{'maps': MAPS_OF, 'scores': {}, 'network_size': (32, 64),
                         'presenter': presenter, **changes})


def test_an_interval_is_so_many_sigma_either_way_and_never_behind_the_camera():
    depth = np.array([[2.0, 0.3, math.inf, math.nan, 2.0, 2.0]], np.float32)
    variance = np.array([[0.25, 0.25, 0.25, 0.25, math.nan, math.inf]], np.float32)
    found = depth_interval.made({'depth': depth, 'depth_variance': variance}, (1.0, 3.0))
    assert found.dtype == np.float32 and found.shape == (1, 6, 2)
    np.testing.assert_allclose(found[0, :2], [[1.5, 3.5], [0.0, 1.8]], rtol=1e-6)
    # One end alone would be taken for a bound.
    assert np.isnan(found[0, 2:]).all()
    assert np.isinf(depth[0, 2]), 'the prediction was changed'


def test_a_set_is_never_empty_and_no_number_is_all_classes():
    entropy = np.array([[0.0, 0.6, 0.7, 3.0, math.nan, math.inf]], np.float32)
    found = label_set_size.made({'segmentation_entropy': entropy}, (1.5, 5.0))
    assert found.dtype == np.uint8 and found.tolist() == [[1, 1, 2, 5, 5, 5]]
    # What rounding makes of 0.
    below = label_set_size.made({'segmentation_entropy': np.float32([[-1e-6]])}, (1.5, 5.0))
    assert below.tolist() == [[1]], 'no class at all is surer than sure'


def test_a_network_that_is_right_often_enough_has_sets_of_one(tmp_path):
    metadata = promising()
    sure = {'label_set_size': Promise((PromiseLevel(0.8, (0.0, float(CLASSES)), True),), 15)}
    metadata = replace(metadata, calibration=replace(metadata.calibration, promises=sure))
    save_checkpoint(tmp_path / 'a.safetensors', make_network('resnet10t'), metadata)
    assert (prediction(metadata).label_set_size(0.8) == 1).all()


def test_python_gives_both_maps_at_a_fitted_level():
    one = prediction(promising())
    np.testing.assert_allclose(one.depth_interval(0.8)[0, 0], [1.5, 2.75])
    np.testing.assert_allclose(one.depth_interval(0.95)[0, 0], [1.0, 3.5])
    assert (one.label_set_size(0.8) == 2).all() and (one.label_set_size(0.95) == 5).all()
    assert 'depth_interval' not in one.maps, 'made though nobody asked'


@pytest.mark.parametrize('change, problem', [
    ({'fx': None}, 'the focal length is not known'),
    ({'fx': 1.2 * FOCAL * 64}, '1.20 times that of the camera'),
    ({'fx': FOCAL * 64 / 1.2}, '0.83 times that of the camera'),
    ({'scale': Scale(1.1, 0.05)}, 'a depth camera or the ground tells the scale')])
def test_no_interval_of_another_camera_or_of_joined_depths(change, problem):
    with pytest.raises(InputError, match=problem):
        prediction(promising(), **change).depth_interval(0.8)
    if 'fx' not in change or change['fx'] is None:
        assert (prediction(promising(), **change).label_set_size(0.8) == 2).all()


def test_a_promise_is_of_the_camera_it_was_fitted_to_not_of_the_trainings(tmp_path):
    own = {name: replace(promise, focal=1.3 * FOCAL) for name, promise in PROMISES.items()}
    metadata = promising()
    metadata = replace(metadata, calibration=replace(metadata.calibration, promises=own))
    assert np.isfinite(prediction(metadata, fx=1.3 * FOCAL * 64).depth_interval(0.8)).all()
    for name in own:
        assert '0.77 times that of the camera that' in promise_problem(
            metadata, name, 0.8, focal=FOCAL, fused=False)
    save_checkpoint(tmp_path / 'a.safetensors', make_network('resnet10t'), metadata)
    assert load_checkpoint(tmp_path / 'a.safetensors')[1].calibration.promises == own


def test_a_level_that_was_not_fitted_and_a_checkpoint_without_are_said_in_one_line():
    metadata = promising()
    with pytest.raises(InputError, match='promise_level is 0.85: the checkpoint has 0.8, 0.95'):
        prediction(metadata).depth_interval(0.85)
    old = replace(metadata, calibration=replace(metadata.calibration, promises={}))
    with pytest.raises(InputError, match='promises no depth interval: emu calibrate'):
        prediction(old).depth_interval(0.8)
    assert level_problem(metadata, 0.9) and not level_problem(metadata, 0.95)
    assert not level_problem(old, 0.123), 'nothing is promised, so nothing is asked for'
    assert not promises_for(old, 0.8, focal=FOCAL, fused=False)
    no_camera = promising(intrinsics=None)
    assert 'focal length' in promise_problem(no_camera, 'depth_interval', 0.8, focal=FOCAL,
                                             fused=False)


def test_several_samples_have_no_promise_of_one_pass():
    metadata = promising()
    presenter = Presenter(metadata, np.zeros((*SIZE, 3), np.uint8), 50.0, unjudged='not judged: x')
    with pytest.raises(InputError, match='not judged'):
        prediction(metadata, presenter=presenter).label_set_size(0.8)


def test_what_is_calibrated_alone_is_said():
    (interval, sets) = promise_lines(promising(), 0.95, hinted=False)
    assert 'calibrated, not promised: with 15 rooms a promise ends at 0.9375' in interval
    assert '~/label_set_size' in sets and not promise_lines(promising(), 0.8, hinted=False)
    assert 'no ~/depth/interval with depth_hint' in promise_lines(promising(), 0.8,
                                                                  hinted=True)[0]


def test_a_promise_comes_back_from_the_file_and_an_older_document_has_none(tmp_path):
    network = make_network('resnet10t')
    path = tmp_path / 'a.safetensors'
    save_checkpoint(path, network, promising())
    assert load_checkpoint(path)[1].calibration.promises == PROMISES
    save_checkpoint(path, network, make_metadata(network))
    assert load_checkpoint(path)[1].calibration.promises == {}
    assert b'promises' not in path.read_bytes(), 'an older package refuses what it does not know'


@pytest.mark.parametrize('name, promise, problem', [
    ('depth_interval', Promise((PromiseLevel(0.95, (1.0, 1.0), True),), 15), 'ends at 0.9375'),
    ('depth_interval', Promise((PromiseLevel(0.9, (1.0,), True),), 15), '1 factors, not 2'),
    ('depth_interval', Promise((PromiseLevel(0.9, (1.0, -1.0), True),), 15), 'of at least 0'),
    ('depth_interval', Promise((PromiseLevel(1.5, (1.0, 1.0), True),), 15), 'level'),
    ('depth_interval', Promise((), 15), 'list of levels'),
    ('depth_interval', Promise((PromiseLevel(0.9, (1.0, 1.0), True),
                                PromiseLevel(0.8, (1.0, 1.0), True)), 15), 'rising order'),
    ('label', Promise((PromiseLevel(0.9, (1.0, 1.0), True),), 15), "promises 'label'")])
def test_a_document_that_promises_too_much_or_what_is_not_known_is_refused(tmp_path, name, promise,
                                                                           problem):
    metadata = promising()
    metadata = replace(metadata, calibration=replace(metadata.calibration,
                                                     promises={name: promise}))
    with pytest.raises(CheckpointError, match=problem):
        save_checkpoint(tmp_path / 'a.safetensors', make_network('resnet10t'), metadata)


def test_a_promise_needs_as_many_rooms_as_its_level_says():
    assert most_promised(15) == 0.9375 and most_promised(18) < 0.95 <= most_promised(19)


def test_every_promised_map_says_how_many_constants_it_takes():
    for name, row in MAPS.items():
        assert (row.made is not None) == (row.factors > 0), name
