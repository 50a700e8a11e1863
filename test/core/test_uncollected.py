# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The collector rests while a large library is imported, and then works as before."""

from __future__ import annotations

from collections.abc import Iterator
import gc

from emu_perception.uncollected import uncollected
import pytest


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    collecting = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if collecting else gc.disable)()


def test_the_collector_rests_meanwhile_and_looks_at_nothing_of_it_afterwards():
    gc.enable()
    with uncollected('a_module_that_is_not_there'):
        assert not gc.isenabled()
        brought = [[] for _ in range(10)]
    assert gc.isenabled() and gc.get_freeze_count() > len(brought)


def test_an_import_that_fails_leaves_the_collector_at_work():
    gc.enable()
    with pytest.raises(ImportError), uncollected('a_module_that_is_not_there'):
        import a_module_that_is_not_there  # noqa: F401
    assert gc.isenabled()


def test_nothing_is_done_for_what_is_there_already():
    gc.enable()
    before = gc.get_freeze_count()
    with uncollected('pytest'):
        assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_whoever_works_without_the_collector_goes_on_without():
    gc.disable()
    with uncollected('a_module_that_is_not_there'):
        pass
    assert not gc.isenabled()
