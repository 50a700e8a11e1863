# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What the two channels of a depth head say: a row for each form.

``linear``, the paper's (equations 4 and 5 of EMUFormer): mean and variance of the depth itself, a
Gaussian in metres.

``log``: mean m and log-sigma s of the logarithm of the depth y, which is log-normal then,

    ln y ~ N(m, sigma_log²),    sigma_log² = exp(2 s) + floor

and in metres

    depth = exp(m), the median,    sigma = depth * sigma_log

This sigma is the delta method's. To first order it is the half width of the central 68 %,
depth * sinh(sigma_log), and the standard deviation; that half width is larger by 1 % where
sigma_log is .25 and by 4 % where it is .5. It is taken because it loses nothing: sigma / depth is
sigma_log, so that a factor on the variance in metres (``variance_scale``) is that factor on
sigma_log², a factor on the metres (another camera) leaves sigma_log alone, and who has depth and
variance has the whole density,

    -ln p(y) = ln y + ½ ln 2π + ln sigma_log + ½ ((ln y - ln depth) / sigma_log)²

whose first term is the change of variables from the logarithm to metres.

``median``: the channels of ``linear``, read as median and sigma² of that log-normal. A network
that was trained by a Gaussian's likelihood may say more truth so: true depths lie beyond a
symmetric interval more often than before it (``training.density`` measures it, and changes a
checkpoint's form). No map of it changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
import math
from typing import ClassVar

from emu_perception.errors import InputError
import torch
from torch import nn
from torch.nn import functional as F

# Added to softplus: the variance divides in the GNLL, and a float32 softplus reaches 0.
VARIANCE_FLOOR = 1e-6
# Of sigma_log²: a thousandth of the depth, for the same reason.
LOG_VARIANCE_FLOOR = 1e-6
# Before a logarithm: a depth of 0 has none.
_NEAREST_M = 1e-6
# Mean, variance and true depth, of one shape.
Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class DepthForm(ABC):
    """
    One form; all of its functions are exact and differentiable.

    :cvar name: in architectures and recipes.
    :cvar words: for people, behind 'depth as'.
    :cvar logarithmic: whether an error of the first channel multiplies the depth; forms that agree
        in it have the same channels.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    logarithmic: ClassVar[bool]

    @abstractmethod
    def moments(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Turn the head's channels into depth and variance.

        In float32 whatever the input: in float16 softplus underflows to 0 below about -17.

        :param raw: [B, 2, H, W], already upsampled.
        :return: depth [B, H, W] in metres, variance [B, H, W] in m².
        """

    @abstractmethod
    def start(self, mean_m: float, variance_m2: float) -> tuple[float, float]:
        """Return the channels that say this mean and variance of the data, the head's start."""

    @abstractmethod
    def scale(self, layer: nn.Conv2d, factor: float) -> None:
        """Multiply the depths that a last layer gives; exact, in place."""

    @abstractmethod
    def as_gaussian(self, depth: torch.Tensor, variance: torch.Tensor,
                    truth: torch.Tensor) -> Triple:
        """
        Return the same three in the unit in which the density is a Gaussian.

        :param depth: metres; ``variance`` m².
        :param truth: metres, above 0.
        """

    @abstractmethod
    def log_slope(self, truth: torch.Tensor) -> torch.Tensor:
        """Return ln |du/dy| of that unit u at true depths y, m: ln p(y) = ln p(u) + this."""


class LinearDepth(DepthForm):
    """Mean and variance in metres."""

    name, words, logarithmic = 'linear', 'mean and variance', False

    def moments(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return relu(mean) and softplus(variance) + floor."""
        raw = _float(raw)
        return F.relu(raw[:, 0]), F.softplus(raw[:, 1]) + VARIANCE_FLOOR

    def start(self, mean_m: float, variance_m2: float) -> tuple[float, float]:
        """Return the mean and the inverse of softplus."""
        # Data of one depth has variance 0, whose inverse softplus is -inf.
        variance_m2 = max(VARIANCE_FLOOR, variance_m2)
        # log(exp(v) - 1) in a form that does not overflow.
        return mean_m, float(variance_m2
                             + torch.log(-torch.expm1(torch.tensor(-variance_m2))))

    def scale(self, layer: nn.Conv2d, factor: float) -> None:
        """Scale the mean's channel, which a ReLU follows."""
        for name in ('weight', 'bias'):
            layer.get_parameter(name)[0] *= factor

    def as_gaussian(self, depth: torch.Tensor, variance: torch.Tensor,
                    truth: torch.Tensor) -> Triple:
        """Return them as they are."""
        return depth, variance, truth

    def log_slope(self, truth: torch.Tensor) -> torch.Tensor:
        """Return 0."""
        return torch.zeros_like(truth)


class _LogNormal(DepthForm):
    """The density of forms whose depth is the median of a log-normal."""

    def as_gaussian(self, depth: torch.Tensor, variance: torch.Tensor,
                    truth: torch.Tensor) -> Triple:
        """Return ln depth, sigma_log² and ln truth."""
        depth = depth.clamp(min=_NEAREST_M)
        return depth.log(), variance / depth.square(), truth.log()

    def log_slope(self, truth: torch.Tensor) -> torch.Tensor:
        """Return ln(1 / y)."""
        return -truth.log()


class MedianDepth(_LogNormal, LinearDepth):
    """Median and variance in metres, of a log-normal."""

    name, words = 'median', 'median and variance of a log-normal'


class LogDepth(_LogNormal):
    """Mean and log-sigma of the depth's natural logarithm."""

    name, words, logarithmic = 'log', 'mean and log-sigma of its logarithm', True

    def moments(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return exp(m) and its square times exp(2 s) + floor."""
        raw = _float(raw)
        depth = raw[:, 0].exp()
        return depth, depth.square() * ((2.0 * raw[:, 1]).exp() + LOG_VARIANCE_FLOOR)

    def start(self, mean_m: float, variance_m2: float) -> tuple[float, float]:
        """Return median and log-sigma of the log-normal that has these moments."""
        log_variance = max(LOG_VARIANCE_FLOOR, math.log1p(variance_m2 / mean_m**2))
        return math.log(mean_m) - 0.5 * log_variance, 0.5 * math.log(log_variance)

    def scale(self, layer: nn.Conv2d, factor: float) -> None:
        """Add the factor's logarithm to the mean's bias."""
        layer.get_parameter('bias')[0] += math.log(factor)


LINEAR = LinearDepth()
DEPTH_FORMS: Mapping[str, DepthForm] = {
    form.name: form for form in (LINEAR, LogDepth(), MedianDepth())}


def depth_form(name: object) -> DepthForm:
    """
    Return the form of a name.

    :raises InputError: if there is none.
    """
    if not isinstance(name, str) or name not in DEPTH_FORMS:
        raise InputError(f"depth_output is '{str(name)[:80]}': give {' or '.join(DEPTH_FORMS)}, "
                         'or install the version that has it')
    return DEPTH_FORMS[name]


def _float(raw: torch.Tensor) -> torch.Tensor:
    return raw.float() if raw.dtype in (torch.float16, torch.bfloat16) else raw
