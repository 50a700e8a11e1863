# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a network says of many pictures and how wrong it is, as arrays that can be kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import hashlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
import zlib

from emu_perception.backends.network_hash import network_hash
from emu_perception.cache_files import cache_key
from emu_perception.commands.output_file import make_folder
from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.families import Network
from emu_perception.observer import Observer
from emu_perception.whole_files import whole_file
import numpy as np
from rich.progress import track

from ..data.dataset_folder import DatasetFolder
from .badness import badness, errors, truth_at
from .training_pictures import border_of, Picture, training_pictures


@dataclass(frozen=True)
class Observations:
    """
    What passes over n pictures gave.

    :ivar stem: of the images, [n].
    :ivar kind: [n], see ``Picture``; ``severity`` [n] likewise.
    :ivar statistics: float32 [n, N].
    :ivar scores: by name, [n] each.
    :ivar abs_rel: [n], NaN where there is no truth; ``pixel_accuracy`` likewise.
    """

    stem: np.ndarray
    kind: np.ndarray
    severity: np.ndarray
    statistics: np.ndarray
    scores: dict[str, np.ndarray]
    abs_rel: np.ndarray
    pixel_accuracy: np.ndarray

    @property
    def badness(self) -> np.ndarray:
        """Return each picture's error, above 1 where it is bad."""
        return badness(self.abs_rel, self.pixel_accuracy)

    def where(self, chosen: np.ndarray) -> Observations:
        """Return some of the pictures, by a mask [n] or indices."""
        return Observations(
            self.stem[chosen], self.kind[chosen], self.severity[chosen], self.statistics[chosen],
            {name: values[chosen] for name, values in self.scores.items()},
            self.abs_rel[chosen], self.pixel_accuracy[chosen])

    def save(self, path: Path) -> None:
        """Write all of it as .npz, whole or not at all."""
        named: dict[str, Any] = {f'score_{name}': values for name, values in self.scores.items()}
        with whole_file(path) as file:
            np.savez(file, stem=self.stem, kind=self.kind, severity=self.severity,
                     statistics=self.statistics, abs_rel=self.abs_rel,
                     pixel_accuracy=self.pixel_accuracy, **named)

    @classmethod
    def load(cls, path: Path) -> Observations:
        """
        Read what ``save`` wrote.

        :raises InputError: if it is something else.
        """
        try:
            with np.load(path) as file:
                arrays = dict(file)
            scores = {name.removeprefix('score_'): arrays.pop(name)
                      for name in [*arrays] if name.startswith('score_')}
            return cls(scores=scores, **arrays)
        except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
            raise InputError(f'{path}: holds no observations ({error}): remove it') from error


def observed(observer: Observer, pictures: Iterable[Picture],
             also: Callable[[Picture, NetworkMaps], None] | None = None) -> Observations:
    """
    Return what the network says of pictures, and how wrong it is.

    :param also: called with each picture and its maps, for what else is to be measured.
    :raises InputError: if there is none.
    """
    rows: list[tuple[Any, ...]] = []
    # One growing block: thousands of small arrays between an image's large ones would keep the
    # memory of all of them from being given back.
    statistics = array('f')
    for picture in pictures:
        seen = observer(picture.example.image, picture.focal)
        truth = truth_at(picture.example, seen.maps.size)
        if also is not None:
            also(picture, seen.maps)
        statistics.frombytes(seen.statistics.tobytes())
        rows.append((picture.example.stem, picture.kind, picture.severity, seen.scores,
                     *errors(seen.maps, truth)))
    if not rows:
        raise InputError('there is no picture to observe')
    stem, kind, severity, scores, abs_rel, accuracy = zip(*rows)
    return Observations(
        np.array(stem), np.array(kind), np.array(severity),
        np.array(statistics, np.float32).reshape(len(rows), -1),
        {name: np.array([row[name] for row in scores]) for name in scores[0]},
        np.array(abs_rel), np.array(accuracy))


def files_digest(folder: DatasetFolder, stems: Iterable[str]) -> str:
    """
    Return what tells the files of some stems from others of the same names.

    Labels that were mended, or a recording that was taken anew, are seen anew.

    :raises DatasetError: if an image is missing.
    """
    digest = hashlib.sha256()
    for stem in stems:
        for path in (folder.image_path(stem), *(folder.map_path(kind, stem)
                                                for kind in ('label', 'depth'))):
            content = b'' if path is None else path.read_bytes()
            digest.update(len(content).to_bytes(8, 'little') + content)
    return digest.hexdigest()


def training_observations(observer: Observer, network: Network, folder: DatasetFolder,
                          stems: Sequence[str], corrupted: int, kept: Path | None = None,
                          progress: bool = True) -> Observations:
    """
    Return what a network gives of the pictures that scores are fitted to.

    :param network: the observer's.
    :param corrupted: see ``training_pictures``.
    :param kept: a folder where this is kept for the next command; None = nowhere. It is found
        again by the same network and constants, the same dataset.yaml and files.
    """
    def observe() -> Observations:
        return observed(observer, track(
            training_pictures(folder, stems, observer.metadata, corrupted), 'training pictures',
            len(stems) * (corrupted + 4), disable=not progress))
    if kept is None:
        return observe()
    metadata = observer.metadata
    key = cache_key(network_hash(network), metadata.calibration.temperature,
                    metadata.calibration.variance_scale, metadata.input_size, metadata.mean,
                    metadata.std, metadata.intrinsics, border_of(metadata), folder.name,
                    folder.classes, folder.ignore_index, folder.depth, folder.intrinsics,
                    *stems, corrupted, files_digest(folder, stems))
    make_folder(kept, f'--observations {kept}')  # What cannot be written is said before the work.
    path = kept / f'{key[:16]}.npz'
    if path.exists():
        return Observations.load(path)
    found = observe()
    found.save(path)
    return found
