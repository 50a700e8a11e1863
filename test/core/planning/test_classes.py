# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Classes are named as the checkpoint names them, and a name that is none is said."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.planning.classes import members
import numpy as np
import pytest

CLASSES = ('floor', 'wall', 'floor mat')


def test_labels_of_the_named_classes_and_never_the_unlabelled_are_members():
    table = members(CLASSES, ('floor', 'floor mat'))
    assert list(np.flatnonzero(table)) == [0, 2] and not table[255]
    assert not members(CLASSES, ()).any()


def test_two_classes_of_one_name_are_both_members():
    assert list(np.flatnonzero(members(('person', 'wall', 'person'), ('person',)))) == [0, 2]


@pytest.mark.parametrize('name, advice', [('flor', "did you mean 'floor'"), ('person', 'wall')])
def test_a_class_that_is_not_there_is_refused_with_what_there_is(name, advice):
    with pytest.raises(InputError, match=f"parameter ground_classes names '{name}'.*{advice}"):
        members(CLASSES, ('wall', name), 'ground_classes')


def test_a_network_without_classes_has_none_to_name():
    with pytest.raises(InputError, match='it has none'):
        members((), ('floor',), 'ground_classes')
