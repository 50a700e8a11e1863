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


def can_choose(recipe: Recipe, val: ExampleCache) -> bool:
    """
    Return whether validations tell epochs apart; where they do not the best is the last.

    Without truth every score is 0, and of equal scores the first would be the best: an epoch of
    hardly any training. A student's images may have no labels, in val too.

    :raises RecipeError: if nothing does, and the run is to end early by it.
    """
    kinds = {FAMILIES[recipe.network.family].truth[task] for task in recipe.network.tasks}
    if not recipe.chooses or has_truth(val, kinds):
        return recipe.chooses
    lacking = (f'{val.folder.root}/val.txt: none of its images has a known '
               f'{" or ".join(sorted(kinds))}')
    if recipe.early_stopping:
        raise RecipeError(f"{lacking}, and field 'early_stopping' is {recipe.early_stopping}: "
                          'leave it out')
    LOGGER.warning('%s: no epoch can be told from another, and best is the last one', lacking)
    return False
