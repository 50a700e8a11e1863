# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Cross-fitted teachers: of each image only those members answer that have not learned from it.

A member is surer, and more often right, on the images that it was trained on than on new ones, and
a student would learn to be as sure. What members say of the runs of frames that they left out
(``emu ensemble --folds``) is as good as what they say of a new room (cross-fitting: Dao et al.,
Knowledge Distillation as Semiparametric Inference, ICLR 2021, arXiv 2104.09732).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..data.dataset_folder import DatasetFolder
from ..methods.ensemble import Ensemble, Member
from ..recipes.options import RecipeError
from .learned_images import left_out_of


def answering_members(teacher: Ensemble, folder: DatasetFolder, stems: Sequence[str],
                      epistemic: bool) -> tuple[tuple[int, ...], ...]:
    """
    Return for each image the members that have not learned from it.

    :param stems: of the images that the student learns from.
    :param epistemic: the student learns what members disagree by, which takes two of them.
    :raises RecipeError: if a run does not say what it has left out, or too few are left.
    """
    new_to = [_new_to(member, folder) for member in teacher.members]
    found = tuple(tuple(i for i, left_out in enumerate(new_to) if stem in left_out)
                  for stem in stems)
    least = 2 if epistemic else 1
    lacking = [stem for stem, answering in zip(stems, found) if len(answering) < least]
    if lacking:
        raise RecipeError(
            f"field 'emuformer.cross_fit' is true, but '{lacking[0]}', the first of "
            f'{len(lacking)} of {len(stems)} images, is new to fewer than {least} of the '
            f'{len(new_to)} members: give what emu ensemble --folds N wrote with the '
            'same train_on, ' + ('2 N members or more' if epistemic else 'N members or more'))
    return found


def _new_to(member: Member, folder: DatasetFolder) -> frozenset[str]:
    """Return the images that a member, and what it comes from, has not learned from."""
    provenance = member.metadata.provenance
    if provenance.get('data_set') != folder.name:
        raise RecipeError(f"{member.path}: has learned from '{provenance.get('data_set')}', the "
                          f"student learns from '{folder.name}': which of its images are new to "
                          'it is not known. Train members on it, with emu ensemble --folds')
    for ancestor in provenance.get('ancestors') or ():
        if ancestor.get('data_set') == folder.name:
            raise RecipeError(
                f"{member.path}: comes from '{ancestor.get('name')}', which has learned from "
                f'{folder.name}: no image is new to it, as emuformer.cross_fit needs. Train '
                'members that start from network.initial_weights=package')
    fold = (provenance.get('recipe') or {}).get('left_out_fold')
    return left_out_of(member.path.parent, str(fold))
