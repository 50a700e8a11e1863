# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask how well it is known that pictures are upright, in their colours, light to the corners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import load_answering
from emu_perception.corruptions.photographs import read_rgb
from emu_perception.corruptions.unseen import vignette
from emu_perception.delivery import doubt
from emu_perception.delivery_check import DeliveryCheck
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.familiarity import load_fitted_scores
from emu_perception.observer import Observer
from emu_perception.scores import names_of
from emu_perception.shading import corner_light, dark_corners
import numpy as np
from rich.progress import track

from ..arguments.studies.delivery import parser
from ..calibration.training_pictures import border_of, clean_picture
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetFolder
from ..data.leakage import check_unseen
from ..reporting.tables import markdown, number
from .image_folders import image_groups

WINDOW = 20  # Successive images: a short drive.
# A picture that lies on its left side is put right by a turn that lays an upright one on its
# right: its margin is that one's with the other sign.
_UNDONE_BY = {'on_left_side': 'on_right_side', 'on_right_side': 'on_left_side'}


def study(checkpoint: Path, folder: DatasetFolder, split: str,
          others: Mapping[str, Sequence[Path]], *, limit: int | None = None,
          device: str = 'auto', progress: bool = True) -> dict[str, Any]:
    """
    Return, for each group of images and each way to deliver them, what the network knows.

    :param others: files by name of their group, in order.
    :param limit: only so many images of each group, evenly spaced.
    :raises EmuError: if a file cannot be used, or the checkpoint has no familiarity or was trained
        on these images.
    """
    network, metadata = load_answering(checkpoint)
    check_unseen(checkpoint, metadata, folder, split)
    fitted = load_fitted_scores(metadata.statistics, names_of(metadata.tasks), str(checkpoint))
    if fitted is None:
        raise InputError(f'{checkpoint}: holds no familiarity to judge by: run emu calibrate '
                         '--fit-scores on it')
    observer = Observer(network, metadata, checkpoint, resolved_device(device))
    border = border_of(metadata)

    def of_split(stem: str) -> np.ndarray:
        return clean_picture(folder, stem, border).example.image

    groups: dict[str, list[Callable[[], np.ndarray]]] = {
        split: [partial(of_split, stem) for stem in evenly_spaced(folder.stems(split), limit)]}
    for name, files in others.items():
        groups[name] = [partial(read_rgb, path) for path in evenly_spaced([*files], limit)]
    return {'checkpoint': checkpoint.name, 'data_set': folder.name, 'split': split,
            'window': WINDOW, 'groups': [
                {'group': name, **_measured(DeliveryCheck(observer, fitted), observer, track(
                    images, name, disable=not progress))} for name, images in groups.items()]}


def _measured(check: DeliveryCheck, observer: Observer,
              images: Iterable[Callable[[], np.ndarray]]) -> dict[str, Any]:
    hooded = []
    for image in images:
        rgb = image()
        check.see(rgb, observer(rgb))
        hooded.append(corner_light(vignette(rgb, np.random.default_rng(0))))
    margins = {name: np.array(values) for name, values in check.margins.items()}
    count = len(next(iter(margins.values())))
    starts = range(max(1, count - WINDOW + 1))
    wrongly = [found.delivery.name for found in (doubt({
        name: values[i:i + WINDOW] for name, values in margins.items()}) for i in starts) if found]
    corners = {name: _corners([lights[i:i + WINDOW] for i in starts]) for name, lights in (
        ('as_they_are', check.corners), ('hooded', hooded))}
    return {'images': count, 'windows': len(starts), 'corners': corners, 'deliveries': [
        {'delivery': name,
         'surer_as_it_is': float((values > 0).mean()),
         'margin': dict(zip(('lowest', 'p5', 'median'),
                            (float(np.quantile(values, q)) for q in (0.0, 0.05, 0.5)))),
         'doubted': wrongly.count(name) / len(starts),
         'found': float(np.mean([doubt(
             {name: -margins[_UNDONE_BY.get(name, name)][i:i + WINDOW]}) is not None
             for i in starts]))}
        for name, values in margins.items()]}


def _corners(windows: Sequence[list[np.ndarray]]) -> dict[str, Any]:
    """Return the light of each window's brightest corner, and how many windows are doubted."""
    light = [float(np.median(lights, axis=0).max()) for lights in windows]
    return {'light': {'lowest': min(light), 'median': float(np.median(light)),
                      'highest': max(light)},
            'doubted': float(np.mean([bool(dark_corners(lights)) for lights in windows]))}


def table(result: Mapping[str, Any]) -> str:
    """Return it as two tables in Markdown."""
    light = markdown(
        ('images', 'corners', "light of the brightest beside the middle's (lowest to highest)",
         'windows doubted'),
        [[f'{group["group"]} ({group["images"]})', kind.replace('_', ' '),
          '{median:.2f} ({lowest:.2f} to {highest:.2f})'.format(**row['light']),
          number(row['doubted'], 2)]
         for group in result['groups'] for kind, row in group['corners'].items()])
    return light + '\n' + markdown(
        ('images', 'delivered', 'surer as they are', 'margin, median (lowest)',
         'windows doubted as they are', 'windows found, delivered so'),
        [[f'{group["group"]} ({group["images"]})', row['delivery'],
          number(row['surer_as_it_is'], 2),
          f'{row["margin"]["median"]:.2f} ({row["margin"]["lowest"]:.2f})',
          number(row['doubted'], 2), number(row['found'], 2)]
         for group in result['groups'] for row in group['deliveries']])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, lambda options: study(
        options.checkpoint, DatasetFolder(options.data), options.split,
        image_groups(options.images, (options.split,)), limit=options.limit,
        device=options.device, progress=not options.no_progress), table)


if __name__ == '__main__':
    sys.exit(main())
