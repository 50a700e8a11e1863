# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an exported file says what the Predictor says, pixel by pixel, on real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError, text_of
from emu_perception.exporting.formats import Runs
from emu_perception.exporting.whole_model import SCORE, WholeModel
from emu_perception.predictor import Predictor
from emu_perception.preprocessing import resized_image
import numpy as np
import torch
from torch.nn import functional as F

# A label may be another where its logits are as near as so many bounds of the largest.
_WIDE_GAP = 10.0


@dataclass
class Proof:
    """
    How far a file was off.

    :ivar images: that were compared.
    :ivar largest: error by name of the output, relative to values above 1.
    :ivar ties: pixels whose label is another of two that are as likely.
    """

    images: int = 0
    largest: dict[str, float] = field(default_factory=dict)
    ties: int = 0

    def with_(self, other: Proof) -> Proof:
        """Return what both have found, of the same images or of others."""
        return Proof(max(self.images, other.images), {
            name: max(self.largest.get(name, 0.0), other.largest.get(name, 0.0))
            for name in (*self.largest, *other.largest)}, self.ties + other.ties)


def check_size(predictor: Predictor, size: tuple[int, int]) -> None:
    """
    Check that the Predictor runs images of the file's size as they are.

    :param size: (height, width).
    :raises InputError: if not.
    """
    height, width = predictor.network_size(size)
    if (height, width) != size:
        raise InputError(f'--size is {size[0]}x{size[1]}: the Predictor runs such images at '
                         f'{height}x{width}: give that')


def proof(run: Runs, model: WholeModel, predictor: Predictor, images: Sequence[np.ndarray],
          size: tuple[int, int], batch: int, bound: float) -> Proof:
    """
    Compare a file with the Predictor.

    :param predictor: of the same checkpoint, on PyTorch in float32.
    :param images: uint8 [H, W, 3], rgb, of any size.
    :param size: (height, width) of the file's input.
    :param bound: of the errors.
    :raises InputError: if it is off by more, or answers with something else; names what and where.
    """
    found = Proof()
    fx = training_fx(predictor.metadata)
    for index, image in enumerate(images):
        small = np.ascontiguousarray(resized_image(image, size))
        expected = predictor(small, fx=fx)
        # Another image before it in the batch: answers must not mix.
        stack = np.stack([np.ascontiguousarray(small[::-1])] * (batch - 1) + [small])
        try:
            answers = dict(zip(model.names, run(stack), strict=True))
        except Exception as error:  # Each runtime has kinds of its own.
            raise InputError(f'of a batch of {batch} nothing is answered, this export is refused: '
                             f'{text_of(error)[:200]}') from error
        for name, values in answers.items():
            if name.startswith(SCORE):
                score = expected.scores[name.removeprefix(SCORE)]
                off = _off(np.asarray(values[-1]), np.asarray(score, np.float32))
            elif name == 'label':
                wrong = values[-1] != expected.label
                found.ties += _ties(model, small, wrong, bound, index)
                continue
            elif name == 'depth':
                off = _depth_off(values[-1], expected.maps[name], predictor.metadata.depth_max,
                                 bound)
            else:
                off = _off(values[-1], expected.maps[name])
            found.largest[name] = max(found.largest.get(name, 0.0), off)
            if not off <= bound:
                raise InputError(f'{name} of image {index} is off by {off:.2g}, more than '
                                 f'{bound:g}: this export is refused')
        found.images += 1
    return found


def training_fx(metadata: CheckpointMetadata) -> float | None:
    """Return the focal length for which depth is not scaled, pixels at the network's size."""
    intrinsics = metadata.intrinsics
    return (None if intrinsics is None
            else intrinsics.fx * metadata.input_size[1] / intrinsics.width)


def _off(values: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error, relative to values above 1; infinite where one is no number."""
    if values.shape != expected.shape:
        return float('inf')
    error = np.abs(values.astype(np.float64) - expected) / np.maximum(1.0, np.abs(expected))
    return float(np.where(np.isnan(error), np.inf, error).max())


def _depth_off(values: np.ndarray, expected: np.ndarray, depth_max: float, bound: float) -> float:
    both = np.isfinite(values) & np.isfinite(expected)
    alike = both | (values == expected) | (np.isnan(values) & np.isnan(expected))
    # A depth at the end of the range may be marked in one and not in the other; 0 likewise.
    edge = np.where(np.isfinite(values), values, expected)
    at_edge = (edge >= depth_max - bound * max(1.0, depth_max)) | (edge <= bound)
    if not (alike | at_edge).all():
        return float('inf')
    return _off(values[both], expected[both]) if both.any() else 0.0


def _ties(model: WholeModel, image: np.ndarray, wrong: np.ndarray, bound: float,
          index: int) -> int:
    """Return how many labels differ; only where the two best classes are as likely they may."""
    count = int(wrong.sum())
    if not count:
        return 0
    with torch.no_grad():
        logits = F.interpolate(model.logits(torch.from_numpy(image)[None]), size=wrong.shape,
                               mode='bilinear', align_corners=False)[0]
        best = logits.topk(2, dim=0).values
        gap = float((best[0] - best[1])[torch.from_numpy(wrong)].max())
    largest = max(1.0, float(logits.abs().max()))
    if gap > _WIDE_GAP * bound * largest:
        raise InputError(f'label of image {index} differs at {count} pixels, one of them '
                         f'{gap:.2g} from a tie in its logits: this export is refused')
    return count
