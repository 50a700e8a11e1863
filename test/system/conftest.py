# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Real processes of the installed package, each test on a ROS domain of this run's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
from typing import Any
import zlib

import cv2
from emu_perception.errors import EmuError
from emu_perception.ros.demo.processes import arguments, Child, executable, isolated_environment
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def installed() -> Path:
    """Return the prefix of the colcon-installed package."""
    try:
        return executable('emu_node').parents[2]
    except EmuError as error:
        pytest.skip(f'NOT TESTED, the package is not built and sourced: {error}')


@pytest.fixture(scope='module')
def environment(request: pytest.FixtureRequest, installed: Path) -> Iterator[dict[str, str]]:
    """Return the environment of this module's processes, set for this process too."""
    before = dict(os.environ)
    values = isolated_environment()
    values['ROS_DOMAIN_ID'] = str(
        1 + (zlib.crc32(request.module.__name__.encode()) + os.getpid()) % 100)
    os.environ.update(values)
    yield values
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope='module')
def ros(environment: dict[str, str]) -> Iterator[None]:
    """Initialise rclpy in this process, on the module's domain."""
    import rclpy
    rclpy.init(domain_id=int(environment['ROS_DOMAIN_ID']))
    yield
    rclpy.try_shutdown()


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Return a function that starts an installed executable; all end with the test."""
    children: list[Child] = []

    def begin(name: str, remap: dict[str, str] | None = None, **parameters: Any) -> Child:
        log = tmp_path / f'{name}_{len(children)}.txt'
        words = [word for pair in (remap or {}).items() for word in ('-r', ':='.join(pair))]
        children.append(Child(name, [*arguments(parameters), *words], environment, log))
        return children[-1]
    yield begin
    for child in children:
        child.stop()


@pytest.fixture(scope='session')
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small checkpoint of random weights whose risk thresholds nothing exceeds."""
    from emu_perception.checkpoint import (
        Calibration,
        CheckpointMetadata,
        FittedThreshold,
        Intrinsics,
        save_checkpoint,
    )
    from emu_perception.networks.multitask import MultitaskNetwork
    from emu_perception.visualization import default_palette
    import torch
    torch.manual_seed(0)
    network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=32)
    path = tmp_path_factory.mktemp('model') / 'random.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(96, 128), name='random weights',
        classes=tuple('abcde'), palette=tuple(default_palette(5)), depth_max=10.0,
        intrinsics=Intrinsics(128, 96, 100.0, 100.0, 63.5, 47.5),
        calibration=Calibration(scores={'segmentation_entropy': FittedThreshold(5.0, 95.0),
                                        'depth_sigma': FittedThreshold(50.0, 95.0)})))
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Return a folder of three small photographs-like images, 128x96."""
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ('a.png', 'b.jpg', 'c.png'):
        picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (128, 96))
        cv2.imwrite(str(folder / name), picture)
    return folder
