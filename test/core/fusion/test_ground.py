# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The ground tells the scale, or nothing: no ground that is none makes metres much farther."""

from __future__ import annotations

from dataclasses import replace
import math

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge
from emu_perception.errors import InputError
from emu_perception.fusion import checked_hint, Ground, heard, HintStream, read_ground, ScaleBelief
from emu_perception.fusion.ground import FARTHEST, GROUND_SIGMA, LEAST_SHARE
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction
import numpy as np
import pytest

SIZE = HEIGHT, WIDTH = 240, 320
MOUNTING = Mounting(0.6, math.radians(15.0))
CLASSES = ('wall', 'floor', 'table')
PICTURE = np.full((*SIZE, 3), 120, np.uint8)
WALL_M = 4.0


def camera() -> Camera:
    """Return a camera of 320x240 with a focal length of 250 pixels."""
    return judge(pinhole_info(WIDTH, HEIGHT, 250.0), WIDTH, HEIGHT, rectified=True).needed()


def room() -> tuple[np.ndarray, np.ndarray]:
    """Return true depth, metres, and label of a level floor that ends at a wall 4 m away."""
    down = MOUNTING.down(camera().rays()[1])
    floor = np.where(down > 0, MOUNTING.height_m / np.maximum(down, 1e-6), np.inf)
    depth = np.minimum(floor, WALL_M).astype(np.float32).repeat(WIDTH, 1)
    return depth, (depth < WALL_M).astype(np.uint8)


def predicted(depth: np.ndarray, label: np.ndarray, confidence: float = 0.9) -> Prediction:
    """Return what a network says that is equally sure of everything, sigma a tenth of depth."""
    return Prediction({'depth': depth, 'depth_variance': (0.1 * depth) ** 2, 'label': label,
                       'confidence': np.full(label.shape, confidence, np.float32)}, {}, SIZE)


def ground_of(prediction: Prediction, mounting: Mounting = MOUNTING,
              names: tuple[str, ...] = ('floor',), least: float = 0.0) -> Ground:
    """Return what of an image is ground."""
    return Ground.of(prediction, camera(), mounting, CLASSES, names, least)


@pytest.mark.parametrize('factor', [0.3, 0.7, 1.0, 1.3])
def test_it_tells_by_what_the_networks_metres_are_off(factor: float) -> None:
    depth, label = room()
    found = predicted(depth / np.float32(factor), label)
    reading = read_ground(found.depth, ground_of(found))
    assert reading is not None and reading.factor == pytest.approx(factor, rel=1e-3)
    assert reading.sigma >= GROUND_SIGMA


def test_metres_are_brought_to_the_scale_and_no_pixel_is_more_certain_than_the_network() -> None:
    depth, label = room()
    found = predicted(depth / np.float32(0.6), label)
    joined = HintStream().join(found, PICTURE, None, fx=250.0, prior=0.4, now_s=0.0,
                               ground=ground_of(found))
    scale = joined.prediction.scale
    assert scale is not None and scale.factor == pytest.approx(0.6, rel=0.05)
    assert joined.prediction.depth == pytest.approx(depth, rel=0.05)
    relative = joined.prediction.depth_sigma / joined.prediction.depth
    assert (relative >= 0.1).all() and relative == pytest.approx(
        np.full(SIZE, math.hypot(0.1, scale.sigma)), rel=1e-3)
    assert GROUND_SIGMA * 0.9 < scale.sigma < ScaleBelief.before().sigma
    assert joined.prediction.scores == found.scores


@pytest.mark.parametrize('change', [
    lambda found: predicted(found.depth, np.zeros(SIZE, np.uint8)),
    lambda found: predicted(found.depth, found.label, 0.4),  # it may as well be something else
    lambda found: predicted(found.depth, found.label, math.nan),
    lambda found: predicted(np.full(SIZE, np.nan, np.float32), found.label),
    lambda found: predicted(np.full(SIZE, np.inf, np.float32), found.label),
    lambda found: replace(found, maps={k: v for k, v in found.maps.items() if k != 'confidence'}),
    lambda found: replace(found, maps={k: v for k, v in found.maps.items() if k != 'label'}),
    # A strip below the horizon alone, where a degree of pitch decides.
    lambda found: predicted(found.depth, np.repeat(np.arange(HEIGHT)[:, None] == 60, WIDTH, 1
                                                   ).astype(np.uint8))])
def test_where_too_little_ground_is_seen_nothing_is_known_and_held_knowledge_fades(change) -> None:
    depth, label = room()
    found, stream = predicted(depth / np.float32(0.6), label), HintStream()
    first = stream.join(found, PICTURE, None, fx=250.0, prior=0.4, now_s=0.0,
                        ground=ground_of(found))
    blind = change(found)
    assert read_ground(blind.depth, ground_of(blind)) is None
    later = [stream.join(blind, PICTURE, None, fx=250.0, prior=0.4, now_s=at, ground=ground_of(
        blind)).fused.belief for at in (1.0, 60.0, 7200.0)]
    sigmas = [first.fused.belief.sigma, *(belief.sigma for belief in later)]
    assert sigmas == sorted(sigmas) and sigmas[-1] == pytest.approx(ScaleBelief.before().sigma,
                                                                    rel=0.1)


def test_a_camera_that_looks_up_sees_no_ground() -> None:
    depth, label = room()
    found = predicted(depth, np.ones_like(label))
    assert read_ground(found.depth, ground_of(found, Mounting(0.6, -math.radians(60.0)))) is None


@pytest.mark.parametrize('share', [0.4, 0.75, 1.0])
def test_a_table_that_is_labelled_floor_makes_nothing_much_farther(share: float) -> None:
    """Whatever lies above the ground lies nearer than the ground there would."""
    depth, label = room()
    table = (label == 1) & (np.arange(WIDTH)[None] < share * WIDTH)
    above = Mounting(MOUNTING.height_m - 0.4, MOUNTING.pitch_rad)
    down = above.down(camera().rays()[1])
    depth = np.where(table, np.float32(above.height_m) / np.maximum(down, 0.01).astype(np.float32),
                     depth)
    found = predicted(depth, label)
    word = heard(ScaleBelief.before(), found.depth, ground_of(found))
    assert word.reading is not None and word.belief.log_factor <= FARTHEST
    if share > 0.5:
        assert 'is what is labelled ground above it' in word.problem
        assert word.belief == ScaleBelief.before() and not word.nearer


def test_a_height_in_other_units_raises_until_the_ground_is_believed_again() -> None:
    depth, label = room()
    found, stream = predicted(depth, label), HintStream()

    def join(at: float, mounting: Mounting, seen: Prediction = found) -> str:
        joined = stream.join(seen, PICTURE, None, fx=250.0, prior=0.4, now_s=at,
                             ground=ground_of(seen, mounting))
        if joined.ground is not None and joined.ground.problem:
            assert joined.prediction.depth == pytest.approx(found.depth, rel=0.05)
        return stream.contradiction
    assert not join(0.0, MOUNTING)
    kilometres = replace(MOUNTING, height_m=0.0006)
    assert 'by a camera 0.0006 m above it: are its height (m) and pitch right?' in join(
        1.0, kilometres)
    # What sees no ground, and what says farther metres, takes nothing back.
    assert join(2.0, MOUNTING, predicted(depth, np.zeros(SIZE, np.uint8)))
    assert join(3.0, replace(MOUNTING, height_m=60.0))
    assert not join(4.0, MOUNTING)
    assert not join(5.0, replace(MOUNTING, height_m=60.0))


def test_a_hint_that_is_used_goes_before_the_ground_and_a_useless_one_does_not() -> None:
    depth, label = room()
    found = predicted(depth, label)
    twice = ground_of(found, replace(MOUNTING, height_m=0.5 * MOUNTING.height_m))
    hint = checked_hint(depth, None, SIZE)
    with_hint = HintStream().join(found, PICTURE, hint, fx=250.0, prior=0.4, now_s=0.0,
                                  ground=twice)
    assert with_hint.ground is None and with_hint.fused.belief.factor == pytest.approx(1, abs=0.02)
    empty = checked_hint(np.zeros(SIZE, np.float32), None, SIZE)
    without = HintStream().join(found, PICTURE, empty, fx=250.0, prior=0.4, now_s=0.0,
                                ground=twice)
    assert without.ground is not None
    assert without.fused.belief.factor == pytest.approx(0.5, abs=0.05)


def test_a_share_below_the_least_is_nothing() -> None:
    depth, label = room()
    few = label.copy()
    few[:, round(0.7 * LEAST_SHARE * WIDTH):] = 0
    found = predicted(depth, few)
    assert read_ground(found.depth, ground_of(found)) is None


def test_a_class_that_there_is_not_is_named() -> None:
    found = predicted(*room())
    with pytest.raises(InputError, match="parameter ground_classes names 'flor'.*floor"):
        ground_of(found, names=('flor',))


def test_of_maps_at_another_size_the_same_is_read() -> None:
    """Maps may be at the network's size, the camera's info is the image's."""
    depth, label = room()
    found = predicted(depth / np.float32(0.8), label)
    small = replace(found, maps={name: np.ascontiguousarray(value[::2, ::2])
                                 for name, value in found.maps.items()})
    reading = read_ground(small.depth, ground_of(small))
    assert reading is not None and reading.factor == pytest.approx(0.8, rel=0.02)


def test_what_another_mounting_told_is_forgotten() -> None:
    """Half of a height that was corrected while the node runs would be neither the old nor new."""
    depth, label = room()
    found, stream = predicted(depth, label), HintStream()

    def join(at: float, height_m: float, seen: Prediction) -> ScaleBelief:
        return stream.join(seen, PICTURE, None, fx=250.0, prior=0.4, now_s=at, ground=ground_of(
            seen, replace(MOUNTING, height_m=height_m))).fused.belief
    for at in range(5):
        join(float(at), 0.8 * MOUNTING.height_m, found)
    corrected = join(6.0, MOUNTING.height_m, found)
    assert corrected.factor == pytest.approx(1.0, abs=0.02)
    blind = predicted(depth, np.zeros_like(label))
    assert join(7.0, 0.9 * MOUNTING.height_m, blind) == ScaleBelief.before()


def joined_at(stream: HintStream, at: float, seen: Prediction, hint: np.ndarray | None = None,
              ground: Ground | None = None) -> ScaleBelief:
    """Return what is believed after an image with what a depth camera saw, metres."""
    return stream.join(seen, PICTURE, None if hint is None else checked_hint(hint, None, SIZE),
                       fx=250.0, prior=0.4, now_s=at, ground=ground or ground_of(seen)
                       ).fused.belief


def test_what_a_depth_camera_has_just_told_no_table_takes_back() -> None:
    """A hint that is lost for one image would let metres jump, and farther."""
    depth, label = room()
    found, stream = predicted(depth / np.float32(0.6), label), HintStream()
    # All that is labelled floor lies above it by more than half of the camera's true height.
    table = ground_of(found, replace(MOUNTING, height_m=1.3 / 0.6 * MOUNTING.height_m))
    for at in range(3):
        told = joined_at(stream, 0.1 * at, found, hint=depth, ground=table)
    said = []
    for at in range(60):
        lost = stream.join(found, PICTURE, None, fx=250.0, prior=0.4, now_s=0.3 + at, ground=table)
        said.append(lost.ground and lost.ground.problem)
    assert said[:10] == [None] * 10  # It is known better.
    assert said[-1] is not None and 'was known: is what' in said[-1]
    assert told.factor == pytest.approx(0.6, rel=0.02) and lost.fused.belief.factor < 0.65


def test_a_farther_ground_that_is_right_is_believed_in_the_end() -> None:
    """What was read far too near once must not hold for the hour that the camera's part does."""
    depth, label = room()
    stream = HintStream()
    near, right = predicted(depth / np.float32(0.3), label), predicted(depth, label)
    assert joined_at(stream, 0.0, near).factor < 0.4
    after = [joined_at(stream, 5.0 * at, right).factor for at in range(1, 121)]
    assert after[0] < 0.5 and after[-1] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize('hint', ['few', 'far'])
def test_where_a_hint_tells_no_scale_the_ground_does(hint: str) -> None:
    depth, label = room()
    found, stream = predicted(depth / np.float32(0.7), label), HintStream()
    seen = depth.copy()
    if hint == 'few':
        seen[:, 8:], seen[8:] = 0.0, 0.0
    else:
        seen *= np.float32(20.0)  # Of other units: refused.
    joined = stream.join(found, PICTURE, checked_hint(seen, None, SIZE), fx=250.0, prior=0.4,
                         now_s=0.0, ground=ground_of(found))
    assert joined.ground is not None and not joined.ground.problem
    assert joined.fused.belief.factor == pytest.approx(0.7, rel=0.05)
    assert joined.cause == ('used' if hint == 'few' else 'refused')
    # The few pixels go through all the same.
    assert ((joined.prediction.depth_source == 2).sum() == 64) == (hint == 'few')


@pytest.mark.parametrize('settled_by', ['a hint', 'no height'])
def test_what_nobody_asks_any_more_raises_nothing_for_ever(settled_by: str) -> None:
    depth, label = room()
    found, stream = predicted(depth, label), HintStream()
    wrong = ground_of(found, replace(MOUNTING, height_m=0.0006))
    joined_at(stream, 0.0, found, ground=wrong)
    assert stream.contradiction
    joined_at(stream, 1.0, found, hint=np.zeros(SIZE, np.float32), ground=wrong)
    assert stream.contradiction  # An empty hint tells nothing.
    by_hint = settled_by == 'a hint'
    stream.join(found, PICTURE, checked_hint(depth, None, SIZE) if by_hint else None, fx=250.0,
                prior=0.4, now_s=2.0, ground=wrong if by_hint else None)
    assert not stream.contradiction


def test_what_other_classes_told_is_forgotten() -> None:
    depth, label = room()
    found, stream = predicted(depth, label), HintStream()
    tables = predicted(depth / np.float32(0.8), 2 * label)
    for at in range(5):
        joined_at(stream, float(at), tables, ground=ground_of(tables, names=('table',)))
    assert joined_at(stream, 6.0, found).factor == pytest.approx(1.0, abs=0.02)


def test_ground_that_is_seen_far_away_alone_says_less() -> None:
    """There a degree and a half of pitch, as well as a pitch is known, decides."""
    depth, label = room()
    down = MOUNTING.down(camera().rays()[1])
    down = down.repeat(WIDTH, 1)
    far = np.where((down > 0.1) & (down < 0.17), np.float32(MOUNTING.height_m) / down, depth)
    found = predicted(far, ((down > 0.1) & (down < 0.17)).astype(np.uint8))
    wrong = Mounting(MOUNTING.height_m, MOUNTING.pitch_rad - math.radians(1.5))
    reading = read_ground(found.depth, ground_of(found, wrong))
    near = read_ground(depth, ground_of(predicted(depth, label)))
    assert reading is not None and near is not None
    assert GROUND_SIGMA < abs(reading.log_factor) < 1.3 * reading.sigma
    assert near.sigma < 1.1 * GROUND_SIGMA
