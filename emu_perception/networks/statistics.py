# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
One vector an image: what ``emu_perception.familiarity`` judges a picture by.

It comes out of the same pass as the maps, as one more output of the network, and knows neither the
lens nor the calibration: the means and deviations over the pixels of every channel of the
encoder's maps, then, by thirds of the image's height, how uncertain the labels are, how far the
depth is from the image's own mean, and how uncertain it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
import torch
from torch.nn import functional as F

STATISTICS = 'statistics'  # What they are called beside the raw maps of the tasks.
BANDS = 3  # Thirds of the height: ceilings, walls and furniture, floors.
STRIDE = 2  # Of the raw maps every so many-th pixel, both ways: their means say the same.
_NEAREST_M = 0.05  # Below it a logarithm of a depth says nothing.


def with_statistics(network: FoldedNetwork, images: torch.Tensor,
                    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """
    Run a network once for its raw maps and the statistics of each image.

    :param images: normalised, [B, 3, H, W].
    :return: raw maps [B, C, h, w] by task, and ``picture_statistics`` [B, N].
    """
    *fine, coarsest = network.encoder(images)
    raw = network.heads([*fine, network.context(coarsest)])
    return raw, picture_statistics([*fine, coarsest], raw, network.depth_form)


def statistics_length(network: FoldedNetwork) -> int:
    """Return N, the length of the vector that ``with_statistics`` gives."""
    return (2 * sum(network.encoder.channels) + BANDS * (SEGMENTATION in network.tasks)
            + (2 * BANDS + 2) * (DEPTH in network.tasks))


def picture_statistics(maps: Sequence[torch.Tensor],
                       raw: Mapping[str, torch.Tensor],
                       form: DepthForm = LINEAR) -> torch.Tensor:
    """
    Return the vector of each image, float32 [B, N].

    :param maps: of the encoder, [B, C_i, h_i, w_i], finest first.
    :param raw: the network's raw maps [B, C, h, w] by task.
    :param form: what the depth's channels say.
    :return: for each map the C_i means, then the C_i deviations; then, of every ``STRIDE``-th
        pixel of the raw maps, ``BANDS`` mean entropies in nats (with segmentation), and (with
        depth) ``BANDS`` means of log depth less the image's, ``BANDS`` of log(sigma/depth), and
        mean and deviation of log depth (metres of the training camera).
    """
    parts = [part for x in maps for part in _mean_and_deviation(x.float())]
    if SEGMENTATION in raw:
        log_p = F.log_softmax(_some(raw[SEGMENTATION]), dim=1)
        parts.append(_bands(-(log_p.exp() * log_p).sum(1, keepdim=True)))
    if DEPTH in raw:
        depth, variance = form.moments(_some(raw[DEPTH]))
        log_depth = depth.clamp(min=_NEAREST_M).log().unsqueeze(1)
        mean, deviation = _mean_and_deviation(log_depth)
        parts += [_bands(log_depth) - mean,
                  _bands(0.5 * variance.log().unsqueeze(1) - log_depth), mean, deviation]
    return torch.cat(parts, dim=1)


def _some(x: torch.Tensor) -> torch.Tensor:
    return x[:, :, ::STRIDE, ::STRIDE].float()


def _mean_and_deviation(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = x.mean(dim=(2, 3))
    # Of the differences: mean(x²) - mean(x)² cancels in the last digits.
    return mean, (x - mean[:, :, None, None]).square().mean(dim=(2, 3)).sqrt()


def _bands(x: torch.Tensor) -> torch.Tensor:
    """Return the mean of each band of [B, 1, h, w] as [B, BANDS]."""
    edges = [x.shape[2] * i // BANDS for i in range(BANDS + 1)]
    return torch.cat([x[:, :, top:bottom].mean(dim=(2, 3))
                      for top, bottom in zip(edges, edges[1:])], dim=1)
