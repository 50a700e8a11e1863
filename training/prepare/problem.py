# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One fault of one file of a data set folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """
    One fault of one file.

    :ivar note: it need not be wrong: training runs, and may do what is wanted.
    """

    path: Path
    text: str
    note: bool = False

    def __str__(self) -> str:
        return f'{self.path}: {self.text}'
