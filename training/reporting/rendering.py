# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The templates of pages and cards, filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jinja2 import Environment, PackageLoader, select_autoescape, StrictUndefined


def render(template: str, values: Mapping[str, object],
           filters: Mapping[str, Callable[..., object]] | None = None) -> str:
    """
    Return a file of ``templates/`` filled in; what is put into HTML is escaped.

    :param filters: further functions that it calls, by name.
    :raises jinja2.UndefinedError: if it names a value that is not given.
    """
    templates = Environment(
        loader=PackageLoader(__package__), autoescape=select_autoescape(['html']),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True)
    templates.filters.update(filters or {})
    return templates.get_template(template).render(values)
