# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From a recipe and a data set folder to a network with its initial weights."""

from __future__ import annotations

import logging
from pathlib import Path
import re
from typing import Any

import timm
import torch

from emu_perception.checkpoint import load_checkpoint, read_metadata
from emu_perception.errors import CheckpointError
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, SEGMENTATION
from emu_perception.networks.pretrained import initialize
from emu_perception.preprocessing import focal_scale
from training.augmentation import base_scale
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.data.samples import SampleCache
from training.methods.baseline import Baseline
from training.methods.emuformer import EMUFormer
from training.methods.ensemble import Ensemble, expanded
from training.methods.mc_dropout import MCDropout
from training.methods.module import TrainingModule
from training.methods.sub_ensemble import SubEnsemble
from training.options import RecipeError
from training.recipe import Recipe

LOGGER = logging.getLogger('training')
METHODS: dict[str, type[TrainingModule]] = {
    'baseline': Baseline, 'mc_dropout': MCDropout, 'sub_ensemble': SubEnsemble,
    'emuformer': EMUFormer}


def check_tasks(recipe: Recipe, folder: DatasetFolder) -> None:
    """
    Check that the data set has what the tasks need.

    A student may do without labels (its teacher labels every view), not without depths: equation
    9 passes on the variance only.

    :raises DatasetError: if it has not.
    """
    tasks = recipe.network.tasks
    if SEGMENTATION in tasks and not folder.classes and recipe.method != 'emuformer':
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'classes' is missing, task "
                           'segmentation needs it')
    if DEPTH in tasks and folder.depth is None:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'depth' is missing, task depth "
                           'needs it')
    needed = [('label', SEGMENTATION)] if recipe.method != 'emuformer' else []
    for kind, task in (*needed, ('depth', DEPTH)):
        if task in tasks:
            check_truth(folder, kind, task)
    if DEPTH in tasks and folder.depth is not None and folder.depth.quantity != 'depth':
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'depth.quantity' is "
                           f"'{folder.depth.quantity}', task depth learns metres: convert the "
                           'data with metric depth')


def check_truth(folder: DatasetFolder, kind: str, task: str) -> None:
    """
    Check that training images have maps of a kind, by their names.

    :raises DatasetError: if none has; some without are said.
    """
    stems = folder.stems('train')
    have = {path.stem for path in (folder.root / kind).glob('*.png')}
    count = sum(stem in have for stem in stems)
    if not count:
        raise DatasetError(f'{folder.root}/{kind}: holds no PNG for any of the {len(stems)} '
                           f'images of train.txt, task {task} needs them')
    if count < len(stems):
        LOGGER.warning('%s/%s: %d of %d training images have none', folder.root, kind,
                       len(stems) - count, len(stems))


def load_teacher(recipe: Recipe) -> Ensemble | None:
    """
    Return the teacher of a student, or None for other methods.

    :raises RecipeError: if a student has no teacher.
    """
    if recipe.method != 'emuformer':
        return None
    if not recipe.emuformer.teacher:
        raise RecipeError("field 'emuformer.teacher' is missing: name checkpoints, or the folder "
                          'that training.ensemble wrote')
    teacher = Ensemble(recipe.emuformer.teacher)
    LOGGER.info('teacher: %d networks, %d samples', len(teacher.members), teacher.samples)
    for member in teacher.members:
        folder = member.path.parent
        if (folder / 'state').is_dir() and not (folder / 'finished.json').exists():
            LOGGER.warning('%s: its training has not ended', member.path)
    if teacher.samples == 1:
        LOGGER.warning('the teacher is one network with one sample: it passes on what it takes '
                       'for noise, and nothing of what it does not know')
    return teacher


def normalization(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the input that the encoder's weights expect."""
    configuration = timm.get_pretrained_cfg(encoder, allow_unregistered=False)
    return tuple(configuration.mean), tuple(configuration.std)


def build_network(recipe: Recipe, folder: DatasetFolder, samples: SampleCache,
                  classes: tuple[str, ...]) -> tuple[MultitaskNetwork, str]:
    """
    Return the network with its initial weights, and the licence of those.

    :param samples: of the training split; their depths give the depth head its start.
    """
    parts = recipe.network
    arguments: dict[str, Any] = {
        'encoder': parts.encoder, 'tasks': parts.tasks, 'num_classes': max(1, len(classes)),
        'head_dim': parts.head_dim, 'head_dropout': parts.head_dropout, 'context': parts.context,
        'encoder_arguments': parts.encoder_arguments}
    network = MultitaskNetwork(**METHODS[recipe.method].network_arguments(arguments, recipe))
    if DEPTH in network.tasks:
        network.initialize_depth(*depth_statistics(samples))
    source = parts.initial_weights
    if source == 'teacher':
        if not recipe.emuformer.teacher:
            raise RecipeError("field 'network.initial_weights' is 'teacher', but there is none: "
                              "give emuformer.teacher, or another start")
        source = str(expanded(recipe.emuformer.teacher)[0])
    if Path(source).suffix == '.safetensors' and _is_checkpoint(source):
        return network, warm_start(network, source, recipe, folder, classes)
    return network, initialize(network, source)


def _is_checkpoint(path: str) -> bool:
    try:
        read_metadata(path)
    except CheckpointError as error:
        # Encoder weights from elsewhere are .safetensors files too; all else is an error.
        if 'is no emu_perception checkpoint' in str(error):
            return False
        raise
    return True


@torch.no_grad()
def warm_start(network: MultitaskNetwork, path: str, recipe: Recipe, folder: DatasetFolder,
               classes: tuple[str, ...] = ()) -> str:
    """
    Copy from a checkpoint every tensor that fits; the others keep their start, which is logged.

    The depths of another camera are brought to this one's: the mean is a ReLU of the last layer,
    so scaling that layer's first channel scales it exactly.

    :return: the licence of the initial weights.
    """
    source, metadata = load_checkpoint(path)
    own, given = network.state_dict(), source.state_dict()
    fits = {name: tensor for name, tensor in given.items()
            if name in own and own[name].shape == tensor.shape}
    if not any(name.startswith('encoder.') for name in fits):
        raise RecipeError(f"field 'network.initial_weights' is {path}: nothing of its encoder "
                          f"({metadata.architecture['encoder']}) fits '{recipe.network.encoder}'")
    if metadata.classes and classes and metadata.classes != classes:
        # As many classes, but others: a layer of the right shape and the wrong meaning.
        fits = {name: tensor for name, tensor in fits.items()
                if not re.match(r'heads\.segmentation(_\d+)?\.classifier\.', name)}
    network.load_state_dict(fits, strict=False)
    left = [name for name in own if name not in fits]
    if left:
        LOGGER.warning('%s: %d of %d tensors do not fit and start anew, the first is %s', path,
                       len(left), len(own), left[0])
    if DEPTH in network.tasks and DEPTH in metadata.tasks:
        focal = view_focal(recipe, folder)
        width = (recipe.crop_size or recipe.input_size)[1]
        scale = None if focal is None else focal_scale(metadata, focal * width, width, width)
        if scale is not None and scale != 1.0:
            LOGGER.info('%s: depths times %.3f, the ratio of the focal lengths', path, scale)
            classifier = network.head(DEPTH).classifier
            classifier.weight[0] *= scale
            classifier.bias[0] *= scale
    return str(metadata.provenance.get('initial_weights_licence', 'unknown'))


def view_focal(recipe: Recipe, folder: DatasetFolder) -> float | None:
    """Return the focal length in units of a view's width at scale 1; None if not known."""
    camera = folder.intrinsics
    if camera is None:
        return None
    pixels = camera.fx * base_scale((camera.height, camera.width), recipe.input_size)
    return pixels / (recipe.crop_size or recipe.input_size)[1]


def make_module(network: MultitaskNetwork, recipe: Recipe, folder: DatasetFolder,
                teacher: Ensemble | None) -> TrainingModule:
    """Return the method's Lightning module."""
    mean, std = normalization(recipe.network.encoder)
    if teacher is not None:
        return EMUFormer(network, recipe, mean, std, teacher,
                         folder.classes or teacher.classes, view_focal(recipe, folder))
    return METHODS[recipe.method](network, recipe, mean, std)


def depth_statistics(samples: SampleCache, images: int = 100) -> tuple[float, float]:
    """
    Return mean (m) and variance (m²) of the valid depth of evenly spaced images.

    :raises DatasetError: if there is no valid depth.
    """
    step = max(1, len(samples) // images)
    parts = []
    for index in range(0, len(samples), step):
        depth = samples[index].depth
        if depth is not None:
            parts.append(torch.from_numpy(depth[::8, ::8][depth[::8, ::8] > 0]))
    values = torch.cat(parts) if parts else torch.empty(0)
    if not len(values):
        raise DatasetError(f'{samples.folder.root}/depth: no valid depth in the training images; '
                           'check depth.scale, invalid, min and max in dataset.yaml')
    return float(values.mean()), float(values.var())
