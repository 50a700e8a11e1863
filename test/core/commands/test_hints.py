# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which depth image of a bag is an image's, whatever its stamps do, and what is held meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.opening import open_source
from emu_perception.commands.hints import BagHints, open_hints
from emu_perception.errors import InputError
from emu_perception.recordings.messages import Header
import numpy as np
import pytest
from run_bench import FIRST_NS, FX, HEIGHT, IMAGE, MAKE, scene, STEP_NS, WIDTH, write_bag

DEPTH = '/cam/aligned_depth'
COUNT, S = 120, 10**9
Stamp = Callable[[int], int]


def recorded(path: Path, image: Stamp, hint: Stamp) -> Path:
    """Write COUNT images and hints, each 1 mm farther; what is given is added to their stamps."""
    messages = []
    for index in range(COUNT):
        at = FIRST_NS + index * STEP_NS
        depth = np.full((HEIGHT, WIDTH), 1000 + index, np.uint16)
        messages += [
            (IMAGE, MAKE.image(scene(index % 4), 'rgb8', Header(at + image(index), 'eye')), at),
            (DEPTH, MAKE.image(depth, '16UC1', Header(at + hint(index), 'eye')), at + S // 20)]
    return write_bag(path, messages)


def found(bag: Path) -> tuple[list[int], int]:
    """Return of which index each image's hint is, -1 for none, and the most that were held."""
    camera = judge(pinhole_info(WIDTH, HEIGHT, FX), WIDTH, HEIGHT, rectified=True).needed()
    indices, most = [], 0
    with open_source(str(bag), 10.0, image_topic=IMAGE) as source, open_hints(DEPTH, bag) as hints:
        assert isinstance(hints, BagHints)
        for image in source.images():
            hint = hints.of(image, camera)
            most = max(most, len(hints._near))
            indices.append(-1 if hint is None else round(1000 * float(hint.depth[0, 0])) - 1000)
    return indices, most


def still(index: int) -> int:
    """Return what leaves a stamp as it is."""
    return 0


def back(index: int) -> int:
    """Return a jump back by an hour in the middle, and 20 years."""
    return -3600 * S * (index >= COUNT // 2)


def test_each_image_has_its_own_and_only_those_ahead_are_held(tmp_path: Path) -> None:
    indices, most = found(recorded(tmp_path / 'bag', still, still))
    assert indices == list(range(COUNT)) and most <= 2


@pytest.mark.parametrize('lag', [0, 3])
def test_both_begin_again_and_are_found_again(tmp_path: Path, lag: int) -> None:
    """A recording of two runs, one of whose drivers starts a little after the other."""
    def later(index: int) -> int:
        return back(index - lag)
    indices, most = found(recorded(tmp_path / 'bag', back, later))
    expected = [index if not COUNT // 2 <= index < COUNT // 2 + lag else -1
                for index in range(COUNT)]
    assert indices == expected and most < 30


def test_two_depth_cameras_in_one_topic_are_no_hints_as_in_the_node(tmp_path: Path) -> None:
    messages = []
    for index in range(12):
        at = FIRST_NS + index * STEP_NS
        shape = (HEIGHT, WIDTH) if index % 2 else (HEIGHT, WIDTH // 2)
        messages += [
            (IMAGE, MAKE.image(scene(0), 'rgb8', Header(at, 'eye')), at),
            (DEPTH, MAKE.image(np.full(shape, 1000, np.uint16), '16UC1', Header(at, 'eye')), at)]
    bag = write_bag(tmp_path / 'bag', messages)
    camera = judge(pinhole_info(WIDTH, HEIGHT, FX), WIDTH, HEIGHT, rectified=True).needed()
    with open_source(str(bag), 10.0, image_topic=IMAGE) as source, open_hints(DEPTH, bag) as hints:
        assert hints is not None
        for index, image in enumerate(source.images()):
            if index < 7:
                continue
            with pytest.raises(InputError, match='depth images of .* come in turn'):
                hints.of(image, camera)
            assert hints.doubt.startswith(f"topic '{DEPTH}': ")


@pytest.mark.parametrize('sign', [1, -1])
def test_a_depth_camera_with_another_clock_has_no_hints_and_fills_no_memory(
        tmp_path: Path, sign: int) -> None:
    """Of each image 2 s of them are held, and not the rest of the bag."""
    indices, most = found(recorded(tmp_path / 'bag', still, lambda index: sign * back(index)))
    assert indices == [*range(COUNT // 2), *[-1] * (COUNT // 2)] and most < 50


def test_one_odd_stamp_costs_one_hint(tmp_path: Path) -> None:
    """As a driver's first may have."""
    odd = {0: 3600 * S, 50: 3600 * S, 80: -3600 * S}
    indices, _ = found(recorded(tmp_path / 'bag', still, lambda index: odd.get(index, 0)))
    assert indices == [-1 if index in odd else index for index in range(COUNT)]
