# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the running node over the middleware: rate, latency, losses, CPU, the node's own share.

emu_benchmark --node [--image-size 480x640] [--rates 10,30,60,max] [--topics label,...]
                     [--seconds 10] [--json OUT]

The node runs in a process of its own, on a ROS domain of its own; a made image is sent to it.
Latency is from sending an image to the receipt of the last of its maps; overhead is the node's
latency from the receipt of an image to its last map, less what the Predictor took and the time an
image waited for the one before it; stages are medians. Then one more topic at a time is listened
to, and what it adds is its cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import platform
import shlex
import signal
import sys
import tempfile
from typing import Any

from emu_perception import __version__
from emu_perception.benchmarking.result import processor
from emu_perception.commands.output_file import check_writable
from emu_perception.commands.sizes import image_size_of
from emu_perception.errors import EmuError, InputError
from emu_perception.ros.benchmark.figures import rates, STAGES, summary, topic_cost
from emu_perception.ros.dependencies import missing_dependency
from emu_perception.scores import SCORES
from emu_perception.whole_files import write_json

TOPICS = 'label,depth/image,segmentation_uncertainty,depth_uncertainty'
_COST_RATE_HZ = 10.0
_START_TIMEOUT_S = 180.0
_SILENT_S = 15.0  # So long after the others a topic is taken to be withheld.
_MODEL = ('model_file', 'model_name', 'device', 'precision', 'backend', 'converter')


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """
    Start the node, measure, end it; return what was found, ready for JSON.

    :raises EmuError: if an option or the node cannot be used.
    """
    size, wanted = image_size_of(options.image_size, '--image-size'), rates(options.rates)
    topics = [topic for topic in options.topics.split(',') if topic]
    if not topics:
        raise InputError('--topics is empty: latency is measured at a map')
    from emu_perception.ros.benchmark.node_process import NodeProcess
    from emu_perception.ros.demo.processes import isolated_environment
    environment = isolated_environment()
    os.environ.update(environment)  # before the middleware is loaded
    from emu_perception.ros.benchmark.camera import Camera
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    parameters: dict[str, object] = {
        'device': options.device, 'precision': options.precision, 'backend': options.backend,
        'model_file': str(options.checkpoint.resolve()) if options.checkpoint else '',
        'stale_after_s': 3600.0,
        # The made picture is no room: under a raised flag promised maps would stay silent.
        **{row.parameter: row.highest for row in SCORES.values()}}
    # Its own handlers would end the context under the listener.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    with tempfile.TemporaryDirectory() as folder:
        node = NodeProcess(parameters, environment, Path(folder) / 'node.txt')
        camera = None
        try:
            camera = Camera(node, size)
            camera.wait_until_active(_START_TIMEOUT_S)
            camera.listen(topics)
            rows = {}
            for rate in wanted:
                name = 'max' if rate is None else f'{rate:g} Hz'
                _say(f'{name} ...', options)
                rows[name] = summary(camera.run(rate, options.seconds), topics)
            costs = {} if options.no_topic_costs else _topic_costs(camera, topics, options)
            values = camera.values
        finally:
            if camera is not None:
                camera.close()
            node.stop()
            rclpy.try_shutdown()
    return {'image': list(size), 'topics': topics, 'seconds': options.seconds, 'rows': rows,
            'topic_costs': costs, 'model': {key: values.get(key) for key in _MODEL},
            'processor': processor(), 'cores': os.cpu_count(),
            'middleware': rclpy.get_rmw_implementation_identifier(),
            'versions': {'emu_perception': __version__, 'python': platform.python_version(),
                         'ros': os.environ.get('ROS_DISTRO', '')},
            'command': f'emu_benchmark --node {shlex.join(options.arguments)}'}


def _topic_costs(camera: Any, topics: list[str], options: argparse.Namespace
                 ) -> dict[str, dict[str, Any]]:
    costs = {}
    for topic in [topic for topic in camera.topics() if topic not in topics]:
        _say(f'{topic} ...', options)
        camera.listen(topics)
        base = summary(camera.run(_COST_RATE_HZ, options.seconds), topics)
        # The base anew each time: a machine's speed drifts more than a topic costs.
        try:
            camera.listen([*topics, topic], _SILENT_S)
        except EmuError as error:
            # Withheld for this picture, such as points of a ground that it does not have.
            _say(f'{topic}: nothing to measure, {error}', options)
            continue
        more = summary(camera.run(_COST_RATE_HZ, options.seconds), [*topics, topic])
        costs[topic] = topic_cost(base, more)
    return costs


def print_tables(result: dict[str, Any]) -> None:
    """Print the result for people."""
    image, model = 'x'.join(map(str, result['image'])), result['model']
    print(f"{model['model_name']}, image {image} (height x width), {model['device']}, "
          f"{model['precision']}, {model['backend']}\n"
          f"{result['processor']}, {result['cores']} cores, {result['middleware']}\n"
          f"listening to {', '.join(result['topics'])}\n")
    lines = ['sent', 'missed', 'mean_fps', 'first_latency_ms', 'last_latency_ms',
             'median_latency_ms', 'p99_latency_ms', 'jitter_ms', 'cpu_percent',
             'cpu_ms_per_image', 'rss_mb', *(f'{stage}_ms' for stage in STAGES)]
    rows = result['rows']
    _print_row('', rows)
    for line in lines:
        _print_row(line.replace('_', ' '), [rows[name][line] for name in rows])
    if result['topic_costs']:
        print('\none more topic adds, an image')
        names = ('publish_ms', 'cpu_ms_per_image', 'median_latency_ms')
        _print_row('', ('publish ms', 'CPU ms', 'latency ms'))
        for topic, cost in result['topic_costs'].items():
            _print_row(topic, [cost[name] for name in names])


def _print_row(name: str, cells: Any) -> None:
    print(f'{name:32}' + ''.join(f"{'-' if cell is None else cell!s:>12}" for cell in cells))


def _say(text: str, options: argparse.Namespace) -> None:
    if not options.no_progress:
        print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0, or 1 with one line that says why not."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog='emu_benchmark --node', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--checkpoint', type=Path, metavar='FILE', help="default: the package's model")
    add('--device', default='auto')
    add('--precision', default='auto')
    add('--backend', default='auto')
    add('--image-size', default='480x640', metavar='HxW', help='default: %(default)s')
    add('--rates', default='10,30,60,max', metavar='A,B',
        help='images a second; max: the next as soon as the node has inferred one; %(default)s')
    add('--topics', default=TOPICS, metavar='A,B', help='listened to; default: %(default)s')
    add('--seconds', type=float, default=10.0, help='of each measurement; default: %(default)g')
    add('--no-topic-costs', action='store_true', help='only the rates')
    add('--json', type=Path, metavar='OUT')
    add('--no-progress', action='store_true')
    options = parser.parse_args(arguments)
    options.arguments = list(arguments)
    # As Ctrl-C: the node that was started has to be ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not 0.5 <= options.seconds <= 3600.0:
            raise InputError(f'--seconds is {options.seconds:g}: give 0.5 to 3600')
        check_writable(options.json)
        result = measure(options)
    except ImportError as error:
        print(f'error: {missing_dependency(error)}', file=sys.stderr)
        return 1
    except EmuError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('error: interrupted', file=sys.stderr)
        return 130
    print_tables(result)
    if options.json:
        write_json(options.json, result)
    return 0


if __name__ == '__main__':
    sys.exit(main())
