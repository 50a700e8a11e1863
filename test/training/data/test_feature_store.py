# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A file of kept features that is not as it was written is noticed, and is not read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training.data.dataset_folder import DatasetError
from training.data.feature_store import FeatureStore

VIEW = torch.arange(3 * 4 * 6, dtype=torch.uint8).view(3, 4, 6)
MAPS = [torch.linspace(-1, 1, 8 * 12).view(8, 3, 4), torch.ones(5, 2, 2)]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path, torch.float32)


def test_what_is_kept_is_read_to_the_bit(store):
    content = store.content(MAPS)
    store.write(store.path(VIEW), content)
    assert store.holds(store.path(VIEW), len(content))
    assert all(torch.equal(store.read(VIEW)[f'features{i}'], x) for i, x in enumerate(MAPS))


def test_the_length_of_a_file_does_not_depend_on_its_values(store):
    assert len(store.content(MAPS)) == len(store.content([torch.zeros_like(x) for x in MAPS]))


def _turned(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place:][1:]


@pytest.mark.parametrize('spoil', [
    lambda content: _turned(content, len(content) - 3),
    lambda content: content[:-64] + bytes(64),  # Blocks that a power cut left empty.
    lambda content: bytes(len(content)),
    lambda content: b'\xff' * len(content),
    lambda content: _turned(content, len(content) - 9),
    lambda content: content.replace(b'features0', b'features2'),
])
def test_a_file_of_the_right_length_with_other_bytes_is_noticed(store, spoil):
    path, content = store.path(VIEW), store.content(MAPS)
    path.write_bytes(spoil(content))
    assert path.stat().st_size == len(content) and not store.holds(path, len(content))
    with pytest.raises(DatasetError, match='gone or damaged') as error:
        store.read(VIEW)
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_a_file_that_is_not_there_or_cut_is_not_held(store):
    path, content = store.path(VIEW), store.content(MAPS)
    assert not store.holds(path, len(content))
    path.write_bytes(content[:-1])
    assert not store.holds(path, len(content))
