# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The sections of a report that are figures and pictures, as pieces of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from training.reporting import markup, plots
from training.reporting.pictures import DEPTH_COLORS, jpeg_uri, Pictures, UNCERTAINTY_COLORS
from training.reporting.results import Result, TASKS

_UNITS = {'entropy': 'nats', 'depth': 'm', 'sigma': 'm'}


def _figures(title: str, text: str,
             groups: Mapping[str, Sequence[tuple[str, Figure | None]]]) -> list[str]:
    """Return a section of figures under headings; a heading may be ''."""
    parts = []
    for heading, figures in groups.items():
        drawn = [(plots.svg_uri(figure), name, '') for name, figure in figures if figure]
        if drawn:
            parts += [heading and markup.element('h3', heading), markup.images(drawn, 'plots')]
    return parts and [markup.element('h2', title), markup.element('p', text), *parts]


def reliability(results: Sequence[Result]) -> list[str]:
    return _figures(
        'Reliability of the segmentation',
        'On the diagonal the confidence is right; the hatched gap is what the ECE averages over '
        'the pixels. Below: the share of pixels in each bin.',
        {'': [(f'Reliability of {result.label}', plots.reliability(result))
              for result in results]})


def depth_coverage(results: Sequence[Result]) -> list[str]:
    return _figures('Coverage of the depth intervals',
                    'The share of pixels whose true depth lies in the central interval that '
                    'should hold that share. Above the diagonal sigma is too large.',
                    {'': [('Coverage of depth intervals', plots.coverage(results))]})


def sparsification(results: Sequence[Result]) -> list[str]:
    return _figures(
        'Sparsification',
        'The error of the pixels that remain when the most uncertain are removed, relative to '
        'that of all pixels; the oracle removes the largest errors first.',
        {title: [(f'Sparsification of {task}', plots.sparsification(results, task, difference))
                 for difference in (False, True)] for task, title in TASKS.items()})


def thresholds(results: Sequence[Result]) -> list[str]:
    return _figures(
        'Against the threshold',
        'With one threshold for all images, in place of that of each image; a pixel is certain '
        'below it. Pixels without truth are left out.',
        {title: [(f'{name} of {task} against the threshold',
                  plots.threshold(results, task, key))
                 for key, name in plots.CERTAINTY_TITLES.items()]
         for task, title in TASKS.items()})


def best_and_worst(result: Result, pictures: Pictures | str) -> list[str]:
    heading = markup.element('h2', 'Best and worst images')
    if isinstance(pictures, str):
        return [heading, markup.element('p', pictures)]
    drawn = f'{result.label}, its first checkpoint in one pass'
    if not result.single_pass:
        drawn += ' (the figures beside the images are those of all passes together)'
    parts = [heading, markup.element('p', f'Drawn by {drawn}. Black: no truth.'),
             '<div class="scales">' + ''.join(
                 markup.scale(kind, top, _UNITS[kind],
                              DEPTH_COLORS if kind == 'depth' else UNCERTAINTY_COLORS)
                 for kind, top in pictures.ranges.items()) + '</div>',
             '<div class="classes">' + ''.join(markup.swatch(*entry)
                                               for entry in pictures.legend) + '</div>']
    for choice in pictures.choices:
        parts.append(markup.element('h3', choice.heading))
        for stem, text in choice.images:
            tiles = [(jpeg_uri(rgb), f'{name} of {stem}', name)
                     for name, rgb in pictures.tiles[stem]]
            parts.append(f'<div class="picture">{markup.element("p", f"{stem}: {text}", "soft")}'
                         f'{markup.images(tiles, "tiles")}</div>')
    return parts
