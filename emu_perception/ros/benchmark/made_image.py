# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An image that needs no data, and its camera."""

from __future__ import annotations

import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.image_messages import to_image
import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header


def made_image(height: int, width: int) -> tuple[Image, CameraInfo]:
    """Return an rgb8 image, always the same, and its camera_info, both without a stamp."""
    # Smooth, as photographs are: noise has unknown depths and edges everywhere.
    pixels = cv2.GaussianBlur(np.random.default_rng(0).integers(
        0, 256, (height, width, 3), np.uint8), (0, 0), 7)
    header = Header(frame_id='camera_optical_frame')
    return (to_image(pixels, 'rgb8', header),
            to_camera_info(pinhole_info(width, height, 0.8 * width), header))
