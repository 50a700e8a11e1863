# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A node whose camera's height is known: the ground tells its scale, over DDS."""

from __future__ import annotations

from collections.abc import Callable
import math

from emu_perception.fusion import ScaleBelief
from node_bench import Bench, camera_info, rgb_image
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
        def depth() -> float | None:
            found = [one for one in self.depths if one.header.stamp.sec == self.sec]
            return float(np.frombuffer(found[0].data, 'f4').reshape(HEIGHT, WIDTH)[
                HEIGHT // 2, WIDTH // 2]) if found and self.scales else None
        for _ in range(20):
            self.sec += 1
            self.scales.clear()
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
