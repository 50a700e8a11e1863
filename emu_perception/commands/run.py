# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_run``: the node's predictor and risk flag over images, videos and ROS 2 bags."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
import logging
from pathlib import Path
import sys
import time
from typing import Any

from emu_perception.cameras.image_files import ImageFiles
from emu_perception.cameras.opening import open_source
from emu_perception.cameras.source import Source
from emu_perception.cameras.two_views import TwoViews
from emu_perception.commands import output_folder
from emu_perception.commands.before_work import checked
from emu_perception.commands.camera_choice import CameraChoice
from emu_perception.commands.file_outputs import Maps, Panels, Table
from emu_perception.commands.ground_ruler import ruler_of
from emu_perception.commands.hint_track import HintTrack
from emu_perception.commands.hints import open_hints
from emu_perception.commands.in_vain import in_vain
from emu_perception.commands.interrupt import Interrupt
from emu_perception.commands.program import program
from emu_perception.commands.promised_maps import PromisedMaps
from emu_perception.commands.recorded_topics import RecordedTopics
from emu_perception.commands.recording_output import RecordingOutput
from emu_perception.commands.result import Output, Result
from emu_perception.commands.risk_track import RiskTrack, Timeline
from emu_perception.commands.run_summary import logging_lines, progress, Summary
from emu_perception.commands.runner import Runner
from emu_perception.commands.selection import selected, Selection
from emu_perception.commands.truth import TruthFolder
from emu_perception.commands.truth_figures import TruthFigures
from emu_perception.errors import EmuError, InputError, text_of
from emu_perception.foreign_files import print_any_name
from emu_perception.intrinsics import scale_problem
from emu_perception.model_file import default_model
from emu_perception.predictor import Predictor
from emu_perception.region import Region
from emu_perception.risk import RiskMonitor, RiskThresholds
from emu_perception.risk_status import Origin, resolve_thresholds, unbelievable
from emu_perception.scores import SCORES
from emu_perception.shown import Look
import numpy as np

LOGGER = logging.getLogger('emu_perception')


def answer(options: argparse.Namespace) -> int:
    """Return 0, 1 with one line on bad input, or 128 + the signal that ended the run early."""
    print_any_name()
    with logging_lines():
        try:
            return run(options)
        except (EmuError, OSError) as error:
            print(f'{program("emu_run")}: {text_of(error)}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f'{program("emu_run")}: interrupted', file=sys.stderr)
            return 130


def run(options: argparse.Namespace) -> int:
    """
    Do it; everything that can be wrong is found before anything is written.

    :raises EmuError: on bad input.
    """
    info = checked(options)
    region = Region.of(options.risk_region)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(
            str(options.input), options.rate, image_topic=options.image_topic,
            info_topic=options.camera_info_topic))
        hints = stack.enter_context(open_hints(options.depth_hint, options.input))
        rescaled = hints is not None or options.camera_height is not None
        recording = _may_record(options)
        model = options.model or default_model()
        predictor = Predictor.load(model, options.device, options.precision,
                                   backend=options.backend)
        predictor.says_unscaled = False  # CameraChoice says why, and what to give.
        if problem := scale_problem(predictor.metadata):  # Then it is not asked.
            LOGGER.warning('%s: %s; the risk flag is raised', model, problem)
        thresholds, origins = resolve_thresholds(
            {name: getattr(options, row.parameter) for name, row in SCORES.items()},
            predictor.metadata.calibration, options.risk_scores)
        if beyond := unbelievable(origins):
            LOGGER.warning(beyond)
        each = (isinstance(source, ImageFiles) if options.judge == 'auto'
                else options.judge == 'each')
        for line in in_vain(options, each=each):
            LOGGER.warning(line)
        risk = RiskTrack(RiskMonitor(
            thresholds, expected=dict.fromkeys((*predictor.metadata.score_names,
                                                *options.risk_scores)),
            chosen=options.risk_scores, raise_after=options.raise_after,
            clear_after=options.clear_after, clear_below=options.clear_below,
            stale_after_s=options.stale_after), each=each)
        look = Look.of(predictor.metadata, {'depth_variance': options.sigma_color_max,
                                             'depth': options.depth_color_max or 0.0},
                       unknown_depth_sigma=options.unknown_depth_sigma)
        cameras = CameraChoice(options.fx, info, options.hfov,
                               metric='depth' in predictor.metadata.tasks,
                               rectify=options.rectify)
        record = RecordedTopics.of(options.topics, predictor.metadata.outputs,
                                   hinted=rescaled,
                                   promises=predictor.metadata.calibration.promises
                                   ) if recording else None
        promised = PromisedMaps(predictor.metadata, record.promised if record else (),
                                options.promise_level, hinted=rescaled)
        if rescaled and 'depth' not in predictor.metadata.tasks:
            raise InputError(f'{"--camera-height" if hints is None else "--depth-hint"}: {model} '
                             'has no task depth to join it to')
        truths = (TruthFolder.beside(options.input, predictor.metadata.classes)
                  if isinstance(source, ImageFiles) else None)
        track = HintTrack(
            hints, options.depth_hint_prior, any_scale=options.depth_hint_any_scale, each=each,
            ruler=ruler_of(options, predictor.metadata.classes)) if rescaled else None
        runner = Runner(predictor, risk, cameras, look,
                        at_network_size=options.output_size == 'network',
                        unknown_label_entropy=options.unknown_label_entropy,
                        score_region=region, promised=promised, hints=track, truths=truths,
                        views=None if each else TwoViews())
        selection = Selection(options.every, options.start, options.end)
        made = output_folder.make_folder(options.out)
        summary = Summary(str(options.input), str(model), predictor.device_description,
                          thresholds.by_score, judged='each' if each else 'stream')
        results = runner.results(selected(source, selection))
        interrupt = stack.enter_context(Interrupt())
        with ExitStack() as closing:
            outputs: list[Any] = []
            if truths is not None:
                outputs.append(TruthFigures(len(predictor.metadata.classes),
                                            predictor.metadata.depth_form))
            for output in _outputs(options, source, selection, predictor, thresholds, origins,
                                   record):
                outputs.append(output)
                closing.callback(output.close)
            try:
                _process(results, outputs, summary, interrupt, selection.expected(source),
                         shown=not options.no_progress)
            except InputError:
                if not summary.images:  # Refused with its first image, as an --fx may be.
                    closing.close()
                    output_folder.discard(options.out, made)
                raise
        if summary.images and promised.missed:
            LOGGER.warning(promised.missed)
        summary.note_unusable(runner.unusable)
        if track is not None:
            summary.depth_hint, summary.ground_scale = track.summary(), track.ground_summary()
        loss = source.loss
    return _finish(options, summary, interrupt, outputs, loss)


def _may_record(options: argparse.Namespace) -> bool:
    """Tell whether to write an MCAP; not asked for, it depends on whether rosbags is there."""
    installed = find_spec('rosbags') is not None
    if options.topics and options.mcap is False:
        raise InputError('--topics: is of the recording, which --no-mcap leaves out')
    if (options.mcap or options.topics) and not installed:
        raise InputError(f'{"--mcap" if options.mcap else "--topics"}: needs the Python package '
                         'rosbags, which is not installed: pip install rosbags')
    if options.mcap is None and not installed:
        LOGGER.info('no MCAP is written: pip install rosbags')
    return installed if options.mcap is None else bool(options.mcap)


def _outputs(options: argparse.Namespace, source: Source, selection: Selection,
             predictor: Predictor, thresholds: RiskThresholds, origins: dict[str, Origin],
             record: RecordedTopics | None) -> Iterator[Output]:
    out: Path = options.out
    metadata = predictor.metadata
    yield Table(out / output_folder.TABLE)
    video = options.video and source.total != 1
    if options.panels != 0 or video:
        yield Panels(out / output_folder.PANELS, metadata, limit=options.panels,
                     expected=selection.expected(source),
                     video=out / output_folder.VIDEO if video else None,
                     rate_hz=source.rate_hz / options.every, scene_colors=isinstance(
                         source, ImageFiles) and options.depth_color_max is None)
    if options.maps:
        yield Maps(out / output_folder.MAPS)
    if record is not None:
        yield RecordingOutput(out / output_folder.RECORDING, record, source.image_topic,
                              thresholds, origins, metadata.classes, selection.expected(source))


def _process(results: Iterator[Result], outputs: list[Any], summary: Summary,
             interrupt: Interrupt, expected: int | None, *, shown: bool) -> None:
    timeline = Timeline()
    scores: dict[str, list[float]] = {}
    network_ms: list[float] = []
    started = time.perf_counter()
    with progress(expected, shown) as advance:
        for result in results:
            for output in outputs:
                output.add(result)
            if result.went_stale is not None:
                timeline.add(result.went_stale_ns / 1e9, result.went_stale)
            timeline.add(result.source.header.stamp_ns / 1e9, result.risk)
            if result.prediction is not None:
                network_ms.append(result.prediction.timing_ms['network'])
                for name, value in result.prediction.scores.items():
                    scores.setdefault(name, []).append(value)
            summary.images += 1
            summary.with_focal_length += result.prediction is not None and bool(result.camera)
            advance(f'risk: {result.risk.reason.value}')
            if interrupt.number is not None:
                summary.interrupted = True
                break
    summary.seconds = time.perf_counter() - started
    summary.fps = summary.images / summary.seconds
    summary.risk_share = timeline.shares()
    if summary.judged == 'stream':
        summary.raises, summary.raises_per_minute = (timeline.raises,
                                                     timeline.raises_per_minute())
    summary.scores = {name: float(np.mean(values)) for name, values in scores.items()}
    summary.network_ms = float(np.mean(network_ms)) if network_ms else 0.0


def _finish(options: argparse.Namespace, summary: Summary, interrupt: Interrupt,
            outputs: list[Any], loss: str) -> int:
    for output in outputs:
        if isinstance(output, Panels):
            if output.written:
                summary.wrote('panels', options.out / output_folder.PANELS,
                              f'{output.written} panels')
            if output.video is not None and output.video.frames:
                summary.wrote('video', options.out / output_folder.VIDEO,
                              f'video of {output.video.frames} frames ({output.video.codec})')
        elif isinstance(output, RecordingOutput):
            summary.wrote('recording', options.out / output_folder.RECORDING,
                          f'recording of {output.writer.count} messages')
            summary.recording_mb, summary.recording_raw_mb = output.mb_per_image()
        elif isinstance(output, TruthFigures):
            summary.truth = output.summary()
        elif isinstance(output, Maps):
            summary.wrote('maps', options.out / output_folder.MAPS)
    summary.wrote('table', options.out / output_folder.TABLE)
    summary.write(options.out)
    if summary.images or summary.interrupted:  # Of none it would say that no flag was raised.
        summary.print()
    if interrupt.number is not None:
        return 128 + interrupt.number
    if not summary.images:
        raise InputError(f'{options.input}: no image was taken: see --start, --end')
    if summary.unusable == summary.images:
        raise InputError(f'{options.input}: none of {summary.images} images could be used, see '
                         f'{options.out / output_folder.TABLE}')
    if loss:  # After all that could be read is done.
        raise InputError(loss)
    return 0
