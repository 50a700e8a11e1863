# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a node costs a robot: memory once it is active, and its start.

``python tools/footprint.py`` starts ``emu_node`` of this source tree ``--runs`` times, each in a
process of its own, waits until it is active, sends it images for five seconds, and prints
the smallest of each figure: resident memory (of it its own, the rest are libraries that processes
share), processor seconds from start to active (which other work on the machine stretches little)
and seconds by the clock (which it stretches a lot). ``--tree`` measures another tree. A first run
that does not count makes what a start keeps for the next one.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 300.0
ACTIVE_S = 5.0
_MB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """
    Of one start.

    :ivar cpu_s: of user and system until the node was active, its children's too.
    """

    rss_mb: float
    own_mb: float
    cpu_s: float
    start_s: float


def memory_mb(pid: int) -> tuple[float, float]:
    """Return resident memory, and what of it is the process's own."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    values = dict(line.split(':', 1) for line in lines if ':' in line)
    rss, own = (int(values[key].split()[0]) * 1024 / _MB for key in ('VmRSS', 'RssAnon'))
    return rss, own


def cpu_seconds(pid: int) -> float:
    """Return what a process and its children that have ended took of the processors."""
    # After the name, which may hold spaces: state is the first, utime the twelfth.
    values = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return sum(int(value) for value in values[11:15]) / os.sysconf('SC_CLK_TCK')


def measure(options: argparse.Namespace) -> Footprint:
    """Start a node and measure it."""
    from lifecycle_msgs.msg import State
    from lifecycle_msgs.srv import GetState
    import rclpy
    from sensor_msgs.msg import Image
    helper = rclpy.create_node('footprint')
    client = helper.create_client(GetState, '/emu/get_state')
    images = helper.create_publisher(Image, 'image', 1)
    values = {'model_file': options.model, 'device': options.device, 'backend': options.backend}
    arguments = [word for key, value in values.items() for word in ('-p', f'{key}:={value}')]
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, '-m', 'emu_perception.ros.node', '--ros-args', *arguments],
        cwd=options.tree, env={**os.environ, 'PYTHONPATH': os.pathsep.join(
            filter(None, (str(options.tree), os.environ.get('PYTHONPATH'))))},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        active = False
        while not active:
            if process.poll() is not None or time.monotonic() - begin > START_TIMEOUT_S:
                raise SystemExit('the node does not become active: see emu doctor')
            if client.wait_for_service(0.02):
                answer = client.call_async(GetState.Request())
                rclpy.spin_until_future_complete(helper, answer, timeout_sec=0.5)
                found = answer.result()
                active = (found is not None
                          and found.current_state.id == State.PRIMARY_STATE_ACTIVE)
            time.sleep(0.02)
        start_s, cpu_s = time.monotonic() - begin, cpu_seconds(process.pid)
        grey = Image(width=640, height=480, encoding='mono8', step=640,
                     data=bytes([127]) * (640 * 480))
        end = time.monotonic() + ACTIVE_S
        while time.monotonic() < end:
            grey.header.stamp = helper.get_clock().now().to_msg()
            images.publish(grey)
            time.sleep(0.1)
        rss, own = memory_mb(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        helper.destroy_node()
    return Footprint(round(rss, 1), round(own, 1), round(cpu_s, 2), round(start_s, 2))


def main(args: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--tree', type=Path, default=ROOT)
    parser.add_argument('--model', default=str(ROOT / 'models' / 'emu_default.safetensors'))
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--backend', default='auto')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args(args)
    # Before rclpy is loaded: a domain of its own.
    os.environ.update(ROS_DOMAIN_ID=str(1 + os.getpid() % 100),
                      ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    import rclpy
    rclpy.init()
    runs = [measure(options) for _ in range(options.runs + 1)][1:]
    rclpy.try_shutdown()
    least = {name: min(getattr(one, name) for one in runs) for name in asdict(runs[0])}
    print(json.dumps(least))
    if options.json is not None:
        options.json.write_text(json.dumps({
            'backend': options.backend, 'device': options.device, 'runs': len(runs), **least},
            indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
