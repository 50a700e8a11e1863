# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The page: which sections there are, in which order, and what is said in them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from training.reporting import comparison, figures, markup, paper_tables, plots
from training.reporting.ordering import noise_levels, orderings
from training.reporting.pictures import Pictures
from training.reporting.results import best, featured, Result

_LISTS = {'input_size': 'x', 'crop': ', '}
_VOIDS = {'exclude': 'are left out', 'as_inaccurate': 'count as inaccurate'}


def page(results: Sequence[Result], title: str, pictures: Pictures | str) -> str:
    """
    Return the page.

    :param pictures: of the ``featured`` result; or why there are none, in words.
    """
    return markup.document(title, [
        markup.element('h1', title), *_head(results), *_main(results), *_paper(results),
        *_order(results), *_further(results), *figures.reliability(results),
        *figures.depth_coverage(results), *figures.sparsification(results),
        *figures.thresholds(results), *_classes(results),
        *figures.best_and_worst(featured(results), pictures), *_commands(results)])


def warnings(results: Sequence[Result]) -> list[str]:
    """Return in words what keeps the rows from being compared."""
    found = []
    for field, text in (('images', 'The results are of different numbers of images'),
                        ('void', 'The results have different policies for pixels without label'),
                        ('threshold', 'The results have different thresholds of certainty'),
                        ('crop', 'The results use the truth of different crops'),
                        ('device', 'The times were measured on different devices')):
        values = _values(results, field)
        if field == 'crop' and values and any(result.document.get('crop') is None
                                              for result in results):
            values.append('whole images')
        if len(values) > 1:
            found.append(f'{text} ({"; ".join(values)}): these rows are not comparable in that.')
    return found


def _values(results: Sequence[Result], field: str) -> list[str]:
    found = []
    for result in results:
        value = result.document.get(field)
        if value is not None:
            found.append(_LISTS[field].join(map(str, value)) if field in _LISTS else str(value))
    return list(dict.fromkeys(found))


def _head(results: Sequence[Result]) -> list[str]:
    names = (('data_set', 'data set'), ('split', 'split'), ('images', 'images'),
             ('crop', 'crop (top, bottom, left, right)'), ('void', 'pixels without label'),
             ('threshold', 'certainty threshold'), ('encoder', 'encoder'),
             ('input_size', 'network input'), ('device', 'device'))
    pairs = [(name, '; '.join(_values(results, field))) for field, name in names]
    return [markup.facts([pair for pair in pairs if pair[1]]),
            *(markup.element('p', text, 'note') for text in warnings(results))]


def _main(results: Sequence[Result]) -> list[str]:
    voids, thresholds = _values(results, 'void'), _values(results, 'threshold')
    text = ('p(a|c) is p(accurate | certain), p(u|i) is p(uncertain | inaccurate), PAvPU the '
            'share of pixels that are accurate and certain or inaccurate and uncertain. A depth '
            'is accurate within a factor of 1.25. ')
    if len(voids) == len(thresholds) == 1:
        text += (f"A pixel is certain where its uncertainty is below the image's {thresholds[0]}; "
                 f'for segmentation, pixels without a label {_VOIDS.get(voids[0], voids[0])}. ')
    return [markup.element('h2', 'Results'), markup.element('p', text + 'Best in bold.'),
            markup.table(comparison.main_table(results))]


def _paper(results: Sequence[Result]) -> list[str]:
    heading = markup.element('h2', 'Beside the paper')
    name = paper_tables.paper_data_set(results[0].document['data_set'])
    if name is None:
        return [heading, markup.element(
            'p', f'The paper has no table for {results[0].document["data_set"]}.')]
    split, count = paper_tables.SPLITS[name]
    ours = results[0].document['split']
    images = '; '.join(_values(results, 'images')) or 'an unknown number of'
    encoders = '; '.join(_values(results, 'encoder')) or 'not said'
    device = '; '.join(_values(results, 'device')) or 'a device that is not said'
    policy = ('The paper most likely counts pixels without a label as inaccurate, so our rows '
              'here do too, with the mean as threshold, while the table above shows '
              + ('the same policy.' if all(result.policy == comparison.PAPER_POLICY
                                           for result in results)
                 else "each file's own policy."))
    same = ours == split and images == str(count)
    splits = (f'Both are on {name} {split} ({count} images)' if same else
              f"Not the same images: the paper's rows are on {name} {split} ({count} images), "
              f'ours on {ours} ({images} images)')
    return [heading, markup.element('p', policy), markup.element(
        'p', f"{splits}. The paper's encoders are Mix Transformers (ours: {encoders}) and its "
        f'times are of an {paper_tables.DEVICE} (ours: {device}). Best of each block in bold.'),
        markup.table(comparison.paper_table(results, name))]


def _order(results: Sequence[Result]) -> list[str]:
    found = orderings(results)
    if not found:
        return []
    text = 'Best first; = is a tie.'
    if any(order.pairs for order in found):
        text += ' In the paper: the same methods with MiT-B2 on the same data set.'
    noise = noise_levels(results[0])
    if noise:
        text += (f' On these images gaps below {noise["miou"]} of mIoU or {noise["rmse"]} m of '
                 'RMSE are within noise.')
    return [markup.element('h3', 'Order'), markup.element('p', text),
            markup.listing(order.sentence for order in found)]


def _further(results: Sequence[Result]) -> list[str]:
    parts = [markup.element('h2', 'Further metrics')]
    for title, content in comparison.further_tables(results):
        parts += [markup.element('h3', title), markup.table(content)]
    parts.append(markup.element(
        'p', 'AUROC, AP and FPR95 rate the uncertainty as a detector of inaccurate pixels; RSS '
        'is the harmonic mean of mIoU, 1 - ECE, p(a|c) and p(u|i).', 'soft'))
    if any(result.document.get('policies') for result in results):
        parts += [markup.element('h3', 'By policy'),
                  markup.table(comparison.policy_table(results))]
    return parts


def _classes(results: Sequence[Result]) -> list[str]:
    measured = [result for result in results if result.class_iou()]
    if not measured:
        return []
    top = best(measured)
    names = top.class_iou()
    chosen = [top]
    student = best([result for result in measured if result.method == 'emuformer'] or [top])
    if student is not top and student.class_iou().keys() == names.keys():
        chosen.append(student)
    # Absent classes come last.
    order = sorted(names, key=lambda name: -(-1.0 if (iou := names[name]) is None else iou))
    return [markup.element('h2', 'IoU by class'), markup.element(
        'p', (f'{top.label} has the highest mIoU. ' if len(measured) > 1 else '')
        + 'A dash: the class is absent from this split.'),
        markup.bars('class', [(result.label, plots.COLORS[result.method]) for result in chosen],
                    [(name, [result.class_iou()[name] for result in chosen])
                     for name in order])]


def _commands(results: Sequence[Result]) -> list[str]:
    parts = [markup.element('h2', 'How each row was made')]
    for result in results:
        command = result.document.get('command')
        parts += [markup.element('h3', result.label),
                  markup.element('pre', str(command)) if command else markup.element(
                      'p', f'{result.file} does not say.')]
    parts.append(f'<p class="soft">The paper: {escape(paper_tables.SOURCE)}, '
                 f'<a href="{paper_tables.LINK}">arXiv 2402.10580</a>.</p>')
    return parts
