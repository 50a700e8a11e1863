# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is given of an image: the maps as they are, limited and coloured as was asked for."""

from __future__ import annotations

import math

from core_bench import make_metadata, make_network
from emu_perception import visualization
from emu_perception.maps import MAPS
from emu_perception.prediction import Prediction
from emu_perception.risk import RiskReason, RiskState
from emu_perception.shown import Look, Shown
from emu_perception.topics import TOPICS
import numpy as np
import pytest

SIZE = (40, 64)
LABEL = np.tile(np.arange(64, dtype=np.uint8) % 5, (40, 1))
SIGMA = np.tile(np.linspace(0.1, 0.9, 64, dtype=np.float32), (40, 1))
SIGMA[0, 0] = math.nan
FULL = {'label': LABEL, 'segmentation_entropy': SIGMA + 0.5,
        'confidence': np.full(SIZE, 0.8, np.float32), 'depth': np.full(SIZE, 2.0, np.float32),
        'depth_variance': SIGMA ** 2, 'depth_source': LABEL % 3,
        'instance': (LABEL + 1).astype(np.uint16), 'mutual_information': SIGMA,
        'depth_epistemic_variance': SIGMA ** 2}
RAISED = RiskState(True, RiskReason.UNCERTAIN, 'mean entropy 2.000 > 1.000 nat')


def shown(maps=None, rgb=None, state=RAISED, tops=None, **look):
    metadata = make_metadata(make_network())
    rgb = np.full((*SIZE, 3), 90, np.uint8) if rgb is None else rgb
    prediction = Prediction(FULL if maps is None else maps, {}, (32, 64))
    return Shown(rgb, prediction, state, Look.of(metadata, tops or {}, **look))


def test_every_topic_of_images_has_pixels_of_its_encoding_and_the_maps_size():
    one = shown()
    for topic in TOPICS.values():
        if topic.kind == 'Image' and not topic.planner and not topic.promised:
            pixels, encoding = one.image(topic)
            assert pixels.shape[:2] == SIZE, topic
            assert encoding == ('rgb8' if topic.colored or not topic.row else topic.row.encoding)


def test_what_is_not_there_is_not_given():
    one = shown({'depth': FULL['depth']})
    assert one.image(TOPICS['depth/image'])[0] is FULL['depth']
    for name in ('label', 'label_color', 'depth_uncertainty_color', 'instance'):
        assert one.image(TOPICS[name]) is None, name
    assert one.image(TOPICS['overlay'])[0].shape == (*SIZE, 3)


@pytest.mark.parametrize('limit', [0.0, 0.5])
def test_depth_is_unknown_where_its_sigma_is_above_the_limit_or_no_number(limit):
    one = shown(unknown_depth_sigma=limit)
    depth, encoding = one.image(TOPICS['depth/image'])
    unknown = ~(SIGMA <= limit) if limit else np.zeros(SIZE, bool)
    assert encoding == '32FC1' and np.array_equal(np.isnan(depth), unknown)
    assert (FULL['depth'] == 2.0).all(), 'the prediction was changed'
    assert np.array_equal(one.given('depth_variance'), SIGMA, equal_nan=True)


def test_depth_goes_out_in_millimetres_where_asked_for():
    pixels, encoding = shown(depth_encoding='16UC1').image(TOPICS['depth/image'])
    assert encoding == '16UC1' and pixels.dtype == np.uint16 and (pixels == 2000).all()


def test_scales_end_where_asked_for_and_else_where_the_table_says():
    for top, sigma_top in ((None, 1.0), (0.0, 1.0), (5.0, 5.0)):
        one = shown(tops={} if top is None else {'depth_variance': top})
        assert np.array_equal(one.image(TOPICS['depth_uncertainty_color'])[0],
                              visualization.scalar_color(SIGMA, 0.0, sigma_top))
        assert np.array_equal(
            one.image(TOPICS['segmentation_uncertainty_color'])[0],
            visualization.scalar_color(SIGMA + np.float32(0.5), 0.0, math.log(5)))


def test_labels_and_objects_have_their_colours():
    one = shown()
    assert np.array_equal(one.colored(MAPS['label']),
                          visualization.label_color(LABEL, one.look.palette))
    assert np.array_equal(one.colored(MAPS['instance']),
                          visualization.instance_color(FULL['instance']))


def test_the_picture_is_brought_to_the_maps_size_and_left_alone_where_it_has_it():
    large = np.random.default_rng(0).integers(0, 256, (80, 128, 3), np.uint8)
    assert shown(rgb=large).picture.shape == (*SIZE, 3)
    small = np.zeros((*SIZE, 3), np.uint8)
    assert shown(rgb=small).picture is small


def test_the_overlay_has_labels_outlines_and_a_banner_of_the_flag():
    found = {}
    for name, state in (('raised', RAISED), ('clear', RiskState(False, RiskReason.NONE, ''))):
        one = shown(state=state, overlay_alpha=0.25)
        plain = visualization.instance_outlines(visualization.overlay(
            one.picture, LABEL, one.look.palette, 0.25), FULL['instance'])
        assert np.array_equal(one.overlay, plain)
        found[name] = one.image(TOPICS['overlay'])[0]
        assert np.array_equal(found[name][20:], plain[20:])
    assert not np.array_equal(found['raised'][:10], found['clear'][:10])
