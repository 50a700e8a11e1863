# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The ruler: pure functions of image, severity and generator, each worse than the one before."""

from __future__ import annotations

import cv2
from emu_perception.corruptions import (
    BREAKS,
    corrupted,
    CORRUPTIONS,
    FAULTS,
    MILD,
    MOVED,
    SEVERITIES,
)
from emu_perception.corruptions.content import JIGSAW, pasted, restyled
from emu_perception.corruptions.photographs import no_room_files
from emu_perception.errors import InputError
import numpy as np
import pytest

SINGLE = {**BREAKS, **FAULTS, **MILD}
SEEDS = range(3)


@pytest.fixture(scope='module')
def room() -> np.ndarray:
    """Return a picture with surfaces, edges and fine texture, of a size no cell divides."""
    rng = np.random.default_rng(1)
    coarse = cv2.resize(rng.uniform(40, 210, (5, 7, 3)), (161, 121),
                        interpolation=cv2.INTER_NEAREST)
    return np.clip(coarse + rng.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)


def rng(seed: int = 3) -> np.random.Generator:
    """Return a fresh generator."""
    return np.random.default_rng(seed)


@pytest.mark.parametrize('kind', CORRUPTIONS)
@pytest.mark.parametrize('severity', SEVERITIES)
def test_a_corruption_is_pure(room, kind, severity):
    before = room.copy()
    one, two = (corrupted(room, kind, severity, rng()) for _ in range(2))
    assert one.dtype == np.uint8 and one.shape == room.shape and one.flags.c_contiguous
    assert np.array_equal(one, two) and np.array_equal(room, before)
    assert not np.array_equal(one, room)


@pytest.mark.parametrize('kind', SINGLE)
def test_a_break_a_fault_or_a_mild_change_is_pure(room, kind):
    if kind.startswith('foreign') and not no_room_files():
        pytest.skip('scikit-image is not installed: no photographs')
    before = room.copy()
    one, two = (SINGLE[kind](room, rng()) for _ in range(2))
    assert one.dtype == np.uint8 and one.shape == room.shape and one.flags.c_contiguous
    assert np.array_equal(one, two) and np.array_equal(room, before)
    assert not np.array_equal(one, room)


@pytest.mark.parametrize('kind', CORRUPTIONS)
def test_each_severity_takes_more_of_the_picture(room, kind):
    """The picture's loss; what it costs the network is measured by training.studies.trust."""
    loss = [np.mean([np.abs(corrupted(room, kind, severity, rng(seed)).astype(float)
                            - room).mean() for seed in SEEDS]) for severity in SEVERITIES]
    assert all(low < high for low, high in zip(loss, loss[1:])), loss


def test_severities_between_two_are_between_them(room):
    change = [np.abs(corrupted(room, 'noise', severity, rng()).astype(float) - room).mean()
              for severity in (2, 2.5, 3)]
    assert change[0] < change[1] < change[2]


@pytest.mark.parametrize('kind', sorted(set(CORRUPTIONS) - {'dark', 'noise', 'over_exposure'}))
def test_lengths_are_parts_of_the_image(room, kind):
    """A kind is as severe on a large image as on the same image small."""
    large = cv2.resize(room, (644, 484), interpolation=cv2.INTER_CUBIC)
    loss = [np.mean([np.abs(corrupted(image, kind, 3, rng(seed)).astype(float) - image).mean()
                     for seed in range(6)]) for image in (room, large)]
    assert loss[1] == pytest.approx(loss[0], rel=0.6)


@pytest.mark.parametrize('severity', [0, 0.99, 5.01, float('nan')])
def test_a_severity_out_of_range_is_refused(room, severity):
    with pytest.raises(InputError, match='severity is .*: give 1 to 5'):
        corrupted(room, 'dark', severity, rng())


def test_another_kind_is_refused(room):
    with pytest.raises(InputError, match="corruption is 'rain': give one of dark, "):
        corrupted(room, 'rain', 1, rng())


@pytest.mark.parametrize('kind', sorted(MOVED))
def test_what_moves_the_image_moves_its_truth_alike(kind):
    """A map that equals the image's red before the change equals it after."""
    image = rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    moved, truth = SINGLE[kind](image, rng(5)), SINGLE[kind](image[..., 0], rng(5))
    assert np.array_equal(moved[..., 0], truth)


def test_no_piece_of_the_jigsaw_stays():
    height, width = 10, 20
    number = np.kron(np.arange(JIGSAW ** 2).reshape(JIGSAW, JIGSAW),
                     np.ones((height, width), int)).astype(np.uint8)
    for seed in range(20):
        moved = BREAKS['jigsaw'](number, rng(seed))[::height, ::width]
        assert sorted(moved.ravel()) == list(range(9))
        assert not (moved == number[::height, ::width]).any()


def test_restyled_has_the_colours_asked_for(room):
    mean, deviation = (120.0, 110.0, 100.0), (40.0, 41.0, 42.0)
    result = restyled(room, (mean, deviation)).astype(float)
    assert result.mean(axis=(0, 1)) == pytest.approx(mean, abs=2)
    assert result.std(axis=(0, 1)) == pytest.approx(deviation, rel=0.05)


def test_pasted_objects_are_where_the_mask_says(room):
    other = 255 - room
    image, where = pasted(room, [other], rng())
    assert where.dtype == bool and 0.02 < where.mean() < 0.7
    far = cv2.dilate(where.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.array_equal(image[far], room[far])
    assert np.abs(image.astype(float) - room)[where].mean() > 20


@pytest.mark.parametrize('kind', FAULTS)
@pytest.mark.parametrize('size', [(1, 1), (2, 3), (7, 64), (64, 7)])
def test_a_fault_may_befall_an_image_of_any_size(kind, size):
    image = rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    assert FAULTS[kind](image, rng()).shape == image.shape


@pytest.mark.parametrize('kind', sorted(set(FAULTS) - {'swapped_colors', 'wrong_bits',
                                                       'chroma_lost', 'salt_and_pepper'}))
def test_a_fault_is_as_large_on_a_large_image(room, kind):
    large = cv2.resize(room, (644, 484), interpolation=cv2.INTER_CUBIC)
    loss = [np.mean([np.abs(FAULTS[kind](image, rng(seed)).astype(float) - image).mean()
                     for seed in range(6)]) for image in (room, large)]
    assert loss[1] == pytest.approx(loss[0], rel=0.6)


def test_lines_without_their_padding_begin_later_each(room):
    """The first line is whole, and each takes a pixel of padding more before it than the last."""
    wrong = FAULTS['wrong_step'](room, rng())
    assert np.array_equal(wrong[0], room[0])
    padding = int((wrong[1] == 0).all(axis=1).argmin())
    assert padding > 0
    assert np.array_equal(wrong[1, padding:], room[1, :room.shape[1] - padding])
