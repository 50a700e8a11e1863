# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's moving camera: picture, true depth and intrinsics have to tell one story."""

from __future__ import annotations

from pathlib import Path

from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.cameras.pinhole import Pinhole
from emu_perception.ros.demo import frames, scenes
from emu_perception.ros.demo.answers import DepthScore
from emu_perception.ros.demo.geometry import (
    cut,
    disparity_to_depth,
    path_of_windows,
    seen_through,
    Window,
)
from emu_perception.ros.demo.own_images import own_frames, own_images, read_true_depth
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CAMERA = Pinhole(fx=1000.0, fy=900.0, cx=300.0, cy=250.0)


def test_zoom_multiplies_the_focal_length_and_crop_does_not() -> None:
    """A crop moves the principal point only; a resize scales all four."""
    cropped = seen_through(CAMERA, Window(100, 50, 320, 240), 320, 240)
    assert cropped == Pinhole(1000.0, 900.0, 200.0, 200.0)
    zoomed = seen_through(CAMERA, Window(100, 50, 320, 240), 640, 480)
    assert (zoomed.fx, zoomed.fy) == (2000.0, 1800.0)
    assert (zoomed.cx, zoomed.cy) == (400.5, 400.5)


def test_a_point_in_space_stays_on_its_pixel() -> None:
    """Projecting with the new intrinsics lands where the resized picture shows the point."""
    height, width = 120, 160
    window = Window(40, 30, 80, 60)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[50:52, 90:92] = 255  # centre of the bright square: (90.5, 50.5)
    camera = Pinhole(200.0, 200.0, 80.0, 60.0)
    point = ((90.5 - camera.cx) / camera.fx, (50.5 - camera.cy) / camera.fy)
    seen = cut(picture, window, 320, 240)[..., 0].astype(float)
    rows, columns = np.mgrid[0:240, 0:320]
    found = ((columns * seen).sum() / seen.sum(), (rows * seen).sum() / seen.sum())
    new = seen_through(camera, window, 320, 240)
    assert found[0] == pytest.approx(new.fx * point[0] + new.cx, abs=0.05)
    assert found[1] == pytest.approx(new.fy * point[1] + new.cy, abs=0.05)


def test_depth_is_cut_from_the_nearest_pixel_never_mixed() -> None:
    """An average over an edge would be a depth that is nowhere; unknown must stay unknown."""
    depth = np.full((40, 40), 2.0, np.float32)
    depth[:, 20:] = 5.0
    depth[:10] = np.nan
    small = cut(depth, Window(0, 0, 40, 40), 27, 27)
    assert set(np.unique(small[np.isfinite(small)])) == {2.0, 5.0}
    assert np.isnan(small[:6]).all()


@pytest.mark.parametrize('shift', [8, 12, 24])
def test_a_pair_that_is_shifted_lies_at_the_depth_of_its_disparity(shift: int) -> None:
    """The wrong way round, or in sixteenths of a pixel, no pixel would lie there."""
    rng = np.random.default_rng(0)
    wide = np.repeat(rng.integers(0, 255, (60, 240, 1)), 3, axis=2).astype(np.uint8)
    left, right = wide[:, :200], wide[:, shift:200 + shift]
    depth = scenes.stereo_depth(left, right, 400.0, 0.1)
    assert depth.shape == (60, 200) and depth.dtype == np.float32
    known = np.isfinite(depth)
    assert known[:, 60:].mean() > 0.9
    assert np.abs(40.0 / depth[known] - shift).max() < 0.5  # Of a pixel of disparity.


def test_a_pair_of_nothing_that_agrees_has_no_depth() -> None:
    """A matcher that guesses would be called what is known of the depth."""
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 255, (2, 60, 200, 3)).astype(np.uint8)
    assert np.isfinite(scenes.stereo_depth(left, right, 400.0, 0.1)).mean() < 0.05


def test_the_living_room_names_its_author_and_licence_and_its_camera() -> None:
    """CC BY 4.0 asks for it, wherever the pictures go."""
    terms = (ROOT / 'examples/living_room/README.md').read_text()
    assert 'Nicolas Burrus' in terms and 'CC BY 4.0' in terms and 'Changed' in terms
    room = scenes.living_room()
    assert room.image.shape[:2] == room.depth.shape == (460, 611)
    left = read_calibration(ROOT / 'examples/living_room/left.yaml')
    assert room.camera == Pinhole(left.p[0], left.p[5], left.p[2], left.p[6])
    assert np.isfinite(room.depth).mean() > 0.5, 'most of it is textured'


def test_middlebury_formula() -> None:
    """Z = f * baseline / (d + doffs), with unknown disparities unknown."""
    depth = disparity_to_depth(np.array([[10.0, np.inf, np.nan]]), 1000.0, 0.2, 30.0)
    assert depth[0, 0] == pytest.approx(5.0)
    assert np.isnan(depth[0, 2]) and np.isnan(depth[0, 1])


def test_windows_stay_inside_the_picture_and_keep_the_aspect() -> None:
    """A window beyond the edge would be cut and stretched."""
    for window in path_of_windows(24, 741, 500, 4 / 3):
        assert window.left >= 0 and window.left + window.width <= 741
        assert window.top >= 0 and window.top + window.height <= 500
        assert window.width / window.height == pytest.approx(4 / 3, rel=0.01)


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[frames.DemoFrame]]:
    """Return the folder and list of the demo's frames."""
    pytest.importorskip('skimage', reason='NOT TESTED: scikit-image is not installed')
    folder = tmp_path_factory.mktemp('demo') / 'frames'
    return folder, frames.make_frames(folder)


@pytest.mark.slow
def test_every_kind_is_shown_and_the_room_lies_in_a_room(
        made: tuple[Path, list[frames.DemoFrame]]) -> None:
    """The garage's true depth is 2 to 5 metres, the living room's 1 to 5: constants and units."""
    folder, listed = made
    assert {frame.kind for frame in listed} == {'room', 'garage', 'no room', *frames.BASIC}
    assert sorted(frame.name for frame in listed) == [frame.name for frame in listed]
    for frame in listed:
        assert (folder / frame.name).is_file()
        if frame.depth_file is not None:
            depth = read_true_depth(frame.depth_file)
            assert depth is not None and depth.shape == (480, 640)
            assert (2.0 if frame.kind == 'garage' else 1.0) <= np.nanmin(depth)
            assert np.nanmax(depth) < 5.5


def test_calibration_beside_each_room_frame_and_beside_no_other(
        made: tuple[Path, list[frames.DemoFrame]]) -> None:
    """The camera of coffee.png is unknown: a camera_info for it would be invented."""
    folder, listed = made
    focal_lengths: dict[bool, set[int]] = {True: set(), False: set()}
    for frame in listed:
        beside = (folder / frame.name).with_suffix('.yaml')
        assert beside.is_file() == (frame.kind != 'no room')
        if beside.is_file():
            matrix = yaml.safe_load(beside.read_text())['camera_matrix']['data']
            focal_lengths[frame.kind == 'garage'].add(round(matrix[0]))
    assert len(focal_lengths[True]) > 2 and min(focal_lengths[True]) > 900
    assert len(focal_lengths[False]) > 3 and min(focal_lengths[False]) > 451  # Made larger.


def test_corrupted_frames_differ_from_the_room(made: tuple[Path, list[frames.DemoFrame]]) -> None:
    """A corrupted image that is not corrupted would make the summary lie."""
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    for kind in frames.BASIC:
        other = frames.corrupted(image, kind, frames.SEVERITIES[-1], rng)
        assert other.dtype == np.uint8 and other.shape == image.shape
        assert np.abs(other.astype(float) - image).mean() > 20, kind


def test_depth_score_by_hand() -> None:
    """Errors of 1 m at 2 m and 0 at 4 m; an unknown pixel counts for nothing."""
    score = DepthScore.of(np.array([[3.0, 4.0, np.nan, 1.0]], np.float32),
                          np.array([[2.0, 4.0, 1.0, np.nan]], np.float32))
    pooled = DepthScore.pooled([score])
    assert pooled is not None
    assert pooled == {'rmse_m': pytest.approx(0.5 ** 0.5), 'abs_rel': pytest.approx(0.25),
                      'delta1': 0.5, 'pixels': 2}


def test_own_images_are_limited_and_bring_their_depth(image_folder: Path, tmp_path: Path) -> None:
    """A data set folder's true depth is used, with its scale and invalid values."""
    import cv2
    root = tmp_path / 'set'
    (root / 'depth').mkdir(parents=True)
    image_folder.rename(root / 'image')
    values = np.full((96, 128), 2000, np.uint16)
    values[0] = 0
    cv2.imwrite(str(root / 'depth' / 'a.png'), values)
    (root / 'dataset.yaml').write_text(
        'depth: {scale: 0.001, offset: 0.0, invalid: [0], min: 0.1, max: 10.0}\n')
    listed = own_frames(frames.evenly_spaced(own_images(root), 2), tmp_path / 'links')
    assert [frame.name for frame in listed] == ['a.png', 'c.png']
    assert listed[1].depth_file is None and listed[0].depth_file is not None
    depth = read_true_depth(listed[0].depth_file)
    assert depth is not None and np.isnan(depth[0]).all() and (depth[1:] == 2.0).all()
