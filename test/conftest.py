# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of several layers use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import sys
from typing import Any
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

# A test that imports openvino before the package does: its telemetry would hold each test up.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]


# Who asks for one of these, or for what is made with it, talks to nodes, in this process or in
# others; or waits for a training.
FIXTURES_OF_MARKS = {'ros': {'ros', 'domain_id', 'installed'}, 'slow': {'trained', 'overfitted'}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their fixtures, so that ``make quick`` can leave them out."""
    for item in items:
        for mark, fixtures in FIXTURES_OF_MARKS.items():
            if fixtures & set(getattr(item, 'fixturenames', ())):
                item.add_marker(mark)


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of all tensors that operations under it have made and that still live."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.known = set()
        self.given = set()

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        for tensor in arguments:
            # What was there before, as weights are: a view of it is no new memory.
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.known and key not in self.given:
                    self.given.add(key)
                    # Its address may be another's afterwards, which then has to be counted.
                    weakref.finalize(storage, self.given.discard, key)
        result = function(*arguments, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.follow(tensor.untyped_storage())
        return result

    def follow(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known and key not in self.given:
            self.known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self.forget, key, size)

    def forget(self, key, size):
        self.known.discard(key)
        self.live -= size


@pytest.fixture
def peak_bytes() -> Callable[[Callable[[], Any]], int]:
    """Return a function: the most bytes of tensors alive at once while something runs."""
    def peak(function: Callable[[], Any]) -> int:
        watch = LiveBytes()
        with watch:
            function()
        return watch.peak
    return peak


@pytest.fixture(autouse=True)
def _eager_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let 'auto' be PyTorch in this process: compiling graphs for every small network takes long.

    What a test is not about should not cost it seconds; test_backends.py and the tests of whole
    processes run what a user would.
    """
    monkeypatch.setattr('emu_perception.backends.registry.preferred', lambda device: ('eager',))


@pytest.fixture(scope='session', autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is remembered from one start to the next out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield
