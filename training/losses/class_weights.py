# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of classes in the cross-entropy, from how many pixels each has in training."""

from __future__ import annotations

import numpy as np
import torch

from ..data.dataset_folder import DatasetFolder, IGNORE
from ..recipes.options import RecipeError

# c of ENet (Paszke et al., arXiv 1606.02147): keeps the weights within 1 and 50.
_ENET_C = 1.02


def class_weights(kind: str, folder: DatasetFolder, classes: int) -> torch.Tensor | None:
    """
    Return the weight of each class, float32 [K], or None where all are alike.

    :param kind: of ``loss.class_weights``; 'none' or 'inverse_log_frequency'.
    :param folder: its labels of train.txt are counted, each read once; of no other split, so that
        a network trained on train and val has the loss of its twin.
    :param classes: K.
    :raises RecipeError: if no training pixel has a label.
    """
    if kind == 'none':
        return None
    counts = label_counts(folder, classes)
    if not counts.sum():
        raise RecipeError(f"field 'loss.class_weights' is '{kind}', but no image of "
                          f'{folder.root}/train.txt has a labelled pixel: give none')
    return inverse_log_frequency(counts)


def inverse_log_frequency(counts: torch.Tensor) -> torch.Tensor:
    """
    Return 1 / ln(1.02 + p) for the share p of each class (ENet), float32 [K].

    Divided by its mean over the pixels counted, so that the loss keeps its size beside the other
    terms and the learning rate its meaning.

    :param counts: pixels of each class, int64 [K], some above 0.
    """
    share = counts.double() / counts.sum()
    weights = 1.0 / (_ENET_C + share).log()
    return (weights / (share * weights).sum()).float()


def label_counts(folder: DatasetFolder, classes: int) -> torch.Tensor:
    """Return the labelled pixels of each class in the training images, int64 [K]."""
    counts = np.zeros(classes, np.int64)
    for stem in folder.stems('train'):
        label = folder.label(stem)
        if label is not None:
            counts += np.bincount(label[label != IGNORE], minlength=classes)
    return torch.from_numpy(counts)
