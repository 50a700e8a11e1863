# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""All that a Predictor does to a resized image, as one module that compilers take."""

from __future__ import annotations

from collections.abc import Callable
import copy

from emu_perception.backends.onnx_export import RawNetwork
from emu_perception.backends.openvino_modules import Maps, ORDER
from emu_perception.backends.postprocessing import in_range
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.familiarity import FittedScores, load_fitted_scores
from emu_perception.familiarity.fitted_scores import PREDICTED_FAILURE, UNFAMILIARITY
from emu_perception.familiarity.predicted_failure import LIMIT
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.outputs import EPISTEMIC
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
        self._maps = Maps(self.tasks, calibration.temperature, size=size, form=folded.depth_form)
        self._variance_scale, self._depth_max = calibration.variance_scale, metadata.depth_max
        std = 255.0 * torch.tensor(metadata.std)
        self.register_buffer('scale', 1.0 / std)
        self.register_buffer('shift', -255.0 * torch.tensor(metadata.mean) / std)
        judged = () if fitted is None else (
            (UNFAMILIARITY,) if fitted.failure is None else (UNFAMILIARITY, PREDICTED_FAILURE))
        self._scores = _ImageScores(self.tasks, (*names_of(self.tasks), *judged),
                                    None if fitted is None else _Fitted(fitted))
        self._each: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
        self.names = (*(name for task in self.tasks for name in MAP_NAMES[task]),
                      *(f'{SCORE}{name}' for name in (*names_of(self.tasks), *judged)))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what ``names`` lists."""
        by_name, found = self._named(image)
        if DEPTH in self.tasks:
            by_name['depth_variance'] = by_name['depth_variance'] * self._variance_scale
        stack, statistics = self._judged(by_name, found)
        # One image after the other: each score is one number of one image.
        scores = (torch.stack([self._scores(stack[index], statistics[index])
                               for index in range(image.shape[0])])
                  if self._each is None else self._each(stack, statistics))
        if DEPTH in self.tasks:
            by_name['depth'] = in_range(by_name['depth'], self._depth_max, by_name['depth'])
        # Not unbind: of what comes out of a loop a tracer does not know the shape.
        count = len(self.names) - len(by_name)
        return (*by_name.values(), *(scores[:, index] for index in range(count)))

    def open_batch(self, example: torch.Tensor) -> None:
        """
        Let a graph that is traced from now on take any number of images.

        :param example: images as ``forward`` takes them.
        """
        with torch.no_grad():
            stack, statistics = self._judged(*self._named(example))
            # As a function: its buffers become constants, and a tracer takes it as it is.
            one = torch.jit.trace(lambda *values: self._scores(*values),
                                  (stack[0], statistics[0]), check_trace=False)

        def each(maps: torch.Tensor, statistics: torch.Tensor) -> torch.Tensor:
            found = []
            for index in range(maps.shape[0]):
                found.append(one(maps[index], statistics[index]))
            return torch.stack(found)
        # A loop of the graph, which a tracer would unroll.
        self._each = torch.jit.script(each)

    def _answers(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the raw maps in the order of the network, and the statistics, if there are."""
        answers: tuple[torch.Tensor, ...] = self._raw(
            (image.float() * self.scale + self.shift).permute(0, 3, 1, 2))
        return answers

    def _named(self, image: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the maps by name, and what comes out of the network last."""
        found = self._answers(image)
        raw = dict(zip(self._order, found))
        maps = iter(self._maps(*(raw[task] for task in self.tasks)))
        return ({name: next(maps) for task in self.tasks for name in MAP_NAMES[task]},
                found[-1])

    def _judged(self, maps: dict[str, torch.Tensor], statistics: torch.Tensor,
                ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what scores are made of: maps [B, C, h, w] and statistics [B, N]."""
        stack = torch.stack([maps[name] for name in _judged_maps(self.tasks)], dim=1)
        # Without fitted scores nobody reads the second: it is anything of each image.
        return stack, statistics if self._scores.fitted is not None else stack[:, 0, 0]

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the raw logits [B, K, h', w'] of an image, to see which labels are ties."""
        return dict(zip(self._order, self._answers(image)))[SEGMENTATION]


def _judged_maps(tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the maps that scores are made of."""
    return tuple(name for task in tasks for name in MAP_NAMES[task]
                 if name not in ('label', 'confidence'))


class _ImageScores(nn.Module):
    """
    All scores of one image, as tensor operations.

    :param names: of the scores, in the order in which they are given.
    :param fitted: what gives the last of them, or None.
    """

    def __init__(self, tasks: tuple[str, ...], names: tuple[str, ...],
                 fitted: _Fitted | None) -> None:
        super().__init__()
        self.maps, self.names, self.fitted = _judged_maps(tasks), names, fitted

    def forward(self, maps: torch.Tensor, statistics: torch.Tensor) -> torch.Tensor:
        """Return float32 [S] of maps [C, h, w] and the network's statistics [N]."""
        named = dict(zip(self.maps, maps))
        found = measured(NetworkMaps(
            entropy=named.get('segmentation_entropy'), depth=named.get('depth'),
            depth_variance=named.get('depth_variance')))
        if self.fitted is not None:
            found = {**found, **self.fitted(statistics, found)}
        return torch.stack([found[name].float() for name in self.names])


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
