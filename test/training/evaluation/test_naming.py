# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a row of a table is called that nobody has named, and what it was made of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from training.evaluation.measuring import _trained_as, named, roles


def member(name: str, *ancestors: str) -> SimpleNamespace:
    return SimpleNamespace(metadata=SimpleNamespace(name=name, provenance={
        'ancestors': [{'role': role} for role in ancestors]} if ancestors else {}))


@pytest.mark.parametrize(('members', 'name'), [
    ([member('emu_default')], 'emu_default'), ([member('')], 'baseline'),
    ([member('member_0'), member('member_1')], 'baseline')])
def test_one_network_is_called_by_its_own_name_and_several_by_their_method(members, name):
    assert named(SimpleNamespace(members=members), 'baseline') == name


def trained_as(*changes: dict[str, Any]) -> str | None:
    return _trained_as(SimpleNamespace(members=[SimpleNamespace(metadata=SimpleNamespace(
        provenance={'recipe': {'method': 'baseline', 'seed': 0, 'data': 'a', 'epochs': 3},
                    'data_set': 'mine', 'split': 'train', 'images': 9, **change}))
        for change in changes]))


def test_trainings_that_differ_in_more_than_their_seeds_are_not_averaged():
    """The same recipe on more images was one more seed of it, in a report's mean and spread."""
    seed = {'recipe': {'method': 'baseline', 'seed': 5, 'data': 'b', 'epochs': 3}}
    assert trained_as({}) == trained_as(seed) is not None
    others = [{'images': 12}, {'split': 'train+val'}, {'data_set': 'more'},
              {'recipe': {**seed['recipe'], 'epochs': 4}}, {'balanced': {'tau': 0.5}}]
    assert len({trained_as({}), *map(trained_as, others)}) == 1 + len(others)


def test_the_roles_are_those_of_all_that_went_into_a_network():
    assert roles(member('x', 'start', 'averaged', 'start')) == {'start', 'averaged'}
    assert roles(member('x')) == set()
