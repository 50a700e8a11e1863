# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Which images a run has learned from: by the time it goes on its data set may list others.

More images are welcome, and said. One that was learned from and is to measure now, or is of the
fold that the run leaves out, would flatter it unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
import json
import logging
from pathlib import Path

from emu_perception.whole_files import write_json

from ..data.dataset_folder import DatasetFolder, SPLITS
from ..data.training_stems import training_stems
from ..recipes.options import RecipeError
from ..recipes.recipe import load_recipe, Recipe

LOGGER = logging.getLogger('training')
_NAME = 'images.json'


@dataclass(frozen=True)
class RunImages:
    """
    The stems of a run.

    :ivar train: that it learns from.
    :ivar left_out: of its fold.
    :ivar val: that its epochs are chosen by.
    :ivar earlier: that it has learned from before, and does not any more.
    """

    train: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


def images_of(recipe: Recipe, folder: DatasetFolder) -> RunImages:
    """Return the images of a run that begins now; errors as ``training_stems``."""
    train = training_stems(recipe, folder)
    given = {stem for split in recipe.train_on.split('+') for stem in folder.stems(split)}
    return RunImages(tuple(train), tuple(sorted(given - {*train})),
                     tuple(folder.stems('val')) if recipe.validates else ())


def note_images(recipe: Recipe, folder: DatasetFolder, *, resumed: bool) -> None:
    """Keep the images of a run in its folder, for ``check_images``."""
    now, before = images_of(recipe, folder), _noted(recipe.folder) if resumed else None
    if before is not None:
        earlier = {*before.train, *before.earlier} - {*now.train}
        now = replace(now, earlier=tuple(sorted(earlier)))
    write_json(recipe.folder / _NAME, asdict(now))


def check_images(recipe: Recipe, folder: DatasetFolder) -> None:
    """
    Check that a run that has begun may go on with the images that its data set lists now.

    Other images are said. Of a run that has noted none, one of an earlier version, nothing is
    known.

    :raises RecipeError: if one that it has learned from is kept apart now, or one that it has left
        out no more.
    :raises DatasetError: if a list cannot be read.
    """
    before = _noted(recipe.folder)
    if before is None:
        return
    now = images_of(recipe, folder)
    learned, learns = {*before.train, *before.earlier}, {*now.train}
    places = [(f'in the fold {recipe.left_out_fold}, which is left out,', now.left_out),
              *((f'in {split}.txt', folder.stems(split)) for split in SPLITS
                if split not in recipe.train_on.split('+')
                and (folder.root / f'{split}.txt').exists())]
    for place, stems in places:
        _refuse(recipe, folder, [stem for stem in stems if stem in learned],
                f'has learned from what {folder.root} has {place} now')
    _refuse(recipe, folder, [stem for stem in before.left_out if stem in learns],
            f'has left out, as fold {recipe.left_out_fold}, what it would learn from now')
    added, gone = learns - {*before.train}, {*before.train} - learns
    if added or gone:
        LOGGER.warning('%s: began with %d training images, %s lists %d now (%d are new, %d gone): '
                       'on with these', recipe.folder, len(before.train), folder.root,
                       len(now.train), len(added), len(gone))
    if {*now.val} != {*before.val}:
        LOGGER.warning('%s: began with %d images in val.txt, %s lists %d, others, now: the scores '
                       'of before and from here on are not of the same images', recipe.folder,
                       len(before.val), folder.root, len(now.val))


def left_out_of(run: Path, fold: str) -> frozenset[str]:
    """
    Return the stems that a run has left out and never learned from.

    :param run: its folder.
    :param fold: that the checkpoint in it says it has left out.
    :raises RecipeError: if it does not say, or is of another run than the checkpoint.
    """
    noted = _noted(run)
    if noted is None:
        raise RecipeError(f'{run / _NAME}: does not say which images the run has left out: give '
                          'the folder that emu ensemble --folds wrote, as it is')
    # Both were written when the run began; a checkpoint may have come from elsewhere since.
    begun = load_recipe(run / 'recipe.yaml').left_out_fold
    if 'none' in (fold, begun) or fold != begun:
        raise RecipeError(f'{run}: its checkpoint has left out fold {fold}, its recipe.yaml says '
                          f'{begun}: give the folder that emu ensemble --folds wrote, as it is')
    return frozenset(noted.left_out) - {*noted.train, *noted.earlier}


def _refuse(recipe: Recipe, folder: DatasetFolder, stems: Sequence[str], what: str) -> None:
    if stems:
        raise RecipeError(f"{recipe.folder}: {what}: '{stems[0]}', the first of {len(stems)}: "
                          f'what is trained on cannot measure. Give {folder.root} the lists of '
                          'images that the run began with, or choose another name=...')


def _noted(folder: Path) -> RunImages | None:
    """Return what ``note_images`` has kept; None where there is nothing that can be read."""
    try:
        found = json.loads((folder / _NAME).read_text())
        return RunImages(**{name: tuple(stems) for name, stems in found.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
