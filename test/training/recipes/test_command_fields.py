# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``--epochs 3`` is ``epochs=3``; recipes are found by name; near misses are named."""

from __future__ import annotations

from dataclasses import replace
import re

import pytest
from training.arguments.parsers import recipe_parser
from training.command_line import recipe_of
from training.recipes.command_fields import field_names, fields_as_overrides
from training.recipes.options import explained, RecipeError
from training.recipes.recipe import load_recipe, Recipe, recipe_names


def test_the_fields_are_those_that_are_explained():
    lines = [line.split()[0] for line in explained(Recipe) if line.startswith('  ')]
    assert [*field_names(Recipe)] == lines


def test_a_default_is_shown_as_it_could_be_given():
    shown = dict(re.findall(r'^  ([\w.]+) = (.*?)   ', '\n'.join(explained(Recipe)), re.M))
    assert shown['crop_size'] == 'null' and shown['cache_images'] == 'true'
    recipe = load_recipe('paper', ['data=x', *(
        f'{name}={value}' for name, value in shown.items() if value)])
    assert recipe == replace(Recipe(), data='x')


@pytest.mark.parametrize(('said', 'meant'), [
    (['--epochs', '3', 'seed=1'], ['epochs=3', 'seed=1']), (['--epochs=3'], ['epochs=3']),
    (['--optimizer.learning-rate', '1e-4'], ['optimizer.learning_rate=1e-4']),
    (['--resume', '--batch-size', '4'], ['--resume', 'batch_size=4']),
    (['--name', 'mine'], ['--name', 'mine']), (['--epoch', '3'], ['--epoch', '3'])])
def test_a_field_may_be_said_as_an_option_but_those_of_the_command_come_first(said, meant):
    assert fields_as_overrides(said, {'--resume', '--name'}) == meant


def test_a_field_without_a_value_says_how():
    with pytest.raises(RecipeError, match='--epochs: give a value, as --epochs=VALUE or epochs='):
        fields_as_overrides(['--epochs'], ())


def test_both_ways_are_the_same_recipe():
    def recipe(*words):
        return recipe_of(recipe_parser('fit', '').parse_intermixed_args(
            ['--recipe', 'paper', '--data', 'x', *words]))
    assert recipe('--epochs', '3') == recipe('epochs=3') == load_recipe(
        'paper', ['data=x', 'epochs=3'])


def test_an_unknown_option_may_have_been_meant_as_a_field(capsys):
    with pytest.raises(SystemExit):
        recipe_parser('fit', '').parse_intermixed_args(['--recipe', 'paper', '--epoch', '3'])
    assert "did you mean '--epochs'?" in capsys.readouterr().err


def test_a_recipe_of_the_package_is_found_by_its_name_and_a_file_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {'best', 'paper', 'robot'} <= {*recipe_names()}
    assert load_recipe('robot.yaml', ['data=x']).name == 'robot'
    (tmp_path / 'robot.yaml').write_text('name: mine')
    assert load_recipe('robot.yaml', ['data=x']).name == 'mine'
    with pytest.raises(RecipeError, match="--recipe is 'papper'.*did you mean 'paper'"):
        load_recipe('papper', ['data=x'])
