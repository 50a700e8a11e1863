# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Distil a teacher into a student (EMUFormer)."""

from __future__ import annotations

import sys

from .arguments.distill import parser, student_overrides
from .command_line import recipe_of, run
from .fit import fit
from .recipes.options import RecipeError
from .recipes.recipe import Recipe


def student_recipe(recipe: Recipe) -> Recipe:
    """
    Return the recipe if it is a student's.

    :raises RecipeError: if the arguments made it something else.
    """
    if recipe.method != 'emuformer':
        raise RecipeError(f"field 'method' is '{recipe.method}': emu distill trains an "
                          'emuformer; use emu train')
    return recipe


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        as_student = student_overrides(options.teacher)
        name = recipe_of(options, *as_student).name
        if not any(override.startswith('name=') for override in options.overrides):
            options.overrides.append(f'name={name}_emuformer')
        recipe = student_recipe(recipe_of(options, *as_student))
        fit(recipe, resume=options.resume, progress=not options.no_progress)
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
