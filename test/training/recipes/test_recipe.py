# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes: types, ranges, overrides, and one line for what is wrong."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from emu_perception.model_file import default_model
import pytest
from training.recipes.idle_fields import READERS
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe, Recipe
import yaml

RECIPES = sorted((Path(__file__).parents[3] / 'training/recipes').glob('*.yaml'))


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_loads(path, caplog):
    assert load_recipe(path, ['data=somewhere']).name == path.stem
    assert 'nothing reads' not in caplog.text


def write(tmp_path: Path, **fields: object) -> Path:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({'name': 'x', 'data': 'd', **fields}))
    return path


def test_the_default_model_is_a_start_by_its_word_from_any_folder(tmp_path, monkeypatch):
    """The pages say it so: who has installed the package knows no path of it."""
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe('robot', ['data=d', 'network.initial_weights=default'])
    assert recipe.network.initial_weights == str(default_model())


@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.fields[0])
def test_a_field_that_nothing_reads_is_said_until_its_reader_is_on(tmp_path, caplog, reader):
    """``loss.beta=0.3`` alone trained by equation 6, without a word."""
    for field in reader.fields:
        default = attrgetter(field)(Recipe())
        caplog.clear()
        given = f'{field}={default + 1 if isinstance(default, int) else default / 2}'
        load_recipe(write(tmp_path), [given])
        line, = (record.getMessage() for record in caplog.records)
        assert f"field '{field}' is " in line and f'give {reader.switch}={reader.wanted}' in line
        caplog.clear()
        load_recipe(write(tmp_path), [given, f'{reader.switch}={reader.wanted}'])
        assert not caplog.records


def test_a_section_that_stands_there_twice_is_one_line(tmp_path):
    """What the first of them said was gone: an hour was trained by the other's defaults."""
    path = tmp_path / 'recipe.yaml'
    path.write_text('data: d\nloss: {depth: beta_nll}\nloss: {depth_weight: 2.0}\n')
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    text = str(error.value)
    assert text.startswith(f'{path}: not YAML: ') and '\n' not in text
    assert "field 'loss' stands there twice" in text and 'line 3' in text


def test_overrides_reach_sections_and_keep_types(tmp_path):
    recipe = load_recipe(write(tmp_path, epochs=3), [
        'epochs=7', 'optimizer.learning_rate=1e-4', 'network.tasks=[depth]',
        'network.context=null', 'input_size=[64, 96]'])
    assert recipe.epochs == 7 and recipe.optimizer.learning_rate == 1e-4
    assert recipe.network.tasks == ('depth',) and recipe.network.context is None
    assert recipe.input_size == (64, 96)


@pytest.mark.parametrize(('fields', 'overrides', 'words'), [
    ({'epoch': 3}, [], ("'epoch'", 'not known', 'epochs')),
    ({'epochs': 'many'}, [], ("'epochs'", "'many'", 'whole number')),
    ({'epochs': 0}, [], ("'epochs'", '0', '1 to')),
    ({'epochs': True}, [], ("'epochs'",)),
    ({'optimizer': {'learning_rate': -1}}, [], ("'optimizer.learning_rate'", '-1')),
    ({'optimizer': 5}, [], ("'optimizer'", '5')),
    ({'input_size': [100, 128]}, [], ("'input_size'", '100', '32')),
    ({'input_size': [96]}, [], ("'input_size'", '2 values')),
    ({'augmentation': {'depth_scale_policy': 'multiply'}}, [], ('depth_scale_policy', 'divide')),
    ({'augmentation': {'scale': [2.0, 0.5]}}, [], ("'augmentation.scale'", '2.0')),
    ({}, ['epochs'], ("'epochs'", 'field=value')),
    ({'warmup_steps': 3}, [], ("'warmup_steps' is not known; did you mean "
                               "'optimizer.warmup_steps'?",)),
    ({'seed': -1}, [], ('from 0 to 2147483648',)),
    *(({'name': name}, [], (f"field 'name' is '{name}'", 'new folder'))
      for name in ('..', '.', ' ', 'a/../../b', '/b')),
    ({}, ['name.x=1'], ("'name'", 'section')),
])
def test_wrong_recipes_are_one_line_naming_file_field_and_value(tmp_path, fields, overrides,
                                                                words):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, **fields), overrides)
    message = str(caught.value)
    assert '\n' not in message
    for word in words:
        assert word in message, message


def test_missing_data_and_missing_file_say_what_to_do(tmp_path):
    path = tmp_path / 'r.yaml'
    with pytest.raises(RecipeError, match='no such file'):
        load_recipe(path)
    path.write_text('name: x')
    with pytest.raises(RecipeError, match='data=DIR'):
        load_recipe(path)
    with pytest.raises(RecipeError, match="'dat' is not known.*did you mean 'data'"):
        load_recipe(path, ['dat=somewhere'])


@pytest.mark.parametrize(('fields', 'overrides'), [
    ({'frozen_statistics': 0.25, 'augmentation': {'spoil_probability': 0.5}}, []),
    ({'freeze_bn': 0.9}, ['frozen_statistics=0.25', 'augmentation.spoil_probability=0.5']),
    ({'freeze_bn': 0.25}, ['augmentation={spoil_probability: 0.5}'])])
def test_fields_are_read_by_the_names_that_they_had_and_the_new_one_is_said(
        tmp_path, caplog, fields, overrides):
    recipe = load_recipe(write(tmp_path, **fields), overrides)
    assert (recipe.freeze_bn, recipe.augmentation.corruption_probability) == (0.25, 0.5)
    said = [record.getMessage() for record in caplog.records]
    assert sum("'augmentation.corruption_probability'" in line for line in said) == 1
    assert all('\n' not in line and 'is called' in line for line in said)


def test_a_field_with_both_of_its_names_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="'frozen_statistics' is not known"):
        load_recipe(write(tmp_path, freeze_bn=0.1, frozen_statistics=0.2))


def test_home_is_a_folder_and_no_name_wherever_a_path_is_written(tmp_path, monkeypatch):
    """``output: ~/runs`` made a folder called ~ in the one of the moment."""
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('RUNS', '/elsewhere')
    path = write(tmp_path, data='~/data', output='~/runs', method='emuformer',
                 emuformer={'teacher': ['~/a.safetensors', 'b']},
                 network={'initial_weights': '~/weights.safetensors'})
    home = tmp_path / 'home'
    recipe = load_recipe(path)
    assert (recipe.data, recipe.folder) == (str(home / 'data'), home / 'runs/x')
    assert recipe.emuformer.teacher == (str(home / 'a.safetensors'), 'b')
    assert recipe.network.initial_weights == str(home / 'weights.safetensors')
    recipe = load_recipe(path, ['output=~/here', 'data=a~/b', 'emuformer.teacher=[~/c]'])
    assert (recipe.data, recipe.output) == ('a~/b', str(home / 'here'))
    assert recipe.emuformer.teacher == (str(home / 'c'),)
    # As they stand: no more than a shell's own ~ is meant, and a folder may be called so.
    recipe = load_recipe(path, ['output=$RUNS', 'data=~other/data'])
    assert (recipe.data, recipe.output) == ('~other/data', '$RUNS')
    home.mkdir()
    path.rename(home / 'own.yaml')
    assert load_recipe('~/own.yaml').name == 'x'
