# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a backend is: image and request in, Prediction out, by three stages or whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
import time
from typing import ClassVar, Generic, TypeVar

from emu_perception.backends.postprocessing import Factors, finished, resized_map
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.errors import InputError
from emu_perception.instances import cluster_instances
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.families import InferenceNetwork
from emu_perception.prediction import Prediction
import numpy as np
import torch

Prepared = TypeVar('Prepared')
Raw = TypeVar('Raw')


class Backend(ABC):
    """
    Runs a network on a device; calls may come from any thread.

    All but 'eager' answer for a size only after they have proven there that they say what it says
    (``proving.py``).

    :param network: in eval mode; the backend may keep, move or convert it.
    :ivar notes: what was refused and why, one line each; it may grow while the backend runs.
    :ivar batch: images of a list that it answers together, where that gains; 1 = it does not.
    :raises InputError: if the backend does not know the network's family.
    """

    name: ClassVar[str]
    families: ClassVar[tuple[str, ...]] = ('all_mlp',)

    def __init__(self, network: InferenceNetwork, options: BackendOptions) -> None:
        if network.family not in self.families:
            raise InputError(f"backend is '{self.name}', which does not know networks of the "
                             f"family '{network.family}': give 'eager'")
        self.options = options
        self.notes: list[str] = []
        self.batch = 1

    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """
        Get ready for inputs of ``size`` (height, width), where that takes time.

        :raises Disproof: if what was made says something else than 'eager'.
        :raises InputError: if the backend cannot run this network.
        """
        return None

    @abstractmethod
    def predict(self, image: np.ndarray, request: Request) -> Prediction:
        """
        Answer one image.

        :param image: uint8 [H, W, 3], rgb, checked.
        """

    def predict_several(self, images: Sequence[np.ndarray], requests: Sequence[Request],
                        ) -> list[Prediction]:
        """Answer images, each with its request: each as it would be answered by itself."""
        return [self.predict(image, request)
                for image, request in zip(images, requests, strict=True)]


class Stages(ABC, Generic[Prepared, Raw]):
    """From image to prediction stage by stage, each with its own time; the last one is here."""

    options: BackendOptions

    @abstractmethod
    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> Prepared:
        """Return the network's input for uint8 [H, W, 3] at ``size`` (height, width)."""

    @abstractmethod
    def network(self, x: Prepared) -> Raw:
        """Return the raw maps of a prepared input."""

    @abstractmethod
    def maps(self, raw: Raw, size: tuple[int, int]) -> NetworkMaps:
        """Upsample to ``size``, then reduce: the order of training."""

    def synchronize(self) -> None:
        """Wait until what was asked is done, so that a stage's time is its own."""
        return None

    @torch.inference_mode()
    def predict(self, image: np.ndarray, request: Request) -> Prediction:
        """Answer one image."""
        start = time.perf_counter()
        x = self.prepare(image, request.network_size)
        self.synchronize()
        prepared = time.perf_counter()
        raw = self.network(x)
        self.synchronize()
        return self._answer(raw, request, prepared - start, time.perf_counter() - prepared)

    def _answer(self, raw: Raw, request: Request, preprocess_s: float, network_s: float,
                ) -> Prediction:
        """Return the prediction of one image from its raw maps."""
        inferred = time.perf_counter()
        maps = self.maps(raw, request.network_size)
        named, scores = finished(maps, Factors.of(request, self.options),
                                 request.score_region)
        arrays = {name: values.cpu().numpy() for name, values in named.items()}
        numbers = {name: float(value) for name, value in scores.items()}
        statistics = None if maps.statistics is None else maps.statistics.cpu().numpy()
        times = {'preprocess': preprocess_s, 'network': network_s}
        reduced = clustered = time.perf_counter()
        if self.options.instances is not None and maps.instance_vectors is not None \
                and 'label' in arrays:
            arrays['instance'] = cluster_instances(
                arrays['label'], maps.instance_vectors.cpu().numpy(), self.options.instances)
            clustered = time.perf_counter()
            times['instances'] = clustered - reduced
        sized = {name: resized_map(name, values, request.size) for name, values in arrays.items()}
        times['postprocess'] = time.perf_counter() - clustered + reduced - inferred
        return Prediction(sized, numbers, request.network_size,
                          {stage: 1e3 * seconds for stage, seconds in times.items()}, statistics)
