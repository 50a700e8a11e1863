# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What arrives at the consumers of a node, without and with shared memory for whole images.

``python tools/consumers.py --out results/node/consumers.json`` starts a replay camera (640x480
raw) and ``emu_node`` as processes of this source tree, beside as many busy processes as ``--load``
says, and listens as Nav2, nvblox, depth_image_proc and RViz do: once with
``EMU_SHARED_MEMORY=off``, once with the default, one after the other on the same machine. It
prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 120.0
WIDTH, HEIGHT, FX = 640, 480, 520.0
# A consumer: what it reads, and whether best effort. Several topics: sets of equal stamps count.
CONSUMERS: dict[str, tuple[tuple[str, ...], bool]] = {
    'image, best effort': (('/image',), True),
    'depth, best effort': (('/emu/depth/image',), True),
    'points, best effort': (('/emu/points',), True),
    'obstacles, best effort (collision monitor)': (('/emu/points/obstacles',), True),
    'points, reliable (RViz)': (('/emu/points',), False),
    'label + confidence + points (Nav2 semantic layer)': (
        ('/emu/label', '/emu/confidence', '/emu/points'), True),
    'image + mask (nvblox)': (('/image', '/emu/mask'), True),
    'image + depth + camera_info (depth_image_proc)': (
        ('/image', '/emu/depth/image', '/emu/depth/camera_info'), True)}
_CLOUDS = ('/emu/points', '/emu/points/obstacles')


@dataclass
class Consumer:
    """Counts messages, or sets of equal stamps, and their age on arrival."""

    topics: tuple[str, ...]
    ages_ms: list[float] = field(default_factory=list)
    waiting: dict[bytes, set[str]] = field(default_factory=dict)

    def note(self, topic: str, data: bytes) -> None:
        """Take a serialized message: behind four bytes of encapsulation comes its stamp."""
        stamp = data[4:12]
        there = self.waiting.setdefault(stamp, set())
        there.add(topic)
        if len(there) == len(self.topics):
            second, nanosecond = struct.unpack('<iI', stamp)
            self.ages_ms.append((time.time() - second - nanosecond * 1e-9) * 1e3)
            del self.waiting[stamp]
        for old in list(self.waiting)[:-50]:
            del self.waiting[old]


def consume(seconds: float) -> dict[str, dict[str, float | None]]:
    """Be all consumers: wait for the first label, then count for a while."""
    import rclpy
    from rclpy.qos import QoSProfile, QoSReliabilityPolicy
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2
    rclpy.init()
    node = rclpy.create_node('consumers')
    consumers = {name: Consumer(topics) for name, (topics, _) in CONSUMERS.items()}

    def hears(consumer: Consumer, topic: str) -> Callable[[bytes], None]:
        return lambda data: consumer.note(topic, data)
    for name, (topics, best_effort) in CONSUMERS.items():
        for topic in topics:
            kind = (PointCloud2 if topic in _CLOUDS else
                    CameraInfo if topic.endswith('camera_info') else Image)
            node.create_subscription(kind, topic, hears(consumers[name], topic), QoSProfile(
                depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT if best_effort else
                QoSReliabilityPolicy.RELIABLE), raw=True)
    label: list[bytes] = []
    node.create_subscription(Image, '/emu/label', label.append, 1, raw=True)
    end_s = time.monotonic() + START_TIMEOUT_S
    while len(label) < 5:
        assert time.monotonic() < end_s, 'no label came'
        rclpy.spin_once(node, timeout_sec=0.1)
    for consumer in consumers.values():
        consumer.ages_ms.clear()
    begun_s = time.monotonic()
    while (passed_s := time.monotonic() - begun_s) < seconds:
        rclpy.spin_once(node, timeout_sec=0.1)
    rclpy.try_shutdown()
    return {name: {
        'hz': len(one.ages_ms) / passed_s, 'count': len(one.ages_ms),
        'age_ms_median': statistics.median(one.ages_ms) if one.ages_ms else None}
        for name, one in consumers.items()}


@contextmanager
def processes(commands: list[list[str]], environment: dict[str, str]) -> Iterator[None]:
    """Run commands beside what is done."""
    started = [subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()


def measure(options: argparse.Namespace, images: Path, shared_memory: bool) -> dict[str, Any]:
    """Run camera, node, load and consumers once."""
    speaking = ('FASTDDS_', 'FASTRTPS_', 'ROS_AUTOMATIC', 'ROS_LOCALHOST', 'ROS_DISCOVERY')
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(speaking)}
    environment.update(ROS_DOMAIN_ID=str(1 + os.getpid() % 99),
                       EMU_SHARED_MEMORY='on' if shared_memory else 'off',
                       PYTHONPATH=f'{ROOT}:{environment.get("PYTHONPATH", "")}')
    python = [sys.executable]
    commands = [
        [*python, '-m', 'emu_perception.ros.replay_camera', '--ros-args', '-p',
         f'source:={images}', '-p', f'rate_hz:={options.rate}'],
        [*python, '-m', 'emu_perception.ros.node', '--ros-args', '-p', 'mask_classes:=[person]',
         '-p', 'ground_classes:=[floor]', '-p', f'device:={options.device}'],
        *[[*python, '-c', 'while True: pass']] * options.load]
    with processes(commands, environment):
        done = subprocess.run(
            [*python, str(Path(__file__).resolve()), '--consume', str(options.seconds)],
            env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f'the consumers failed: {done.stderr[-500:]}')
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(args: list[str] | None = None) -> int:
    """Measure both, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='JSON')
    parser.add_argument('--seconds', type=float, default=20.0, help='of each measurement')
    parser.add_argument('--rate', type=float, default=10.0, help='of the camera, Hz')
    parser.add_argument('--load', type=int, default=2, help='busy processes beside')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--consume', type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.consume is not None:
        print(json.dumps(consume(options.consume)))
        return 0
    sys.path.insert(0, str(ROOT))
    from emu_perception.cameras.calibration import pinhole_info
    from emu_perception.cameras.calibration_files import write_calibration
    from emu_perception.whole_files import write_json
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for index in range(5):
            small = rng.integers(0, 255, (12, 16, 3), np.uint8)
            path = Path(folder) / f'{index}.png'
            cv2.imwrite(str(path), cv2.resize(small, (WIDTH, HEIGHT)))
            write_calibration(path.with_suffix('.yaml'), pinhole_info(WIDTH, HEIGHT, FX))
        before, after = (measure(options, Path(folder), shared) for shared in (False, True))
    print(f'camera {options.rate:g} Hz, {options.seconds:g} s, {options.load} busy processes, '
          f'{len(os.sched_getaffinity(0))} cores\n')
    print('| consumer | 512 KB: Hz (age) | with the profile: Hz (age) |\n|---|---|---|')
    for name in CONSUMERS:
        cells = [f'{one[name]["hz"]:.1f}' + (f' ({one[name]["age_ms_median"]:.0f} ms)'
                                            if one[name]['count'] else '')
                 for one in (before, after)]
        print(f'| {name} | {cells[0]} | {cells[1]} |')
    if options.out:
        settings = {key: value for key, value in vars(options).items()
                    if key not in ('out', 'consume')}
        write_json(options.out, {
            'command': 'python tools/consumers.py', 'settings': settings,
            'cores': len(os.sched_getaffinity(0)), 'load_average': os.getloadavg(),
            'default_segment': before, 'shared_memory': after}, indent=2)
    return 0


if __name__ == '__main__':
    sys.exit(main())
