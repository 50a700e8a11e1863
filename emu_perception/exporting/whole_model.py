# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""All that a Predictor does to a resized image, as one module that compilers take."""

from __future__ import annotations

import copy

from emu_perception.backends.onnx_export import RawNetwork
from emu_perception.backends.openvino_modules import Maps, ORDER
from emu_perception.backends.postprocessing import in_range
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.familiarity import FittedScores, load_fitted_scores
from emu_perception.familiarity.fitted_scores import PREDICTED_FAILURE, UNFAMILIARITY
from emu_perception.familiarity.predicted_failure import LIMIT
from emu_perception.maps import EPISTEMIC
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.scores import measured, names_of
import torch
from torch import nn

SCORE = 'score_'  # Before a score's name: a map may be called alike.
MAP_NAMES = {SEGMENTATION: ('label', 'segmentation_entropy', 'confidence'),
             DEPTH: ('depth', 'depth_variance'),
             EPISTEMIC[SEGMENTATION]: ('mutual_information',),
             EPISTEMIC[DEPTH]: ('depth_epistemic_variance',)}


class WholeModel(nn.Module):
    """
    Network, normalisation, calibration, maps and scores: uint8 [B, h, w, 3] rgb in.

    Depth and its variance are of the training camera; labels are never 255.

    :param size: (height, width) of its input, multiples of 32.
    :ivar names: of the outputs: maps [B, h, w], then scores [B], which begin with ``SCORE``;
        float32 but for the label, uint8.
    :raises InputError: if the network cannot be exported.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: Network, metadata: CheckpointMetadata,
                 size: tuple[int, int]) -> None:
        super().__init__()
        folded = network.folded()
        if not isinstance(folded, FoldedNetwork):
            raise InputError(f"a network of the family '{folded.family}' cannot be exported")
        calibration = metadata.calibration
        fitted = load_fitted_scores(metadata.statistics, names_of(metadata.tasks), metadata.name)
        self.tasks = tuple(task for task in ORDER if task in folded.tasks)
        self._order = tuple(folded.tasks)
        self._raw = RawNetwork(copy.deepcopy(folded).cpu().float(), size, fitted is not None)
        self._maps = Maps(self.tasks, calibration.temperature, size=size)
        self._fitted = None if fitted is None else _Fitted(fitted)
        self._variance_scale, self._depth_max = calibration.variance_scale, metadata.depth_max
        std = 255.0 * torch.tensor(metadata.std)
        self.register_buffer('scale', 1.0 / std)
        self.register_buffer('shift', -255.0 * torch.tensor(metadata.mean) / std)
        judged = () if fitted is None else (
            (UNFAMILIARITY,) if fitted.failure is None else (UNFAMILIARITY, PREDICTED_FAILURE))
        self.names = (*(name for task in self.tasks for name in MAP_NAMES[task]),
                      *(f'{SCORE}{name}' for name in (*names_of(self.tasks), *judged)))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what ``names`` lists."""
        found = self._raw((image.float() * self.scale + self.shift).permute(0, 3, 1, 2))
        raw = dict(zip(self._order, found))
        maps = iter(self._maps(*(raw[task] for task in self.tasks)))
        by_name = {name: next(maps) for task in self.tasks for name in MAP_NAMES[task]}
        if DEPTH in self.tasks:
            by_name['depth_variance'] = by_name['depth_variance'] * self._variance_scale
        # One image after the other: each score is one number of one image.
        scores = [self._scores(by_name, found[-1], index) for index in range(image.shape[0])]
        if DEPTH in self.tasks:
            by_name['depth'] = in_range(by_name['depth'], self._depth_max, by_name['depth'])
        return (*by_name.values(), *(
            torch.stack([one[name.removeprefix(SCORE)] for one in scores]).float()
            for name in self.names[len(by_name):]))

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the raw logits [B, K, h', w'] of an image, to see which labels are ties."""
        found = self._raw((image.float() * self.scale + self.shift).permute(0, 3, 1, 2))
        return dict(zip(self._order, found))[SEGMENTATION]

    def _scores(self, maps: dict[str, torch.Tensor], statistics: torch.Tensor, index: int
                ) -> dict[str, torch.Tensor]:
        def one(name: str) -> torch.Tensor | None:
            return maps[name][index] if name in maps else None
        found = measured(NetworkMaps(
            label=one('label'), entropy=one('segmentation_entropy'), depth=one('depth'),
            depth_variance=one('depth_variance')))
        return found if self._fitted is None else {
            **found, **self._fitted(statistics[index], found)}


class _Fitted(nn.Module):
    """``FittedScores.measure`` as tensor operations."""

    def __init__(self, fitted: FittedScores) -> None:
        super().__init__()
        known, failure = fitted.familiarity, fitted.failure
        arrays = {'mean': known.mean, 'scale': known.scale, 'components': known.components,
                  'variances': known.variances}
        self.length = known.length
        self.scores: tuple[str, ...] = ()
        if failure is not None:
            self.first, self.scores, self.bias = failure.first, failure.scores, failure.bias
            arrays.update({'failure_mean': failure.mean, 'failure_scale': failure.scale,
                           'failure_weights': failure.weights})
        for name, values in arrays.items():
            self.register_buffer(name, torch.from_numpy(values.copy()).double())

    def forward(self, statistics: torch.Tensor, scores: dict[str, torch.Tensor]
                ) -> dict[str, torch.Tensor]:
        part = self.get_buffer
        z = (statistics[:self.length].double() - part('mean')) / part('scale')
        along = part('components') @ z
        found = {UNFAMILIARITY: (along.square() / part('variances')).mean()}
        if self.scores:
            known = {**scores, **found}
            logarithms = [known[name].double().clamp(min=1e-9).log() for name in self.scores]
            x = torch.cat([torch.stack(logarithms), statistics[self.first:].double()])
            x = ((x - part('failure_mean')) / part('failure_scale')).clamp(-LIMIT, LIMIT)
            found[PREDICTED_FAILURE] = ((x * part('failure_weights')).sum() + self.bias).exp()
        return found
