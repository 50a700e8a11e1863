# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is not known, over DDS: of checkpoints that have learned it, its metres as all metres."""

from __future__ import annotations

from emu_perception.outputs import EPISTEMIC
from node_bench import camera_info, FakePredictor, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
TOPICS = ('segmentation_uncertainty/epistemic', 'depth_uncertainty/epistemic')


def topics(bench):
    return {name.removeprefix('/emu/') for name, _ in
            bench.node.get_publisher_names_and_types_by_node('emu', '/')}


def test_mutual_information_and_epistemic_sigma_come_with_the_image(make_bench):
    bench = make_bench(predictor=FakePredictor(beside=tuple(EPISTEMIC.values())))
    labels, depths = (bench.listen(Image, name) for name in TOPICS)
    bench.until(lambda: labels and depths, send=rgb_image(), camera_info=camera_info())
    # Half of 0.5 nat, and the root of a quarter of (0.2 m) squared, in the upper half.
    for found, expected in ((labels, 0.25), (depths, 0.1)):
        assert found[-1].encoding == '32FC1'
        np.testing.assert_allclose(np.frombuffer(bytes(found[-1].data), np.float32)[0], expected,
                                   rtol=1e-6)


def test_a_checkpoint_without_them_has_no_such_topics(make_bench):
    assert not topics(make_bench(predictor=FakePredictor())) & {*TOPICS}
