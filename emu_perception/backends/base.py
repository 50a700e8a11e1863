# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a backend is: image to input, input to raw maps, raw maps to maps at the network's size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
import math
from typing import Any, ClassVar

from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.families import InferenceNetwork
from emu_perception.prediction import Prediction
import numpy as np
import torch


@dataclass(frozen=True)
class Finishing:
    """
    What becomes of a network's maps.

    :ivar size: (height, width) asked for.
    :ivar depth_scale: from the network's depths to this camera's.
    :ivar depth_max: metres at the network; beyond it a depth is +inf.
    :ivar variance_factor: of the variance: calibration, and the square of ``depth_scale``.
    :ivar unknown_label_entropy: nats above which a label becomes 255; None = off.
    """

    size: tuple[int, int]
    depth_scale: float
    depth_max: float
    variance_factor: float
    unknown_label_entropy: float | None


class Backend(ABC):
    """
    Runs a folded network in three stages, which the Predictor times one by one.

    :param network: in eval mode; the backend may keep, move or convert it.
    :param temperature: divides the logits.
    :param mean: of the input's normalisation, 0..1, rgb.
    :param std: likewise.
    :param depth_max: metres, end of the checkpoint's range.
    :raises InputError: if the backend does not know the network's family.
    """

    name: ClassVar[str]
    devices: ClassVar[tuple[str, ...]]
    package: ClassVar[str | None] = None  # What has to be importable.
    families: ClassVar[tuple[str, ...]] = ('all_mlp',)

    def __init__(self, network: InferenceNetwork, *, device: torch.device, precision: str,
                 temperature: float, mean: tuple[float, ...], std: tuple[float, ...],
                 depth_max: float = math.inf) -> None:
        if network.family not in self.families:
            raise InputError(f"backend is '{self.name}', which does not know networks of the "
                             f"family '{network.family}': give 'eager'")
        self.depth_max = depth_max
        self.device, self.precision, self.temperature = device, precision, temperature
        scale = 255.0 * torch.tensor(std)
        self.scale = (1.0 / scale).to(device)
        self.shift = (-255.0 * torch.tensor(mean) / scale).to(device)

    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """
        Get ready for inputs of ``size`` (height, width), where that takes time.

        :raises InputError: if the backend cannot run this network.
        """
        return None

    def whole(self, image: np.ndarray, size: tuple[int, int],
              finishing: Finishing) -> Prediction | None:
        """Go from image to prediction at once; None = go stage by stage."""
        return None

    @abstractmethod
    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> Any:
        """Return the network's input for uint8 [H, W, 3] at ``size`` (height, width)."""

    @abstractmethod
    def network(self, x: Any) -> Any:
        """Return the raw maps of a prepared input."""

    @abstractmethod
    def maps(self, raw: Any, size: tuple[int, int]) -> NetworkMaps:
        """Upsample to ``size``, then reduce: the order of training."""

    def synchronize(self) -> None:
        """Wait until what was asked is done, so that a stage's time is its own."""
        return None
