# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The Lovasz-softmax loss (Berman et al., CVPR 2018, arXiv 1705.08790): a surrogate of 1 - IoU."""

from __future__ import annotations

import torch


def lovasz_softmax(logits: torch.Tensor, label: torch.Tensor, ignore: int) -> torch.Tensor:
    """
    Return the mean over the classes present of the Lovasz extension of their Jaccard loss.

    Equations 8 and 9 there, over the pixels of the whole batch: m(i) is 1 - p_i(c) where the truth
    is c and p_i(c) elsewhere.

    :param logits: [B, K, H, W].
    :param label: [B, H, W], any integer type.
    :param ignore: label of pixels that do not count.
    :return: 0..1; 0, with a gradient of 0, where no pixel is labelled.
    """
    counts = label != ignore
    target = label[counts].long()
    probabilities = logits.float().softmax(dim=1).movedim(1, 0)[:, counts]
    # Not one by one by index: each would have a gradient as large as all.
    by_class = probabilities.unbind()
    losses = []
    # Class by class: all at once would sort, and keep, K times as much.
    for c in target.unique().tolist():
        truth, p = target == c, by_class[c]
        errors, order = torch.where(truth, 1 - p, p).sort(
            descending=True, stable=True)
        # Not as a product of vectors, which autocast would round to three digits.
        losses.append((errors * jaccard_gradient(truth[order])).sum())
    # The sum of nothing, which has a gradient still.
    return torch.stack(losses).mean() if losses else probabilities.sum()


def jaccard_gradient(truth: torch.Tensor) -> torch.Tensor:
    """
    Return the gradient of the Lovasz extension of a class' Jaccard loss, equation 9.

    The loss of a set M of mispredicted pixels is |M| / |{truth} ∪ M| (equation 6); the i-th
    component is what the i-th pixel adds to the loss of the pixels before it.

    :param truth: bool [N], whether each pixel is of the class, by decreasing error; one is.
    :return: float32 [N], 0 or more, of sum 1.
    """
    # float64: differences of neighbours near 1 are 1/N, where float32 has 7 digits.
    size = torch.arange(1, len(truth) + 1, device=truth.device, dtype=torch.float64)
    union = truth.sum() + (~truth).cumsum(0)
    return torch.diff(size / union, prepend=size.new_zeros(1)).float()
