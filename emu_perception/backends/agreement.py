# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether two answers to one image differ by more than rounding, at any pixel or on the whole.

All bounds come from one number a precision: the rounding error of a raw map (logits; mean and
log-variance of the depth) relative to the largest value in it. Each layer rounds, so the errors of
a value of order 1 add up like steps of random sign: about the root of a hundred layers times the
unit of the last place, and a few times that at the worst of a million pixels. Measured in units of
the last place (the shipped model, MiT-B0 and B2, ResNet-18, EfficientNet-Lite0 with both contexts;
PyTorch's autocast, converted weights, OpenVINO; three kinds of images): 11 on average and 53 at
the worst pixel. Twice that is allowed.

What follows for the maps is the slope of what is made of the raw values:
entropy H of the softmax of z: |dH| <= E|log p + H| max|dz| <= (1 + ln(K) / 2) max|dz|, and on
average, where the errors of the K logits cancel in part, no more than theirs;
confidence p: |dp| <= 2 p (1 - p) max|dz| <= max|dz| / 2;
log of the variance, softplus(s) + floor: its slope in s is at most 1;
log of a depth exp(m), and of its variance exp(2 m) (exp(2 s) + floor): 1 in m, and at most 2 in
both;
label: another one may win only where it was within twice max|dz| of the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
import math

from emu_perception.backends.postprocessing import Factors, finished
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.maps import MAPS
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.outputs import EPISTEMIC
from emu_perception.prediction import Prediction
from emu_perception.scores import measured
import numpy as np
import torch
from torch.nn import functional as F

# Unit of the last place. In float32 there is no need to be as strict, and fast convolutions
# (Winograd's, as long as they are allowed) lose up to 7 of its 24 bits.
ROUNDING = {'fp32': 2.0 ** -17, 'tf32': 2.0 ** -11, 'fp16': 2.0 ** -11, 'bf16': 2.0 ** -8}
_WORST, _MEAN = 100.0, 25.0
# Pixels whose logits are looked at in one go.
_CHUNK = 1 << 16


def rounds_to_tf32(options: BackendOptions) -> bool:
    """Return whether convolutions in float32 are not: NVIDIA GPUs from Ampere on round them."""
    return (options.precision == 'fp32' and options.device.type == 'cuda'
            and bool(torch.backends.cudnn.allow_tf32)
            and torch.cuda.get_device_capability(options.device) >= (8, 0))


@dataclass(frozen=True)
class Slack:
    """How far a map may be off, in its unit: at the worst pixel, and on average."""

    worst: float
    mean: float

    @classmethod
    def of(cls, rounding: float, largest: float) -> Slack:
        """Return that of a raw map; sums of order 1 leave their rounding in any result."""
        return cls(_WORST * rounding * max(1.0, largest), _MEAN * rounding * max(1.0, largest))

    def times(self, factor: float) -> Slack:
        """Return that of what has this slope."""
        return Slack(factor * self.worst, factor * self.mean)

    def plus(self, other: Slack) -> Slack:
        """Return that of a sum."""
        return Slack(self.worst + other.worst, self.mean + other.mean)


class Expected:
    """
    An answer for others to be held against.

    :param raw: logits [1, K, h/4, w/4] and the depth's channels [1, 2, h/4, w/4] by task.
    :param maps: what became of them.
    :param rounding: of whoever is to be held against it; None = by the precision of the options.
    :param form: what the depth's channels say.
    """

    def __init__(self, raw: dict[str, torch.Tensor], maps: NetworkMaps, options: BackendOptions,
                 rounding: float | None = None, form: DepthForm = LINEAR) -> None:
        if rounding is None:
            rounding = ROUNDING['tf32' if rounds_to_tf32(options) else options.precision]
        height, width = next(x for x in (maps.label, maps.depth) if x is not None).shape
        size = (height, width)
        named, _ = finished(maps, Factors.of(Request(size, size), options))
        self._maps = {name: values.cpu().numpy() for name, values in named.items()}
        self._depth_max = options.depth_max
        # Maps whose errors are factors: compared by their logarithms.
        self._logarithmic = {'depth_variance'} | ({'depth'} if form.logarithmic else set())
        self._slack: dict[str, Slack] = {}
        self._logits: torch.Tensor | None = None
        if SEGMENTATION in raw:
            self._logits = (raw[SEGMENTATION].float() / options.temperature).cpu()
            slack = Slack.of(rounding, float(self._logits.abs().max()))
            classes = raw[SEGMENTATION].shape[1]
            self._slack.update({
                'label': slack.times(2.0), 'confidence': slack.times(0.5),
                'segmentation_entropy': Slack((1.0 + math.log(classes) / 2.0) * slack.worst,
                                              slack.mean)})
        if DEPTH in raw and maps.depth is not None:
            mean, spread = (float(x) for x in raw[DEPTH].abs().amax(dim=(0, 2, 3)))
            of_mean, of_spread = Slack.of(rounding, mean), Slack.of(rounding, spread)
            self._slack.update({
                'depth': of_mean,
                'depth_variance': of_mean.plus(of_spread).times(2.0) if form.logarithmic
                else of_spread})
            # Before what is beyond the range is marked: a mark may be there or not at its end.
            self._maps['depth'] = maps.depth.cpu().numpy()
        for name, task in (('mutual_information', EPISTEMIC[SEGMENTATION]),
                           ('depth_epistemic_variance', EPISTEMIC[DEPTH])):
            if task in raw:  # The slope of softplus is at most 1.
                self._slack[name] = Slack.of(rounding, float(raw[task].abs().max()))
        self._scores = self._bounds(maps, options)
        self._statistics = None
        if maps.statistics is not None:
            self._statistics = maps.statistics.cpu().numpy()
            # They are means of the encoder's maps, which round as the raw maps do.
            self._slack['statistics'] = Slack.of(rounding, float(maps.statistics.abs().max()))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it under names of its own; ``of`` makes the same of them."""
        found = {'depth_max': np.array(self._depth_max)}
        found.update((f'map {name}', values) for name, values in self._maps.items())
        found.update((f'slack {name}', np.array([slack.worst, slack.mean]))
                     for name, slack in self._slack.items())
        found.update((f'score {name}', np.array(bounds)) for name, bounds in self._scores.items())
        found.update((f'logarithmic {name}', np.array(name in self._logarithmic))
                     for name in self._slack)
        if self._logits is not None:
            found['logits'] = self._logits.numpy()
        if self._statistics is not None:
            found['statistics'] = self._statistics
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Expected:
        """
        Return what has these ``arrays``.

        :raises KeyError, ValueError: if they are not whole.
        """
        def named(kind: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(kind): values for name, values in arrays.items()
                    if name.startswith(kind)}
        expected = cls.__new__(cls)
        expected._maps = named('map ')
        expected._depth_max = float(arrays['depth_max'])
        logarithmic = named('logarithmic ')
        expected._logarithmic = {name for name, value in logarithmic.items() if value}
        expected._logits = torch.tensor(arrays['logits']) if 'logits' in arrays else None
        expected._slack = {name: Slack(*map(float, values))
                           for name, values in named('slack ').items()}
        expected._scores = {}
        for name, (low, high) in named('score ').items():
            expected._scores[name] = (float(low), float(high))
        expected._statistics = arrays.get('statistics')
        needed = {*expected._maps, *(() if expected._statistics is None else ('statistics',))}
        if (not expected._maps or not expected._scores or needed - expected._slack.keys()
                or logarithmic.keys() != expected._slack.keys()
                or 'label' in expected._maps and expected._logits is None):
            raise ValueError('some of it is missing')
        return expected

    def problem(self, found: Prediction) -> str:
        """Return what differs, in words; '' where all is as it should be."""
        if found.maps.keys() != self._maps.keys():
            return f'its maps are {", ".join(found.maps)}'
        for name, expected in self._maps.items():
            values = found.maps[name]
            if values.shape != expected.shape or values.dtype != expected.dtype:
                return (f'{name} is {values.dtype} {list(values.shape)}, not {expected.dtype} '
                        f'{list(expected.shape)}')
            problem = _too_far(name, self._off(name, values, expected), self._slack[name],
                               'of its log' if name in self._logarithmic else MAPS[name].unit)
            if problem:
                return problem
        if found.scores.keys() != self._scores.keys():
            return f'its scores are {", ".join(found.scores)}'
        for name, (low, high) in self._scores.items():
            value = found.scores[name]
            if not (low <= value <= high or math.isnan(value) and math.isnan(low)):
                return f'the score {name} is {value:.5g}, not {low:.5g} to {high:.5g}'
        return self._statistics_problem(found.statistics)

    def _statistics_problem(self, found: np.ndarray | None) -> str:
        expected = self._statistics
        if expected is None or found is None:
            return '' if found is expected else (
                f'it gives {"no" if found is None else "unasked"} statistics')
        if found.shape != expected.shape or found.dtype != expected.dtype:
            return (f'statistics are {found.dtype} {list(found.shape)}, not {expected.dtype} '
                    f'{list(expected.shape)}')
        off, slack = np.abs(found.astype(np.float64) - expected), self._slack['statistics']
        # Written so that what is no number is too far.
        if off.max() <= slack.worst and off.mean() <= slack.mean:
            return ''
        return (f'statistics are {off.mean():.3g} off on average and {off.max():.3g} at number '
                f'{int(off.argmax())}, where rounding explains {slack.mean:.3g} and '
                f'{slack.worst:.3g}')

    def _off(self, name: str, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return how far each pixel is off, float64; inf where it is no answer."""
        if name == 'label':
            return self._below_best(found, expected)
        with np.errstate(invalid='ignore', divide='ignore'):
            if name in self._logarithmic:
                off = np.abs(np.log(found, dtype=np.float64) - np.log(expected, dtype=np.float64))
            else:
                off = np.abs(found.astype(np.float64) - expected)
            if name == 'depth':
                # In metres, at the ends of the range.
                worst = self._slack['depth'].worst
                far, near = (self._depth_max - worst, worst) if name not in self._logarithmic \
                    else (self._depth_max * math.exp(-worst), 0.0)
                off[(found <= 0) | np.isfinite(found) & (found > self._depth_max)] = math.inf
                off[np.isposinf(found) & (expected >= far)] = 0.0
                off[np.isnan(found) & (expected <= near)] = 0.0
        off[np.isnan(found) & np.isnan(expected)] = 0.0
        off[np.isnan(off)] = math.inf
        return off

    def _below_best(self, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return by how much the logit of each label found is below the best one's."""
        assert self._logits is not None, 'there are labels'
        off = np.zeros(found.shape)
        height, width = found.shape
        rows, columns = np.nonzero(found != expected)
        for begin in range(0, len(rows), _CHUNK):
            y, x = rows[begin:begin + _CHUNK], columns[begin:begin + _CHUNK]
            # Where ``F.interpolate`` reads for these pixels.
            at = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1)
            logits = F.grid_sample(
                self._logits, torch.from_numpy(at.astype(np.float32))[None, None],
                padding_mode='border', align_corners=False)[0, :, 0]
            label = torch.from_numpy(found[y, x].astype(np.int64))
            known = label < len(logits)
            chosen = logits.gather(0, torch.where(known, label, 0)[None])[0]
            off[y, x] = torch.where(known, logits.amax(dim=0) - chosen, math.inf).numpy()
        return off

    def _bounds(self, maps: NetworkMaps, options: BackendOptions,
                ) -> dict[str, tuple[float, float]]:
        """Return the least and the largest that each score may be, from those of the maps."""
        calibrated = maps.calibrated(1.0, options.variance_scale)
        found: dict[str, list[float]] = {}
        for signs in product((-1.0, 1.0), repeat=3):
            shifted = {name: sign * self._slack[name].mean if name in self._slack else 0.0
                       for name, sign in zip(('segmentation_entropy', 'depth', 'depth_variance'),
                                             signs)}
            moved = replace(
                calibrated, entropy=None if calibrated.entropy is None
                else (calibrated.entropy + shifted['segmentation_entropy']).clamp(min=0.0),
                depth=None if calibrated.depth is None else self._shifted(
                    calibrated.depth, shifted['depth']),
                depth_variance=None if calibrated.depth_variance is None
                else calibrated.depth_variance * math.exp(shifted['depth_variance']))
            for name, value in measured(moved).items():
                found.setdefault(name, []).append(float(value))
        # The mean itself may be taken in another order there.
        return {name: (low - 1e-6 * abs(low), high + 1e-6 * abs(high))
                for name, (low, high) in ((name, (float(np.min(values)), float(np.max(values))))
                                          for name, values in found.items())}

    def _shifted(self, depth: torch.Tensor, by: float) -> torch.Tensor:
        return depth * math.exp(by) if 'depth' in self._logarithmic \
            else (depth + by).clamp(min=0.0)


def _too_far(name: str, off: np.ndarray, slack: Slack, unit: str) -> str:
    worst, mean = float(off.max()), float(off.mean())
    if worst <= slack.worst and mean <= slack.mean:
        return ''
    row, column = (int(x) for x in np.unravel_index(off.argmax(), off.shape))
    if math.isinf(worst):
        return f'{name} is no answer at row {row}, column {column}'
    if name == 'label':
        return (f'{(off > 0).mean():.1%} of its labels are others, up to {worst:.3g} below the '
                f'best logit, where rounding explains {slack.worst:.3g}')
    return (f'{name} is {mean:.3g} {unit} off on average and {worst:.3g} at row {row}, column '
            f'{column}, where rounding explains {slack.mean:.3g} and {slack.worst:.3g}')
