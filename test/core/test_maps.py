# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The table of maps and the topics made of it: whole rows, and each name once."""

from __future__ import annotations

import math

from core_bench import CLASSES, make_metadata, make_network
from emu_perception.maps import MAPS, maps_of, NUMBERS, PALETTE, SCALE
from emu_perception.topics import IMAGE, TOPICS, topics_of
import numpy as np
import pytest

DTYPES = {'mono8': np.uint8, '16UC1': np.uint16, '32FC1': np.float32, '32FC2': np.float32}


@pytest.mark.parametrize('row', MAPS.values(), ids=MAPS)
def test_a_row_gives_pixels_of_its_encoding(row):
    assert MAPS[row.name] is row and row.words and row.unknown and row.unit
    values = row.given(np.ones((2, 3), row.dtype))
    assert row.pixels(values).dtype == DTYPES[row.encoding]


@pytest.mark.parametrize('row', MAPS.values(), ids=MAPS)
def test_what_has_a_scale_has_its_end_and_what_has_a_picture_has_colours(row):
    assert row.color in ('', PALETTE, NUMBERS, SCALE)
    assert (row.color == SCALE) == (row.top is not None)
    assert row.color or not row.color_topic


def test_what_is_given_of_the_variance_is_its_root_in_metres():
    row = MAPS['depth_variance']
    assert row.given(np.float32([4.0])).tolist() == [2.0]
    assert (row.given_name, row.unit, row.given_unit) == ('depth_sigma', 'm²', 'm')
    assert (MAPS['depth'].given_name, MAPS['depth'].given_unit) == ('depth', 'm')


def test_confidence_goes_out_as_a_byte_and_what_is_no_number_is_none():
    values = np.float32([0.0, 0.499, 0.8, 1.0, math.nan, 1.5, -0.5])
    assert MAPS['confidence'].pixels(values).tolist() == [0, 127, 204, 255, 0, 255, 0]


def test_scales_end_where_the_network_knows_nothing_or_its_range_does():
    network = make_network()
    tops = {name: row.top for name, row in MAPS.items() if row.top}
    metadata = make_metadata(network)
    assert {name: top(metadata) for name, top in tops.items()} == {
        'depth': 10.0, 'segmentation_entropy': math.log(CLASSES), 'depth_variance': 1.0}
    assert tops['depth'](make_metadata(network, depth_max=math.inf)) == 10.0
    # One class has no entropy, and a scale of no length no colours.
    one = make_metadata(network, classes=('all',), palette=((1, 2, 3),))
    assert tops['segmentation_entropy'](one) == math.log(2)


def test_every_name_is_there_once():
    topics = [name for row in MAPS.values() for name in (row.topic, row.color_topic) if name]
    assert len(set(topics)) == len(topics) and set(topics) < set(TOPICS)
    assert len({row.given_name for row in MAPS.values()}) == len(MAPS)


@pytest.mark.parametrize('tasks', [('segmentation',), ('depth',), ('segmentation', 'depth'),
                                   ('segmentation', 'depth', 'instance')])
def test_tasks_have_the_topics_of_their_maps_and_those_of_none(tasks):
    found = {topic.name for topic in topics_of(tasks)}
    assert {'overlay', 'camera_info'} <= found
    assert not found & {'depth/source', 'scale_sigma'}, 'there without a depth camera'
    assert not found & {'depth/interval', 'label_set_size'}, 'there without a promise'
    assert found >= {row.topic for row in maps_of(tasks)}
    assert not found & {row.topic for row in MAPS.values() if row.task not in tasks}
    assert ('points' in found) == ('depth/camera_info' in found) == ('depth' in tasks)
    assert all(topic.kind == IMAGE for topic in topics_of(tasks) if topic.row)


def test_topics_that_users_know_are_as_they_were():
    assert set(TOPICS) == {
        'label', 'camera_info', 'depth/image', 'depth/camera_info', 'confidence', 'instance',
        'segmentation_uncertainty', 'depth_uncertainty', 'points', 'label_color', 'overlay',
        'segmentation_uncertainty_color', 'depth_uncertainty_color', 'depth/source',
        'scale_sigma', 'mask', 'scan', 'points/filtered', 'points/ground', 'points/obstacles',
        'segmentation_uncertainty/epistemic', 'depth_uncertainty/epistemic',
        'depth/interval', 'label_set_size'}


def test_promised_topics_are_there_with_constants_and_none_of_depth_with_a_depth_camera():
    """The promise is of the network's own depth: a joined one has another sigma."""
    def found(*tasks, **options):
        return {topic.name for topic in topics_of(tasks, **options) if topic.promised}
    both = ('depth_interval', 'label_set_size')
    assert found('segmentation', 'depth', promises=both) == {'depth/interval', 'label_set_size'}
    assert found('segmentation', 'depth', promises=both, hinted=True) == {'label_set_size'}
    assert found('depth', promises=both) == {'depth/interval'}
    assert found('segmentation', 'depth', promises=both[1:]) == {'label_set_size'}
    assert not found('segmentation', 'depth')
