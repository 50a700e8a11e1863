# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A picture in the documents is what the default model says today."""

from __future__ import annotations

from pathlib import Path

import cv2
from emu_perception import Predictor
from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.panels import scaled_tile, scene_top
from emu_perception.visualization import panel
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
skimage = pytest.importorskip('skimage')


def off(one: np.ndarray, two: np.ndarray) -> float:
    """Return how far two pictures are apart, in levels of 256."""
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


@pytest.mark.slow
@pytest.mark.parametrize(('photograph', 'fx', 'picture', 'page', 'words'), [
    (Path(skimage.__file__).parent / 'data' / 'motorcycle_left.png', 994.978, 'panel.jpg',
     'uncertainty.md', 'fx=994.978).plot()'),
    (ROOT / 'examples/living_room/left.jpg', 451.03, 'first_map.jpg', 'first_map.md',
     '`fx=451.03`: the flag is down')], ids=['panel', 'first_map'])
def test_the_panel_is_the_default_models(photograph, fx, picture, page, words):
    """It was of the model before: another flag, another depth, other classes."""
    assert words in (ROOT / 'docs' / page).read_text()
    prediction = Predictor.load(device='cpu')(photograph, fx=fx)
    assert prediction.risk.raised is (page == 'uncertainty.md')
    drawn = prediction.plot()[..., ::-1]
    shown = cv2.imread(str(ROOT / 'docs' / picture))
    assert shown.shape == drawn.shape
    written, coded = cv2.imencode('.jpg', drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert written
    # What the coding costs by itself; a picture of another model is off by five times that.
    assert off(shown, drawn) < 2.0 * off(cv2.imdecode(coded, cv2.IMREAD_COLOR), drawn)


@pytest.mark.slow
def test_the_demos_picture_is_the_default_models(tmp_path):
    """README's first picture: its tile of depth, which the node's message made."""
    from emu_perception.ros.demo.frames import make_frames
    frames = make_frames(tmp_path)
    # The widest view of the living room, last seen before the garage.
    frame = [one for one in frames if one.kind == 'room'][-1]
    photograph = tmp_path / frame.name
    assert frame.depth_file is not None
    fx = read_calibration(photograph.with_suffix('.yaml')).k[0]
    depth = Predictor.load(device='cpu')(photograph, fx=fx).depth
    far = max(scene_top(depth, 20.0), scene_top(np.load(frame.depth_file), 20.0))
    tile = scaled_tile('depth', depth, far)
    drawn = panel([(tile.title, tile.picture)], bars=[tile.bar])[26:, :480]
    shown = cv2.cvtColor(cv2.imread(str(ROOT / 'models/emu_default_demo.jpg')),
                         cv2.COLOR_BGR2RGB)[26:386, 960:1440]
    assert shown.shape == drawn.shape
    written, coded = cv2.imencode('.jpg', drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert written
    again = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
    assert off(shown, drawn) < 2.0 * off(again, drawn)
