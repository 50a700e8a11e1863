# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Temperature of the softmax and scale of the depth variance, from what was seen of each image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import logging

from emu_perception.checkpoint import Calibration, CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.preprocessing import focal_scale, network_size
import numpy as np
from rich.progress import track
from scipy.optimize import minimize_scalar
import torch
from torch.nn import functional as F

from ..data.dataset_folder import DatasetError, DatasetFolder, training_focal
from ..methods.ensemble import Ensemble

LOGGER = logging.getLogger('training')
# Neighbouring pixels say the same: some of each image are enough for one number.
PIXELS = 400_000
TEMPERATURES = (0.05, 20.0)
OFF = 10.0  # By so much sigma is off on no images of the kind that a network was trained on.


def best_temperature(logits: torch.Tensor, label: torch.Tensor) -> float:
    """
    Return the T that minimises the cross-entropy of logits / T (Guo et al. 2017).

    The loss is convex in 1/T and so has one minimum; of a single class it is 0 whatever T is, 1.

    :param logits: [N, K].
    :param label: [N], the true classes.
    """
    if logits.shape[1] == 1:
        return 1.0

    def loss(log_t: float) -> float:
        return float(F.cross_entropy(logits / float(np.exp(log_t)), label))

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method='bounded')
    return float(np.exp(found.x))


def doubts(calibration: Calibration) -> list[str]:
    """Return what makes constants hardly believable, for people; [] if nothing does."""
    found = []
    temperature, scale = calibration.temperature, calibration.variance_scale
    if np.isclose(np.log(temperature), np.log(TEMPERATURES), rtol=0, atol=1e-3).any():
        found.append(f'temperature {temperature:.4g} is an end of the range that is searched, not '
                     'the best one: the labels are not what the network was trained on, or it was '
                     'hardly trained, or they are too few')
    if not 1 / OFF**2 <= scale <= OFF**2:
        found.append(f'variance scale {scale:.4g}: depths are off by {np.sqrt(scale):.3g} times '
                     'what the network takes for sigma: are depth.scale and intrinsics of '
                     'dataset.yaml right?')
    return found


class VarianceScale:
    """
    The factor c that minimises the Gaussian NLL with variance c·s²: the mean of (y - mu)²/s².

    Streamed in float64. Of log-depths it is the logarithms' (``depth_forms``): as a factor on
    their sigma_log² it is one on the variance in metres.

    :param form: what the density of a depth is.
    """

    def __init__(self, form: DepthForm = LINEAR) -> None:
        self.total, self.count, self._form = 0.0, 0, form

    def add(self, mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor) -> None:
        """Add an image: metres, m², metres with 0 = invalid, each [H, W]."""
        valid = depth > 0
        mean, variance, truth = self._form.as_gaussian(*(
            part[valid].double() for part in (mean, variance, depth)))
        z2 = (truth - mean).square() / variance
        self.total += float(z2.sum())
        self.count += int(valid.sum())

    def value(self) -> float:
        """Return c; 1 where no depth was known."""
        return self.total / self.count if self.count else 1.0


@dataclass(frozen=True)
class DepthSample:
    """
    Some of an image's pixels of known depth, [n] each.

    In metres whatever the density: the robot's interval is depth and so many sigma to either side.

    :ivar residual: (true depth - depth) / sigma.
    :ivar sigma: metres.
    """

    residual: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True)
class Observation:
    """
    What an image says about the constants; None where it has no truth.

    :ivar logits: of some of its labelled pixels, [N, K].
    :ivar label: their true classes, [N].
    :ivar depth: of some of its pixels of known depth; None where there are none.
    """

    logits: torch.Tensor | None = None
    label: torch.Tensor | None = None
    scale: VarianceScale | None = None
    depth: DepthSample | None = None

    @property
    def has_labels(self) -> bool:
        """Tell whether any of its pixels is labelled."""
        return self.label is not None and len(self.label) > 0


def observe(ensemble: Ensemble, folder: DatasetFolder, stems: list[str],
            progress: bool = True) -> dict[str, Observation]:
    """
    Return what each image says about a checkpoint whose own constants are 1.

    :raises EmuError: if there is no truth for any task of the checkpoint.
    """
    if not {'segmentation', 'depth'} & set(ensemble.tasks):
        raise InputError(f'{ensemble.members[0].path}: has no task that can be calibrated, only '
                         + ', '.join(ensemble.tasks))
    per_image = max(1, PIXELS // len(stems))
    rng, of_depth = np.random.default_rng(0), np.random.default_rng(1)
    metadata, focal = ensemble.members[0].metadata, training_focal(folder)
    found: dict[str, Observation] = {}
    for stem in track(stems, 'calibrate', disable=not progress):
        example = folder.example(stem)
        moments = ensemble.predict(example.image, focal=focal)
        logits = chosen_label = scale = sample = None
        if moments.probabilities is not None and example.label is not None:
            label = torch.from_numpy(example.label).flatten().long()
            labelled = torch.nonzero(label < len(ensemble.classes)).squeeze(1).numpy()
            chosen = rng.choice(labelled, min(per_image, len(labelled)), replace=False)
            # The softmax of a logarithm of a softmax is itself: as good as the logits.
            p = moments.probabilities[0].flatten(1)[:, chosen].T.cpu()
            logits, chosen_label = p.clamp(min=1e-30).log(), label[chosen]
        if moments.depth is not None and moments.depth_variance is not None \
                and example.depth is not None:
            scale = VarianceScale(ensemble.depth_form)
            mean, variance = moments.depth[0].cpu(), moments.depth_variance[0].cpu()
            scale.add(mean, variance, torch.from_numpy(example.depth))
            sample = _sample(mean.numpy(), variance.numpy(), example.depth,
                             _farthest(metadata, example.image, focal), per_image, of_depth)
        found[stem] = Observation(logits, chosen_label, scale, sample)
    known = {'segmentation': any(seen.has_labels for seen in found.values()),
             'depth': any(seen.scale is not None and seen.scale.count
                          for seen in found.values())}
    if not any(known.get(task) for task in ensemble.tasks):
        raise DatasetError(f'{folder.root}: none of the {len(stems)} images has truth for what '
                           'the checkpoint predicts')
    for task in ensemble.tasks:
        if not known.get(task, True):
            LOGGER.warning('%s: no truth for %s: its calibration stays as it was', folder.root,
                           task)
    return found


def _farthest(metadata: CheckpointMetadata, image: np.ndarray, focal: float | None) -> float:
    """Return where the network's range ends for the camera of an image, metres."""
    _, width = network_size((image.shape[0], image.shape[1]), metadata.input_size)
    scale = None if focal is None else focal_scale(metadata, focal * width, width, width)
    return metadata.depth_max * (1.0 if scale is None else scale)


def _sample(mean: np.ndarray, variance: np.ndarray, depth: np.ndarray, farthest: float,
            count: int, rng: np.random.Generator) -> DepthSample | None:
    # Where the network has no depth in its range, the robot has none either.
    there = np.flatnonzero((depth > 0) & (mean > 0) & (mean <= farthest) & (variance > 0)
                           & np.isfinite(variance))
    if not len(there):
        return None
    chosen = rng.choice(there, min(count, len(there)), replace=False)
    sigma = np.sqrt(variance.ravel()[chosen])
    return DepthSample((depth.ravel()[chosen] - mean.ravel()[chosen]) / sigma, sigma)


def fitted(observations: Iterable[Observation], before: Calibration) -> Calibration:
    """
    Return the constants that fit the images best.

    :param before: kept for a task of which there is no truth; thresholds are left out.
    """
    logits, labels, scale = [], [], VarianceScale()
    for seen in observations:
        if seen.logits is not None and seen.label is not None and len(seen.label):
            logits.append(seen.logits)
            labels.append(seen.label)
        if seen.scale is not None:
            scale.total += seen.scale.total
            scale.count += seen.scale.count
    return Calibration(
        temperature=best_temperature(torch.cat(logits), torch.cat(labels))
        if labels else before.temperature,
        variance_scale=scale.value() if scale.count else before.variance_scale)
