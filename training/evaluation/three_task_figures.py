# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured beside labels and metres: vectors, instances and inverse depth."""

from __future__ import annotations

from typing import Any

import cv2
from emu_perception.instances import cluster_instances
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.multitask import DEPTH, SEGMENTATION, upsample
from emu_perception.preprocessing import focal_scale, network_size, resized_image
import numpy as np
import torch
from torch.nn import functional as F

from ..data.augmentation import nearest
from ..data.dataset_folder import DatasetFolder, Example, training_focal
from ..data.instances import centroid_vectors
from ..methods.ensemble import Ensemble
from ..metrics.instance_precision import InstancePrecision
from ..metrics.instance_vectors import InstanceVectorErrors
from ..metrics.inverse_depth import InverseDepthErrors
from ..metrics.summary import plain


def has_three_task_figures(ensemble: Ensemble) -> bool:
    """Return whether all networks of an ensemble have learned what these figures are of."""
    return bool(ensemble.truth & {'inverse', 'instance'})


class ThreeTaskFigures:
    """
    Vector errors and AP of instances, and errors of the inverse depth, image by image.

    Several networks answer with the mean of their maps. Vectors are compared at the network's size
    and in its pixels, instances and inverse depths at the image's full size.

    :param min_pixels: smaller true instances are ignored in AP.
    :param cluster: False leaves the clustering out, and with it AP: it takes longer than all else.
    """

    def __init__(self, ensemble: Ensemble, folder: DatasetFolder, *, min_pixels: int = 100,
                 cluster: bool = True) -> None:
        self.ensemble, self.folder, self.min_pixels = ensemble, folder, min_pixels
        self.settings = ensemble.members[0].metadata.instances if cluster else None
        self.reads = {'inverse': 'inverse' in ensemble.truth and folder.inverse_factor is not None,
                      'instance': 'instance' in ensemble.truth and bool(folder.things)}
        self.inverse, self.vectors = InverseDepthErrors(), InstanceVectorErrors()
        self.precision = None if self.settings is None else InstancePrecision(
            self.settings.things, min_pixels)

    @torch.no_grad()
    def update(self, example: Example) -> None:
        """Add an image with the truth that ``reads`` asks for."""
        height, width = example.image.shape[:2]
        size = network_size((height, width), self.ensemble.members[0].metadata.input_size)
        raw = self._raw(example.image, size)
        if DEPTH in raw and example.inverse is not None:
            truth = torch.from_numpy(example.inverse)
            if self.folder.depth is not None and self.folder.depth.quantity == 'disparity':
                truth = truth * (size[1] / width)  # Pixels of the network.
            self.inverse.update(F.relu(upsample(raw[DEPTH], (height, width))[0, 0]), truth)
        if INSTANCE in raw and example.instance is not None:
            vectors = upsample(raw[INSTANCE], size)
            seen = nearest(example.instance, size)
            self.vectors.update(vectors, torch.from_numpy(centroid_vectors(seen))[None],
                                torch.from_numpy(seen > 0)[None])
            if self.precision is not None and self.settings is not None \
                    and example.label is not None:
                confidence, label = raw[SEGMENTATION][0].max(0)
                classes = label.numpy().astype(np.uint8)
                found = cluster_instances(classes, vectors[0].numpy(), self.settings)
                label_map, instance, score = (_at(part, (height, width)) for part in (
                    classes, found, confidence.numpy()))
                self.precision.update(label_map, instance, score, example.label, example.instance)

    def _raw(self, image: np.ndarray, size: tuple[int, int]) -> dict[str, torch.Tensor]:
        """Return the mean maps on the CPU: softmax at ``size``, the others as they are."""
        array = np.require(resized_image(image, size), requirements=('C', 'W'))
        pixels = torch.from_numpy(array).permute(2, 0, 1)[None].to(self.ensemble.device).float()
        total: dict[str, torch.Tensor] = {}
        for member in self.ensemble.members:
            scale, shift = (part.to(pixels.device) for part in member.normalization)
            raw = {task: part.float().cpu() for task, part in
                   member.network.eval()(pixels * scale + shift).items()}
            if SEGMENTATION in raw:
                raw[SEGMENTATION] = upsample(raw[SEGMENTATION], size).softmax(1)
            if DEPTH in raw:
                raw[DEPTH] = raw[DEPTH] * self._unit(member.network, member.metadata, size)
            for task, part in raw.items():
                total[task] = total.get(task, torch.zeros(())) + part / len(
                    self.ensemble.members)
        return total

    def _unit(self, network: Any, metadata: Any, size: tuple[int, int]) -> float:
        """Return the factor from a network's raw depth map to the folder's unit and camera."""
        factor = self.folder.inverse_factor or 1.0
        if self.folder.intrinsics is not None and self.folder.depth is not None \
                and self.folder.depth.quantity == 'disparity':
            factor *= size[1] / self.folder.intrinsics.width
        focal = training_focal(self.folder)
        scale = None if focal is None else focal_scale(metadata, focal * size[1], size[1], size[1])
        return factor / (network.depth_factor * (scale or 1.0))

    def compute(self) -> dict[str, Any]:
        """Return the sections ``instance`` and ``inverse_depth``, each where it was seen."""
        found: dict[str, Any] = {}
        if int(self.vectors.pixels):
            found['instance'] = plain(self.vectors.compute())
            if self.precision is not None:
                figures = plain(self.precision.compute())
                names = self.ensemble.classes
                figures['class_ap'] = dict(zip((names[i] for i in self.precision.things),
                                               figures['class_ap']))
                found['instance'] |= {**figures, 'min_pixels': self.min_pixels}
        if int(self.inverse.pixels):
            unit = 'px' if self.folder.depth is not None \
                and self.folder.depth.quantity == 'disparity' else '1/m'
            found['inverse_depth'] = {**plain(self.inverse.compute()), 'unit': unit}
        return found


def _at(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
