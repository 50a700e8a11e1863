# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An ensemble, a sub-ensemble or Monte Carlo dropout as a predictor that says why it is unsure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
import logging
import time

import cv2
from emu_perception.backends.postprocessing import in_range, resized_map
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.pictures import batch_of, check_image, Picture, Pictures, rgb_picture
from emu_perception.prediction import Prediction
from emu_perception.preprocessing import focal_scale
from emu_perception.presenting import Presenter
from emu_perception.scores import measured
from emu_perception.uncertainty import class_probabilities, DepthMixture, MeanProbability
import numpy as np
import torch

from .ensemble import Ensemble

LOGGER = logging.getLogger('training')
_UNJUDGED = 'not judged: the thresholds of a checkpoint are of one pass, not of several samples'


@dataclass(frozen=True)
class Parts:
    """
    Uncertainty by where it comes from, float32 HxW; None for a task there is not.

    Epistemic is what the samples disagree on: more data of this kind would mend it; None of one
    sample, with which nobody could disagree. Aleatoric is what each of them says by itself: it is
    in the image.

    :ivar segmentation_epistemic: mutual information, nats: H(mean p) - mean H(p).
    :ivar segmentation_aleatoric: expected entropy, nats; both sum to the prediction's entropy.
    :ivar depth_epistemic: standard deviation of the samples' depths, m.
    :ivar depth_aleatoric: root of the mean of their variances, m; the squares of both sum to the
        prediction's variance (equation 10 of EMUFormer).
    """

    segmentation_epistemic: np.ndarray | None = None
    segmentation_aleatoric: np.ndarray | None = None
    depth_epistemic: np.ndarray | None = None
    depth_aleatoric: np.ndarray | None = None


@dataclass(frozen=True)
class SampledPrediction(Prediction):
    """A prediction of several samples, with the parts of its uncertainty and their number."""

    parts: Parts = field(default_factory=Parts)
    samples: int = 1


class EnsemblePredictor:
    """
    Called as a Predictor is, with one image at a time; as slow as it has networks or samples.

    :param ensemble: of checkpoints, each sampled as it was trained.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.metadata = ensemble.members[0].metadata

    @classmethod
    def load(cls, paths: str | Sequence[str], device: str = 'auto', *, method: str = 'auto',
             samples: int | None = None) -> EnsemblePredictor:
        """
        Load checkpoints.

        :param paths: a checkpoint, a folder of members that ``emu ensemble`` wrote, or several.
        :param method: how each is sampled; 'auto' = as it was trained.
        :param samples: of Monte Carlo dropout; None = as many as in its recipe.
        :raises EmuError: if a file cannot be used, or they do not agree.
        """
        several = [paths] if isinstance(paths, str) or not isinstance(paths, Sequence) else paths
        ensemble = Ensemble([*several], method=method, samples=samples,
                            device=resolved_device(device))
        if ensemble.samples == 1:
            LOGGER.warning('%s: answers once, so nothing tells what it does not know: epistemic '
                           'parts are None; give an ensemble, a sub-ensemble or a network with '
                           'Monte Carlo dropout', ensemble.members[0].path)
        return cls(ensemble)

    def __call__(self, image: Picture | Pictures, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, seed: int = 0
                 ) -> SampledPrediction | list[SampledPrediction]:
        """
        Draw all samples of an image, or of each of a list.

        :param image: as a Predictor takes it.
        :param size: (height, width) of the maps; default the image's.
        :param fx: focal length in pixels at the image's size; None = depth is not to scale.
        :param seed: of Monte Carlo dropout.
        :raises InputError: if the image cannot be used.
        """
        several = batch_of(image)
        if several is not None:
            return [self._one(rgb_picture(one), size, fx, seed) for one in several]
        return self._one(rgb_picture(image), size, fx, seed)

    def _one(self, image: np.ndarray, size: tuple[int, int] | None, fx: float | None,
             seed: int) -> SampledPrediction:
        check_image(image)
        height, width = image.shape[:2]
        factor = focal_scale(self.metadata, fx, width, width) if fx is not None else None
        started = time.perf_counter()
        maps, parts = self._maps(image, None if fx is None else fx / width, seed)
        elapsed_ms = 1e3 * (time.perf_counter() - started)
        scores = {name: float(value) for name, value in measured(maps).items()}
        if self.ensemble.samples == 1:  # Zeros would say that it is sure.
            parts = replace(parts, segmentation_epistemic=None, depth_epistemic=None)
        depth = maps.depth
        if depth is not None:
            depth = in_range(depth / (factor or 1.0), self.metadata.depth_max, depth)
        named = {'label': maps.label, 'segmentation_entropy': maps.entropy,
                 'confidence': maps.confidence, 'depth': depth,
                 'depth_variance': maps.depth_variance}
        size = size or (height, width)
        given = {name: resized_map(name, values.cpu().numpy(), size)
                 for name, values in named.items() if values is not None}
        if not given:
            raise InputError('these checkpoints have neither segmentation nor depth')
        return SampledPrediction(
            given, scores, self.metadata.input_size, {'network': elapsed_ms},
            presenter=Presenter(self.metadata, image, fx, unjudged=_UNJUDGED),
            parts=_resized(parts, size), samples=self.ensemble.samples)

    @torch.no_grad()
    def _maps(self, image: np.ndarray, focal: float | None, seed: int
              ) -> tuple[NetworkMaps, Parts]:
        """Return maps and parts at the image's size, streamed over the samples."""
        mean, mixture = MeanProbability(), DepthMixture()
        expected: torch.Tensor | None = None
        for logits, depth, variance in self.ensemble.samples_of(image, focal=focal, seed=seed):
            if logits is not None:
                probabilities = class_probabilities(logits)
                one = _entropy(probabilities)
                mean.add(probabilities)
                expected = one if expected is None else expected.lerp_(one, 1.0 / mean.count)
            if depth is not None and variance is not None:
                mixture.add(depth, variance)
        found, parts = NetworkMaps(), Parts()
        if mean.mean is not None and expected is not None:
            entropy = _entropy(mean.mean)
            confidence, label = mean.mean.max(dim=1)
            found = replace(found, label=label[0].to(torch.uint8), entropy=entropy[0],
                            confidence=confidence[0])
            # Rounding alone could make it negative: entropy is concave.
            parts = replace(parts, segmentation_epistemic=_array((entropy - expected).clamp_(0)),
                            segmentation_aleatoric=_array(expected))
        if mixture.mean is not None:
            found = replace(found, depth=mixture.mean[0], depth_variance=mixture.variance[0])
            parts = replace(parts, depth_epistemic=_array(mixture.epistemic.sqrt()),
                            depth_aleatoric=_array(mixture.aleatoric.sqrt()))
        return found, parts


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the entropy of distributions [B, K, H, W], nats."""
    return torch.special.entr(probabilities).sum(dim=1)


def _array(values: torch.Tensor) -> np.ndarray:
    return np.asarray(values[0].cpu().numpy())


def _resized(parts: Parts, size: tuple[int, int]) -> Parts:
    def sized() -> Iterator[np.ndarray | None]:
        for item in fields(Parts):
            values = getattr(parts, item.name)
            yield (values if values is None or values.shape == size
                   else cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR))
    return Parts(*sized())
