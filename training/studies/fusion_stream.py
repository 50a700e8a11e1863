# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask what each way to metres is worth on a robot, and what the calibration watch is."""

from __future__ import annotations

from collections.abc import Mapping
import math
from pathlib import Path
import sys
from typing import Any

import cv2
from emu_perception.errors import InputError
from emu_perception.fusion import checked_hint, correct, DepthHint, fuse, Fused, ScaleBelief
from emu_perception.fusion.joining import Compared
from emu_perception.normal_distribution import Z90
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track

from ..arguments.studies.fusion_stream import parser
from ..calibration.training_pictures import border_of, clean_picture, generator
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.frame_runs import frame_runs
from ..data.leakage import check_unseen
from .fusion_holes import as_sensed, HOLES, OUTLIERS
from .fusion_images import View
from .fusion_walks import alarms, delays
from .told_depth import told

# A D435's, see ``others`` in results/fusion/fusion.json: the network says 1 / 0.71 of its metres.
UNKNOWN_CAMERA = 1.41
APART_S = 1.0  # Between the images of the ways.
_THINNED = 5  # Of the cells that both see one in so many: they say the same.
# Of a walk: a factor and within how many images the watch is to be raised (issue "Metres that hold
# on any robot").
_WATCHED = ((1.5, 10), (1.2, 60), (1 / 1.5, 10), (1 / 1.2, 60))


def study(checkpoint: Path, folder: DatasetFolder, split: str, *,
          seeds: int = 5, walks: int = 60, limit: int | None = None, device: str = 'auto',
          progress: bool = True) -> dict[str, Any]:
    """
    Return the study of a checkpoint.

    :param seeds: of holes and noise.
    :param walks: of the watch, of each kind.
    :param limit: only so many images of the split, evenly spaced.
    :raises EmuError: if a file cannot be used.
    """
    predictor = Predictor.load(checkpoint, device)
    if 'depth' not in predictor.metadata.tasks:
        raise InputError(f'{checkpoint}: has no task depth, which is what is fused')
    check_unseen(checkpoint, predictor.metadata, folder, split)
    border = border_of(predictor.metadata)
    stems = sorted(evenly_spaced(folder.stems(split), limit))
    depth_max = predictor.metadata.depth_max
    ways = {name: Way(factor, prior, hinted, depth_max) for name, (factor, prior, hinted) in {
        'unknown camera, colour': (UNKNOWN_CAMERA, 0.4, False),
        'unknown camera, colour and depth camera': (UNKNOWN_CAMERA, 0.4, True),
        'its own camera, colour': (1.0, 0.0, False),
        'its own camera, colour and depth camera': (1.0, 0.0, True)}.items()}
    compared: list[dict[str, Compared]] = [{} for _ in range(seeds)]
    for stem in track(stems, 'images', disable=not progress):
        picture = clean_picture(folder, stem, border)
        if picture.example.depth is None or picture.focal is None:
            raise DatasetError(f'{folder.root}: has no depth or no intrinsics, without which '
                               'there are no metres to compare')
        image = picture.example.image
        found = predictor(image, fx=picture.focal * image.shape[1])
        assert found.depth is not None and found.depth_variance is not None
        view = View(picture.example, found.depth, found.depth_variance)
        for seed in range(seeds):
            seen = correct(image, view.depth, view.variance, sensed(view, folder, seed),
                           ScaleBelief.before())
            if seen is not None:
                both = seen.compared
                compared[seed][stem] = Compared(both.log_ratio[::_THINNED].copy(),
                                                both.relative[::_THINNED].copy())
        hint = sensed(view, folder, 0, outliers=0.0)
        for way in ways.values():
            way.add(view, hint)
    seen_by_all = set.intersection(*(set(views) for views in compared))
    rooms = [[stem for stem in room if stem in seen_by_all] for room in frame_runs(stems)]
    rooms = [room for room in rooms if room]
    if not rooms:
        raise DatasetError(f'{folder.root}: in no image a depth camera would see enough')
    return {'checkpoint': checkpoint.name, 'data_set': folder.name, 'split': split,
            'images': len(stems), 'rooms': len(rooms), 'seeds': seeds,
            'ways': {name: way.figures for name, way in ways.items()},
            'watch': {'alarms': alarms(compared, rooms, walks),
                      'delays': [delays(compared, rooms, factor, within, walks)
                                 for factor, within in _WATCHED]}}


def sensed(view: View, folder: DatasetFolder, seed: int, outliers: float = OUTLIERS) -> DepthHint:
    """Return what a stereo depth camera sees of a picture."""
    example, truth = view.example, view.example.depth
    assert truth is not None
    rng = generator(example.stem, 'sensed', seed)
    hidden = np.zeros(truth.shape, bool)
    for kind in ('sensor', 'beyond_4m'):
        hidden |= HOLES[kind](example, folder.classes, rng)
    # And a patch that moves, as glare does: holes are others each time.
    patch = cv2.resize(rng.random((6, 8)).astype(np.float32), truth.shape[::-1],
                       interpolation=cv2.INTER_CUBIC) > 0.8
    known = np.where(hidden | patch, np.float32(0.0), truth)
    return checked_hint(as_sensed(known, rng, outliers), None, (truth.shape[0], truth.shape[1]))


class Way:
    """
    One way to metres, over the images in their order.

    :param factor: what the network's metres are multiplied by, before a camera that it takes for
        another.
    :param prior: of the scale, as the parameter ``depth_hint_prior``.
    :param hinted: whether the depth camera is joined in.
    :param depth_max: metres, the end of the network's range.
    """

    def __init__(self, factor: float, prior: float, hinted: bool, depth_max: float) -> None:
        self._factor, self._hinted, self._depth_max = np.float32(factor), hinted, depth_max
        self._belief = ScaleBelief.before(prior)
        self._sums = {part: np.zeros(4) for part in ('all', 'unseen')}

    def add(self, view: View, hint: DepthHint) -> None:
        """Take the next image."""
        truth = view.example.depth
        assert truth is not None
        depth, variance = view.depth * self._factor, view.variance * self._factor ** 2
        if self._hinted:
            fused: Fused = fuse(view.example.image, depth, variance, hint,
                                self._belief.after(APART_S))
            depth, variance, self._belief = fused.depth, fused.variance, fused.belief
        known, depth = truth > 0, told(depth, self._depth_max)
        for part, where in (('all', known), ('unseen', known & ~hint.known)):
            off = np.abs(depth[where].astype(np.float64) - truth[where])
            held = off <= Z90 * np.sqrt(variance[where])
            self._sums[part] += (len(off), (off ** 2).sum(), (off / truth[where]).sum(),
                                 held.sum())

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Return RMSE, abs rel and what 90 % intervals hold, of all and of what is not seen."""
        found = {}
        for part, (count, square, relative, held) in self._sums.items():
            pixels = max(float(count), 1.0)
            found[part] = {'rmse_m': math.sqrt(square / pixels),
                           'abs_rel': float(relative / pixels), 'held_90': float(held / pixels)}
        return found


def table(result: Mapping[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f'{"":42} {"all pixels":^24}  {"what the sensor does not see":^24}',
             f'{"":42}' + 2 * f' {"RMSE m":>7} {"abs rel":>8} {"90 % hold":>9}']
    for name, parts in result['ways'].items():
        lines.append(f'{name:42}' + ''.join(
            f' {part["rmse_m"]:7.2f} {part["abs_rel"]:8.3f} {part["held_90"]:9.2f}'
            for part in (parts['all'], parts['unseen'])))
    alarm = result['watch']['alarms']
    lines.append(f'calibration watch, nothing wrong: {alarm["mean"]:.2f} raises in '
                 f'{alarm["images"]} images, {alarm["most"]} at most, of {alarm["walks"]} walks')
    for row in result['watch']['delays']:
        held = f'widened intervals hold {row["widened_held"]:.2f}'
        if not row['walks']:
            lines.append(f'metres x {row["factor"]:.2f}: not measured, for the watch was raised '
                         f'before on every walk; {held}')
            continue
        middle, late = ('never' if row[name] is None else f'{row[name]:.0f}'
                        for name in ('median', 'p95'))
        lines.append(f'metres x {row["factor"]:.2f}: raised within {row["within"]} images in '
                     f'{100 * row["share_within"]:.0f} % of {row["walks"]} walks, median '
                     f'{middle}, 95 % {late}; {held}')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, lambda options: study(
        options.checkpoint, DatasetFolder(options.data), options.split, seeds=options.seeds,
        walks=options.walks, limit=options.limit, device=options.device,
        progress=not options.no_progress), table, ('seeds', 'walks', 'limit'))


if __name__ == '__main__':
    sys.exit(main())
