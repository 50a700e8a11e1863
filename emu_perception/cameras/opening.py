# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of camera a path is: image, folder of images, video, ROS 2 bag or device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
import re

from emu_perception.cameras.bag_images import BagImages
from emu_perception.cameras.image_files import image_paths, IMAGE_SUFFIXES, ImageFiles
from emu_perception.cameras.source import Source
from emu_perception.cameras.video import Device, Video
from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded, is_litter, reading
from emu_perception.recordings.reader import COMPRESSED_SUFFIXES, open_bag


@contextmanager
def open_source(given: str, rate_hz: float, *, image_topic: str | None = None,
                info_topic: str | None = None) -> Iterator[Source]:
    """
    Open what ``given`` names: a path, or the number of a connected camera.

    :param rate_hz: images a second, of what does not say it.
    :param image_topic: of a bag; None: the only one it has.
    :param info_topic: of a bag; None: the one beside the image topic.
    :raises InputError: one line, if there is nothing to read.
    """
    path = expanded(given)
    if not path.exists() and re.fullmatch('[0-9]+', given):
        with closing(Device(int(given), rate_hz)) as device:
            yield device
        return
    check_there(given)
    with reading():
        bag = is_bag(path)
    if bag:
        with open_bag(path) as recording:
            yield BagImages(recording, image_topic, info_topic)
        return
    if image_topic or info_topic:
        raise InputError(f"topic '{image_topic or info_topic}' (--image-topic, "
                         f'--camera-info-topic) is for a ROS 2 bag, and {given} is none')
    with closing(_opened(path, rate_hz)) as source:
        yield source


def check_there(given: str) -> None:
    """
    Check that there is what ``given`` names; whether it is of any use is asked when it is opened.

    :raises InputError: if not.
    """
    if not expanded(given).exists() and not re.fullmatch('[0-9]+', given):
        raise InputError(f'{given}: no such file or folder')


def is_bag(path: Path) -> bool:
    """Tell by its name, or what lies in it, whether a path is a ROS 2 bag, be it a damaged one."""
    names = [path.suffix.lower(), Path(path.stem).suffix.lower()
             if path.suffix in COMPRESSED_SUFFIXES else '']
    return any(name in ('.mcap', '.db3', '.bag') for name in names) or path.is_dir() and (
        (path / 'metadata.yaml').exists()
        or any(child.suffix.lower() in ('.mcap', '.db3') and not is_litter(child.name)
               for child in path.iterdir()))


def folder_of_bag(path: Path) -> Path | None:
    """Return the folder that is a ROS 2 bag, of it or of a file in it; None: it is in none."""
    folder = path if path.is_dir() else path.parent
    found = (folder / 'metadata.yaml').exists() or path.is_dir() and is_bag(path)
    return folder if found else None


def _opened(path: Path, rate_hz: float) -> Source:
    if path.is_dir():
        return ImageFiles(image_paths(path), rate_hz)
    if path.is_char_device():
        return Device(str(path), rate_hz)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFiles([path], rate_hz)
    return Video(path, rate_hz)
