# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What an answer costs: from a uint8 image in memory to its maps in memory.

Timed as ``emu_benchmark`` does. A network of one pass is timed as a robot runs it, by its
``Predictor``; what is sampled, or has several members, runs in PyTorch here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from emu_perception.benchmarking.measure import interleaved, summary
from emu_perception.predictor import Predictor
import torch

from ..data.dataset_folder import DatasetFolder, training_focal, training_fx
from ..methods.ensemble import Ensemble


def inference_time(ensemble: Ensemble, folder: DatasetFolder, stem: str,
                   rounds: int) -> dict[str, Any]:
    """
    Return the document's fields about time, ``inference_ms`` and ``inference_by``.

    :param stem: of the image that is timed, at its full size.
    :param rounds: calls that count, after a few that do not.
    :return: mean, std and median in milliseconds with the number of rounds; and in words what ran.
    :raises EmuError: if the image cannot be read or the checkpoint not run.
    """
    image = folder.image(stem)
    call: Callable[[], Any]
    if ensemble.samples > 1 or len(ensemble.members) > 1:
        call, by = partial(_sampled, ensemble, image, training_focal(folder)), (
            f'PyTorch, {ensemble.samples} samples')
    else:
        predictor = Predictor.load(ensemble.members[0].path, device=str(ensemble.device))
        predictor.warm_up(image.shape[:2])
        call, by = partial(predictor, image, fx=training_fx(folder, image)), (
            f'backend {predictor.backend}, {predictor.precision_description}')
    found = summary(interleaved({by: call}, rounds)[by])
    height, width = image.shape[:2]
    return {'inference_ms': {'mean': found['mean_ms'], 'std': found['std_ms'],
                             'median': found['median_ms'], 'images': rounds},
            'inference_by': f'{by}, images of {width}x{height}'}


def _sampled(ensemble: Ensemble, image: Any, focal: Any) -> None:
    moments = ensemble.predict(image, focal=focal, seed=0)
    for part in (moments.probabilities, moments.depth, moments.depth_variance):
        if part is not None:
            part.cpu()
    if ensemble.device.type == 'cuda':
        torch.cuda.synchronize(ensemble.device)
