# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves in its folder, and whether it is the run that is asked for."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ..recipes.options import by_field, plain, RecipeError
from ..recipes.recipe import load_recipe, Recipe

LOGGER = logging.getLogger('training')
# How a run is carried out may change between its parts; what it computes may not.
CARRIED_OUT = ('workers', 'max_minutes', 'early_stopping', 'cache_images', 'data', 'output',
               'cache_features_gb', 'devices', 'nodes')


def check_same_recipe(recipe: Recipe, *, longer: bool = False) -> bool:
    """
    Return whether there is a run in the recipe's folder.

    :param longer: whether the recipe may have more epochs.
    :raises RecipeError: if there is one with another recipe.
    """
    folder = recipe.folder
    if not (folder / 'recipe.yaml').exists():
        return False
    # Read as a recipe: fields that a newer version has added have their defaults.
    before, now = (by_field(plain(one)) for one in (load_recipe(folder / 'recipe.yaml'), recipe))
    for name in dict.fromkeys((*now, *before)):
        if longer and name == 'epochs' and now[name] > before[name]:
            LOGGER.info('epochs was %d and is %d now: on with the learning rates of the longer '
                        'run', before[name], now[name])
            continue
        if name not in CARRIED_OUT and before.get(name) != now.get(name):
            raise RecipeError(f"{folder}/recipe.yaml: field '{name}' is {before.get(name)}, now "
                              f'it is {now.get(name)}: choose another name=..., or remove '
                              f'{folder}')
    return True


def finished(recipe: Recipe) -> bool:
    """
    Return whether a run with this very recipe has ended.

    :raises RecipeError: if there is one with another recipe.
    """
    return check_same_recipe(recipe) and (recipe.folder / 'finished.json').exists()


def epochs_done(folder: Path) -> int:
    """Return the epochs a run has done; 0 if it has none."""
    try:
        return int(json.loads((folder / 'progress.json').read_text())['epoch'])
    except (OSError, ValueError, KeyError):
        return 0
