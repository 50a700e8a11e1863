# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what the ground tells of a network's metres, where the camera's height is known."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
import math
import sys
from typing import Any

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge
from emu_perception.commands.truth_figures import TruthFigures
from emu_perception.errors import InputError
from emu_perception.fusion import Ground, HintStream
from emu_perception.fusion.constants import UNKNOWN_CAMERA_SIGMA
from emu_perception.fusion.ground import SURE
from emu_perception.normal_distribution import Z90
from emu_perception.planning.classes import members
from emu_perception.planning.ground_pixels import ground_pixels
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track

from ..arguments.studies.ground import parser
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.leakage import check_unseen
from ..reporting.ground_study import ground_figure, table

# Of true depth on the ground, metres: what is nearer to the plane is of it.
_ON_PLANE_M = 0.03
_LEAST_PIXELS, _ROUNDS = 4000, 300
# A fit of which less than half lies on one plane is none of a floor.
_LEAST_ON_PLANE = 0.5


@dataclass(frozen=True)
class Seen:
    """An image with its answer, its truth, metres (0 unknown), and the mounting that it shows."""

    image: np.ndarray
    prediction: Prediction
    truth: np.ndarray
    mounting: Mounting | None


@dataclass(frozen=True)
class Wrong:
    """
    How a user's knowledge of his robot is wrong.

    :ivar pitch_deg: added to the pitch; ``height`` multiplies the height.
    :ivar names: classes that are taken for ground.
    """

    words: str
    names: Sequence[str]
    pitch_deg: float = 0.0
    height: float = 1.0

    def of(self, mounting: Mounting) -> Mounting:
        """Return what the user says of a mounting."""
        return Mounting(mounting.height_m * self.height,
                        mounting.pitch_rad + math.radians(self.pitch_deg))


def plane(points: np.ndarray) -> tuple[np.ndarray, float] | None:
    """
    Return the unit normal that points down and the camera's height over a plane of points.

    By RANSAC and a least-squares fit to what lies on it; None where too few do.

    :param points: [n, 3], metres, in the optical frame.
    """
    rng, best = np.random.default_rng(0), np.zeros(len(points), bool)
    for _ in range(_ROUNDS):
        three = points[rng.choice(len(points), 3, replace=False)]
        normal = np.cross(three[1] - three[0], three[2] - three[0])
        length = float(np.linalg.norm(normal))
        if length < 1e-9:
            continue
        on = np.abs((points - three[0]) @ (normal / length)) < _ON_PLANE_M
        if on.sum() > best.sum():
            best = on
    if best.mean() < _LEAST_ON_PLANE:
        return None
    middle = points[best].mean(0)
    normal = np.linalg.eigh(np.cov((points[best] - middle).T))[1][:, 0]
    height = float(normal @ middle)
    return (normal, height) if height > 0 else (-normal, -height)


def mounting_in(seen: np.ndarray, truth: np.ndarray, camera: Camera) -> Mounting | None:
    """
    Return how high and how pitched a camera was, by the true plane of the ground; None: unseen.

    :param seen: bool [H, W], of the ground.
    :param truth: metres, 0 unknown.
    """
    rows, columns = np.nonzero(seen & (truth > 0))
    if len(rows) < _LEAST_PIXELS:
        return None
    some = np.linspace(0, len(rows) - 1, _LEAST_PIXELS).astype(int)
    rows, columns = rows[some], columns[some]
    z, (x, y) = truth[rows, columns].astype(np.float64), camera.rays()
    found = plane(np.stack([x[0, columns] * z, y[rows, 0] * z, z], 1))
    if found is None:
        return None
    normal, height = found
    return Mounting(height, math.asin(float(np.clip(normal[2], -1.0, 1.0))))


def images(predictor: Predictor, folder: DatasetFolder, names: Sequence[str], limit: int | None
           ) -> tuple[Camera, list[Seen]]:
    """Return a folder's camera, and each image of val with what it shows."""
    info = folder.intrinsics
    if info is None:
        raise DatasetError(f'{folder.root}: has no intrinsics: they are needed')
    camera = judge(pinhole_info(info.width, info.height, info.fx, info.fy, info.cx, info.cy),
                   info.width, info.height, rectified=True).needed()
    found = []
    for stem in track(evenly_spaced(folder.stems('val'), limit), folder.name):
        example = folder.example(stem)
        if example.depth is None:
            raise DatasetError(f'{folder.root}: has no depth: it is needed')
        prediction = predictor(example.image, fx=camera.fx)
        # By the true labels where there are some.
        seen = (ground_pixels(prediction, predictor.metadata.classes, names, SURE, '--ground')
                if example.label is None
                else np.asarray(members(folder.classes, names, '--ground')[example.label]))
        found.append(Seen(example.image, prediction, example.depth,
                          mounting_in(seen, example.depth, camera)))
    return camera, found


def fixed(seen: Sequence[Seen]) -> tuple[list[Seen], dict[str, float]]:
    """Return the images with one mounting, the median of all, and how far they are from it."""
    there = [one.mounting for one in seen if one.mounting is not None]
    if not there:
        return [], {}
    heights = np.array([one.height_m for one in there])
    pitches = np.degrees([one.pitch_rad for one in there])
    robot = Mounting(float(np.median(heights)), math.radians(float(np.median(pitches))))
    return [replace(one, mounting=robot) for one in seen], {
        'height_m': robot.height_m, 'height_std_m': float(heights.std()),
        'pitch_deg': math.degrees(robot.pitch_rad), 'pitch_std_deg': float(pitches.std())}


def figures(seen: Sequence[Seen], camera: Camera, predictor: Predictor, wrong: Wrong
            ) -> dict[str, Any]:
    """Return what metres are worth before and after, of images that the ground was heard of."""
    metadata = predictor.metadata
    before, after = (TruthFigures(len(metadata.classes), metadata.depth_form) for _ in range(2))
    offs, left, held, refused = [], [], [], 0
    for one in seen:
        if one.mounting is None:
            continue
        ground = Ground.of(one.prediction, camera, wrong.of(one.mounting), metadata.classes,
                           wrong.names)
        joined = HintStream().join(one.prediction, one.image, None, fx=camera.fx,
                                   prior=UNKNOWN_CAMERA_SIGMA, now_s=0.0, ground=ground)
        assert joined.ground is not None
        if joined.ground.problem:
            refused += 1
        elif joined.ground.reading is not None:
            truth = np.where(one.truth > 0, one.truth, np.nan)
            for figure, answer in ((before, one.prediction), (after, joined.prediction)):
                assert answer.depth is not None and answer.depth_sigma is not None
                figure.add_depth(truth, answer.depth, answer.depth_sigma)
            belief = joined.ground.belief
            offs.append(_log_off(one))
            left.append(offs[-1] - belief.log_factor)
            held.append(abs(left[-1]) <= Z90 * belief.sigma)
    row: dict[str, Any] = {'with': wrong.words, 'images': len(offs), 'refused': refused}
    if not offs:
        return row
    network, grounded = before.summary(), after.summary()
    return {**row, 'factors': {'network': np.exp(offs).tolist(), 'ground': np.exp(left).tolist()},
            'log_factor_rms': {'network': _rms(offs), 'ground': _rms(left)},
            'factor_in_90': float(np.mean(held)), **{
                name: {'network': getattr(network, name), 'ground': getattr(grounded, name)}
                for name in ('abs_rel', 'rmse_m', 'delta1', 'coverage_90')}}


def _log_off(one: Seen) -> float:
    depth = one.prediction.depth
    assert depth is not None
    both = (one.truth > 0) & np.isfinite(depth) & (depth > 0)
    return float(np.median(np.log(one.truth[both] / depth[both])))


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _wrongs(ground: Sequence[str], furniture: Sequence[str]) -> Iterator[Wrong]:
    yield Wrong('as it is', ground)
    for pitch in (2.0, -2.0):
        yield Wrong(f'pitch {pitch:+g} degrees', ground, pitch_deg=pitch)
    for height in (1.05, 0.95):
        yield Wrong(f'height x {height:g}', ground, height=height)
    yield Wrong('furniture taken for ground too', (*ground, *furniture))
    yield Wrong('furniture alone taken for ground', furniture)


def study(options: argparse.Namespace) -> dict[str, Any]:
    """
    Return the figures of each folder.

    :raises EmuError: if a file cannot be used, or a class is none of the network's.
    """
    if not options.data and not options.robot:
        raise InputError('neither --data nor --robot is given: one of them is needed')
    predictor = Predictor.load(options.checkpoint, 'cpu')
    classes, found = predictor.metadata.classes, []
    for path, robot in (*((path, False) for path in options.data),
                        *((path, True) for path in options.robot)):
        folder = DatasetFolder(path)
        check_unseen(options.checkpoint, predictor.metadata, folder, 'val')
        camera, seen = images(predictor, folder, options.ground, options.limit)
        shows = sum(one.mounting is not None for one in seen)
        robots: dict[str, float] = {}
        if robot:
            seen, robots = fixed(seen)
        there = [name for name in options.furniture if name in classes]
        found.append({'camera': folder.name, 'images': len(seen), 'show_ground': shows, **robots,
                      'rows': [figures(seen, camera, predictor, wrong)
                               for wrong in _wrongs(options.ground, there)]})
    return {'checkpoint': options.checkpoint.name, 'cameras': found}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, study, table, figures={'figure': ground_figure})


if __name__ == '__main__':
    sys.exit(main())
