# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the epochs of a run can be told apart by their validations."""

from __future__ import annotations

import logging

from emu_perception.networks.families import FAMILIES

from ..data.examples import ExampleCache, has_truth
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe

LOGGER = logging.getLogger('training')


def validated(recipe: Recipe, count: int) -> list[int]:
    """Return which of ``count`` validation images, evenly spaced, choose the best epoch."""
    if not 0 < recipe.validation_images < count:
        return [*range(count)]
    step = count / recipe.validation_images
    return [int(i * step) for i in range(recipe.validation_images)]


def truth_kinds(recipe: Recipe) -> set[str]:
    """Return the kinds of truth that the recipe's network learns."""
    return {FAMILIES[recipe.network.family].truth[task] for task in recipe.network.tasks}


def can_choose(recipe: Recipe, val: ExampleCache) -> bool:
    """
    Return whether validations tell epochs apart; where they do not the best is the last.

    Without truth every score is 0, and of equal scores the first would be the best: an epoch of
    hardly any training. A student's images may have no labels, in val too.

    :raises RecipeError: if nothing does, and the run is to end early by it.
    """
    kinds = truth_kinds(recipe)
    looked_at = validated(recipe, len(val))
    if not recipe.chooses or has_truth(val, kinds, looked_at):
        return recipe.chooses
    which = ('its images' if len(looked_at) == len(val) else
             f'the {len(looked_at)} of its images that validation_images takes')
    lacking = (f'{val.folder.root}/val.txt: none of {which} has a known '
               f'{" or ".join(sorted(kinds))}')
    if recipe.early_stopping:
        raise RecipeError(f"{lacking}, and field 'early_stopping' is {recipe.early_stopping}: "
                          'leave it out')
    LOGGER.warning('%s: no epoch can be told from another, and best is the last one', lacking)
    return False
