# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of emu_run share: small inputs of every kind, and how to read the outputs."""

from __future__ import annotations

import csv
from pathlib import Path
import struct
from typing import Any

import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.commands.arguments import parse
from emu_perception.commands.run import answer
from emu_perception.recordings.messages import Header, MessageFactory
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

STORE = get_typestore(Stores.ROS2_JAZZY)
MAKE = MessageFactory(STORE)
WIDTH, HEIGHT, FX = 128, 96, 90.0
IMAGE, INFO = '/cam/image_raw', '/cam/camera_info'
FIRST_NS, STEP_NS = 1_700_000_000 * 10**9 + 123, 10**8


def scene(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return rgb8 noise, of a smoothness that changes from image to image."""
    noise = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 0.3 + 1.5 * (index % 4))


def write_images(folder: Path, count: int, suffix: str = '.png') -> list[Path]:
    """Write images whose names are in order only when numbers count as numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'frame_{index + 8}{suffix}' for index in range(count)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), cv2.cvtColor(scene(index), cv2.COLOR_RGB2BGR))
    return paths


def turn_by_exif(path: Path, orientation: int = 3) -> Path:
    """Write an image again as a JPEG that its EXIF orientation turns; 3 is upside down."""
    data = cv2.imencode('.jpg', cv2.imread(str(path)))[1].tobytes()
    block = (b'II*\0' + struct.pack('<IH', 8, 1)
             + struct.pack('<HHIHH', 0x112, 3, 1, orientation, 0))
    turned = path.with_suffix('.jpg')
    turned.write_bytes(data[:2] + b'\xff\xe1' + struct.pack('>H', 8 + len(block)) + b'Exif\0\0'
                       + block + data[2:])
    return turned


def header(index: int, step_ns: int = STEP_NS) -> Header:
    """Return the header of image ``index``."""
    return Header(FIRST_NS + index * step_ns, 'robot_optical_frame')


def recording(count: int, *, compressed: bool = False, info: bool = True,
              step_ns: int = STEP_NS) -> list[tuple[str, Any, int]]:
    """Return topic, message and time of recording of a camera; its info comes after the image."""
    found = []
    for index in range(count):
        at = header(index, step_ns)
        if compressed:
            png = cv2.imencode('.png', cv2.cvtColor(scene(index), cv2.COLOR_RGB2BGR))[1].tobytes()
            found.append((f'{IMAGE}/compressed', MAKE.compressed_image(png, 'png', at), at))
        else:
            found.append((IMAGE, MAKE.image(scene(index), 'rgb8', at), at))
        if info:
            found.append((INFO, MAKE.camera_info(pinhole_info(WIDTH, HEIGHT, FX + index), at), at))
    # Recorded a little later than stamped.
    return [(topic, message, at.stamp_ns + 5_000_000) for topic, message, at in found]


def write_bag(path: Path, messages: list[tuple[str, Any, int]],
              plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Write a bag folder."""
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections: dict[str, Any] = {}
        for topic, message, time_ns in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time_ns, STORE.serialize_cdr(message, kind))
    return path


def write_video(path: Path, count: int, rate_hz: float = 25.0) -> Path:
    """Write an MP4."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate_hz, (WIDTH, HEIGHT))
    for index in range(count):
        writer.write(cv2.cvtColor(scene(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def emu_run(source: Path, out: Path, checkpoint: Path, *options: str) -> int:
    """Run the command, quick by default: neither video nor MCAP."""
    quick = [option for option, other in (('--no-video', '--video'), ('--no-mcap', '--mcap'))
             if other not in options]
    return answer(parse([str(source), '--out', str(out), '--model', str(checkpoint), '--device',
                         'cpu', '--no-progress', *quick, *options]))


def table(out: Path) -> list[dict[str, str]]:
    """Read frames.csv."""
    with (out / 'frames.csv').open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def read_bag(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Read a bag by the definitions inside it: of topic to (time, message)."""
    found: dict[str, list[tuple[int, Any]]] = {}
    # No default types: what is not embedded cannot be read.
    with AnyReader([path]) as reader:
        for connection, time_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((time_ns, message))
    return found


def pixels(message: Any) -> np.ndarray:
    """Return the pixels of an Image."""
    kind, channels = {'mono8': ('u1', 1), 'rgb8': ('u1', 3), '16UC1': ('<u2', 1),
                      '32FC1': ('<f4', 1), '32FC2': ('<f4', 2)}[message.encoding]
    shape = (message.height, message.width, channels)
    return np.frombuffer(bytes(message.data), kind).reshape(shape).squeeze()


def stamp_ns(message: Any) -> int:
    """Return a header's stamp."""
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
