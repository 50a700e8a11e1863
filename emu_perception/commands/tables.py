# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Tables on the terminal with every heading and figure whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ROOM = 1000  # Columns of text: more than any table has.


@dataclass(frozen=True)
class WholeTable:
    """
    A table that is narrow, a word of a heading above the other, and cuts nothing short.

    :ivar left: the headings of the columns that stand left; figures stand right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str
    caption: str = ''
    left: Sequence[str] = ()

    def print(self) -> None:  # noqa: A003
        """Print it; where the terminal is too narrow its lines are longer, and nothing is cut."""
        from rich.box import SIMPLE
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
        # Escaped: a class may be called [bold].
        table = Table(title=escape(self.title), caption=escape(self.caption) or None, box=SIMPLE,
                      padding=0)
        for heading in self.headings:
            table.add_column('\n'.join(heading.split()), no_wrap=True, vertical='bottom',
                             justify='left' if heading in self.left else 'right')
        for row in self.rows:
            table.add_row(*map(escape, row))
        # Measured where there is room: a console never says that more is needed than it has.
        needed = Console(width=_ROOM).measure(table).maximum
        Console(width=max(Console().width, needed)).print(table)
