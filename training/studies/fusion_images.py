# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One image of ``training.studies.fusion``: hidden, filled, fused and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import zlib

from emu_perception.fusion import (
    checked_hint,
    correct,
    DepthHint,
    fuse,
    Fused,
    ScaleBelief,
)
from emu_perception.fusion.grid import to_image
import numpy as np

from ..data.dataset_folder import Example
from .fusion_fills import FILLS
from .fusion_holes import as_sensed

FEWEST = 500  # Pixels hidden, and pixels known.
SAMPLED = 2000
WRONG_FX = 1.3


@dataclass(frozen=True)
class View:
    """
    A picture with its truth and what the network says of it.

    :ivar depth: metres, float32 [H, W]; ``variance`` m².
    """

    example: Example
    depth: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Trial:
    """
    What one image with one kind of hole and one seed has given.

    :ivar mse: m² in the hidden part, by way of filling; ``abs_rel`` likewise.
    :ivar factor: log factor read, the standard error of it, and the true one, of all pixels.
    :ivar samples: of hidden pixels: error, relative, distance, beyond,
        dissent, shared; see ``fusion_fit``.
    """

    stem: str
    kind: str
    seed: int
    mse: Mapping[str, float]
    abs_rel: Mapping[str, float]
    factor: tuple[float, float, float]
    factor_wrong_fx: float
    samples: Mapping[str, np.ndarray] = field(default_factory=dict)


def try_holes(view: View, hidden: np.ndarray, kind: str, seed: int) -> Trial | None:
    """
    Return what becomes of the hidden part; None where too little is hidden or known.

    :param hidden: bool [H, W].
    """
    example, truth = view.example, view.example.depth
    assert truth is not None
    seen, asked = (truth > 0) & ~hidden, (truth > 0) & hidden
    if seen.sum() < FEWEST or asked.sum() < FEWEST:
        return None
    name = f'{example.stem} {kind}'.encode(errors='surrogateescape')  # A stem may be no UTF-8.
    rng = np.random.default_rng([zlib.crc32(name), seed])
    known = np.where(seen, truth, 0.0).astype(np.float32)
    fused = fused_of(view, known)
    wrong = fused_of(View(example, view.depth * np.float32(WRONG_FX),
                          view.variance * np.float32(WRONG_FX ** 2)), known)
    if fused.reading is None or wrong.reading is None or fused.refused or wrong.refused:
        return None
    found = {'network': view.depth, 'one_factor': view.depth * np.float32(fused.reading.factor),
             'fused': fused.depth, 'fused_wrong_fx': wrong.depth,
             'fused_noisy': fused_of(view, as_sensed(known, rng)).depth,
             **{name: fill(known, example.image) for name, fill in FILLS.items()}}
    true = truth[asked]
    off = {name: depth[asked] - true for name, depth in found.items()}
    ratio = np.log(truth[truth > 0] / view.depth[truth > 0])
    return Trial(
        example.stem, kind, seed,
        {name: float(np.mean(error.astype(np.float64) ** 2)) for name, error in off.items()},
        {name: float(np.mean(np.abs(error) / true)) for name, error in off.items()},
        (fused.reading.log_factor, fused.reading.sigma, float(np.median(ratio))),
        wrong.reading.log_factor, _samples(view, fused, known, asked, rng))


def fused_of(view: View, known: np.ndarray) -> Fused:
    """Return the fusion of one image by itself, of a camera that nothing is known of."""
    return fuse(view.example.image, view.depth, view.variance,
                _hint(known), ScaleBelief.before())


def _samples(view: View, fused: Fused, known: np.ndarray, asked: np.ndarray,
             rng: np.random.Generator) -> dict[str, np.ndarray]:
    truth = view.example.depth
    assert truth is not None
    found = correct(view.example.image, view.depth, view.variance, _hint(known),
                    ScaleBelief.before())
    assert found is not None, 'what is fused has been corrected'
    shape = (truth.shape[0], truth.shape[1])
    index = np.flatnonzero(asked)
    index = rng.choice(index, min(SAMPLED, len(index)), replace=False)

    def at(values: np.ndarray) -> np.ndarray:
        return values.ravel()[index].astype(np.float64)
    joined = at(fused.depth)
    return {'error': np.abs(at(truth) - joined) / joined,
            **{name: at(to_image(getattr(found, name), shape))
               for name in ('relative', 'distance', 'beyond', 'dissent')},
            'shared': np.full(len(index), found.belief.sigma)}


def _hint(known: np.ndarray) -> DepthHint:
    return checked_hint(known, None, (known.shape[0], known.shape[1]))
