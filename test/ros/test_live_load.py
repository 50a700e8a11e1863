# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that is too fast, and subscribers that are too many and too slow."""

from __future__ import annotations

from pathlib import Path
import threading
import time
from typing import Any

from node_bench import camera_info, FakePredictor, rgb_image, TIMEOUT_S
import pytest
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2

SERVICE_S = 0.05
ASLEEP_S = 0.3
TOPICS = {'points': PointCloud2, 'overlay': Image, 'depth/image': Image, 'label': Image}


class Slow(FakePredictor):
    """Takes 50 ms for an image."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Take its time."""
        time.sleep(SERVICE_S)
        return super().__call__(*args, **options)


def counts(bench: Any) -> dict[str, int]:
    """Return received, processed and dropped images."""
    parts = bench.diagnostics()
    found = {'received': int(parts['input']['received'])}
    found.update({key: int(value) for key, value in parts['inference'].items()
                  if key == 'processed' or key.startswith('dropped_')})
    return found


def test_camera_of_five_times_the_rate_leaves_the_latency_short_and_the_drops_counted(make_bench):
    bench = make_bench(predictor=Slow())
    arrived: list[tuple[int, float]] = []
    bench.helper.create_subscription(
        Image, '/emu/label', lambda m: arrived.append((m.header.stamp.sec, time.monotonic())), 1)
    bench.until(lambda: arrived, send=rgb_image(sec=0))
    before, last_s, index = counts(bench), 0.0, 0
    end = time.monotonic() + 6 * TIMEOUT_S
    # However fast the machine is: until enough were served and enough were too many.
    while index < 250 or any(counts(bench)[key] - before[key] < 20
                             for key in ('processed', 'dropped_newer_image')):
        index += 1
        last_s = time.monotonic()
        assert last_s < end, f'{index} images sent: {counts(bench)}'
        bench.send(rgb_image(sec=index))
        time.sleep(SERVICE_S / 5)

    def settled() -> dict[str, int] | None:
        now = counts(bench)
        total = now['processed'] + sum(now[key] for key in now if key.startswith('dropped_'))
        return now if now['received'] == total else None
    time.sleep(0.3)
    found = bench.until(settled)
    assert found['dropped_newer_image'] == found['received'] - found['processed']
    stamps = [stamp for stamp, _ in arrived if stamp]
    assert stamps == sorted(set(stamps)), 'an older image after a newer one'
    # A queue would still have hundreds to serve. With a slot for the newest there are, when the
    # last image is sent, one on its way, one in the slot, one in the network and one published.
    assert sum(at > last_s for _, at in arrived) <= 4, 'it piles up'


def resident_mb() -> float:
    """Return the memory of this process."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith('VmRSS'))


@pytest.fixture
def crowd(ros: None, domain_id: int) -> Any:
    """Start 20 reliable subscribers of a participant of their own: 16 asleep, 4 slow."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    nodes, ending = [], threading.Event()
    for index in range(20):
        nodes.append(rclpy.create_node(f'listener_{index}', context=context))
        topic, kind = list(TOPICS.items())[index % 4]
        nodes[-1].create_subscription(kind, f'/emu/{topic}', lambda _: time.sleep(ASLEEP_S),
                                      QoSProfile(depth=1 + index % 10))
    executor = rclpy.executors.MultiThreadedExecutor(4, context=context)
    for node in nodes[:4]:
        executor.add_node(node)

    def spin() -> None:
        while not ending.is_set():
            executor.spin_once(timeout_sec=0.1)
    thread = threading.Thread(target=spin, daemon=True)
    thread.start()

    def leave() -> None:
        if not ending.is_set():
            ending.set()
            thread.join()
            executor.shutdown()
            for node in nodes:
                node.destroy_node()
            context.try_shutdown()
    yield leave
    leave()


def test_twenty_slow_subscribers_neither_slow_the_node_nor_grow_it_and_may_vanish(
        make_bench, crowd):
    bench = make_bench()
    for topic in TOPICS:
        bench.until(lambda topic=topic: bench.node.count_subscribers(f'/emu/{topic}') >= 5)

    def after(images: int) -> float:
        goal = len(bench.predictor.calls) + images
        bench.until(lambda: len(bench.predictor.calls) >= goal, send=rgb_image(),
                    camera_info=camera_info(), timeout_s=60.0)
        return resident_mb()
    warm = after(30)
    grown = after(240) - warm
    # So much would be kept if one copy of each image's maps went into a queue: 64x48 pixels of
    # points (24 bytes), overlay (3), depth (4) and label (1).
    kept = 240 * 64 * 48 * (24 + 3 + 4 + 1) / 2**20
    assert grown < kept, f'{grown:.1f} MB more, where a queue would hold {kept:.1f} MB'
    usual = float(bench.diagnostics()['inference']['publish_time_ms_median'])
    assert usual < 1e3 * ASLEEP_S, f'publishing takes {usual} ms: it waits for its subscribers'
    crowd()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: len(labels) >= 3, send=rgb_image())
    assert int(bench.diagnostics()['inference']['dropped_failure']) == 0
