# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Measure speed, end to end: uint8 image in host memory to all maps in host memory."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
import logging
from pathlib import Path
import platform
import resource
import shlex
import sys
from typing import Any

from emu_perception import __version__
from emu_perception.backends import BACKENDS, is_installed
from emu_perception.benchmarking.arguments import CLASSES, HEAD_DIM, parser, PUBLISHED
from emu_perception.benchmarking.made_image import made_image
from emu_perception.benchmarking.measure import gmac, interleaved, peak_memory_mb, summary
from emu_perception.benchmarking.reference import reference, unfolded
from emu_perception.benchmarking.reference_openvino import CompiledReference
from emu_perception.benchmarking.result import processor
from emu_perception.checkpoint import CheckpointMetadata, load_answering
from emu_perception.commands.output_file import check_writable
from emu_perception.commands.sizes import image_size_of, size_of
from emu_perception.commands.tables import WholeTable
from emu_perception.devices import resolved_device
from emu_perception.errors import EmuError, InputError
from emu_perception.intrinsics import Intrinsics
from emu_perception.model_file import default_model
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.visualization import default_palette
from emu_perception.whole_files import write_json
import numpy as np
import torch

Call = Callable[[np.ndarray], Any]
AGAINST = (*PUBLISHED, 'unjudged', *BACKENDS)


def check_subject(options: argparse.Namespace) -> None:
    """
    Check that no option is of the other kind of network than the one that is measured.

    :raises InputError: if one is.
    """
    for name, other in (('checkpoint', '--encoder'), ('head_dim', 'a checkpoint'),
                        ('classes', 'a checkpoint')):
        if getattr(options, name) is not None and (name == 'checkpoint') == bool(options.encoder):
            raise InputError(f"--{name.replace('_', '-')} is {getattr(options, name)}, but "
                             f'{other} is measured, which has its own: leave one out')


def subject(options: argparse.Namespace) -> tuple[Network, CheckpointMetadata, str]:
    """
    Return the network, its document with the size asked for, and what it is.

    :raises EmuError: if there is no such checkpoint or encoder.
    """
    if options.encoder:
        torch.manual_seed(0)
        classes, head_dim = (default if given is None else given for given, default in (
            (options.classes, CLASSES), (options.head_dim, HEAD_DIM)))
        network: Network = MultitaskNetwork(options.encoder, num_classes=classes,
                                            head_dim=head_dim).eval()
        metadata = CheckpointMetadata(
            architecture=network.arguments, input_size=(480, 640),
            classes=tuple(map(str, range(classes))),
            palette=tuple(default_palette(classes)))
        about = f'{options.encoder}, D = {head_dim}, random weights'
    else:
        path = options.checkpoint or default_model()
        network, metadata = load_answering(path)
        about = f'{path.name} ({metadata.architecture["encoder"]})'
    if options.size:
        metadata = replace(metadata, input_size=size_of(options.size))
    if metadata.intrinsics is None:  # Speed is that of any camera.
        rows, columns = metadata.input_size
        metadata = replace(metadata, intrinsics=Intrinsics(
            columns, rows, columns, columns, columns / 2, rows / 2))
    return network, metadata, about


def asked(call: Call, image: np.ndarray) -> Callable[[], Any]:
    """Return a contestant's call; the Predictor has the camera of which depth is not scaled."""
    if not isinstance(call, Predictor):
        return partial(call, image)
    camera, (height, width) = call.metadata.intrinsics, image.shape[:2]
    assert camera is not None, 'subject makes one'
    return partial(call, image, fx=camera.fx * call.metadata.input_size[1] / camera.width
                   * width / call.network_size((height, width))[1])


def contestants(names: list[str], network: Network, metadata: CheckpointMetadata,
                device: torch.device, precision: str, backend: str) -> dict[str, Call]:
    """
    Return the function of each contestant; 'ours' is the Predictor as a user gets it.

    :raises InputError: if one cannot be made.
    """
    made: dict[str, Call] = {}
    for name in names:
        if name == 'reference':
            made[name] = reference(network, metadata, device, precision)
        elif name == 'reference_openvino':
            if device.type != 'cpu':
                raise InputError(f"--against names '{name}', which runs on a CPU, not on "
                                 f"'{device}': leave it out")
            made[name] = CompiledReference(network, metadata, precision)
        elif name == 'unfolded':
            made[name] = unfolded(network, metadata, device, precision)
        elif name == 'unjudged':
            if not metadata.statistics:
                raise InputError("--against names 'unjudged', but the checkpoint has no fitted "
                                 'scores to leave out: emu calibrate --fit-scores makes them')
            made[name] = Predictor(network, metadata.without_fitted_scores(), device=str(device),
                                   precision=precision, backend=backend)
        else:
            made[name] = Predictor(network, metadata, device=str(device), precision=precision,
                                   backend=backend if name == 'ours' else name)
    return made


def difference(one: Any, two: Any) -> float:
    """Return the largest difference of the depth maps of two results, in metres."""
    first, second = (result['depth'] if isinstance(result, dict) else result.depth
                     for result in (one, two))
    if first is None or second is None:
        return float('nan')
    known = np.isfinite(first) & np.isfinite(second)
    return float(np.abs(first - second)[known].max()) if known.any() else float('nan')


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured, ready for JSON."""
    network, metadata, about = subject(options)
    device = resolved_device(options.device)
    names = ['ours', *options.against]
    calls = contestants(names, network, metadata, device, options.precision, options.backend)
    height, width = (metadata.input_size if options.image is None else
                     image_size_of(options.image, '--image'))
    image = made_image(height, width)
    for call in calls.values():
        if isinstance(call, Predictor):
            call.warm_up((height, width))
    results = {name: asked(call, image)() for name, call in calls.items()}
    from rich.progress import Progress
    with Progress(disable=options.no_progress, transient=True) as bar:
        task = bar.add_task('measuring', total=len(calls) * (options.rounds + 3))
        times = interleaved({name: asked(call, image) for name, call in calls.items()},
                            options.rounds, lambda: bar.advance(task))
    macs = {'ours': gmac(network.folded(), metadata.input_size, torch.device('cpu')),
            'published': gmac(network.cpu().forward_published, metadata.input_size,
                              torch.device('cpu'))}
    whole = gmac(network.folded(), metadata.input_size, torch.device('cpu'), attention=True)
    rows: dict[str, dict[str, Any]] = {}
    base = summary(times['ours'])['median_ms']
    for name in names:
        call = calls[name]
        figures = summary(times[name])
        rows[name] = {
            **figures, 'times_ours': figures['median_ms'] / base,
            'backend': getattr(call, 'backend', 'eager'),
            'gmac': macs['published' if name in PUBLISHED else 'ours'],
            'largest_depth_difference_m': difference(results['ours'], results[name]),
            'peak_memory_mb': memory(name, options, device)}
        if isinstance(call, Predictor):
            rows[name]['stages_ms'] = asked(call, image)().timing_ms
    return {'subject': about,
            'parameters_m': sum(part.numel() for part in network.parameters()) / 1e6,
            'gmac_with_attention': whole, 'image': [height, width],
            'network_size': list(metadata.input_size),
            'precision': options.precision,
            'device': getattr(calls['ours'], 'device_description', str(device)),
            'processor': processor(), 'rows': rows,
            'versions': {'emu_perception': __version__, 'torch': torch.__version__,
                         'python': platform.python_version()},
            'command': f'emu_benchmark {shlex.join(options.arguments)}'}


def memory(name: str, options: argparse.Namespace, device: torch.device) -> float | None:
    """Return the peak memory of a contestant in a process of its own; None where not asked."""
    if options.no_memory:
        return None
    command = ['-m', 'emu_perception.benchmarking.command', '--device', str(device),
               '--precision', options.precision, '--backend', options.backend, '--only', name]
    for field in ('checkpoint', 'encoder', 'head_dim', 'classes', 'size', 'threads'):
        value = getattr(options, field)
        if value is not None:
            command += [f'--{field.replace("_", "-")}', str(value)]
    return peak_memory_mb(command)


def print_peak(options: argparse.Namespace) -> None:
    """Run one contestant a few times and print this process's peak memory in MB."""
    network, metadata, _ = subject(options)
    device = resolved_device(options.device)
    call = contestants([options.only], network, metadata, device, options.precision,
                       options.backend)[options.only]
    image = np.zeros((*metadata.input_size, 3), np.uint8)
    for _ in range(3):
        asked(call, image)()
    if device.type == 'cuda':
        print(torch.cuda.max_memory_allocated() / 1e6)
    else:
        print(peak_resident_mb())


def peak_resident_mb() -> float:
    """Return the most memory in MB that this process has held."""
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith('VmHWM'))) / 1e3
    except (OSError, StopIteration):
        # Linux hands the peak of the process that started this one on: only where all else fails.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def print_table(result: dict[str, Any]) -> None:
    """Print the result for people."""
    image, size = ('x'.join(map(str, result[name])) for name in ('image', 'network_size'))
    rows = []
    for name, row in result['rows'].items():
        peak = row['peak_memory_mb']
        rows.append((name, row['backend'], f"{row['median_ms']:.1f}", f"{row['p99_ms']:.1f}",
                     f"{1e3 / row['median_ms']:.1f}", f"{row['times_ours']:.2f}",
                     f"{row['gmac']:.1f}", '' if peak is None else f'{peak:.0f}',
                     f"{row['largest_depth_difference_m']:.1e}"))
    WholeTable(
        ('', 'backend', 'median ms', 'p99 ms', 'images/s', 'x ours', 'GMAC', 'peak MB',
         'differs by m'), rows, left=('',), title=(
            f"{result['subject']}\nimage {image}, network {size} (height x width), "
            f"{result['precision']}\n"
            f"{result['parameters_m']:.1f} M parameters, {result['gmac_with_attention']:.1f} GMAC "
            'with the products of attention\n'
            f"{result['processor']}, {result['device']}")).print()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().options(arguments)
    if options.node:
        from emu_perception.benchmarking.node import benchmark_node
        return benchmark_node([word for word in arguments if word != '--node'])
    options.arguments = arguments
    logging.basicConfig(level=logging.WARNING, format='%(levelname)s %(message)s')
    try:
        options.against = [name for name in options.against.split(',') if name]
        for name in options.against:
            if name not in AGAINST:
                raise InputError(f"--against names '{name}': give some of {', '.join(AGAINST)}")
            if name in BACKENDS and not is_installed(name):
                raise InputError(f"--against names '{name}', which is not installed")
        for name in ('rounds', 'threads'):
            value = getattr(options, name)
            if value is not None and value < 1:
                raise InputError(f'--{name} is {value}: give 1 or more')
        check_subject(options)
        check_writable(options.json)
        if options.threads:
            torch.set_num_threads(options.threads)
        if options.only:
            print_peak(options)
            return 0
        result = benchmark(options)
    except EmuError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print_table(result)
    if options.json:
        write_json(options.json, result)
    return 0


if __name__ == '__main__':
    sys.exit(main())
