# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A node whose camera's height is known: the ground tells its scale, over DDS."""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.fusion import ScaleBelief
from emu_perception.prediction import Prediction
from emu_perception.ros.hint_fusion import HintFusion
from emu_perception.ros.introduction import introduce
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.parameters import validate
from node_bench import Bench, camera_info, CLASSES, FakeMetadata, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Float32

pytestmark = pytest.mark.ros
WIDTH, HEIGHT = 128, 96
# The stand-in says 2 m everywhere and floor in a third of all columns. Looking straight down, a
# floor 1.6 m below is 1.6 m deep.
DOWN = {'ground_scale': True, 'ground_classes': ['floor'], 'scan_camera_height_m': 1.6,
        'scan_camera_pitch_deg': 80.0}


class Shown:
    """What a node says of images that are sent to it."""

    def __init__(self, bench: Bench) -> None:
        """Listen to it."""
        self.bench, self.sec = bench, 100
        self.depths = bench.listen(Image, 'depth/image')
        self.scales = bench.listen(Float32, 'scale_sigma')

    def send(self) -> tuple[float, float]:
        """Send an image; return its depth in the middle, and the newest sigma of the scale."""
        before = self.sec  # What is sent from here on may be answered late on a busy machine.
        self.scales.clear()

        def depth() -> float | None:
            found = [one for one in self.depths if one.header.stamp.sec > before]
            return float(np.frombuffer(found[0].data, 'f4').reshape(HEIGHT, WIDTH)[
                HEIGHT // 2, WIDTH // 2]) if found and self.scales else None
        for _ in range(20):
            self.sec += 1
            self.bench.send(rgb_image(WIDTH, HEIGHT, sec=self.sec, nanosec=0),
                            camera_info(WIDTH, HEIGHT))
            try:
                return self.bench.until(depth, timeout_s=1.0), self.scales[-1].data
            except AssertionError:
                continue  # Best effort: an image may be lost on a busy machine.
        raise AssertionError('no maps')

    def values(self) -> dict[str, str]:
        """Return what the diagnostics say of the ground."""
        return {key: value for key, value in self.bench.diagnostics()['input'].items()
                if key.startswith('ground_')}


def test_the_ground_tells_the_scale_and_its_sigma(make_bench: Callable[..., Bench]) -> None:
    shown = Shown(make_bench(parameters=DOWN))
    depth, sigma = shown.send()
    # Its pitch is 80 degrees, so rows differ: between the nearest and the farthest of the floor.
    assert 0.75 * 2.0 < depth < 0.9 * 2.0 and sigma < 0.2
    shown.bench.until(lambda: int(shown.values().get('ground_used', 0)) >= 1)
    assert shown.values()['ground_scale'].startswith('0.8')


def test_without_height_or_classes_it_is_said_and_the_scale_is_unknown(
        make_bench: Callable[..., Bench]) -> None:
    shown = Shown(make_bench(parameters={'ground_scale': True}))
    depth, sigma = shown.send()
    assert depth == pytest.approx(2.0) and sigma == pytest.approx(
        ScaleBelief.before().sigma, rel=1e-3)
    assert 'ground_used' not in shown.values()
    shown.bench.until(lambda: 'scan_camera_height_m and ground_classes is not: the ground tells '
                      'no scale' in shown.bench.diagnostics()['input']['warnings'])
    # Live: from the next image on it is.
    assert shown.bench.set(**{name: value for name, value in DOWN.items()
                              if name != 'ground_scale'}).successful
    assert shown.send()[0] < 1.9


def test_what_is_not_believed_is_a_warning_and_far_nearer_raises_the_flag(
        make_bench: Callable[..., Bench]) -> None:
    shown = Shown(make_bench(parameters={**DOWN, 'scan_camera_height_m': 5.0}))
    bench = shown.bench
    assert shown.send()[0] == pytest.approx(2.0)
    bench.until(lambda: 'is what is labelled ground above it' in bench.diagnostics()['input'][
        'warnings'])
    bench.until(lambda: int(shown.values().get('ground_refused', 0)) >= 1)
    assert bench.set(scan_camera_height_m=0.016).successful  # Of another unit.
    assert shown.send()[0] == pytest.approx(2.0)
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'miscalibrated')
    assert bench.set(scan_camera_height_m=1.6).successful
    assert shown.send()[0] < 1.9 and math.isfinite(shown.send()[1])
    bench.until(lambda: bench.diagnostics()['risk']['reason'] != 'miscalibrated')
    # And where nobody asks the ground any more, what it said raises nothing for ever.
    assert bench.set(scan_camera_height_m=0.016).successful
    shown.send()
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'miscalibrated')
    assert bench.set(scan_camera_height_m=0.0).successful
    assert shown.send()[0] == pytest.approx(2.0)
    bench.until(lambda: 'the ground tells no scale' in bench.diagnostics()['input']['warnings'])
    shown.send()
    bench.until(lambda: bench.diagnostics()['risk']['reason'] != 'miscalibrated')


def test_the_classes_of_a_model_that_is_still_loaded_stop_no_image() -> None:
    """Parameters name its classes before it runs; the model before answers meanwhile."""
    fusion = HintFusion(None, QuietLog(None))
    camera = judge(pinhole_info(WIDTH, HEIGHT, 100.0), WIDTH, HEIGHT, rectified=True).needed()
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    found = fusion.fused(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Prediction({
        'depth': depth, 'depth_variance': 0.04 * depth,
        'label': np.zeros((HEIGHT, WIDTH), np.uint8), 'confidence': np.ones_like(depth)},
        {}, (HEIGHT, WIDTH)), camera, 0.0, validate({**DOWN, 'ground_classes': ('road',)}),
        CLASSES)
    assert found.scale is not None and found.scale.factor == 1.0
    assert found.scale.sigma == pytest.approx(ScaleBelief.before().sigma)
    assert fusion.values['ground_unseen'] == 1


@pytest.mark.parametrize('parameters, tasks, words', [
    ({**DOWN, 'calibration_watch': True}, ('segmentation', 'depth'),
     'calibration_watch is set, and depth_hint is not'),
    ({'ground_scale': True}, ('segmentation',), 'ground_scale is set, but the checkpoint has no '
     'task depth'),
    (DOWN, ('segmentation', 'depth'), '')])
def test_what_is_set_for_nothing_is_said(parameters: dict[str, Any], tasks: tuple[str, ...],
                                         words: str) -> None:
    said: list[str] = []
    log = QuietLog(SimpleNamespace(info=lambda text: None, warning=said.append))
    predictor: Any = SimpleNamespace(
        metadata=FakeMetadata(tasks=tasks), key=SimpleNamespace(path=Path('a.safetensors')),
        device_description='', precision='')
    settings = validate({name: tuple(value) if isinstance(value, list) else value
                         for name, value in parameters.items()})
    introduce(log, predictor, settings, '', label_info=True)
    assert len(said) == bool(words) and all(one.startswith(words) for one in said)
