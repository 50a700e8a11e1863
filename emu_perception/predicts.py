# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the node and emu_run ask of a predictor: ``Predictor``, a share of it, or a test's fake."""

from __future__ import annotations

from typing import Protocol, TYPE_CHECKING

from emu_perception.prediction import Prediction
from emu_perception.region import Region
import numpy as np

if TYPE_CHECKING:  # The checkpoint module needs torch, which a node may lack until configure.
    from emu_perception.checkpoint import CheckpointMetadata


class Predicts(Protocol):
    """A function from image to prediction, with the document of its checkpoint."""

    @property
    def metadata(self) -> CheckpointMetadata:
        """Return the document of the checkpoint."""

    @property
    def device_description(self) -> str:
        """Return the device really used, in words."""

    @property
    def precision(self) -> str:
        """Return the precision of the network."""

    @property
    def backend(self) -> str:
        """Return the name of what runs the network."""

    @property
    def backend_notes(self) -> tuple[str, ...]:
        """Return which backends were refused and why, one line each; they may become more."""

    def network_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) the network runs at for images of ``image_size``."""

    def __call__(self, image: np.ndarray, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, unknown_label_entropy: float | None = None,
                 score_region: Region | None = None) -> Prediction:
        """
        Run the network once.

        :param image: uint8 [H, W, 3], rgb.
        :param size: (height, width) of the maps; default the image's.
        :param fx: pixels at the image's size; None = unknown.
        :param unknown_label_entropy: nats; labels become 255 where the entropy is above.
        :param score_region: part of the image that the scores are the means over; None = all.
        :raises InputError: if an argument cannot be used.
        """

    def warm_up(self, image_size: tuple[int, int] | None = None, runs: int = 2) -> None:
        """Run on a grey image, so that the first real one does not pay for initialisation."""

    def close(self) -> None:
        """Free the network; a later call raises InputError."""


def predict(predictor: Predicts, image: np.ndarray, *, fx: float | None, at_network_size: bool,
            unknown_label_entropy: float, score_region: Region | None) -> Prediction:
    """
    Return the prediction of an image with the settings of a user: the node's and emu_run's.

    :param fx: pixels at the image's size; None = unknown.
    :param at_network_size: maps of the size that the network runs at, else the image's.
    :param unknown_label_entropy: nats; 0: off.
    :param score_region: part of the image that the scores are the means over; None = all.
    :raises InputError: if the image cannot be used.
    """
    size = predictor.network_size((image.shape[0], image.shape[1])) if at_network_size else None
    return predictor(image, size=size, fx=fx, score_region=score_region,
                     unknown_label_entropy=unknown_label_entropy or None)
