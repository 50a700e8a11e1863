# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations as messages; ``emu_perception.cameras.calibration`` reads them."""

from __future__ import annotations

from emu_perception.cameras.calibration import CameraInfo
from sensor_msgs.msg import CameraInfo as CameraInfoMessage
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header


def to_camera_info(info: CameraInfo, header: Header) -> CameraInfoMessage:
    """Make a camera_info with the header of its image."""
    roi = info.roi
    return CameraInfoMessage(
        header=header, width=info.width, height=info.height, k=info.k, p=info.p, d=info.d,
        r=info.r, distortion_model=info.distortion_model, binning_x=info.binning_x,
        binning_y=info.binning_y, roi=RegionOfInterest(
            x_offset=roi.x_offset, y_offset=roi.y_offset, height=roi.height, width=roi.width,
            do_rectify=roi.do_rectify))
