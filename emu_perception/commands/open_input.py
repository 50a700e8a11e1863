# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of input a path is: image, folder of images, video or ROS 2 bag."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emu_perception.commands import output_folder
from emu_perception.commands.bag_input import BagImages
from emu_perception.commands.file_inputs import image_paths, IMAGE_SUFFIXES, ImageFiles, Video
from emu_perception.commands.inputs import Source
from emu_perception.errors import InputError
from emu_perception.recordings.reader import open_bag


@contextmanager
def open_source(options: argparse.Namespace) -> Iterator[Source]:
    """
    Open what the command line names.

    :raises InputError: if it cannot be used.
    """
    path: Path = options.input
    is_bag = path.suffix in ('.mcap', '.db3', '.bag') or path.is_dir() and (
        (path / 'metadata.yaml').exists()
        or any(child.suffix in ('.mcap', '.db3') for child in path.iterdir()))
    if not path.exists():
        raise InputError(f'INPUT {path}: no such file or folder')
    for name in ('image_topic', 'camera_info_topic'):
        if getattr(options, name) and not is_bag:
            raise InputError(f'--{name.replace("_", "-")} {getattr(options, name)}: is for a '
                             f'ROS 2 bag, and {path} is none')
    if is_bag:
        with open_bag(path) as bag:
            yield BagImages(bag, options.image_topic, options.camera_info_topic)
        return
    source: Source
    if path.is_dir():
        source = ImageFiles(image_paths(path), options.rate)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        source = ImageFiles([path], options.rate)
    else:
        source = Video(path, options.rate)
    try:
        yield source
    finally:
        source.close()


def check_apart(path: Path, out: Path) -> None:
    """
    Refuse to write into the folder that is read: its own panels would be input next time.

    :raises InputError: if it is so.
    """
    if path.is_dir() and (out.resolve() == path.resolve()
                          or path.resolve() in out.resolve().parents
                          and out.resolve().name in ('image', output_folder.PANELS)):
        raise InputError(f'--out {out}: is where the input is read from; give another folder')
