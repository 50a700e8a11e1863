# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask how far a network's metres may be off on a camera of which only fx is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import sys
from typing import Any

from emu_perception.errors import InputError
from emu_perception.foreign_files import read_text, why_unread
from emu_perception.fusion import fuse, ScaleBelief
from emu_perception.fusion.constants import UNKNOWN_CAMERA_DEGREES, UNKNOWN_CAMERA_SIGMA
from emu_perception.normal_distribution import Z90
from emu_perception.predictor import Predictor
import numpy as np
from scipy import stats
from scipy.optimize import minimize_scalar

from ..arguments.studies.camera_prior import parser
from ..calibration.training_pictures import clean_picture
from ..command_line import study_command
from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.leakage import check_unseen
from ..reporting.tables import markdown, number
from .told_depth import told

# Of freedom: from a tail that knows no variance to a Gaussian's.
DEGREES = (1.0, 2.0, 3.0, 4.0, 8.0, 30.0)
# One median tells nothing of a tail, and fewer than this little.
FEWEST = 5
_SAME = 'as it is'  # The simulated camera that is the training camera.


def fit(medians: Sequence[float]) -> tuple[float, float]:
    """Return (scale, degrees of freedom) of Student's t around 0, the most likely of log b."""
    values = np.asarray(medians)

    def lost(log_scale: float, degrees: float) -> float:
        return -float(stats.t.logpdf(values, degrees, scale=np.exp(log_scale)).sum())
    best = min(((minimize_scalar(lost, bounds=(-7.0, 1.0), args=(degrees,), method='bounded'),
                 degrees) for degrees in DEGREES), key=lambda found: found[0].fun)
    return float(np.exp(best[0].x)), best[1]


def left_out(medians: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return for each camera what the prior of the others says of it: the chance of farther."""
    found = []
    for name, median in medians.items():
        scale, degrees = fit([other for key, other in medians.items() if key != name])
        found.append({'camera': name, 'log_factor': median, 'scale': scale, 'degrees': degrees,
                      'chance_of_farther': chance(median, scale, degrees)})
    return found


def chance(log_factor: float, scale: float, degrees: float) -> float:
    """Return the chance that a camera is farther off, by a prior."""
    return float(2.0 * stats.t.sf(abs(log_factor) / scale, degrees))


def measured(predictor: Predictor, folder: DatasetFolder) -> dict[str, Any]:
    """Return log factors of a real camera's images, and what the intervals hold by each sigma."""
    belief = ScaleBelief.before()
    factors, held = [], []
    for stem in folder.stems('val'):
        picture = clean_picture(folder, stem, (0, 0, 0, 0))
        image, truth = picture.example.image, picture.example.depth
        if truth is None or picture.focal is None:
            raise DatasetError(f'{folder.root}: has no depth or no intrinsics: both are needed')
        found = predictor(image, fx=picture.focal * image.shape[1])
        if found.depth is None or found.depth_variance is None:
            raise InputError('the checkpoint has no task depth')
        fused = fuse(image, found.depth, found.depth_variance, None, belief)
        valid = (truth > 0) & np.isfinite(found.depth) & (found.depth > 0)
        if not valid.any():
            continue
        factors.append(float(np.median(np.log(truth[valid] / found.depth[valid]))))
        off = np.abs(truth - told(found.depth, predictor.metadata.depth_max))[truth > 0]
        held.append([float((off <= Z90 * np.sqrt(variance[truth > 0])).mean())
                     for variance in (found.depth_variance, fused.variance)])
    if not factors:
        raise DatasetError(f'{folder.root}: val has no depth')
    network, total = np.mean(held, axis=0).tolist()
    return {'camera': folder.name, 'images': len(factors), 'log_factor': float(np.median(factors)),
            'log_factor_5_95': np.percentile(factors, (5, 95)).tolist(),
            'chance_of_farther': chance(float(np.median(factors)), UNKNOWN_CAMERA_SIGMA,
                                        UNKNOWN_CAMERA_DEGREES),
            'coverage_90_network': network, 'coverage_90_total': total}


def study(cameras: Path, checkpoint: Path, folders: Sequence[DatasetFolder]) -> dict[str, Any]:
    """
    Return the fits, what they say of each camera left out, and the real cameras' figures.

    :param cameras: what ``training.studies.cameras --json`` wrote.
    :raises EmuError: if a file cannot be used.
    """
    simulated = _simulated(cameras)
    if len(simulated) < 2:
        raise InputError(f'{cameras}: has {len(simulated)} cameras with a factor beside '
                         f"'{_SAME}': the spread of two or more is fitted")
    predictor = Predictor.load(checkpoint, 'cpu')
    for folder in folders:
        check_unseen(checkpoint, predictor.metadata, folder, 'val')
    real = [measured(predictor, folder) for folder in folders]
    both = {**simulated, **{row['camera']: row['log_factor'] for row in real}}
    fits = {name: dict(zip(('scale', 'degrees'), fit(list(medians.values()))))
            for name, medians in (('simulated', simulated), ('both', both))}
    return {'checkpoint': checkpoint.name, 'in_force': {
        'scale': UNKNOWN_CAMERA_SIGMA, 'degrees': UNKNOWN_CAMERA_DEGREES},
        'fits': fits, 'left_out': left_out(both), 'real': real,
        'enough_real_cameras': len(real) >= FEWEST}


def _simulated(path: Path) -> dict[str, float]:
    try:
        rows = json.loads(read_text(path))['cameras']
        return {row['camera']: float(np.log(row['factor']['median'])) for row in rows
                if row['camera'] != _SAME}
    except OSError as error:
        raise InputError(f'{path}: {why_unread(error)}: give what emu study cameras --json '
                         'has written') from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not what emu study cameras --json writes '
                         f'({error})') from error


def tables(result: Mapping[str, Any]) -> str:
    """Return the figures in Markdown."""
    priors = markdown(('prior', 'scale', 'degrees of freedom'), [
        [name, number(one['scale']), f'{one["degrees"]:g}']
        for name, one in (('in force', result['in_force']), *result['fits'].items())])
    outs = markdown(('camera, left out', 'log factor', 'prior of the others',
                     'chance of farther'), [
        [row['camera'], f'{row["log_factor"]:.3f}', f't of {row["degrees"]:g}, scale '
         f'{number(row["scale"])}', f'{row["chance_of_farther"]:.4f}']
        for row in result['left_out']])
    real = markdown(('real camera', 'images', 'log factor', 'chance of farther, prior in force',
                     "90 % intervals hold, the network's", 'with the prior'), [
        [row['camera'], str(row['images']), f'{row["log_factor"]:.3f}',
         number(row['chance_of_farther']), number(row['coverage_90_network']),
         number(row['coverage_90_total'])] for row in result['real']])
    said = ('' if result['enough_real_cameras'] else
            f'\nreal cameras: {len(result["real"])}; from {FEWEST} on a tail can be fitted')
    return f'{priors}\n\n{outs}\n\n{real}{said}'


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, lambda options: study(
        options.cameras, options.checkpoint, [DatasetFolder(path) for path in options.data]),
        tables, ())


if __name__ == '__main__':
    sys.exit(main())
