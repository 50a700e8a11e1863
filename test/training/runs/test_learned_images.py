# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A run that goes on with other images says so, and never measures by what it has learned from."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

import pytest
from small_models import small_recipe
from synthetic_data import make_dataset
import torch
from training import ensemble
from training.data.dataset_folder import DatasetFolder
from training.fit import fit
from training.recipes.options import plain, RecipeError
from training.runs.learned_images import check_images, note_images
import yaml


@pytest.fixture
def begun(tmp_path):
    """Return a data set, each image a run of frames of its own, and what begins a run of it."""
    root = make_dataset(tmp_path / 'data', images=8)
    lists(root, train=['a', 'b', 'c', 'd', 'e', 'f'], val=['g', 'h'])

    def begin(**fields):
        recipe = small_recipe(data=str(root), output=str(tmp_path / 'runs'), **fields)
        recipe.folder.mkdir(parents=True)
        note_images(recipe, DatasetFolder(root), resumed=False)
        return recipe
    return root, begin


def lists(root: Path, **splits: list[str]) -> None:
    for split, stems in splits.items():
        (root / f'{split}.txt').write_text('\n'.join(stems))


def said(recipe, caplog) -> list[str]:
    caplog.clear()
    check_images(recipe, DatasetFolder(recipe.data))
    return [record.getMessage() for record in caplog.records]


def test_a_run_goes_on_with_the_same_images_without_a_word(begun, caplog):
    root, begin = begun
    recipe = begin()
    lists(root, train=['f', 'e', 'd', 'c', 'b', 'a'], val=['h', 'g'])
    assert said(recipe, caplog) == []
    (recipe.folder / 'images.json').unlink()  # Of an earlier version.
    lists(root, train=['a'])
    assert said(recipe, caplog) == []


def test_images_that_were_added_or_are_gone_are_said_in_one_line(begun, caplog):
    root, begin = begun
    recipe = begin()
    lists(root, train=['a', 'b', 'c', 'd', 'e', 'i', 'j', 'k'])
    line, = said(recipe, caplog)
    assert str(recipe.folder) in line and str(root) in line
    assert 'began with 6 training images' in line and '8 now (3 are new, 1 gone)' in line


def test_other_images_to_choose_by_are_said(begun, caplog):
    root, begin = begun
    recipe = begin()
    lists(root, val=['g', 'i', 'j'])
    line, = said(recipe, caplog)
    assert 'began with 2 images in val.txt' in line and 'lists 3' in line


@pytest.mark.parametrize(('splits', 'where'), [
    ({'train': ['a', 'b', 'c', 'd', 'e'], 'val': ['g', 'f']}, 'in val.txt'),
    ({'train': ['a', 'b', 'c', 'd', 'e'], 'test': ['f']}, 'in test.txt')])
def test_what_a_run_has_learned_from_does_not_measure_it(begun, splits, where):
    root, begin = begun
    recipe = begin()
    lists(root, **splits)
    with pytest.raises(RecipeError, match=f"has learned from what .* has {where} now: 'f'"):
        check_images(recipe, DatasetFolder(root))


def test_what_it_learned_from_long_ago_does_not_either(begun, caplog):
    """Gone from the lists when it was resumed first, and back in val.txt the second time."""
    root, begin = begun
    recipe = begin()
    lists(root, train=['a', 'b', 'c', 'd', 'e'])
    assert said(recipe, caplog)
    note_images(recipe, DatasetFolder(root), resumed=True)
    assert said(recipe, caplog) == []
    lists(root, val=['g', 'f'])
    with pytest.raises(RecipeError, match="in val.txt now: 'f'"):
        check_images(recipe, DatasetFolder(root))


def test_what_is_trained_on_all_has_no_image_to_keep_apart(begun, caplog):
    root, begin = begun
    recipe = begin(train_on='train+val')
    lists(root, train=['a', 'b', 'c', 'd', 'e', 'g'], val=['f', 'h'])
    assert said(recipe, caplog) == []


def test_other_folds_are_refused_and_more_images_in_the_same_ones_are_not(begun, caplog):
    root, begin = begun
    recipe = begin(left_out_fold='1/2')
    left_out = json.loads((recipe.folder / 'images.json').read_text())['left_out']
    assert left_out == ['a', 'c', 'e']
    # A run of its own that comes first deals all others out anew.
    lists(root, train=['0', *'abcdef'])
    with pytest.raises(RecipeError, match="has in the fold 1/2, which is left out, now: 'b'"):
        check_images(recipe, DatasetFolder(root))
    lists(root, train=['b', 'c', 'd', 'f'])  # Of which fold 1 has b and d.
    with pytest.raises(RecipeError, match='the fold 1/2'):
        check_images(recipe, DatasetFolder(root))
    lists(root, train=['a', 'c', 'x', 'e'])
    with pytest.raises(RecipeError, match='has left out, as fold 1/2, what it would learn'):
        check_images(recipe, DatasetFolder(root))
    lists(root, train=[*'abcdef', 'x', 'y'])
    line, = said(recipe, caplog)
    assert 'began with 3 training images' in line and '4 now (1 are new, 0 gone)' in line


def test_resume_looks_before_anything_is_made(begun):
    root, begin = begun
    recipe = begin()
    (recipe.folder / 'recipe.yaml').write_text(yaml.safe_dump(plain(recipe)))
    (recipe.folder / 'state').mkdir()
    torch.save({'epoch': 0}, recipe.folder / 'state/last.ckpt')
    for name, stem in zip('abcdefgh', sorted(path.stem for path in (root / 'image').glob('*'))):
        (root / f'image/{stem}.png').rename(root / f'image/{name}.png')
    for kind in ('label', 'depth'):
        for name, path in zip('abcdefgh', sorted((root / kind).glob('*.png'))):
            path.rename(path.with_stem(name))
    lists(root, train=[*'abcde'], val=[*'fgh'])
    with pytest.raises(RecipeError, match='in val.txt now'):
        fit(recipe, resume=True, progress=False)


@pytest.mark.slow
def test_members_that_have_ended_are_looked_at_too(trained, tmp_path, capsys, caplog):
    """They are not trained any more: nobody else would see that theirs were other images."""
    data = tmp_path / 'data'
    shutil.copytree(trained / 'data', data)
    command = ['--recipe', str(trained / 'recipe.yaml'), '--members', '2', '--no-progress',
               f'data={data}']
    lists(data, train=['000', '001', '002'])
    assert ensemble.main(command) == 0
    assert caplog.text.count('began with 4 training images') == 2
    lists(data, val=['003', '004'])
    assert ensemble.main(command) == 1
    assert 'member_00: has learned from what' in capsys.readouterr().err
