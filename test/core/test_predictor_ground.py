# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A Predictor that is told how high its camera is reads the scale off the ground."""

from __future__ import annotations

import math
from types import SimpleNamespace

from core_bench import make_metadata, make_network
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.errors import InputError
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
import numpy as np
import pytest

HEIGHT, WIDTH, FX, HEIGHT_M, PITCH = 96, 128, 110.0, 0.5, 30.0
RGB = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
CAMERA = judge(pinhole_info(WIDTH, HEIGHT, FX), WIDTH, HEIGHT, rectified=True).needed()
TRUE = (HEIGHT_M / np.maximum(Mounting(HEIGHT_M, math.radians(PITCH)).down(CAMERA.rays()[1]),
                              0.05)).repeat(WIDTH, 1).astype(np.float32)


def predictor(ratio: float = 1.0, *, ground: bool = True, **arguments) -> Predictor:
    """Return one whose network sees a floor all over, ``ratio`` times as far away as it is."""
    network = make_network(**arguments)
    found = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    depth = TRUE * np.float32(ratio)
    seen = Prediction({'depth': depth, 'depth_variance': (0.1 * depth) ** 2,
                       'label': np.full((HEIGHT, WIDTH), int(ground), np.uint8),
                       'confidence': np.ones((HEIGHT, WIDTH), np.float32)}, {}, (HEIGHT, WIDTH))
    found._backend = SimpleNamespace(predict=lambda image, request: seen, batch=1)
    return found


def told(ratio: float = 1.0, *, ground: bool = True, **more) -> Prediction:
    one = predictor(ratio, ground=ground)
    classes = one.metadata.classes
    return one(RGB, **{'fx': FX, 'camera_height': HEIGHT_M, 'camera_pitch': PITCH,
                       'ground_classes': [classes[1]], **more})


def test_the_ground_sets_the_metres_right():
    found = told(1.5)
    assert found.scale is not None and found.scale.factor == pytest.approx(1 / 1.5, rel=0.05)
    assert np.median(found.depth / TRUE) == pytest.approx(1.0, rel=0.05)
    assert found.depth_source is not None


@pytest.mark.parametrize('names', [iter, np.array, set])
def test_names_of_the_ground_may_be_whatever_can_be_read(names):
    classes = predictor().metadata.classes
    assert told(1.5, ground_classes=names(classes[:2])).scale.factor < 0.8


def test_without_ground_the_metres_stay_and_are_less_sure():
    found, plain = told(1.5, ground=False), predictor(1.5)(RGB, fx=FX)
    assert np.allclose(found.depth, plain.depth) and found.scale.factor == 1.0
    assert (found.depth_sigma > plain.depth_sigma).all() and plain.scale is None
    assert found.scale.sigma > told(1.5).scale.sigma


def test_nothing_is_made_much_farther_by_what_may_lie_above_the_ground():
    found = told(1.0, camera_height=1.6 * HEIGHT_M)
    assert found.scale.factor == 1.0 and np.allclose(found.depth, TRUE)


def test_a_height_of_another_unit_is_refused():
    with pytest.raises(InputError, match='camera_height cannot be used: the ground says 0.0'):
        told(camera_height=HEIGHT_M / 100)


def test_a_depth_camera_tells_the_scale_before_the_ground_does():
    found = told(1.5, depth_hint=0.9 * TRUE)
    assert np.median(found.depth / TRUE) == pytest.approx(0.9, rel=0.02)
    nothing = told(1.5, depth_hint=np.zeros_like(TRUE))
    assert np.median(nothing.depth / TRUE) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(('wrong', 'words'), [
    ({'fx': None}, 'camera_height is given without fx'),
    ({'fx': 5.0}, 'fx'),
    ({'camera_height': 0.0}, 'camera_height is 0.0: give metres above the ground'),
    ({'camera_height': -0.5}, 'camera_height is -0.5'),
    ({'camera_height': math.nan}, 'camera_height is nan'),
    ({'camera_height': 'high'}, "camera_height is 'high'"),
    ({'camera_pitch': 90.0}, 'camera_pitch is 90.0: give degrees below the horizon'),
    ({'ground_classes': ['lawn']}, "ground_classes names 'lawn'"),
    ({'ground_classes': 'floor'}, "ground_classes is 'floor': give a list"),
    ({'ground_classes': 3}, 'ground_classes is 3: give a list'),
    ({'ground_classes': None}, 'ground_classes is None: give a list'),
    ({'ground_classes': []}, r'ground_classes is \[\]: give a list')])
def test_what_cannot_be_is_one_line(wrong, words):
    with pytest.raises(InputError, match=words) as error:
        told(**wrong)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('tasks', [('segmentation',), ('depth',)])
def test_it_takes_labels_and_depth(tasks):
    with pytest.raises(InputError, match='camera_height is given, but the checkpoint has no task'):
        predictor(tasks=tasks)(RGB, fx=FX, camera_height=HEIGHT_M)


def test_a_list_has_no_one_height():
    with pytest.raises(InputError, match='camera_height is of one image'):
        predictor()([RGB, RGB], fx=FX, camera_height=HEIGHT_M)
