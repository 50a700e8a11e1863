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
from collections import Counter
from collections.abc import Callable, Mapping
import csv
from dataclasses import asdict, astuple, dataclass, fields
from importlib import import_module
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_EVERY_S = 2.0
CAMERA_AWAY_S = 3.0  # longer than the node's stale_after_s: the flag goes up
RECOVERY_TIMEOUT_S = 30.0
START_TIMEOUT_S = 120.0
_MB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """
    The node's process at one moment; memory in MB. Shared memory is the middleware's.

    :ivar latency_ms: age of an image when its maps are out, mean of the last five seconds.
    :ivar dropped: images so far, whatever the cause.
    """

    time_s: float
    rss_mb: float
    anonymous_mb: float
    shared_mb: float
    threads: int
    open_files: int
    processed: int
    latency_ms: float
    dropped: int


def sample(pid: int, time_s: float, diagnostics: Mapping[str, str]) -> Sample:
    """Read /proc and the node's newest diagnostics."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    values = {name: rest.split()[0] for name, _, rest in (line.partition(':') for line in lines)
              if rest.split()}
    rss, anonymous, shared = (int(values[key]) * 1024 / _MB
                              for key in ('VmRSS', 'RssAnon', 'RssShmem'))
    return Sample(round(time_s, 2), round(rss, 2), round(anonymous, 2), round(shared, 2),
                  int(values['Threads']), len(os.listdir(f'/proc/{pid}/fd')),
                  int(diagnostics['processed']), number(diagnostics['pipeline_latency_ms']),
                  sum(drops(diagnostics).values()))


def processor_s(pid: int) -> float:
    """Return what a process has computed so far: what else the machine does changes it little."""
    after_name = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return round(sum(map(int, after_name[11:13])) / os.sysconf('SC_CLK_TCK'), 2)


def number(text: str) -> float:
    """Return a figure of the diagnostics; NaN where there is none."""
    return float('nan') if text == 'n/a' else float(text)


def drops(diagnostics: Mapping[str, str]) -> dict[str, int]:
    """Return the drops so far by cause."""
    return {key.removeprefix('dropped_'): int(value) for key, value in diagnostics.items()
            if key.startswith('dropped_')}


def slope_mb_per_hour(times_s: np.ndarray, values_mb: np.ndarray) -> tuple[float, float]:
    """Return the median of the slopes of all pairs (Theil-Sen: outliers do not count), and MB."""
    later, earlier = np.triu_indices(len(times_s), 1)[::-1]
    slope = float(np.median((values_mb[later] - values_mb[earlier])
                            / (times_s[later] - times_s[earlier])))
    return slope * 3600.0, float(np.median(values_mb - slope * times_s))


class Surroundings:
    """The camera in front of the node and the subscribers behind it."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Prepare images of a moving scene, so that no two are the same."""
        from diagnostic_msgs.msg import DiagnosticArray
        from emu_perception.ros.image_messages import to_bytes
        from node_bench import camera_info
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import CameraInfo, Image
        self.node = rclpy.create_node('soak')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.counts: Counter[str] = Counter()
        self.diagnostics: dict[str, str] = {}
        self.sent = 0
        self.recoveries_s: list[float | None] = []
        self.node_restarts_s: list[float | None] = []
        self.restart_processor_s: list[float] = []
        self._period_s, self._kinds = 1.0 / options.rate, (Image, CameraInfo)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        width, height = options.size
        scene = photograph(width + 64, height)
        self._messages = []
        for shift in range(0, 64, 2):
            view = np.ascontiguousarray(scene[:, shift:shift + width])
            image = Image(width=width, height=height, encoding='rgb8', step=3 * width,
                          data=to_bytes(view))
            image.header.frame_id = 'camera_optical_frame'
            self._messages.append(image)
        self._camera_info = camera_info(width, height, fx=0.8 * width)
        self._open_camera()

    def _open_camera(self) -> None:
        self._image, self._info = (
            self.node.create_publisher(kind, topic, 1)
            for kind, topic in zip(self._kinds, ('image', 'camera_info')))
        self._timer = self.node.create_timer(self._period_s, self._send)

    def restart_camera(self, name: str) -> None:
        """Take the camera away and bring it back; keep how long its first labels took."""
        self.node.destroy_timer(self._timer)
        for publisher in (self._image, self._info):
            self.node.destroy_publisher(publisher)
        self.spin(CAMERA_AWAY_S)
        self.recoveries_s.append(self._until_labels(name, self._open_camera))

    def restart_node(self, name: str, process: subprocess.Popen[bytes],
                     start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Kill the node, start another; keep what its first labels took from its start."""
        process.kill()
        process.wait()
        self.spin(0.5)  # what it had sent has arrived
        started = []
        self.node_restarts_s.append(self._until_labels(name, lambda: started.append(start())))
        self.restart_processor_s.append(processor_s(started[0].pid))
        return started[0]

    def _until_labels(self, name: str, begins: Callable[[], None]) -> float | None:
        """Return the seconds until labels come; None where none came."""
        before, begin = self.counts[f'/{name}/label'], time.monotonic()
        begins()
        while self.counts[f'/{name}/label'] == before:
            self.spin(0.05)
            if time.monotonic() - begin > RECOVERY_TIMEOUT_S:
                return None
        return round(time.monotonic() - begin, 2)

    def listen_to_everything(self, name: str) -> list[str]:
        """Subscribe to all topics of the node; raw, because only the node is to be busy."""
        topics = []
        for topic, (kind, *_) in self.node.get_publisher_names_and_types_by_node(name, '/'):
            if topic.startswith(f'/{name}/') and 'transition_event' not in topic:
                package, _, message = kind.split('/')
                self.node.create_subscription(
                    getattr(import_module(f'{package}.msg'), message), topic,
                    lambda _, topic=topic: self.counts.update([topic]), 1, raw=True)
                topics.append(topic)
        return topics

    def spin(self, seconds: float) -> None:
        """Send and listen for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def _send(self) -> None:
        image = self._messages[self.sent % len(self._messages)]
        image.header.stamp = self.node.get_clock().now().to_msg()
        self._camera_info.header = image.header
        self._info.publish(self._camera_info)
        self._image.publish(image)
        self.sent += 1

    def _on_diagnostics(self, array: Any) -> None:
        for status in array.status:
            self.diagnostics.update({pair.key: pair.value for pair in status.values})


def photograph(width: int, height: int) -> np.ndarray:
    """Return a real room, rgb uint8, or noise where scikit-image is not installed."""
    import cv2
    try:
        from skimage import data
        picture = data.stereo_motorcycle()[0]
    except Exception:
        picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    return cv2.resize(np.ascontiguousarray(picture[..., :3]), (width, height))


def start_node(options: argparse.Namespace, log: Path) -> subprocess.Popen[bytes]:
    """Start emu_node; what it says goes to a file."""
    from emu_perception.checkpoint import read_metadata
    from emu_perception.scores import SCORES
    # Without these the topics for planners are silent, and under a raised flag what is promised.
    name = read_metadata(options.model).classes[0]
    values = {'model_file': options.model, 'device': options.device, 'ground_classes': f'[{name}]',
              'mask_classes': f'[{name}]', 'scan_frame': 'level', 'scan_camera_height_m': '1.0',
              **{row.parameter: str(row.highest) for row in SCORES.values()}}
    arguments = [word for key, value in values.items() for word in ('-p', f'{key}:={value}')]
    with log.open('ab') as stream:
        return subprocess.Popen(
            [sys.executable, '-m', 'emu_perception.ros.node', '--ros-args', *arguments],
            cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)


def run(options: argparse.Namespace, around: Surroundings,
        process: subprocess.Popen[bytes]) -> tuple[list[Sample], list[str]]:
    """Sample until the time is over or the node has ended."""
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


def judge(options: argparse.Namespace, samples: list[Sample], topics: list[str],
          around: Surroundings, exit_code: int, load: tuple[float, ...]) -> dict[str, Any]:
    """Return the figures and, in ``problems``, what is wrong with them."""
    table = np.array([astuple(one) for one in samples])
    times = table[:, 0]
    warm = times >= min(options.warm_up, 0.5 * times[-1])
    slope, offset = slope_mb_per_hour(times[warm], table[warm, 1])
    anonymous, _ = slope_mb_per_hour(times[warm], table[warm, 2])
    span = times[warm][-1] - times[warm][0]
    processed = samples[-1].processed - int(table[warm, 6][0])
    lost = drops(around.diagnostics)
    latency_ms = table[warm, 7]
    problems = []
    for cause in ('unusable_input', 'failure'):
        if lost[cause]:
            problems.append(f'{lost[cause]} images were dropped for {cause}')
    # The heap too: of the rest a kernel that is short of memory takes pages back, which would hide
    # what has grown.
    thirds = {}
    for name, column in (('resident', 1), ('anonymous', 2)):
        middle, last = (float(part.max()) for part in np.array_split(table[:, column], 3)[1:])
        thirds[name] = {'middle': middle, 'last': last}
        if last - middle > options.bound_of_thirds:
            problems.append(f'the most {name} memory of the last third is {last - middle:.1f} MB '
                            f"above the middle third's, more than {options.bound_of_thirds:g}")
    if None in around.recoveries_s:
        problems.append('a camera that came back was not served')
    for seconds in around.node_restarts_s:
        if seconds is None or seconds > options.bound_of_restart:
            problems.append(f'a node that was started again gave no labels within '
                            f'{options.bound_of_restart:g} s of its start ({seconds}; load '
                            f'average {load[0]:.1f} before)')
    if slope > options.bound:
        problems.append(f'memory grows by {slope:.1f} MB/hour, more than {options.bound:g}')
    if times[-1] < 60.0 * options.minutes - 3 * SAMPLE_EVERY_S:
        problems.append(f'the node ended after {times[-1]:.0f} s')
    if exit_code != 0:
        problems.append(f'the exit code is {exit_code}')
    if not processed:
        problems.append('no image was processed after the warm-up')
    silent = [topic for topic in topics if not around.counts[topic]]
    if silent:
        problems.append(f'nothing came on {", ".join(silent)}')
    stages = {key: value for key, value in around.diagnostics.items() if key.endswith('_ms')}
    return {
        'problems': problems, 'command': 'python ' + ' '.join(sys.argv),
        'minutes': round(times[-1] / 60, 2),
        'model': os.path.relpath(options.model, ROOT), 'load_average': load,
        'device': around.diagnostics.get('device', ''), 'image_size': options.size,
        'camera_rate_hz': options.rate, 'warm_up_s': float(times[warm][0]),
        'slope_mb_per_hour': round(slope, 2), 'slope_bound_mb_per_hour': options.bound,
        'anonymous_slope_mb_per_hour': round(anonymous, 2), 'offset_mb': round(offset, 2),
        'rss_mb': {'first': samples[0].rss_mb, 'after_warm_up': float(table[warm, 1][0]),
                   'last': samples[-1].rss_mb, 'most': float(table[:, 1].max())},
        'most_of_thirds_mb': {**thirds, 'bound': options.bound_of_thirds},
        'camera_restarts': len(around.recoveries_s), 'recoveries_s': around.recoveries_s,
        'node_restarts_s': around.node_restarts_s,
        'node_restart_bound_s': options.bound_of_restart,
        'node_restarts_processor_s': around.restart_processor_s,
        'threads': {'after_warm_up': int(table[warm, 4][0]), 'last': samples[-1].threads},
        'open_files': {'after_warm_up': int(table[warm, 5][0]), 'last': samples[-1].open_files},
        'images_sent': around.sent, 'images_received': int(around.diagnostics['received']),
        'images_processed': samples[-1].processed, 'fps': round(processed / span, 3),
        'latency_ms': {'median': round(float(np.nanmedian(latency_ms)), 2),
                       'most': round(float(np.nanmax(latency_ms)), 2)},
        'drops': lost, 'lost_before_node': around.diagnostics['lost_before_node'],
        'last_times_ms': stages, 'exit_code': exit_code,
        'messages': {topic: around.counts[topic] for topic in sorted(topics)}}


def last_above_middle(result: Mapping[str, Any]) -> float:
    """Return by how much the most memory of the last third is above the middle third's, MB."""
    thirds = result['most_of_thirds_mb']['resident']
    return float(thirds['last'] - thirds['middle'])


def draw(samples: list[Sample], result: Mapping[str, Any], path: Path) -> None:
    """Draw memory, images per second and latency over time."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    table = np.array([astuple(one) for one in samples])
    minutes, warm = table[:, 0] / 60, result['warm_up_s'] / 60
    figure, (upper, lower, last) = pyplot.subplots(
        3, 1, figsize=(9, 7), sharex=True, height_ratios=(3, 1, 1), layout='constrained')
    upper.plot(minutes, table[:, 1], label='resident')
    upper.plot(minutes, table[:, 2], label='of it anonymous (heap)')
    upper.plot(minutes, table[:, 3], label="of it shared (the middleware's)")
    line = np.array([warm, minutes[-1]])
    upper.plot(line, result['offset_mb'] + result['slope_mb_per_hour'] / 60 * line, 'k--', lw=1,
               label=f'{result["slope_mb_per_hour"]:+.1f} MB/hour '
                     f'(bound {result["slope_bound_mb_per_hour"]:g})')
    upper.set_title(f'emu_node, {result["minutes"]:g} minutes, {result["images_processed"]} '
                    f'images ({Path(result["model"]).name}, {result["device"]}); grey: warm-up')
    upper.set_ylabel('memory of the process [MB]')
    upper.legend(loc='upper center', ncols=2)
    step = max(1, round(10 / SAMPLE_EVERY_S))
    every = table[::step]
    if len(every) > 1:
        for column, name in ((6, 'processed'), (8, 'dropped')):
            lower.step(every[1:, 0] / 60, np.diff(every[:, column]) / np.diff(every[:, 0]),
                       where='pre', label=name)
        lower.legend(loc='upper center', ncols=2)
    lower.set_ylabel('images/s')
    last.plot(minutes, table[:, 7])
    last.set_ylabel('latency [ms]')
    last.set_xlabel('minutes')
    for axes in (upper, lower, last):
        axes.axvspan(0, warm, color='0.9')
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


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
    rclpy.init()
    log = options.out / 'node.log'
    log.unlink(missing_ok=True)
    process = start_node(options, log)
    try:
        around = Surroundings(options)
        samples, topics = run(options, around, process)
        load = os.getloadavg()  # two processes of its own and whatever else the machine does
        last = dict(around.diagnostics)
        for _ in range(options.restart_node if process.poll() is None else 0):
            process = around.restart_node('emu', process, lambda: start_node(options, log))
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
    (options.out / 'soak.json').write_text(json.dumps(result, indent=2) + '\n')
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
