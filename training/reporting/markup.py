# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""HTML in small pieces: every text is escaped, nothing refers to another file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from training.reporting.tables import DASH, number, Row, Table

CSS = """
:root { --ink: #24292f; --soft: #5c6770; --line: #dde1e5; --band: #f3f5f7; --accent: #0b5394; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.2rem 1rem 3rem; background: #fff;
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .4rem 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, li { max-width: 48rem; margin: .4rem 0; }
a { color: var(--accent); }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin: .6rem 0; padding: 0; }
.facts div { display: flex; gap: .4rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; }
.note { border-left: 3px solid #c77700; background: #fff8ec; padding: .4rem .8rem; }
.soft { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .26rem .5rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; vertical-align: bottom; }
thead .span { text-align: center; color: var(--soft); }
th.name { text-align: left; font-weight: 400; position: sticky; left: 0; background: #fff;
  max-width: 15rem; }
th.name small { display: block; white-space: normal; color: var(--soft); font-size: .9em;
  line-height: 1.25; }
tr.group th { text-align: left; background: var(--band); font-weight: 600; }
tr.group th span { position: sticky; left: .55rem; }
td.first, th.first { border-left: 1px solid var(--line); }
td.none { color: #a0a8af; }
td b { color: var(--accent); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr));
  gap: .8rem; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
.plots img { max-width: 30rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9.2rem, 31%), 1fr));
  gap: .4rem; margin: .3rem 0 1.2rem; }
figcaption { color: var(--soft); font-size: .8rem; }
.scales, .classes { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .85rem; }
.scales i { display: inline-block; width: 7rem; height: .7rem; margin: 0 .35rem; }
.classes i { display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem;
  border: 1px solid #0003; }
.bar { min-width: 9rem; text-align: left; }
.bar i { display: inline-block; height: .7rem; vertical-align: middle; margin-right: .4rem; }
pre { background: var(--band); padding: .6rem .8rem; font-size: .82rem; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: .3rem 0 .9rem; }
@media (min-width: 70rem) { .tiles { grid-template-columns: repeat(7, 1fr); } }
@media (max-width: 40rem) { th.name { white-space: normal; max-width: 8.5rem; } }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  table { font-size: 7.6pt; } th, td { padding: .15rem .3rem; }
  th.name { position: static; }
  tr, figure, .picture { break-inside: avoid; } h2, h3, h2 + p { break-after: avoid; }
  .plots { grid-template-columns: repeat(3, 1fr); }
  .tiles { grid-template-columns: repeat(7, 1fr); }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
# Ends, quarters and middle of matplotlib's and OpenCV's maps of these names.
GRADIENTS = {'viridis': ('#440154', '#3b528b', '#21918c', '#5ec962', '#fde725'),
             'magma': ('#000004', '#51127c', '#b73779', '#fc8961', '#fcfdbf')}


def document(title: str, body: Iterable[str]) -> str:
    """Return a whole page."""
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n'
            + '\n'.join(part for part in body if part) + '\n</body>\n</html>\n')


def element(tag: str, text: str, css: str = '') -> str:
    """Return an element with an escaped text."""
    attribute = f' class="{css}"' if css else ''
    return f'<{tag}{attribute}>{escape(text)}</{tag}>'


def listing(sentences: Iterable[str]) -> str:
    """Return a bulleted list."""
    return '<ul>' + ''.join(element('li', sentence) for sentence in sentences) + '</ul>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return names with their values."""
    return '<dl class="facts">' + ''.join(
        f'<div>{element("dt", name)}{element("dd", value)}</div>' for name, value in pairs
    ) + '</dl>'


def table(content: Table) -> str:
    """Return a table that scrolls within itself on a narrow screen."""
    starts, place = {0}, 0
    for _, width in content.spans:
        starts.add(place)
        place += width
    head = ''
    if content.spans:
        head = '<tr><th class="name"></th>' + ''.join(
            f'<th class="span first" colspan="{width}">{escape(text)}</th>'
            for text, width in content.spans) + '</tr>'
    head += '<tr><th class="name"></th>' + ''.join(
        f'<th{_first(i in starts)}>{escape(column.heading)}</th>'
        for i, column in enumerate(content.columns)) + '</tr>'
    body = ''.join(
        _band(block.title, len(content.columns) + 1) + ''.join(
            _row(row, starts) for row in block.rows) for block in content.blocks)
    return (f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table>'
            '</div>')


def bars(heading: str, columns: Sequence[tuple[str, str]],
         rows: Iterable[tuple[str, Sequence[float | None]]]) -> str:
    """
    Return a table of bars from 0 to 1.

    :param columns: (name, colour).
    :param rows: name and the value of each column.
    """
    head = element('th', heading, 'name') + ''.join(
        element('th', name, 'bar') for name, _ in columns)
    body = ''.join(
        '<tr>' + element('th', name, 'name') + ''.join(
            '<td class="bar none">' + DASH + '</td>' if value is None else
            f'<td class="bar"><i style="width:{6 * max(0.0, min(value, 1.0)):.2f}rem;'
            f'background:{color}"></i>{number(value)}</td>'
            for value, (_, color) in zip(values, columns)) + '</tr>' for name, values in rows)
    return (f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
            '</table></div>')


def images(entries: Iterable[tuple[str, str, str]], css: str) -> str:
    """Return pictures side by side; entries are (data URI, alternative text, caption)."""
    return f'<div class="{css}">' + ''.join(
        f'<figure><img src="{uri}" alt="{escape(alternative)}">'
        + (element('figcaption', caption) if caption else '') + '</figure>'
        for uri, alternative, caption in entries) + '</div>'


def scale(name: str, top: float, unit: str, colors: str) -> str:
    """Return a colour scale from 0 to ``top``."""
    return (f'<span>{escape(name)} 0<i style="background:linear-gradient(to right,'
            f'{",".join(GRADIENTS[colors])})"></i>{top:g} {escape(unit)}</span>')


def swatch(name: str, rgb: Sequence[int]) -> str:
    """Return a colour with its name."""
    red, green, blue = (int(value) for value in rgb)
    return (f'<span><i style="background:rgb({red},{green},{blue})"></i>{escape(name)}</span>')


def _band(title: str, width: int) -> str:
    return title and (f'<tr class="group"><th colspan="{width}">{element("span", title)}</th>'
                      '</tr>')


def _row(row: Row, starts: set[int]) -> str:
    name = f'<th class="name">{escape(row.name)}' + (
        element('small', row.detail) if row.detail else '') + '</th>'
    texts = [f'<b>{escape(cell.text)}</b>' if cell.best else escape(cell.text)
             for cell in row.cells]
    return f'<tr>{name}' + ''.join(
        f'<td{_first(i in starts, cell.value is None)}>{text}</td>'
        for i, (cell, text) in enumerate(zip(row.cells, texts))) + '</tr>'


def _first(first: bool, none: bool = False) -> str:
    names = ' '.join(['first'] * first + ['none'] * none)
    return f' class="{names}"' if names else ''
