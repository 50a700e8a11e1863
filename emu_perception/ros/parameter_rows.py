# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A row of the table of parameters: default, words, rule and when a new value is applied."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
from typing import Any

from emu_perception.rules import ListRule, Rule

LIVE = 'applied at once, also while active'
CONFIGURE = 'applied when the node is configured; refused later (clean up first)'
SWAP = ('while configured: checked at once, then loaded beside the running model, which answers '
        'until the new one takes over; if that fails, the value goes back (diagnostics say why)')
START = 'applied when the node starts; read only'


@dataclass(frozen=True)
class Entry:
    """
    A row of the table.

    :ivar rule: what a value must be.
    :ivar change: when a new value is applied.
    """

    default: Any
    description: str
    rule: Rule | ListRule
    change: str


def parameter(default: Any, description: str, *, unit: str = '', low: float = -math.inf,
               high: float = math.inf, choices: tuple[str, ...] = (), change: str = LIVE) -> Any:
    """Describe a parameter as the field of a dataclass."""
    return field(default=default, metadata={'entry': Entry(
        default, description, Rule(type(default), low, high, choices=choices, unit=unit),
        change)})


def list_parameter(description: str, each: Rule) -> Any:
    """Describe a live list, empty by default."""
    return field(default=(), metadata={'entry': Entry([], description, ListRule(each), LIVE)})
