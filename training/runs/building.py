# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From a recipe and a data set folder to a network with its initial weights."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path

from emu_perception.instances import need_clustering
from emu_perception.networks import mit_registration  # noqa: F401  registers mit_b0..b5 with timm
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.families import FAMILIES, Network
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.networks.pretrained import initialize
import timm
import torch

from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.depth_units import depth_doubt
from ..data.examples import ExampleCache
from ..data.instances import instance_settings
from ..data.leakage import check_leakage
from ..data.training_stems import training_stems
from ..data.unknown_camera import warn_of_training_camera
from ..losses.class_weights import class_weights
from ..methods.ensemble import Ensemble, expanded
from ..methods.module import TrainingModule
from ..methods.parts import CutViews, Parts
from ..methods.registry import training_class
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from .cross_fit import answering_members
from .finetuning import restrict
from .warm_start import is_checkpoint, view_focal, warm_start

LOGGER = logging.getLogger('training')


def kind_of(recipe: Recipe) -> type[TrainingModule]:
    """Return what trains a recipe's network."""
    return training_class(recipe.method, recipe.network.family)


def check_tasks(recipe: Recipe, folder: DatasetFolder) -> None:
    """
    Check that the data set has what the tasks need.

    A student may do without labels (its teacher labels every view), not without depths: equation
    9 passes on the variance only, and the depth head starts from the data's own mean.

    :raises DatasetError: if it has not.
    :raises RecipeError: if the recipe's clustering cannot be used.
    """
    tasks = recipe.network.tasks
    kinds = FAMILIES[recipe.network.family].truth
    unknown = [task for task in tasks if task not in kinds]
    if unknown:
        raise RecipeError(f"field 'network.tasks' has '{unknown[0]}': give some of "
                          f'{", ".join(kinds)}')
    truth = {kinds[task] for task in tasks}
    labels = SEGMENTATION in tasks and not kind_of(recipe).needs_teacher
    if labels and not folder.classes:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'classes' is missing, task "
                           'segmentation needs it')
    if DEPTH in tasks and folder.depth is None:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'depth' is missing, task depth "
                           'needs it')
    if DEPTH in tasks:
        warn_of_training_camera(folder)
    for kind, task, needed in (('label', SEGMENTATION, labels), ('depth', DEPTH, DEPTH in tasks)):
        if needed:
            check_truth(folder, kind, task)
    if 'instance' in truth:
        if not folder.things:
            raise DatasetError(f"{folder.root}/dataset.yaml: field 'things' is missing, task "
                               'instance needs the names of the classes that have instances')
        check_truth(folder, 'instance', INSTANCE)
        # Used at the export only: found there, a mistake would cost the whole training.
        instance_settings(recipe.clustering, folder.things)
        if SEGMENTATION in tasks:
            need_clustering()
    if 'inverse' in truth and folder.inverse_factor is None:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'intrinsics' with fx and baseline "
                           'is missing: without it disparities are no depths')
    if 'depth' in truth and folder.depth is not None and folder.depth.quantity != 'depth':
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'depth.quantity' is "
                           f"'{folder.depth.quantity}', task depth learns metres: convert the "
                           'data with metric depth, or give network.family=deeplab')


def check_truth(folder: DatasetFolder, kind: str, task: str) -> None:
    """
    Check that training images have maps of a kind, by their names.

    :raises DatasetError: if none has; some without are said.
    """
    stems = folder.stems('train')
    have = folder.file_stems(kind)
    count = sum(stem in have for stem in stems)
    if not count:
        raise DatasetError(f'{folder.root}/{kind}: holds no PNG for any of the {len(stems)} '
                           f'images of train.txt, task {task} needs them')
    if count < len(stems):
        LOGGER.warning('%s/%s: %d of %d training images have none', folder.root, kind,
                       len(stems) - count, len(stems))


def load_teacher(recipe: Recipe, folder: DatasetFolder) -> Ensemble | None:
    """
    Return the teacher of a student, or None for other methods.

    :raises RecipeError: if a student has no teacher, or one that has seen what it is measured on.
    """
    if not kind_of(recipe).needs_teacher:
        return None
    if not recipe.emuformer.teacher:
        raise RecipeError("field 'emuformer.teacher' is missing: name checkpoints, or the folder "
                          'that emu ensemble wrote')
    teacher = Ensemble(recipe.emuformer.teacher)
    LOGGER.info('teacher: %d networks, %d samples', len(teacher.members), teacher.samples)
    for member in teacher.members:
        check_leakage(recipe.train_on, folder, member.metadata, 'emuformer.teacher',
                      str(member.path))
        run = member.path.parent
        if (run / 'state').is_dir() and not (run / 'finished.json').exists():
            LOGGER.warning('%s: its training has not ended', member.path)
    if teacher.samples == 1 and recipe.emuformer.epistemic:
        raise RecipeError("field 'emuformer.epistemic' is true, but the teacher is one network "
                          'with one sample, which cannot disagree with itself: give several')
    if teacher.samples == 1:
        LOGGER.warning('the teacher is one network with one sample: it passes on what it takes '
                       'for noise, and nothing of what it does not know')
    return teacher


def normalization(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the input that the encoder's weights expect."""
    configuration = timm.get_pretrained_cfg(encoder, allow_unregistered=False)
    assert configuration is not None, encoder  # The network has been built of it.
    return tuple(configuration.mean), tuple(configuration.std)


def build_network(recipe: Recipe, folder: DatasetFolder, examples: ExampleCache,
                  classes: tuple[str, ...]) -> tuple[Network, str]:
    """
    Return the network with its initial weights, and the licence of those.

    Of the encoder the part learns that the recipe says.

    :param examples: of the training split; their depths give the depth head its start.
    """
    network = FAMILIES[recipe.network.family](**kind_of(recipe).network_arguments(
        recipe, max(1, len(classes)), depth_factor(folder, recipe.input_size[1])))
    if DEPTH in network.tasks:
        mean_m, variance_m2 = depth_statistics(examples)
        if folder.depth is not None and folder.depth.quantity == 'depth':
            doubt = depth_doubt(mean_m, folder.depth.scale)
            if doubt:
                LOGGER.warning('%s/dataset.yaml: %s', folder.root, doubt)
        network.initialize_depth(mean_m, variance_m2)
    start = start_of(recipe)
    licence = (initialize(network, recipe.network.initial_weights) if start is None
               else warm_start(network, start, recipe, folder, classes))
    if start is None and recipe.network.initial_weights == 'none' \
            and recipe.finetune.encoder != 'all':
        LOGGER.warning("field 'finetune.encoder' is '%s', and 'network.initial_weights' is "
                       "'none': what of the encoder does not learn stays random; give weights to "
                       'start from, or finetune.encoder=all', recipe.finetune.encoder)
    restrict(network, recipe.finetune)
    return network, licence


def start_of(recipe: Recipe) -> str | None:
    """
    Return the checkpoint of this package that a network starts from; None where it is another.

    :raises RecipeError: if it is to be the teacher, and there is none.
    """
    source = recipe.network.initial_weights
    if source == 'teacher':
        if not recipe.emuformer.teacher:
            raise RecipeError("field 'network.initial_weights' is 'teacher', but there is none: "
                              'give emuformer.teacher, or another start')
        source = str(expanded(recipe.emuformer.teacher)[0])
    return source if Path(source).suffix == '.safetensors' and is_checkpoint(source) else None


def depth_factor(folder: DatasetFolder, width: int) -> float:
    """
    Return metres times the raw depth map's unit: 1, or for disparities fx times baseline.

    :param width: of the network's input.
    """
    factor = folder.inverse_factor
    if factor is None or folder.depth is None or folder.depth.quantity == 'depth':
        return 1.0
    assert folder.intrinsics is not None
    # Disparities are in pixels of the network, as fx is there.
    return factor * width / folder.intrinsics.width


def make_module(network: Network, recipe: Recipe, folder: DatasetFolder, teacher: Ensemble | None,
                views_on: Callable[[torch.device], CutViews] | None = None) -> TrainingModule:
    """
    Return the method's Lightning module.

    :param views_on: of ``Parts``.
    """
    mean, std = normalization(recipe.network.encoder)
    weights = class_weights(
        recipe.loss.class_weights, folder,
        network.arguments['num_classes']) if SEGMENTATION in network.tasks else None
    parts = Parts(mean, std, weights, views_on, folder.depth_range[1],
                  view_focal(folder, recipe.input_size, recipe.view_size), teacher,
                  folder.classes or (teacher.classes if teacher is not None else ()),
                  answering_members(teacher, folder, training_stems(recipe, folder),
                                    recipe.emuformer.epistemic)
                  if teacher is not None and recipe.emuformer.cross_fit else None)
    return kind_of(recipe)(network, recipe, parts)


def depth_statistics(examples: ExampleCache, images: int = 100) -> tuple[float, float]:
    """
    Return mean (m) and variance (m²) of the valid depth of evenly spaced images.

    :raises DatasetError: if there is no valid depth.
    """
    values = torch.empty(0)
    # Where few images have depths, or few of their pixels, all are looked at.
    for step, stride in ((max(1, len(examples) // images), 8), (1, 8), (1, 1)):
        if not len(values):
            values = _depths(examples, step, stride)
    if not len(values):
        raise DatasetError(f'{examples.folder.root}/depth: no valid depth in the training images; '
                           'check depth.scale, invalid, min and max in dataset.yaml')
    return float(values.mean()), float(values.var())


def _depths(examples: ExampleCache, step: int, stride: int) -> torch.Tensor:
    """Return the valid depths [N] of every ``step``-th image, of each ``stride``-th line."""
    maps = (examples[index].depth for index in range(0, len(examples), step))
    parts = [torch.from_numpy(depth[::stride, ::stride]) for depth in maps if depth is not None]
    return torch.cat([part[part > 0] for part in parts]) if parts else torch.empty(0)
