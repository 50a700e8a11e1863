# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import math
from typing import Any

from emu_perception.instances import InstanceSettings
from emu_perception.intrinsics import Intrinsics
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.depth_forms import depth_form, DepthForm, LINEAR
from emu_perception.networks.families import family_of
from emu_perception.networks.multitask import SEGMENTATION
from emu_perception.outputs import EPISTEMIC
from emu_perception.promises.constants import Promise
from emu_perception.scores import names_of, SCORES
from emu_perception.visualization import default_palette
import numpy as np


@dataclass(frozen=True)
class FittedThreshold:
    """
    What a score is judged by.

    :ivar threshold: the largest score of an image that is still trusted, in the score's unit.
    :ivar percentile: of the images' scores that the threshold is; None = it is none of them.
    :ivar fitted_on: the images: ``data_set``, ``split``, how many ``images``; empty = unknown.
    """

    threshold: float
    percentile: float | None = None
    fitted_on: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """
    What was fitted after training, on images the network never saw.

    :ivar temperature: divides the logits.
    :ivar variance_scale: multiplies the depth variance.
    :ivar scores: by name of the score; one that is not there is not judged by default.
    :ivar promises: by name of the promised map, see ``emu_perception.promises``.
    """

    temperature: float = 1.0
    variance_scale: float = 1.0
    scores: Mapping[str, FittedThreshold] = field(default_factory=dict)
    promises: Mapping[str, Promise] = field(default_factory=dict)

    @property
    def thresholds(self) -> dict[str, float]:
        """Return the thresholds by name of the score."""
        return {name: fitted.threshold for name, fitted in self.scores.items()}


@dataclass(frozen=True)
class CheckpointMetadata:
    """
    The JSON document of a checkpoint, and the fitted statistics beside it.

    :ivar architecture: arguments of the network, with its ``family`` where that is not all_mlp.
    :ivar input_size: (height, width) of the training images at the network.
    :ivar classes: names by class index; empty without segmentation.
    :ivar palette: rgb by class index.
    :ivar mean: of the input's normalisation, 0..1, rgb.
    :ivar std: likewise.
    :ivar depth_min: metres, smallest depth of the training data.
    :ivar depth_max: metres, largest.
    :ivar intrinsics: camera of the training images; None = unknown.
    :ivar provenance: data set, split, recipe, commit, versions, licences.
    :ivar metrics: measured on the split the provenance names.
    :ivar instances: how votes become instances; None without the tasks for it.
    :ivar statistics: what scores were fitted with beyond a threshold, float32 arrays by name,
        such as 'familiarity.mean'; they are tensors of the file.
    """

    architecture: dict[str, Any]
    input_size: tuple[int, int]
    name: str = ''
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ignore_index: int = 255
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    depth_min: float = 0.0
    depth_max: float = math.inf
    intrinsics: Intrinsics | None = None
    calibration: Calibration = field(default_factory=Calibration)
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    instances: InstanceSettings | None = None
    # An array has no plain equality: two documents are compared without them.
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the tasks of the network: some of 'segmentation', 'depth' and 'instance'."""
        return tuple(self.architecture['tasks'])

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the tasks, and what the network gives beside them: whose maps there are."""
        beside = self.tasks if self.architecture.get('epistemic') is True else ()
        return (*self.tasks, *(EPISTEMIC[task] for task in beside))

    @property
    def score_names(self) -> tuple[str, ...]:
        """Return the names of the scores that its network gives for every image."""
        return names_of(self.tasks, self.statistics)

    def without_fitted_scores(self) -> CheckpointMetadata:
        """Return the document without what its fitted scores are made of and judged by."""
        kept = {name: fitted for name, fitted in self.calibration.scores.items()
                if not SCORES[name].fitted}
        return replace(self, statistics={}, calibration=replace(self.calibration, scores=kept))

    @property
    def pixel_variance(self) -> bool:
        """Tell whether the depth variance is each pixel's own, not the whole task's noise."""
        return family_of(self.architecture).pixel_variance

    @property
    def depth_form(self) -> DepthForm:
        """Return what the density of a depth is; of other families a Gaussian in metres."""
        return depth_form(self.architecture.get('depth_output', LINEAR.name))

    @property
    def finds_instances(self) -> bool:
        """Tell whether there is an instance map: votes, and labels to tell things by."""
        return SEGMENTATION in self.tasks and INSTANCE in self.tasks


def palette_or_default(palette: Any, classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return ``palette``, or distinct colours where there is none."""
    return tuple(tuple(rgb) for rgb in (palette or default_palette(classes)))
