# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depth as millimetres: what does not fit is unknown, never a wrong number."""

from __future__ import annotations

from emu_perception.cloud_layout import POINT
from emu_perception.shown import to_millimetres
from node_bench import camera_info, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2


@pytest.mark.parametrize('metres, millimetres', [
    (2.0, 2000), (0.0014, 1), (1.23456, 1235), (65.535, 65535), (65.536, 0), (1e9, 0),
    (np.inf, 0), (-np.inf, 0), (np.nan, 0), (0.0, 0), (-1.0, 0), (1e-5, 0)])
def test_metres_become_whole_millimetres_or_unknown(metres, millimetres):
    result = to_millimetres(np.full((2, 3), metres, np.float32))
    assert result.dtype == np.uint16 and (result == millimetres).all()


def test_depth_topic_changes_its_encoding_live_and_points_stay_in_metres(make_bench):
    bench = make_bench(parameters={'depth_encoding': '16UC1'})
    depths, infos = bench.listen(Image, 'depth/image'), bench.listen(CameraInfo,
                                                                     'depth/camera_info')
    points = bench.listen(PointCloud2, 'points')
    bench.until(lambda: depths and infos and points, send=rgb_image(), camera_info=camera_info())
    message = depths[-1]
    assert (message.encoding, message.step, message.is_bigendian) == ('16UC1', 128, 0)
    assert message.header.stamp.sec == 1234
    depth = np.frombuffer(message.data, '<u2').reshape(48, 64)
    assert (depth[0, :2] == 0).all() and (depth[1:] == 2000).all()
    assert np.frombuffer(points[-1].data, POINT)['z'][-1] == 2.0
    assert bench.set(depth_encoding='32FC1').successful
    bench.until(lambda: depths[-1].encoding == '32FC1', send=rgb_image())


def test_unknown_depth_sigma_is_zero_in_millimetres(make_bench):
    bench = make_bench(parameters={'depth_encoding': '16UC1', 'unknown_depth_sigma': 0.3})
    depths = bench.listen(Image, 'depth/image')
    bench.until(lambda: depths, send=rgb_image())
    depth = np.frombuffer(depths[-1].data, '<u2').reshape(48, 64)
    assert (depth[24:] == 0).all() and (depth[1:24] == 2000).all()
