# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The page: what ``templates/page.html`` shows of the results, worked out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from . import comparison, paper_tables, plots
from .ordering import noise_levels, orderings
from .pictures import jpeg_uri, Pictures, SCALES
from .rendering import render
from .results import best, featured, Result, TASKS
from .seeds import seed_table
from .tables import number

_FACTS = (('data_set', 'data set'), ('split', 'split'), ('images', 'images'),
          ('crop', 'crop (top, bottom, left, right)'), ('void', 'pixels without label'),
          ('threshold', 'certainty threshold'), ('encoder', 'encoder'),
          ('input_size', 'network input'), ('device', 'device'),
          ('inference_by', 'times are of'))
_LISTS = {'input_size': 'x', 'crop': ', '}
_VOIDS = {'exclude': 'are left out', 'as_inaccurate': 'count as inaccurate'}
# By heading, which may be '': (what a figure shows, the figure).
_Groups = dict[str, list[tuple[str, Figure]]]


def page(results: Sequence[Result], title: str, pictures: Pictures | str) -> str:
    """
    Return the page, an HTML text that refers to no other file.

    :param pictures: of the ``featured`` result; or why there are none, in words.
    """
    return render('page.html', {
        'title': title, 'results': results, 'data_set': results[0].document['data_set'],
        'facts': [(name, text) for field, name in _FACTS
                  if (text := '; '.join(_values(results, field)))],
        'warnings': warnings(results), 'policy': _policy(results),
        'main_table': (main := comparison.main_table(results)),
        'seed_table': seed_table(results, main), 'paper': _paper(results),
        'orderings': orderings(results), 'noise': noise_levels(results[0]),
        'further_tables': comparison.further_tables(results),
        'policy_table': (comparison.policy_table(results) if any(
            result.document.get('policies') for result in results) else None),
        'figures': _figures(results), 'class_bars': _class_bars(results),
        'featured': featured(results), 'pictures': pictures, 'scales': SCALES,
        'source': paper_tables.SOURCE,
    }, {'number': number, 'svg_uri': plots.svg_uri, 'jpeg_uri': jpeg_uri})


def warnings(results: Sequence[Result]) -> list[str]:
    """Return in words what keeps the rows from being compared."""
    found = [f'{result.label} was trained on these images: its figures flatter it, and it is '
             'ranked with no other.' for result in results if result.seen]
    for field, text in (('images', 'The results are of different numbers of images'),
                        ('void', 'The results have different policies for pixels without label'),
                        ('threshold', 'The results have different thresholds of certainty'),
                        ('crop', 'The results use the truth of different crops'),
                        ('device', 'The times were measured on different devices'),
                        ('inference_by', 'The times are of different things')):
        values = _values(results, field)
        if field == 'crop' and values and any(result.document.get('crop') is None
                                              for result in results):
            values.append('whole images')
        if len(values) > 1:
            found.append(f'{text} ({"; ".join(values)}): these rows are not comparable in that.')
    if len(_values(results, 'data_sha256')) > 1 or len({
            frozenset(row['stem'] for row in result.document['per_image'])
            for result in results if result.document.get('per_image')}) > 1:
        found.append('The results are of different images, or of a different truth of them: '
                     'evaluate all anew on one folder, or these rows are not comparable.')
    return found


def _values(results: Sequence[Result], field: str) -> list[str]:
    found = []
    for result in results:
        value = result.document.get(field)
        if value is not None:
            found.append(_LISTS[field].join(map(str, value)) if field in _LISTS else str(value))
    return list(dict.fromkeys(found))


def _policy(results: Sequence[Result]) -> dict[str, str] | None:
    """Return the words on the main table's policy, where all results have the same."""
    if len({result.policy for result in results}) > 1:
        return None
    void, threshold = results[0].policy
    return {'void': _VOIDS.get(void, void), 'threshold': threshold}


def _paper(results: Sequence[Result]) -> dict[str, Any] | None:
    """Return what stands beside the paper's table, None where it has none for the data set."""
    name = paper_tables.paper_data_set(results[0].document['data_set'])
    if name is None:
        return None
    theirs = paper_tables.SPLITS[name]
    ours = results[0].document['split']
    images = '; '.join(_values(results, 'images')) or 'an unknown number of'
    return {'table': comparison.paper_table(results, name), 'device': paper_tables.SOURCE.device,
            'images': f'{name} {theirs.split} ({theirs.images} images)',
            'our_images': f'{ours} ({images} images)',
            'same_images': (ours, images) == (theirs.split, str(theirs.images)),
            'same_policy': all(result.policy == comparison.PAPER_POLICY for result in results),
            'our_encoders': '; '.join(_values(results, 'encoder')) or 'not said',
            'our_devices': '; '.join(_values(results, 'device')) or 'a device that is not said'}


def _figures(results: Sequence[Result]) -> dict[str, _Groups]:
    """Return the figures of each section; one without figures is empty."""
    drawn: dict[str, dict[str, list[tuple[str, Figure | None]]]] = {
        'reliability': {'': [(f'Reliability of {result.label}', plots.reliability(result))
                             for result in results]},
        'coverage': {'': [('Coverage of depth intervals', plots.coverage(results))]},
        'sparsification': {
            title: [(f'Sparsification of {task}', plots.sparsification(results, task, difference))
                    for difference in (False, True)] for task, title in TASKS.items()},
        'threshold': {
            title: [(f'{words} of {task} against the threshold',
                     plots.threshold(results, task, key))
                    for key, words in plots.CERTAINTY_TITLES.items()]
            for task, title in TASKS.items()}}
    return {section: {heading: found for heading, entries in groups.items()
                      if (found := [(name, figure) for name, figure in entries if figure])}
            for section, groups in drawn.items()}


def _class_bars(results: Sequence[Result]) -> dict[str, Any] | None:
    """Return the IoU by class of the best result and of the best student beside it."""
    measured = [result for result in results if result.class_iou()]
    if not measured:
        return None
    top = best(measured)
    names = top.class_iou()
    chosen = [top]
    student = best([result for result in measured if result.method == 'emuformer'] or [top])
    if student is not top and student.class_iou().keys() == names.keys():
        chosen.append(student)
    # Absent classes come last.
    order = sorted(names, key=lambda name: -(-1.0 if (iou := names[name]) is None else iou))
    return {'best': top.label if len(measured) > 1 else '',
            'columns': [(result.label, plots.COLORS[result.method]) for result in chosen],
            'rows': [(name, [result.class_iou()[name] for result in chosen]) for name in order]}
