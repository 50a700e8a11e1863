# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A recording whose camera's height is known: the ground tells its scale, as in the node."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import json
import math

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.source import InputImage
from emu_perception.commands.ground_ruler import ground_line, GroundRuler, GroundSummary
from emu_perception.commands.hint_track import HintTrack
from emu_perception.fusion import checked_hint, DepthHint
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction
import numpy as np
import pytest
from run_bench import emu_run, FX, header, HEIGHT, read_bag, scene, WIDTH, write_images

HEIGHT_M, CLASS = 0.5, 'class 1'
CAMERA = judge(pinhole_info(WIDTH, HEIGHT, FX), WIDTH, HEIGHT, rectified=True).needed()


def tracked(factors: Sequence[float], *, height_m: float = HEIGHT_M, each: bool = False
            ) -> tuple[list[Prediction], HintTrack]:
    """Show floors whose network says 1 / factor of the metres; 0 shows none."""
    mounting = Mounting(height_m, math.radians(30.0))
    down = Mounting(HEIGHT_M, math.radians(30.0)).down(CAMERA.rays()[1])
    true = (HEIGHT_M / np.maximum(down, 0.05)).repeat(WIDTH, 1).astype(np.float32)
    track = HintTrack(None, 0.4, each=each, ruler=GroundRuler(mounting, ('wall', 'floor'),
                                                              ('floor',)))
    found = []
    for index, factor in enumerate(factors):
        depth = true / np.float32(factor or 1.0)
        prediction = Prediction({
            'depth': depth, 'depth_variance': (0.1 * depth) ** 2,
            'label': np.full((HEIGHT, WIDTH), 1 if factor else 0, np.uint8),
            'confidence': np.ones((HEIGHT, WIDTH), np.float32)}, {}, (HEIGHT, WIDTH))
        image = InputImage(f'{index}', header(index), lambda: scene(0))
        joined, figures = track.joined(image, scene(0), prediction, CAMERA)
        assert figures.holes is None and figures.abs_rel is None
        found.append(joined)
    return found, track


def test_the_scale_is_held_over_an_image_without_ground_and_its_spread_is_said() -> None:
    found, track = tracked([0.7, 0.0, 0.7])
    assert [one.scale.factor for one in found] == pytest.approx([0.7] * 3, rel=0.05)
    said = track.ground_summary()
    assert said is not None and (said.images, said.seen, said.refused) == (3, 2, 0)
    assert ground_line(said).startswith('ground: in 2 of 3 images; metres are multiplied by 0.7')
    assert track.summary() is None


def test_of_stills_each_is_by_itself() -> None:
    found, _ = tracked([0.7, 0.0], each=True)
    assert found[1].scale.factor == 1.0 and found[1].scale.sigma > found[0].scale.sigma


def test_what_is_not_believed_is_counted_and_far_nearer_contradicts(caplog) -> None:
    found, track = tracked([1.0, 1.0], height_m=2 * HEIGHT_M)
    assert [one.scale.factor for one in found] == [1.0, 1.0] and not track.contradiction
    assert 'is what is labelled ground above it' in caplog.text
    said = track.ground_summary()
    assert said is not None and said.refused == 2
    assert ground_line(said) == 'ground: it tells no scale in any of 2 images; 2 not believed'
    _, near = tracked([1.0], height_m=0.0005)
    assert 'are its height (m) and pitch right?' in near.contradiction


def test_of_images_whose_hint_tells_the_scale_nobody_says_the_depth_is_the_networks() -> None:
    true = np.full((HEIGHT, WIDTH), 2.0, np.float32)

    class Sees:
        """A depth camera that sees all."""

        doubt = ''

        def of(self, image: InputImage, camera: object) -> DepthHint:
            return checked_hint(true, None, (HEIGHT, WIDTH))
    track = HintTrack(Sees(), 0.4, ruler=GroundRuler(Mounting(HEIGHT_M, 0.5), ('floor',),
                                                     ('floor',)))
    track.joined(InputImage('0', header(0), lambda: scene(0)), scene(0), Prediction({
        'depth': true, 'depth_variance': 0.04 * true,
        'label': np.zeros((HEIGHT, WIDTH), np.uint8), 'confidence': np.ones_like(true)}, {},
        (HEIGHT, WIDTH)), CAMERA)
    said = track.ground_summary()
    assert said == GroundSummary(0, 0, 0) and ground_line(said).startswith(
        'ground: no image asked it')


def test_a_ruler_that_says_nothing_says_so() -> None:
    assert ground_line(GroundSummary(4, 0, 0)) == 'ground: it tells no scale in any of 4 images'
    assert ground_line(GroundSummary(0, 0, 0)).startswith('ground: no image asked it')


def test_a_recording_has_the_scale_and_the_summary_says_what_the_ground_did(
        checkpoint, tmp_path) -> None:
    write_images(tmp_path / 'in', 2)
    out = tmp_path / 'out'
    assert not emu_run(tmp_path / 'in', out, checkpoint, '--camera-height', '0.5',
                       '--camera-pitch', '20', '--ground-classes', CLASS, '--fx', str(FX),
                       '--mcap')
    said = json.loads((out / 'summary.json').read_text())
    assert said['ground_scale']['images'] == 2 and said['depth_hint'] is None
    with (out / 'frames.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert all(row['sensor_holes_share'] == '' and float(row['scale_sigma']) > 0 for row in rows)
    assert any(topic.endswith('scale_sigma') for topic in read_bag(out / 'recording'))


@pytest.mark.parametrize('options, words', [
    (['--camera-height', '0.5', '--ground-classes', 'flor'], "--ground-classes names 'flor'"),
    (['--camera-height', '0'], 'argument --camera-height'),
    (['--camera-height', 'nan'], 'argument --camera-height')])
def test_what_cannot_be_is_said_in_one_line(checkpoint, tmp_path, capsys, options, words) -> None:
    write_images(tmp_path / 'in', 1)
    try:
        code = emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, *options)
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code and words in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
