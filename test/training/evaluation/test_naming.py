# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a row of a table is called that nobody has named, and what it was made of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from training.evaluation.measuring import named, roles


def member(name: str, *ancestors: str) -> SimpleNamespace:
    return SimpleNamespace(metadata=SimpleNamespace(name=name, provenance={
        'ancestors': [{'role': role} for role in ancestors]} if ancestors else {}))


@pytest.mark.parametrize(('members', 'name'), [
    ([member('emu_default')], 'emu_default'), ([member('')], 'baseline'),
    ([member('member_0'), member('member_1')], 'baseline')])
def test_one_network_is_called_by_its_own_name_and_several_by_their_method(members, name):
    assert named(SimpleNamespace(members=members), 'baseline') == name


def test_the_roles_are_those_of_all_that_went_into_a_network():
    assert roles(member('x', 'start', 'averaged', 'start')) == {'start', 'averaged'}
    assert roles(member('x')) == set()
