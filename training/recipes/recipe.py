# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes: typed YAML with overrides on the command line, checked before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import logging
from operator import attrgetter
from pathlib import Path
from typing import Any

from emu_perception.errors import text_of
from emu_perception.foreign_files import expanded, read_text, why_unread
from emu_perception.model_file import default_model
from emu_perception.rules import known_fields
from emu_perception.yaml_documents import load_yaml
import yaml

from .cache_conditions import cache_refusal
from .earlier_names import EARLIER_NAMES, renamed
from .idle_fields import idle_fields
from .options import build, option, RecipeError
from .registry import FAMILIES, PRECISIONS, TRAINED
from .sections import (
    AugmentationRecipe,
    CACHES,
    DistillationOptions,
    FinetuneOptions,
    loss_weights_section,
    LossOptions,
    LossWeightsOptions,
    MCDropoutOptions,
    NetworkRecipe,
    OptimizerRecipe,
    SubEnsembleOptions,
)

LOGGER = logging.getLogger('training')
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """Everything a training run is made of."""

    name: str = option('run', 'of the run: its files go to OUTPUT/NAME')
    data: str = option('', 'the data set folder (required)', path=True)
    output: str = option('runs', 'where runs go', path=True)
    seed: int = option(0, 'of weights, order and views; member i of an ensemble adds i', low=0,
                       high=2**31)
    method: str = option('baseline', 'how it is trained', choices=tuple(TRAINED))
    input_size: tuple[int, int] = option(
        (480, 640), 'height and width of a whole image at the network, multiples of 32')
    crop_size: tuple[int, int] | None = option(
        None, 'of training views; null = input_size (Cityscapes: whole 1024x2048, crops 768x768)')
    network: NetworkRecipe = option(NetworkRecipe, 'the network')
    finetune: FinetuneOptions = option(FinetuneOptions, 'what of its encoder learns')
    augmentation: AugmentationRecipe = option(AugmentationRecipe, 'views')
    optimizer: OptimizerRecipe = option(OptimizerRecipe, 'AdamW or SGD, equation 12')
    loss: LossOptions = option(LossOptions, 'L = CE + w1 * depth loss (equation 7)')
    loss_weights: LossWeightsOptions = option(
        LossWeightsOptions, 'of the terms: equal, learned or fixed={term: weight}; '
        'loss_weights=learned is short for loss_weights.mode=learned')
    mc_dropout: MCDropoutOptions = option(MCDropoutOptions, 'method mc_dropout')
    sub_ensemble: SubEnsembleOptions = option(SubEnsembleOptions, 'method sub_ensemble')
    emuformer: DistillationOptions = option(
        DistillationOptions, 'method emuformer: + w2 * KL + w3 * RMSLE (equation 11), + w4 * '
        'mean depth')
    clustering: dict[str, Any] = option(
        dict, 'deeplab: of the votes for centroids into instances, pixels of the network: votes, '
        'max_votes, min_samples, reach, max_eps_px, max_radius_px, min_size '
        '(emu_perception/instances.py)')
    train_on: str = option(
        'train', 'train+val: for the network that is shipped when all is chosen. It has no '
        'validation: best is the last epoch, and calibration comes from its twin ('
        'emu calibrate --constants-of)', choices=('train', 'train+val'))
    left_out_fold: str = option(
        'none', 'I/N: not learned from is the I-th of N folds, of whole runs of frames, of what '
        'train_on names (emu ensemble --folds N gives each member another)')
    batch_size: int = option(8, 'in total, over all devices', low=2, high=4096)
    epochs: int = option(100, 'passes over the training images', low=1, high=100000)
    ema_decay: float = option(0.0, 'of weights and buffers; 0 = off', low=0, high=0.99999)
    freeze_bn: float = option(
        0.0, 'share of the epochs, the last ones, in which batch norms train with their running '
        'statistics and update them no more; 0 = off', low=0, high=1)
    validate_every: int = option(1, 'epochs', low=1, high=100000)
    validation_images: int = option(0, 'evenly spaced, for choosing the best epoch; 0 = all',
                                    low=0)
    early_stopping: int = option(
        0, 'validations in a row without a better score after which the run ends; 0 = off', low=0,
        high=100000)
    max_minutes: int = option(0, 'stop at the end of the epoch in which this time is up, to be '
                              'resumed; 0 = none', low=0)
    precision: str = option('32-true', "Lightning's names; variance and losses are float32",
                            choices=tuple(PRECISIONS))
    devices: int = option(1, 'processes on this machine, a GPU each where there are GPUs', low=1)
    nodes: int = option(1, 'machines (torchrun and SLURM say which is which)', low=1)
    workers: int = option(0, 'processes that make views, for each device', low=0, high=256)
    views: str = option(
        'loader', "who cuts views: 'loader' the workers, with OpenCV; 'device' the device that "
        'trains, which then holds all training images', choices=('loader', 'device'))
    cache_images: bool = option(True, 'keep decoded images in memory')
    cache_features: str = option(
        'none', 'with finetune.encoder=none: keep on disk, in OUTPUT/feature_cache, what the '
        'encoder makes of the training images, which nothing but flips may change; float32 trains '
        'the same network as without, float16 takes half the place', choices=CACHES)
    cache_features_gb: float = option(
        10.0, 'the most that OUTPUT/feature_cache may hold, 1e9 bytes', low=0, high=1e6)
    risk_percentile: float = option(
        95.0, 'of the validation images stay below each risk threshold', low=1, high=100)

    @property
    def folder(self) -> Path:
        """Return where the run's files go."""
        return Path(self.output) / self.name

    @property
    def view_size(self) -> tuple[int, int]:
        """Return height and width of the training views."""
        return self.crop_size or self.input_size

    @property
    def processes(self) -> int:
        """Return how many processes train together."""
        return self.devices * self.nodes

    @property
    def validates(self) -> bool:
        """Return whether there are images that the run does not train on."""
        return self.train_on == 'train'

    @property
    def chooses(self) -> bool:
        """Return whether validations tell epochs apart: of added outputs they measure nothing."""
        return self.validates and self.finetune.heads == 'all'


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """
    Read a recipe.

    :param path: of a YAML file, or the name of one of the package's.
    :param overrides: ``field=value`` or ``section.field=value``, the value in YAML.
    :raises RecipeError: in one line, if anything in it cannot be used.
    """
    path = recipe_file(str(path))
    document = renamed(_document(path), str(path))
    for override in overrides:
        _apply(override, document)
    document = renamed(document, str(path))  # An override may have brought a whole section.
    if 'loss_weights' in document:
        document['loss_weights'] = loss_weights_section(document['loss_weights'])
    # A field that is not known may be the misspelled 'data': it is said first.
    source = f'{path} with the fields given beside it' if overrides else str(path)
    recipe: Recipe = build(Recipe, {**document, 'data': document.get('data') or ''}, source)
    if not recipe.data:
        raise RecipeError(f"{path}: field 'data' is missing: add data=DIR, a data set folder")
    if recipe.network.initial_weights == 'default':
        recipe = replace(recipe, network=replace(recipe.network,
                                                 initial_weights=str(default_model())))
    try:
        check_recipe(recipe)
    except RecipeError as error:
        raise RecipeError(f'{source}: {error}') from error
    default = Recipe()
    for line in idle_fields(lambda field: attrgetter(field)(recipe),
                            lambda field: attrgetter(field)(default)):
        LOGGER.warning('%s: %s', source, line)
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """
    Check what no field says by itself: fields that do not go together.

    :raises RecipeError: in one line, of the first that do not; a clause that the recipe's name
        precedes.
    """
    _check_family(recipe)
    # In the folder of all runs, not beside or above it.
    folder = Path(recipe.name)
    if not folder.name.strip() or '..' in folder.parts or folder.is_absolute():
        raise RecipeError(f"field 'name' is '{recipe.name}': give the name of a new folder in "
                          "'output'")
    refusal = cache_refusal(lambda field: attrgetter(field)(recipe))
    if refusal:
        raise RecipeError(refusal)
    if recipe.augmentation.corruption_probability > 0 and recipe.views == 'device':
        raise RecipeError(f"field 'augmentation.corruption_probability' is "
                          f"{recipe.augmentation.corruption_probability:g}, but only the loader "
                          'corrupts views: give views=loader, or leave it out')
    student = recipe.emuformer
    for name, value, why in (('mix', student.mix, 'which pastes images into others'),
                             ('members_per_step', student.members_per_step,
                              'which draws members')):
        if student.cross_fit and value not in ('none', 0):
            raise RecipeError(f"field 'emuformer.cross_fit' is true: its images decide which "
                              f"members answer; leave out 'emuformer.{name}' ({value}), {why}")
    if not recipe.augmentation.corruption_kinds:
        raise RecipeError("field 'augmentation.corruption_kinds' is empty: name some, or leave it "
                          'out')
    low, high = recipe.augmentation.scale
    if not 0 < low <= high:
        raise RecipeError(f"field 'augmentation.scale' is {[low, high]}: give the "
                          'smallest and the largest factor')
    for name, size in (('input_size', recipe.input_size), ('crop_size', recipe.crop_size)):
        if size is not None and any(side < 32 or side % 32 for side in size):
            raise RecipeError(f"field '{name}' is {list(size)}: give height and width in "
                              'multiples of 32')
    if recipe.early_stopping and not recipe.chooses:
        why = ('finetune.heads=epistemic changes nothing that is validated' if recipe.validates
               else f'train_on={recipe.train_on} leaves nothing to validate by')
        raise RecipeError(f"field 'early_stopping' is {recipe.early_stopping}, but "
                          f'{why}: leave it out')
    if recipe.finetune.heads == 'epistemic' and not (
            recipe.method == 'emuformer' and recipe.emuformer.epistemic
            and recipe.freeze_bn == 1 and recipe.finetune.encoder in ('all', 'none')
            and recipe.network.initial_weights.endswith('.safetensors')):
        raise RecipeError("field 'finetune.heads' is 'epistemic': outputs are added to a "
                          'checkpoint of which nothing else changes, its batch norms neither: '
                          'give method=emuformer (emu distill), emuformer.epistemic=true, '
                          'freeze_bn=1, network.initial_weights=FILE.safetensors, and leave out '
                          'finetune.encoder')
    if recipe.left_out_fold != 'none':
        fold_of(recipe.left_out_fold)
    if recipe.batch_size % recipe.processes:
        raise RecipeError(f"field 'batch_size' is {recipe.batch_size}: it is the total, "
                          f'give a multiple of devices x nodes = {recipe.processes}')


def fold_of(text: str) -> tuple[int, int]:
    """
    Read 'I/N'.

    :raises RecipeError: if it is no fold of two or more.
    """
    first, _, second = text.partition('/')
    if first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second) >= 2:
        return int(first), int(second)
    raise RecipeError(f"field 'left_out_fold' is {text!r}: give 'none', or the I-th of N folds as "
                      'I/N, N from 2, for example 1/4')


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob('*.yaml'))


def recipe_file(text: str) -> Path:
    """
    Return the path of a recipe, which may be named as one of the package's.

    :raises RecipeError: if there is neither a file nor a recipe of this name.
    """
    path = expanded(text)  # --recipe=~/my.yaml comes as it is written.
    if path.exists() or path.name != text:
        return path
    name = text.removesuffix('.yaml')
    if name in recipe_names():
        return _FOLDER / f'{name}.yaml'
    raise RecipeError(f"--recipe is '{text}': no such file is here, and the package's recipes "
                      f'are {known_fields(name, recipe_names())}')


def _check_family(recipe: Recipe) -> None:
    family, default, tasks = recipe.network.family, Recipe(), recipe.network.tasks
    for name, (value, why) in FAMILIES[family].only.items():
        if attrgetter(name)(recipe) != value:
            raise RecipeError(f"field '{name}' is '{attrgetter(name)(recipe)}', but "
                              f"'network.family' is '{family}', {why}")
    for other, rules in FAMILIES.items():
        for name in rules.reads if other != family else ():
            # Compared, not looked up: a recipe that a run has written names every field.
            if attrgetter(name)(recipe) != attrgetter(name)(default):
                raise RecipeError(f"field '{name}' is {attrgetter(name)(recipe)!r}, but "
                                  f"only family '{other}' has it and 'network.family' is "
                                  f"'{family}': leave it out")
    if not tasks or len(set(tasks)) != len(tasks) or not set(tasks) <= set(FAMILIES[family].tasks):
        raise RecipeError(f"field 'network.tasks' is {list(tasks)}: give some of "
                          f"{', '.join(FAMILIES[family].tasks)} ('network.family' is '{family}')")


def _document(path: Path) -> dict[str, Any]:
    try:
        document = load_yaml(read_text(path))
    except OSError as error:
        raise RecipeError(f'{path}: {why_unread(error)}') from error
    except yaml.YAMLError as error:
        raise RecipeError(f'{path}: not YAML: {text_of(error)}') from error
    if not isinstance(document, dict):
        raise RecipeError(f'{path}: a recipe is a mapping of fields to values')
    return document


def _apply(override: str, document: dict[str, Any]) -> None:
    name, equals, value = override.partition('=')
    if not equals:
        raise RecipeError(f"override '{override}': write field=value, for example epochs=10")
    target = document
    if name in EARLIER_NAMES:
        LOGGER.warning("override '%s': the field is called '%s' now", override,
                       EARLIER_NAMES[name])
        name = EARLIER_NAMES[name]
    if name == 'loss_weights':  # Short for its mode, whatever else the recipe says of it.
        name = 'loss_weights.mode' if not value.lstrip().startswith('{') else name
    if name.startswith('loss_weights.') and isinstance(document.get('loss_weights'), str):
        document['loss_weights'] = loss_weights_section(document['loss_weights'])
    *sections, last = name.split('.')
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise RecipeError(f"override '{override}': '{section}' is no section")
    try:
        target[last] = load_yaml(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"override '{override}': not YAML: {text_of(error)}") from error
