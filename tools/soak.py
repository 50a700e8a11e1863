# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the real node at full rate for a while and see whether it grows.

``python tools/soak.py --minutes 30 --out out/soak`` starts ``emu_node`` of this source tree in
a process of its own, sends it images faster than it can serve, listens to every topic it has, and
samples its memory, latency and drops. Every five minutes the camera is taken away for three
seconds and comes back as another publisher. At the end, the camera running on, the node is killed
(SIGKILL) and started again, a few times over. It writes ``memory.csv``, ``memory.png`` and
``soak.json``; the exit code is 1 where memory grows faster than ``--bound`` after the warm-up, the
most of its last third is more than ``--bound-of-thirds`` above the most of its middle third, the
node does not serve a camera that came back, takes longer than ``--bound-of-restart`` from its
start to its first labels, ends early, stops processing, fails on an image, or does not end with
code 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import csv
from dataclasses import asdict, fields
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soaking.samples import Sample
    from soaking.surroundings import Surroundings

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 120.0


def node_arguments(options: argparse.Namespace) -> list[str]:
    """Return the node's command line."""
    from emu_perception.checkpoint import read_metadata
    from emu_perception.scores import SCORES
    # Without these the topics for planners are silent, and under a raised flag what is promised.
    name = read_metadata(options.model).classes[0]
    values = {'model_file': options.model, 'device': options.device, 'ground_classes': f'[{name}]',
              'mask_classes': f'[{name}]', 'scan_frame': 'level', 'scan_camera_height_m': '1.0',
              **{row.parameter: str(row.highest) for row in SCORES.values()}}
    return [sys.executable, '-m', 'emu_perception.ros.node', '--ros-args',
            *(word for key, value in values.items() for word in ('-p', f'{key}:={value}'))]


def start_node(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start emu_node; what it says goes to a file."""
    with log.open('ab') as stream:
        return subprocess.Popen(arguments, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
                                start_new_session=True)


def run(options: argparse.Namespace, around: Surroundings,
        process: subprocess.Popen[bytes]) -> tuple[list[Sample], list[str]]:
    """Sample until the time is over or the node has ended."""
    from soaking.samples import sample, SAMPLE_EVERY_S
    begin = time.monotonic()
    while around.diagnostics.get('processed', '0') == '0':
        around.spin(0.5)
        if process.poll() is not None or time.monotonic() - begin > START_TIMEOUT_S:
            raise SystemExit(f'the node does not start: see {options.out}/node.log')
    topics = around.listen_to_everything('emu')
    begin = time.monotonic()
    samples: list[Sample] = []
    end, following = begin + 60.0 * options.minutes, begin
    restart = begin + (options.restart_camera_every or float('inf'))
    while time.monotonic() < end and process.poll() is None:
        samples.append(sample(process.pid, time.monotonic() - begin, around.diagnostics))
        if len(samples) % 30 == 0:
            last = samples[-1]
            print(f'{last.time_s / 60:5.1f} min  {last.rss_mb:7.1f} MB  {last.processed} images  '
                  f'{last.latency_ms:.0f} ms', flush=True)
        if time.monotonic() >= restart:
            around.restart_camera('emu')
            restart += options.restart_camera_every
        following = max(following + SAMPLE_EVERY_S, time.monotonic())
        around.spin(following - time.monotonic())
    return samples, topics


def parsed(args: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--out', type=Path, default=ROOT / 'out' / 'soak')
    parser.add_argument('--model', default=str(ROOT / 'models' / 'emu_default.safetensors'))
    parser.add_argument('--device', default='auto')
    parser.add_argument('--rate', type=float, default=30.0, help='of the camera, Hz')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480),
                        metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--warm-up', type=float, default=180.0,
                        help='seconds that do not count (at most half of the run)')
    parser.add_argument('--bound', type=float, default=20.0,
                        help='largest growth of resident memory, MB per hour')
    parser.add_argument('--bound-of-thirds', type=float, default=5.0,
                        help='largest growth from the middle to the last third of the run, MB')
    parser.add_argument('--restart-camera-every', type=float, default=300.0, metavar='S',
                        help='seconds from one restart of the camera to the next; 0: none')
    parser.add_argument('--restart-node', type=int, default=3, metavar='N',
                        help='restarts of the node at the end')
    parser.add_argument('--bound-of-restart', type=float, default=3.0, metavar='S',
                        help="longest from a restarted node's start to its first labels")
    return parser.parse_args(args)


def main(args: list[str] | None = None) -> int:
    """Run, write and judge."""
    options = parsed(args)
    options.out.mkdir(parents=True, exist_ok=True)
    # Before rclpy is loaded; a domain of its own, and shared memory for whole images.
    os.environ.update(ROS_DOMAIN_ID=str(1 + os.getpid() % 100),
                      ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        os.environ.setdefault(name, str(ROOT / 'config' / 'fastdds.xml'))
    sys.path[:0] = [str(ROOT), str(ROOT / 'test/ros')]
    import rclpy
    from soaking.drawing import draw
    from soaking.judging import judge, last_above_middle
    from soaking.samples import Sample
    from soaking.surroundings import Surroundings
    rclpy.init()
    log = options.out / 'node.log'
    log.unlink(missing_ok=True)
    arguments = node_arguments(options)  # Once: a restart's time is the node's, not its file's.
    process = start_node(arguments, log)
    try:
        around = Surroundings(options)
        samples, topics = run(options, around, process)
        load = os.getloadavg()  # two processes of its own and whatever else the machine does
        last = dict(around.diagnostics)
        for _ in range(options.restart_node if process.poll() is None else 0):
            process = around.restart_node('emu', process, lambda: start_node(arguments, log))
        around.diagnostics = last
        process.send_signal(signal.SIGINT)
        exit_code = process.wait(30.0)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    result = judge(options, samples, topics, around, exit_code, load)
    with (options.out / 'memory.csv').open('w', newline='') as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Sample)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in samples)
    from emu_perception.whole_files import write_json  # Of this tree.
    write_json(options.out / 'soak.json', result, indent=2)
    draw(samples, result, options.out / 'memory.png')
    print(f'{result["images_processed"]} images, {result["fps"]:g}/s; '
          f'{result["slope_mb_per_hour"]:+.1f} MB/hour (bound {options.bound:g}), last third '
          f'{last_above_middle(result):+.1f} MB (bound {options.bound_of_thirds:g}); '
          f'{result["camera_restarts"]} restarts of the camera; node back after '
          f'{result["node_restarts_s"]} s; '
          f'see {options.out}')
    for problem in result['problems']:
        print(f'PROBLEM: {problem}')
    rclpy.try_shutdown()
    return 1 if result['problems'] else 0


if __name__ == '__main__':
    sys.exit(main())
