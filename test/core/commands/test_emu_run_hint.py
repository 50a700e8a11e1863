# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A recording with a depth camera: joined in as by the node, with what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path

import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.source import InputImage
from emu_perception.commands.hint_track import hint_line, HintSummary, HintTrack
from emu_perception.fusion import checked_hint, DepthHint
from emu_perception.prediction import Prediction
import numpy as np
import pytest
from run_bench import (
    emu_run,
    FX,
    header,
    HEIGHT,
    MAKE,
    pixels,
    read_bag,
    recording,
    scene,
    table,
    turn_by_exif,
    WIDTH,
    write_bag,
    write_images,
)

DEPTH = '/cam/aligned_depth'
SENSOR_MM = 2500
COUNT = 4
ANY = '--depth-hint-any-scale'  # Of a network that was never trained.


def sensor(width: int = WIDTH, index: int = 0) -> np.ndarray:
    """Return what a depth camera sees: 2.5 m in the left half, with the noise of one pixel."""
    seen = np.zeros((HEIGHT, width), np.uint16)
    seen[:, :width // 2] = SENSOR_MM
    seen[0, 0] += index
    return seen


class Fixed:
    """Hints that are what they are, by image."""

    doubt = ''

    def __init__(self, *depths: np.ndarray) -> None:
        self._depths = iter(depths)

    def of(self, image: InputImage, camera: Camera) -> DepthHint | None:
        """Return the next."""
        return checked_hint(next(self._depths), None, (HEIGHT, WIDTH))


def test_hints_of_two_depth_cameras_raise_the_flag_and_leave_nothing_known_of_the_scale():
    hints = Fixed(*(sensor(index=index) for index in range(3)))
    track = HintTrack(hints, 0.4)
    camera = judge(pinhole_info(WIDTH, HEIGHT, FX), WIDTH, HEIGHT, rectified=True).needed()
    found, sigmas = [], []
    for index, doubt in enumerate(('', "topic '/d': two", '')):
        hints.doubt = doubt
        depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
        if doubt:  # Then there is none.
            hints.of = lambda image, camera: None  # type: ignore[method-assign]
        prediction, figures = track.joined(
            InputImage(f'{index}', header(index), lambda: scene(0)), scene(index),
            Prediction({'depth': depth, 'depth_variance': 0.01 * depth ** 2}, {},
                       (HEIGHT, WIDTH)), camera)
        found.append(figures.contradiction)
        sigmas.append(prediction.scale.sigma)
    assert found == ['', "depth hint: topic '/d': two", '']
    assert sigmas[0] < 0.1 and min(sigmas[1:]) > 0.35


def tracked(depths: Sequence[np.ndarray], fx: Sequence[float] = (FX,) * 9, *,
            any_scale: bool = False, each: bool = False, pictures: Sequence[np.ndarray] = ()
            ) -> tuple[list[Prediction], HintSummary]:
    """Join depths into the images of a network that says 2 m."""
    track = HintTrack(Fixed(*depths), 0.4, any_scale=any_scale, each=each)
    found = []
    for index in range(len(depths)):
        camera = judge(pinhole_info(WIDTH, HEIGHT, fx[index]), WIDTH, HEIGHT,
                       rectified=True).needed()
        depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
        picture = pictures[index] if pictures else scene(index)
        found.append(track.joined(
            InputImage(f'{index}', header(index), lambda: scene(0)), picture,
            Prediction({'depth': depth, 'depth_variance': (0.1 * depth) ** 2}, {}, (96, 128)),
            camera)[0])
    return found, track.summary()


def metres(value: float, index: int = 0) -> np.ndarray:
    """Return a sensor's view of one depth, with a hole and a pixel of noise."""
    seen = np.full((HEIGHT, WIDTH), value, np.float32)
    seen[40:50, 40:60] = 0.0
    seen[0, 0] += 0.001 * index
    return seen


def test_a_hint_of_other_units_is_refused_counted_and_said(caplog):
    found, summary = tracked([metres(0.03), metres(0.031), metres(2.2)])
    assert [(one.depth_source == 2).any() for one in found] == [False, False, True]
    assert summary.left_out == {'refused': 2} and summary.with_hint == 1
    assert '; 2 left out (refused)' in hint_line(summary)
    assert caplog.text.count('of the metres that the network says') == 1
    taken, summary = tracked([metres(0.03)], any_scale=True)
    assert (taken[0].depth_source == 2).any() and not summary.left_out


def test_at_another_focal_length_nothing_is_known_of_the_scale():
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    found, _ = tracked([metres(3.0), nothing, nothing], (FX, FX, 1.3 * FX))
    assert found[1].scale.factor == pytest.approx(1.5, rel=0.05)
    assert found[2].scale.factor == 1.0 and found[2].scale_sigma > 0.5


def test_stills_are_joined_each_by_itself(tmp_path, checkpoint):
    """Two photographs of a folder are of two cameras, for all that is known."""
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    found, _ = tracked([metres(3.0), nothing, metres(3.0), metres(1.5)], each=True)
    alone, = tracked([metres(1.5)])[0]
    assert found[1].scale.factor == 1.0 and found[1].scale_sigma > 0.5
    assert found[3].scale == alone.scale and np.array_equal(found[3].depth, alone.depth)
    # As the same, of which nobody says that it is frozen.
    assert all((found[index].depth_source == 2).any() for index in (0, 2, 3))
    first, _ = write_images(tmp_path / 'in', 2)
    (tmp_path / 'depth').mkdir()
    cv2.imwrite(str(tmp_path / 'depth' / first.name), sensor())
    for judged, held in (('auto', False), ('each', False), ('stream', True)):
        out = tmp_path / judged
        assert emu_run(tmp_path / 'in', out, checkpoint, '--depth-hint', str(tmp_path / 'depth'),
                       '--fx', str(FX), '--panels', '0', '--judge', judged, ANY) == 0
        factors = [float(row['scale_factor']) for row in table(out)]
        assert factors[0] != 1.0 and (factors[1] != 1.0) is held


def test_a_hint_that_sees_nothing_is_none_and_said(caplog):
    _, summary = tracked([np.zeros((HEIGHT, WIDTH), np.float32),
                          np.full((HEIGHT, WIDTH), np.nan)])
    assert summary.left_out == {'empty': 2} and summary.with_hint == 0
    assert '2 left out (empty)' in hint_line(summary) and 'it sees nothing' in caplog.text


def test_a_frozen_depth_camera_is_noticed_where_the_picture_moves_on(caplog):
    same = metres(2.2)
    found, summary = tracked([same.copy() for _ in range(3)])
    assert [(one.depth_source == 2).any() for one in found] == [True, False, False]
    assert summary.left_out == {'frozen': 2} and 'is the depth camera frozen?' in caplog.text
    # A simulator's robot that stands still: its colours have noise, its depths have none.
    rng = np.random.default_rng(0)
    still = [np.clip(scene(3) + rng.normal(0, 5, scene(3).shape), 0, 255).astype(np.uint8)
             for _ in range(3)]
    found, _ = tracked([same.copy() for _ in range(3)], pictures=still)
    assert all((one.depth_source == 2).any() for one in found)


def with_depth(path: Path, *, lost: tuple[int, ...] = (), off_ns: int = 0, width: int = WIDTH,
               frame_id: str | None = None) -> Path:
    """Write a bag whose depth camera has lost some of its images."""
    depths = []
    for index in range(COUNT):
        at = header(index)
        stamp = type(at)(at.stamp_ns + off_ns, at.frame_id if frame_id is None else frame_id)
        if index not in lost:
            # Recorded well after its image, as a slower sensor's is.
            depths.append((DEPTH, MAKE.image(sensor(width, index), '16UC1', stamp),
                           at.stamp_ns + 80_000_000))
    return write_bag(path, sorted([*recording(COUNT), *depths], key=lambda one: one[2]))


@pytest.mark.parametrize('frame_id', ['depth_frame', ''])
def test_a_depth_of_another_frame_is_left_out_as_by_the_node(
        tmp_path, checkpoint, capsys, frame_id):
    """A depth camera's own image may have the colour image's size, and another view."""
    bag = with_depth(tmp_path / 'bag', frame_id=frame_id)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--panels', '0', '--depth-hint', DEPTH,
                   ANY) == 0
    refused = f'{COUNT} left out (unusable)'
    said = capsys.readouterr()
    assert (refused in said.out + said.err) is bool(frame_id)
    assert ("it is of frame 'depth_frame'" in said.err) is bool(frame_id)


@pytest.mark.slow
def test_a_bag_with_depth_gives_fused_maps_and_what_the_network_is_worth(tmp_path, checkpoint):
    bag, out = with_depth(tmp_path / 'bag', lost=(2,), off_ns=10_000_000), tmp_path / 'out'
    assert emu_run(bag, out, checkpoint, '--mcap', '--maps', '--depth-hint', DEPTH,
                   ANY) == 0
    found = read_bag(out / 'recording')
    sources = [pixels(message) for _, message in found['/emu/depth/source']]
    depths = [pixels(message) for _, message in found['/emu/depth/image']]
    assert len(sources) == len(found['/emu/scale_sigma']) == COUNT
    for index, (source, depth) in enumerate(zip(sources, depths)):
        left = slice(None), slice(0, WIDTH // 2)
        if index == 2:
            assert not (source == 2).any()
        else:
            assert (source[left] == 2).all() and (source == 2).mean() == 0.5
            assert depth[left][0, 0] == pytest.approx((SENSOR_MM + index) / 1000)
            assert depth[left].ravel()[1:] == pytest.approx(SENSOR_MM / 1000)
    sigma = [message.data for _, message in found['/emu/scale_sigma']]
    assert sigma[2] > sigma[1]
    rows = table(out)
    assert [float(row['sensor_holes_share']) for row in rows] == [0.5, 0.5, 1.0, 0.5]
    assert rows[2]['network_abs_rel_to_sensor'] == '' != rows[1]['network_abs_rel_to_sensor']
    assert all(float(row['scale_factor']) > 0 for row in rows)
    said = json.loads((out / 'summary.json').read_text())['depth_hint']
    assert (said['images'], said['with_hint'], said['holes']) == (COUNT, 3, 0.5)
    maps = np.load(next((out / 'maps').glob('000000_*.npz')))
    assert np.array_equal(maps['depth_source'], sources[0])


@pytest.mark.slow
def test_a_folder_of_depths_is_joined_to_images_of_the_same_names(tmp_path, checkpoint, capsys):
    paths = write_images(tmp_path / 'images', 2)
    (tmp_path / 'depth').mkdir()
    cv2.imwrite(str(tmp_path / 'depth' / f'{paths[0].stem}.png'), sensor())
    assert emu_run(tmp_path / 'images', tmp_path / 'out', checkpoint, '--depth-hint',
                   str(tmp_path / 'depth'), '--fx', str(FX), '--panels', '1', ANY) == 0
    assert 'depth hint: in 1 of 2 images, 50 % of their pixels are holes' in (
        capsys.readouterr().out)
    assert len(list((tmp_path / 'out/panels').glob('*.png'))) == 1


def test_depth_of_an_image_that_exif_turns_is_left_out_and_said(tmp_path, checkpoint, capsys):
    """The image upside down, its depth not: near would be where far is, and nothing else tells."""
    path, = write_images(tmp_path / 'in', 1)
    turn_by_exif(path)
    path.unlink()
    (tmp_path / 'depth').mkdir()
    cv2.imwrite(str(tmp_path / 'depth' / path.name), sensor())
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--fx', str(FX), ANY,
                   '--depth-hint', str(tmp_path / 'depth')) == 0
    assert 'EXIF orientation 3 turns it, and its maps not' in capsys.readouterr().err
    summary = json.loads((tmp_path / 'out/summary.json').read_text())['depth_hint']
    assert summary['with_hint'] == 0 and summary['left_out'] == {'unusable': 1}


@pytest.mark.parametrize('judge', ['stream', 'each'])
def test_a_hint_that_is_far_nearer_raises_the_flag_as_by_the_node(tmp_path, checkpoint, judge):
    """A wall before the lens looks like that, and other units."""
    near = [(DEPTH, MAKE.image(np.full((HEIGHT, WIDTH), 1 + index, np.uint16), '16UC1',
                               header(index)), header(index).stamp_ns + 6_000_000)
            for index in range(2)]
    bag = write_bag(tmp_path / 'bag', sorted([*recording(COUNT), *near], key=lambda one: one[2]))
    rows = {}
    for name, more in (('hint', ['--depth-hint', DEPTH]), ('none', [])):
        assert emu_run(bag, tmp_path / name, checkpoint, '--judge', judge, '--panels', '0',
                       *more) == 0
        rows[name] = table(tmp_path / name)
    told = [index for index, row in enumerate(rows['hint']) if row['risk'] == '1'
            and row['reason'] == 'miscalibrated'
            and 'of the metres that the network says' in row['detail']]
    # No hint takes nothing back in a stream; by itself an image without one has nothing against.
    assert told == list(range(COUNT if judge == 'stream' else 2))
    assert not any(row['reason'] == 'miscalibrated' for row in rows['none'])


def test_depth_of_another_size_is_left_out_and_said(tmp_path, checkpoint, capsys):
    bag = with_depth(tmp_path / 'bag', width=WIDTH // 2)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--depth-hint', DEPTH, '--panels', '0') == 0
    said = capsys.readouterr()
    assert f"depth hint is left out: topic '{DEPTH}': depth_hint is 64x96" in said.err
    assert 'none of 4 images has one' in said.out


@pytest.mark.parametrize(('given', 'words'), [('/no/topic', "topic '/no/topic'"),
                                              ('/cam/camera_info', "topic '/cam/camera_info'")])
def test_a_topic_that_holds_no_depth_is_refused(tmp_path, checkpoint, capsys, given, words):
    bag = write_bag(tmp_path / 'bag', recording(1))
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--depth-hint', given) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_beside_images_a_hint_is_a_folder(tmp_path, checkpoint, capsys):
    write_images(tmp_path / 'images', 1)
    assert emu_run(tmp_path / 'images', tmp_path / 'out', checkpoint, '--depth-hint', '/d') == 1
    assert '--depth-hint is /d: give a topic of a bag' in capsys.readouterr().err
