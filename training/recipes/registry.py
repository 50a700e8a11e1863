# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The methods, the families of networks and the precisions: one line for each, as a recipe knows it.

As data, so that a recipe is checked without what trains it; ``training.methods.registry`` finds
the classes. A new method is one file in training/methods and one line here (and, where it has
options, its section in ``sections.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """
    How networks are trained and sampled.

    :ivar title: of its group in the paper's tables.
    :ivar trains: the class in training/methods/NAME.py; None = its networks are another's.
    :ivar samples: whether an answer is the mean of several samples; else one pass is it.
    """

    title: str
    trains: str | None = None
    samples: bool = False


# In the order of the paper's tables.
METHODS: dict[str, Method] = {
    'baseline': Method('Baseline', 'Baseline'),
    'mc_dropout': Method('MCD', 'MCDropout', samples=True),
    'sub_ensemble': Method('DSE', 'SubEnsemble', samples=True),
    'ensemble': Method('DE', samples=True),  # Of baselines.
    'emuformer': Method('EMUFormer', 'EMUFormer')}
TRAINED: dict[str, str] = {name: method.trains for name, method in METHODS.items()
                           if method.trains is not None}

# Lightning's names of precisions, and the core's (``emu_perception.precisions``).
PRECISIONS: dict[str, str] = {'32-true': 'fp32', 'bf16-mixed': 'bf16', '16-mixed': 'fp16'}


@dataclass(frozen=True)
class Family:
    """
    What a recipe may say of a family of networks.

    :ivar tasks: that it can have.
    :ivar reads: fields that other families do not read: said of those they would do nothing.
    :ivar only: fields that can have one value alone, with why and what to do, the end of an error.
    :ivar trains: the class in training/methods/FAMILY.py; None = the method's.
    """

    tasks: tuple[str, ...]
    reads: tuple[str, ...]
    only: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    trains: str | None = None


FAMILIES: dict[str, Family] = {
    'all_mlp': Family(('segmentation', 'depth'), (
        'network.head_dim', 'network.context', 'network.depth_output', 'finetune',
        'cache_features', 'cache_features_gb', 'loss.depth', 'loss.depth_weight',
        'loss.huber_delta', 'loss.beta',
        'loss.segmentation', 'loss.lovasz_weight', 'loss.class_weights')),
    'deeplab': Family(
        ('segmentation', 'depth', 'instance'),
        ('network.output_stride', 'network.aspp_rates', 'network.aspp_dim', 'network.decoder_dim',
         'loss.inverse_depth', 'clustering'),
        {'train_on': ('train', "whose noise is measured on val: give 'train'"),
         'method': ('baseline', 'which has one noise a task, no second head and no variance for a '
                    'pixel: give method baseline (emu ensemble makes several)'),
         'views': ('loader', 'whose inverse depths and instances only the loader cuts: give '
                   'views=loader')},
        trains='DeepLab')}
