# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Makes ROS messages of arrays and numbers, as ``rosbags`` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cloud_layout import FIELDS
from emu_perception.errors import InputError
from emu_perception.recordings.typestore import CAMERA_INFO, COMPRESSED, IMAGE, LABEL_INFO
import numpy as np


@dataclass(frozen=True)
class Header:
    """Stamp and frame of a message: always those of the input image."""

    stamp_ns: int
    frame_id: str


class MessageFactory:
    """Makes messages of one set of types (see :func:`~.typestore.typestore`)."""

    def __init__(self, store: Any) -> None:
        self._types = store.types

    def image(self, pixels: np.ndarray, encoding: str, header: Header) -> Any:
        """Make an Image; ``pixels`` HxW or HxWxC have the type and channels of ``encoding``."""
        pixels = np.ascontiguousarray(pixels)
        return self._types[IMAGE](
            header=self._header(header), height=pixels.shape[0], width=pixels.shape[1],
            encoding=encoding, is_bigendian=0, step=pixels.strides[0],
            data=pixels.reshape(-1).view(np.uint8))

    def compressed_image(self, data: bytes, form: str, header: Header) -> Any:
        """Make a CompressedImage of a whole JPEG or PNG file."""
        return self._types[COMPRESSED](header=self._header(header), format=form,
                                       data=np.frombuffer(data, np.uint8))

    def camera_info(self, info: CameraInfo, header: Header) -> Any:
        """Make a CameraInfo with the header of its image."""
        def numbers(values: Any) -> np.ndarray:
            return np.array(values, np.float64)

        roi = info.roi
        return self._types[CAMERA_INFO](
            header=self._header(header), height=info.height, width=info.width,
            distortion_model=info.distortion_model, d=numbers(info.d), k=numbers(info.k),
            r=numbers(info.r), p=numbers(info.p), binning_x=info.binning_x,
            binning_y=info.binning_y, roi=self._types['sensor_msgs/msg/RegionOfInterest'](
                x_offset=roi.x_offset, y_offset=roi.y_offset, height=roi.height, width=roi.width,
                do_rectify=bool(roi.do_rectify)))

    def point_cloud(self, points: np.ndarray, header: Header) -> Any:
        """Make an organised PointCloud2 of points, HxW of ``cloud_layout.POINT``."""
        field = self._types['sensor_msgs/msg/PointField']
        points = np.ascontiguousarray(points)
        return self._types['sensor_msgs/msg/PointCloud2'](
            header=self._header(header), height=points.shape[0], width=points.shape[1],
            fields=[field(name=name, offset=offset, datatype=kind, count=1)
                    for name, offset, kind in FIELDS],
            is_bigendian=False, point_step=points.itemsize,
            row_step=points.itemsize * points.shape[1],
            data=points.reshape(-1).view(np.uint8), is_dense=False)

    def label_info(self, names: Sequence[tuple[int, str]], header: Header) -> Any:
        """Make a LabelInfo of id and name of each class."""
        one = self._types['vision_msgs/msg/VisionClass']
        return self._types[LABEL_INFO](
            header=self._header(header), threshold=0.0,
            class_map=[one(class_id=index, class_name=name) for index, name in names])

    def flag(self, value: bool) -> Any:
        """Make a Bool."""
        return self._types['std_msgs/msg/Bool'](data=value)

    def number(self, value: float) -> Any:
        """Make a Float32."""
        return self._types['std_msgs/msg/Float32'](data=value)

    def statuses(self, names: Sequence[str], level: int, message: str,
                 values: Mapping[str, str], header: Header) -> Any:
        """Make a DiagnosticArray of the same status under each of the names."""
        pair = self._types['diagnostic_msgs/msg/KeyValue']
        return self._types['diagnostic_msgs/msg/DiagnosticArray'](
            header=self._header(header), status=[
                self._types['diagnostic_msgs/msg/DiagnosticStatus'](
                    level=level, name=name, message=message, hardware_id='',
                    values=[pair(key=key, value=value) for key, value in values.items()])
                for name in names])

    def _header(self, header: Header) -> Any:
        seconds, nanoseconds = divmod(header.stamp_ns, 10**9)
        if not -2**31 <= seconds < 2**31:
            raise InputError(f'a stamp of {seconds} s fits into no message: its seconds have 32 '
                             'bits; record anew, or set the stamps right')
        stamp = self._types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
        return self._types['std_msgs/msg/Header'](stamp=stamp, frame_id=header.frame_id)
