# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_demo``: replay camera and node as processes of their own, panels and a summary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata, read_metadata
from emu_perception.commands.output_folder import check_apart
from emu_perception.commands.program import program
from emu_perception.errors import EmuError, InputError
from emu_perception.model_file import default_model
from emu_perception.ros.demo.answers import (
    DepthScore,
    draw_panel,
    panel_name,
    summarize,
    write_png,
)
from emu_perception.ros.demo.demo_arguments import parser
from emu_perception.ros.demo.frames import DemoFrame, evenly_spaced, make_frames, thinned
from emu_perception.ros.demo.listener import Answer, Listener
from emu_perception.ros.demo.out_folder import clear, FRAMES, LOG, PROCESSES, SUMMARY
from emu_perception.ros.demo.own_images import own_frames, own_images, read_true_depth
from emu_perception.ros.demo.processes import arguments, Child, isolated_environment
from emu_perception.ros.demo.show import print_summary, progress
from emu_perception.whole_files import write_json
import rclpy
from rclpy.executors import ExternalShutdownException

_START_TIMEOUT_S = 180.0
# Between two images the demo writes a panel: that is not a camera that has died.
_STALE_AFTER_S = 5.0
_FALLBACK_HFOV_DEG = 60.0


def main(args: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if every image was answered, else 1 with one line."""
    options = parser().options(None if args is None else [*args])
    try:
        environment = isolated_environment()
        os.environ.update(environment)
        return run(options, environment)
    except (EmuError, TimeoutError) as error:
        print(f'{program("emu_demo")}: {error}', file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        print(f'{program("emu_demo")}: interrupted', file=sys.stderr)
        return 130


def run(options: argparse.Namespace, environment: dict[str, str]) -> int:
    """Make frames, start the processes, collect the answers, write panels and summary."""
    out: Path = options.out
    metadata = read_metadata(options.model or default_model())
    if options.limit < 1:
        raise InputError(f'--limit is {options.limit}: give 1 or more')
    own, folder = None, out / FRAMES
    if options.images is not None:
        own = own_images(options.images)
        for written in (out, folder):
            check_apart(options.images, written)
    clear(out)
    frames = (thinned(make_frames(folder), folder, options.limit) if own is None
              else own_frames(evenly_spaced(own, options.limit), folder))
    node_parameters: dict[str, Any] = {
        'stale_after_s': _STALE_AFTER_S, 'max_image_age_s': _STALE_AFTER_S,
        # Nobody knows the cameras of the photographs that are no rooms: their flag is to be the
        # network's own, not that of a missing calibration.
        'fallback_hfov_deg': _FALLBACK_HFOV_DEG,
        # Every image counts here: the default, best effort, may lose one on a busy machine.
        'qos_overrides./image.subscription.reliability': 'reliable'}
    if options.model is not None:
        node_parameters['model_file'] = str(options.model.resolve())
    children: list[Child] = []
    rclpy.init()
    listener = Listener()
    try:
        for name, parameters in zip(PROCESSES, (
                {'source': str(folder), 'loop': False, 'step': True}, node_parameters)):
            children.append(Child(name, arguments(parameters), environment,
                                  out / LOG / f'{name}.txt'))
        listener.wait_until_ready(_START_TIMEOUT_S, lambda: _check(children))
        answers, scores, changes = _collect(listener, frames, out, options.frame_timeout,
                                            metadata)
    finally:
        codes = {child.name: child.stop() for child in reversed(children)}
        listener.destroy_node()
        rclpy.try_shutdown()
    summary = summarize(frames, answers, scores, changes)
    summary['exit_codes'] = codes
    write_json(out / SUMMARY, summary, indent=2)
    print_summary(summary, out)
    return 0 if summary['images_answered'] == summary['images_sent'] == len(frames) else 1


def _collect(listener: Listener, frames: list[DemoFrame], out: Path, timeout_s: float,
             metadata: CheckpointMetadata
             ) -> tuple[list[Answer], dict[str, DepthScore], list[dict[str, Any]]]:
    by_name = {frame.name: frame for frame in frames}
    answers, scores, changes = [], {}, []
    listener.risk_changes = listener.risk_changes[-1:]  # those of starting up do not count
    with progress(len(frames)) as advance:
        for _ in frames:
            answer = listener.ask(timeout_s)
            if answer is None:
                break
            frame = by_name[answer.name]
            for _, raised in listener.risk_changes[1:]:
                changes.append({'image': answer.name, 'raised': raised,
                                'reason': answer.status.get('reason', '')})
            listener.risk_changes = listener.risk_changes[-1:]
            if answer.latency_s is not None:
                truth = read_true_depth(frame.depth_file) if frame.depth_file else None
                depth = answer.pixels.get('depth/image')
                if truth is not None and depth is not None and truth.shape == depth.shape:
                    scores[frame.name] = DepthScore.of(depth, truth)
                write_png(str(out / panel_name(frame.name)),
                          draw_panel(frame, answer, truth, metadata))
            # Only figures are needed from here on: the maps of many images would fill the memory.
            answer.pixels = {}
            answers.append(answer)
            advance(frame.kind)
    return answers, scores, changes


def _check(children: list[Child]) -> None:
    for child in children:
        complaints = [line for line in child.log.splitlines()
                      if '[ERROR]' in line or '[FATAL]' in line]
        if not child.running or complaints:
            last = (complaints or child.log.splitlines() or ['(no output)'])[-1]
            raise EmuError(f'{child.name}: {last} (all of it: {child.log_file})')


if __name__ == '__main__':
    sys.exit(main())
