# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fields that are read only where another one says so: given without it they do nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reader:
    """
    What reads some fields.

    :ivar fields: 'section.field' each.
    :ivar switch: the field that decides.
    :ivar wanted: its value with which they are read.
    """

    fields: tuple[str, ...]
    switch: str
    wanted: str


# Not those of a method: a recipe is of the teacher's members and of the student alike.
READERS = (
    Reader(('loss.huber_delta',), 'loss.depth', 'huber'),
    Reader(('loss.beta',), 'loss.depth', 'beta_nll'),
    Reader(('loss.lovasz_weight',), 'loss.segmentation', 'ce_lovasz'),
    Reader(('optimizer.momentum',), 'optimizer.kind', 'sgd'),
    Reader(('finetune.blocks',), 'finetune.encoder', 'last'),
    Reader(('finetune.rank', 'finetune.alpha'), 'finetune.encoder', 'lora'),
    Reader(('emuformer.mix_probability',), 'emuformer.mix', 'cutmix'),
    Reader(('emuformer.epistemic_weight',), 'emuformer.epistemic', 'true'))


def idle_fields(value_of: Callable[[str], Any], default_of: Callable[[str], Any]) -> Iterator[str]:
    """
    Yield a line for each field that differs from its default and that nothing reads.

    :param value_of: a field of the recipe.
    :param default_of: its default. Compared, not looked up: a recipe that a run has written names
        every field.
    """
    for reader in READERS:
        switch = _said(value_of(reader.switch))
        for field in reader.fields if switch != reader.wanted else ():
            value = value_of(field)
            if value != default_of(field):
                yield (f"field '{field}' is {_said(value)}, which nothing reads while "
                       f"'{reader.switch}' is {switch}: give {reader.switch}={reader.wanted}, or "
                       'leave it out')


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
