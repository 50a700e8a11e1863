# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A line of the registry is all that the rest knows of a method or a family."""

from __future__ import annotations

from operator import attrgetter

from emu_perception import corruptions
from emu_perception.networks import context, depth_forms, families
from emu_perception.precisions import DTYPES
import pytest
from training.methods.module import TrainingModule
from training.methods.registry import training_class
from training.recipes import sections
from training.recipes.recipe import Recipe
from training.recipes.registry import FAMILIES, METHODS, PRECISIONS, TRAINED


@pytest.mark.parametrize('method', TRAINED)
def test_a_method_is_found_in_its_file_and_draws_samples_if_its_line_says_so(method):
    found = training_class(method)
    assert issubclass(found, TrainingModule)
    assert found.__module__ == f'training.methods.{method}'
    own = found.sampled.__func__ is not TrainingModule.sampled.__func__
    assert own == METHODS[method].samples


def test_names_said_for_recipes_are_the_cores():
    """They are said twice, so that reading a recipe does not bring torch."""
    assert {name: set(rules.tasks) for name, rules in FAMILIES.items()} == {
        name: set(family.truth) for name, family in families.FAMILIES.items()}
    assert sections.CONTEXTS == tuple(context.CONTEXTS)
    assert sections.DEPTH_OUTPUTS == tuple(depth_forms.DEPTH_FORMS)
    assert sections.CORRUPTIONS == tuple(corruptions.CORRUPTIONS)
    assert sections.AugmentationRecipe().corruption_kinds == corruptions.BASIC
    assert set(PRECISIONS.values()) == set(DTYPES)


@pytest.mark.parametrize('family', FAMILIES)
def test_what_a_family_reads_and_insists_on_are_fields_of_a_recipe(family):
    rules = FAMILIES[family]
    for name in (*rules.reads, *rules.only):
        attrgetter(name)(Recipe())
    assert issubclass(training_class('baseline', family), TrainingModule)
