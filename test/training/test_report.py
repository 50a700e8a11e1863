# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The report says what the result files say, in one page that needs nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
import json
import math
from pathlib import Path
import re

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.prediction import Prediction
import numpy as np
import pytest
from training.data.dataset_folder import DatasetFolder
from training.evaluation.measuring import file_hash
from training.report import main, report
from training.reporting import plots
from training.reporting.comparison import (
    further_tables,
    main_table,
    paper_table,
    policy_table,
)
from training.reporting.ordering import orderings, paper_row
from training.reporting.page import warnings
from training.reporting.paper_tables import comparison_rows
from training.reporting.pictures import choose, draw, missing_checkpoint
from training.reporting.result_files import load_results
from training.reporting.results import best, featured, Result
from training.reporting.tables import Block, cells, Column, mark_best, number, Row, to_markdown

BOTH = ('segmentation', 'depth')


def make_result(name: str, method: str, tasks: tuple[str, ...] = BOTH, *, miou: float = 0.4,
                ece: float = 0.1, p_ui: float = 0.6, rmse: float = 0.6, seed: int = 0,
                data_set: str = 'nyuv2', split: str = 'val', classes: int = 40,
                images: int = 86) -> dict:
    """Return a random result whose figures do not contradict one another."""
    rng = np.random.default_rng(seed)
    nominal = [round(0.05 * k, 2) for k in range(1, 20)]
    document: dict = {
        'format': 1, 'name': name, 'method': method, 'tasks': list(tasks),
        'checkpoints': [f'runs/{method}/best.safetensors'], 'samples': 10,
        'encoder': 'tf_efficientnet_lite0', 'parameters': int(rng.integers(3_000_000, 4_000_000)),
        'data_set': data_set, 'data': '/somewhere', 'split': split, 'images': images,
        'void': 'exclude', 'threshold': 'mean', 'input_size': [192, 256],
        'device': 'cpu (2 threads)', 'curves': {}, 'policies': [],
        'inference_ms': {'mean': rng.uniform(20, 300), 'std': rng.uniform(0.2, 9), 'images': 50},
        'command': f'python -m training.evaluate --method {method} --out <{name}>.json'}
    certainty = {}
    for task, y in zip(BOTH, (p_ui, 0.45 + 0.1 * rng.random())):
        # Shares of the four cells: accurate and certain, ..., as test_paper_tables.four_cells.
        accuracy, certain = rng.uniform(0.65, 0.8), rng.uniform(0.6, 0.7)
        ic = (1 - accuracy) * (1 - y)
        certainty[task] = {'p_accurate_given_certain': (certain - ic) / certain,
                           'p_uncertain_given_inaccurate': y,
                           'pavpu': certain - ic + (1 - accuracy) * y}
    for void in ('exclude', 'as_inaccurate'):
        for threshold in ('mean', 'median'):
            shift = 0.03 * (void == 'as_inaccurate') + 0.01 * (threshold == 'median')
            document['policies'].append({'void': void, 'threshold': threshold, **{
                task: {key: value - (shift if task == 'segmentation' else 0)
                       for key, value in certainty[task].items()} for task in tasks}})
    fraction = np.arange(50) / 50
    for task in tasks:
        bad = rng.uniform(0.2, 0.4)
        top = math.log(classes) if task == 'segmentation' else 0
        u = (np.linspace(0, top, 65)[1:] if top
             else np.exp(np.linspace(math.log(1e-6), math.log(1e4), 65)[1:]))
        s = u / top if top else 1 / (1 + np.exp(-2.2 * np.log(np.sqrt(u) / 0.5)))
        flagged = np.clip(1 - s ** rng.uniform(1, 2), 0, 1)
        right = 1 - bad * np.clip(s, 0, 1)
        document['curves'][task] = {
            'sparsification': {
                'fraction': fraction.tolist(),
                'error': ((1 - fraction) ** rng.uniform(0.5, 0.8)).tolist(),
                'oracle': np.clip(1 - fraction / (bad + 0.4), 0, 1).tolist()},
            'threshold': {
                'uncertainty': u.tolist(), 'p_accurate_given_certain': right.tolist(),
                'p_uncertain_given_inaccurate': flagged.tolist(),
                'pavpu': (0.75 - (s - 0.4) ** 2).tolist()}}
        figures = {**certainty[task], 'nll': rng.uniform(-0.2, 1.2), 'ause': rng.random() / 5,
                   'auroc': rng.uniform(0.7, 0.9), 'average_precision': rng.uniform(0.4, 0.7),
                   'fpr95': rng.uniform(0.5, 0.8), 'pixels': 26_419_200}
        if task == 'segmentation':
            iou = np.clip(rng.normal(miou, 0.2, classes), 0.01, 0.95)
            iou += miou - iou.mean()
            document['classes'] = [f'class {k}' for k in range(classes)]
            document['class_iou'] = iou.clip(0, 1).tolist()
            middles = (np.arange(15) + 0.5) / 15
            count = (1e5 * (1 + 9 * middles ** 3)).astype(int)
            document['curves'][task]['reliability'] = {
                'count': [0, *count.tolist()[1:]], 'accuracy': [
                    None, *(middles - ece * np.sin(3 * middles)).tolist()[1:]],
                'confidence': [None, *middles.tolist()[1:]]}
            figures |= {'miou': miou, 'classes_counted': classes, 'ece': ece,
                        'pixel_accuracy': rng.uniform(0.6, 0.75), 'ece_10': ece - 0.001,
                        'brier': rng.uniform(0.4, 0.6), 'rss': 0.6}
        else:
            bend = rng.uniform(0.8, 1.4)
            document['curves'][task]['coverage'] = {
                'nominal': nominal, 'observed': [p ** bend for p in nominal]}
            figures |= {'rmse': rmse, 'abs_rel': 0.17, 'silog': 0.21, 'delta1': 0.75,
                        'delta2': 0.93, 'delta3': 0.98, 'rmse_per_image': rmse - 0.05,
                        'abs_rel_per_image': 0.18, 'delta1_per_image': 0.74,
                        'coverage_50': 0.47, 'coverage_80': rng.uniform(0.7, 0.9),
                        'coverage_90': 0.87, 'coverage_95': 0.93, 'calibration_error': 0.03}
        document[task] = figures
    document['per_image'] = [
        {'stem': f'{k:03d}', 'pixel_accuracy': 0.5 + 0.05 * k if 'segmentation' in tasks else None,
         'rmse': 0.9 - 0.1 * k if 'depth' in tasks else None, 'mean_segmentation_entropy': 1.0,
         'mean_depth_sigma': 0.4} for k in range(6)]
    return document


def paper_like() -> list[dict]:
    """Return one result of each method, and single tasks, near the paper's figures."""
    return [
        make_result('SegFormer', 'baseline', ('segmentation',), miou=.402, ece=.14, p_ui=.62,
                    seed=1),
        make_result('DepthFormer', 'baseline', ('depth',), rmse=.601, seed=2),
        make_result('SegDepthFormer', 'baseline', miou=.398, ece=.131, p_ui=.63, rmse=.612,
                    seed=3),
        make_result('MCD 20 %', 'mc_dropout', miou=.371, ece=.09, p_ui=.68, rmse=.65, seed=4),
        make_result('DSE', 'sub_ensemble', miou=.396, ece=.07, p_ui=.66, rmse=.63, seed=5),
        make_result('DE-10', 'ensemble', miou=.413, ece=.11, p_ui=.655, rmse=.59, seed=6),
        make_result('EMUFormer', 'emuformer', miou=.409, ece=.105, p_ui=.67, rmse=.57, seed=7)]


def write(folder: Path, documents: list[dict]) -> list[Path]:
    """Write results, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, document in enumerate(documents):
        files.append(folder / f'{i}.json')
        files[-1].write_text(json.dumps(document))
    return files


def load(folder: Path, documents: list[dict]) -> list[Result]:
    """Write and read results."""
    return load_results(write(folder, documents))


class Page(HTMLParser):
    """Reads a page's table rows, texts and references; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.bold: list[list[str]] = []
        self.references: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self.references += [value for name, value in attributes
                            if name in ('src', 'href', 'srcset', 'data', 'action')]
        if tag not in ('meta', 'img'):
            self.open.append(tag)
        if tag == 'tr':
            self.rows.append([])
            self.bold.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if 'tr' in self.open and self.rows[-1]:
            # The smaller second line of a name is not the name.
            self.rows[-1][-1] += '' if 'small' in self.open else data
            if self.open[-1] == 'b':
                self.bold[-1].append(data)

    def row(self, name: str, nth: int = 0) -> list[str]:
        """Return the nth row of that name."""
        return [row for row in self.rows if row and row[0] == name][nth]


@pytest.fixture(scope='module')
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of one result of each method."""
    folder = tmp_path_factory.mktemp('report')
    return report(write(folder, paper_like()), folder / 'page.html').read_text()


@pytest.mark.slow
def test_page_has_every_result_and_every_paper_row(text):
    page = Page(text)
    names = [row[0] for row in page.rows if row]
    for document in paper_like():
        assert document['name'] in names
    for backbone in ('B2', 'B0', 'B5'):
        for row in comparison_rows('NYUv2', backbone):
            name = row.group if row.group == row.model else f'{row.group}: {row.model}'
            figures = [number(row.miou), number(row.ece), number(row.rmse)]
            assert any(found[0] == name and [found[1], found[2], found[6]] == figures
                       for found in page.rows if len(found) == 12), (name, figures)


def test_figures_of_the_main_table_are_those_of_the_file(text):
    document = paper_like()[-1]
    segmentation, depth = document['segmentation'], document['depth']
    time = document['inference_ms']
    keys = ('p_accurate_given_certain', 'p_uncertain_given_inaccurate', 'pavpu')
    assert Page(text).row('EMUFormer', 1)[1:] == [
        f'{value:.3f}' for value in (
            segmentation['miou'], segmentation['ece'], *(segmentation[key] for key in keys),
            depth['rmse'], *(depth[key] for key in keys))] + [
        f'{time["mean"]:.1f} ± {time["std"]:.1f}', f'{document["parameters"] / 1e6:.2f}']


def test_beside_the_paper_stand_the_figures_of_the_papers_policy(tmp_path):
    document = paper_like()[-1]
    wanted = next(row for row in document['policies']
                  if (row['void'], row['threshold']) == ('as_inaccurate', 'mean'))
    table = paper_table(load(tmp_path, [document]), 'NYUv2')
    ours = table.blocks[0].rows[0].cells
    assert [cell.value for cell in ours[2:5]] == list(wanted['segmentation'].values())
    assert wanted['segmentation'] != {key: document['segmentation'][key]
                                      for key in wanted['segmentation']}


def test_policy_of_the_comparison_is_said(text):
    said = ' '.join(Page(text).texts)
    assert 'most likely counts pixels without a label as inaccurate' in said
    assert 'Not the same images' in said and 'NYUv2 test (654 images), ours on val (86' in said
    assert 'NVIDIA A100' in said


def test_best_of_each_column_is_bold_and_ties_are_both(text):
    page = Page(text)
    row = next(i for i, row in enumerate(page.rows) if row[:2] == ['DE-10', '0.413'])
    assert '0.413' in page.bold[row]
    student = next(i for i, row in enumerate(page.rows) if row[:2] == ['EMUFormer', '0.409'])
    assert '0.409' not in page.bold[student] and '0.570' in page.bold[student]

    columns = (Column('up', 1), Column('down', -1), Column('half', target=0.5), Column('none'))
    rows = [Row(name, '', cells(columns, values)) for name, values in (
        ('a', (0.4001, 0.2, 0.45, 1.0)), ('b', (0.4004, 0.3, 0.56, 2.0)),
        ('c', (None, 0.2, 0.55, 3.0)))]
    rows.append(Row('not ranked', '', cells(columns, (0.9, 0.0, 0.5, 9.0)), ranked=False))
    marked = mark_best(columns, [Block('', tuple(rows))])[0].rows
    # 0.4001 and 0.4004 are displayed alike: neither is ahead. 0.45 and 0.55 are as near to 0.5.
    assert [[cell.best for cell in row.cells] for row in marked] == [
        [False, True, True, False], [False] * 4, [False, True, True, False], [False] * 4]


def test_page_refers_to_nothing_outside_but_the_paper(text):
    page = Page(text)
    outside = [value for value in page.references if not value.startswith('data:image/')]
    assert outside == ['https://arxiv.org/abs/2402.10580']
    assert not {'script', 'link', 'iframe', 'object', 'base'} & set(page.tags)
    style = text[text.index('<style>'):text.index('</style>')]
    assert 'url(' not in style and '@import' not in style
    assert 'svg' not in page.tags, 'a figure is an image: its ids would clash in one page'


def test_every_kind_of_figure_is_drawn(text):
    # A reliability diagram for each of six, coverage, 2x2 sparsification, 2x3 thresholds.
    assert text.count('data:image/svg+xml;base64,') == 6 + 1 + 4 + 6


def test_names_and_commands_are_escaped(text):
    assert 'python -m training.evaluate --method emuformer --out &lt;EMUFormer&gt;.json' in text


@pytest.mark.slow
def test_same_results_give_the_same_page(tmp_path):
    files = write(tmp_path, paper_like()[-2:])
    pages = [report(files, tmp_path / name).read_bytes() for name in ('a.html', 'b.html')]
    assert pages[0] == pages[1]


def test_order_names_where_the_paper_has_it_the_other_way_round(tmp_path):
    results = load(tmp_path, [
        make_result('base', 'baseline', miou=0.40, ece=0.15, rmse=0.60),
        make_result('teacher', 'ensemble', miou=0.45, ece=0.12, rmse=0.61),
        make_result('student', 'emuformer', miou=0.46, ece=0.13, rmse=0.55)])
    by_miou, by_ece, _, by_rmse, _ = orderings(results)
    # The paper: DE .481, EMUFormer .475, Baseline .466.
    assert [name for name, _ in by_miou.entries] == ['student', 'teacher', 'base']
    assert [name for name, _ in by_miou.paper] == ['DE', 'EMUFormer', 'Baseline']
    assert by_miou.differing == (('student', 'teacher', True),)
    assert by_miou.sentence == (
        'By mIoU: student (0.460), teacher (0.450), base (0.400); in the paper: DE (0.481), '
        'EMUFormer (0.475), Baseline (0.466). They differ in 1 of 3 pairs; ahead here: student '
        'of teacher by a gap within noise.')
    assert by_ece.sentence.endswith('(0.151). The same order.')
    # The paper: EMUFormer .514, DE .552, Baseline .558.
    assert by_rmse.differing == (('base', 'teacher', True),)


def test_a_network_that_goes_on_from_others_is_no_baseline_of_the_paper(tmp_path):
    """The default model is trained on, averaged and balanced: its pass is one, its way is not."""
    own = {**make_result('emu_default', 'baseline'), 'made_of': ['averaged', 'start']}
    plain = make_result('SegDepthFormer', 'baseline')
    results = load(tmp_path, [own, plain])
    assert [result.group for result in results] == ['From other networks', 'Baseline']
    blocks = {block.title: [row.name for row in block.rows]
              for block in main_table(results).blocks}
    assert blocks == {'Baseline': ['SegDepthFormer'], 'From other networks': ['emu_default']}
    assert paper_row(results[0]) is None and paper_row(results[1]) is not None


def test_a_tie_is_no_order(tmp_path):
    results = load(tmp_path, [make_result('a', 'baseline', miou=0.4001),
                              make_result('b', 'ensemble', miou=0.4003)])
    order = orderings(results)[0]
    assert order.pairs == 0 and order.sentence == 'By mIoU: a = b (0.400).'


def test_dropout_of_half_is_compared_with_that_of_the_paper(tmp_path):
    documents = [{**make_result(f'mcd {rate}', 'mc_dropout'), 'dropout': rate}
                 for rate in (0.2, 0.5, 0.3)]
    rows = [paper_row(result) for result in load(tmp_path, documents)]
    assert [row and row.group for row in rows] == ['MCD (20%)', 'MCD (50%)', None]


def test_an_uncertainty_that_is_alike_everywhere_has_no_curve_and_does_not_end_the_report(
        tmp_path):
    """At each threshold all pixels are certain or none is: seen on networks hardly trained."""
    document = make_result('flat', 'baseline')
    for task in BOTH:
        curve = document['curves'][task]['threshold']
        half = len(curve['uncertainty']) // 2
        curve['p_uncertain_given_inaccurate'] = [1.0] * half + [0.0] * (
            len(curve['uncertainty']) - half)
    flat, lively = load(tmp_path, [document, make_result('lively', 'emuformer')])
    for name in plots.CERTAINTY_TITLES:
        assert plots.threshold([flat], 'depth', name) is None
        figure = plots.threshold([flat, lively], 'depth', name)
        assert [line.get_label() for line in figure.axes[0].lines] == ['lively']


def test_single_task_leaves_dashes(tmp_path):
    table = main_table(load(tmp_path, [make_result('SegFormer', 'baseline', ('segmentation',))]))
    row = [cell.text for cell in table.blocks[0].rows[0].cells]
    assert row[0] == '0.400' and row[5:9] == ['–'] * 4
    page = Page(report([tmp_path / '0.json'], tmp_path / 'page.html').read_text())
    assert page.row('SegFormer')[6:10] == ['–'] * 4
    assert 'Uncertainty of depth' not in page.texts


def test_a_file_of_required_fields_alone_makes_a_page(tmp_path):
    least = {'format': 1, 'name': 'least', 'method': 'baseline', 'tasks': ['segmentation'],
             'data_set': 'own', 'split': 'test', 'void': 'exclude', 'threshold': 'mean',
             'segmentation': {'miou': None}}
    page = Page(report(write(tmp_path, [least]), tmp_path / 'page.html').read_text())
    assert page.row('least')[1:] == ['–'] * 11
    assert any('The paper has no table for own' in text for text in page.texts)


def test_null_anywhere_is_a_dash(tmp_path):
    document = make_result('x', 'baseline')
    for task in BOTH:
        document[task] = dict.fromkeys(document[task])
        document['curves'][task] = {
            kind: {name: [None] * len(values) for name, values in columns.items()}
            for kind, columns in document['curves'][task].items()}
    document['class_iou'] = [None] * 40
    document['inference_ms'] = document['parameters'] = document['command'] = None
    text = report(write(tmp_path, [document]), tmp_path / 'page.html').read_text()
    assert Page(text).row('x')[1:] == ['–'] * 11
    assert 'data:image/svg' not in text and '>nan<' not in text and '>None<' not in text


def test_trivial_baseline_is_shown_and_never_the_best(tmp_path):
    documents = paper_like()[-2:]
    documents[0]['trivial'] = {'segmentation': {'miou': 0.99}, 'depth': {'rmse': 0.01},
                               'majority_class': 'wall'}
    block = main_table(load(tmp_path, documents)).blocks[-1]
    assert block.title == 'Trivial' and block.rows[0].cells[0].text == '0.990'
    assert not any(cell.best for cell in block.rows[0].cells)


@pytest.mark.parametrize(('field', 'values'), [
    ('data_sha256', ('a', 'b')),
    ('per_image', ([{'stem': '1'}, {'stem': '2'}], [{'stem': '1'}, {'stem': '3'}]))])
def test_rows_of_other_images_of_one_name_are_said_to_be_no_comparison(tmp_path, field, values):
    """val.txt was edited between them: as many images, of one data set and split."""
    documents = [make_result('a', 'baseline'), make_result('b', 'ensemble')]
    assert not any('different images' in text for text in warnings(load(tmp_path, documents)))
    others = [{**document, field: value} for document, value in zip(documents, values)]
    assert any('different images' in text for text in warnings(load(tmp_path, others)))
    same = [{**document, field: values[0]} for document in documents]
    assert not any('different images' in text for text in warnings(load(tmp_path, same)))


def test_what_was_trained_on_the_images_is_said_and_not_ranked(tmp_path):
    """The highest figures of a table were in bold, and of a network that knew the answers."""
    known = {**make_result('knows them', 'baseline', miou=0.9, ece=0.01, rmse=0.1),
             'seen_in_training': True}
    results = load(tmp_path, [known, make_result('a', 'baseline', miou=0.5),
                              make_result('b', 'ensemble', miou=0.4)])
    line, = (text for text in warnings(results) if 'trained on these images' in text)
    assert line.startswith('knows them was trained on')
    for table in (main_table(results), *(table for _, table in further_tables(results)),
                  policy_table(results), paper_table(results, 'NYUv2')):
        rows = [row for block in table.blocks for row in block.rows if 'knows them' in row.name]
        assert rows and not any(cell.best for row in rows for cell in row.cells)
    first, *_ = (row for block in main_table(results).blocks for row in block.rows)
    assert first.name == 'knows them' and 'trained on these images' in first.detail
    assert [name for name, _ in orderings(results)[0].entries] == ['a', 'b']
    assert best(results).label == featured(results).label == 'a'


@pytest.mark.slow
def test_results_of_other_policies_or_images_are_warned_of(tmp_path):
    documents = [make_result('a', 'baseline'), make_result('b', 'ensemble', images=20)]
    documents[1] |= {'void': 'as_inaccurate', 'crop': [45, 471, 41, 601]}
    text = report(write(tmp_path, documents), tmp_path / 'page.html').read_text()
    assert 'different numbers of images (86; 20)' in text
    assert 'different crops (45, 471, 41, 601; whole images)' in text
    assert 'different policies for pixels without label (exclude; as_inaccurate)' in text


def test_same_names_are_told_apart_by_their_files(tmp_path):
    labels = [result.label for result in load(tmp_path, [make_result('x', 'baseline')] * 2)]
    assert labels == ['x (0)', 'x (1)']


def test_numbers_have_no_surprises():
    assert [number(0.3174), number(-0.0001), number(None), number(math.nan), number(17.449, 1)
            ] == ['0.317', '0.000', '–', '–', '17.4']


@pytest.mark.slow
def test_markdown_is_the_main_table(tmp_path):
    documents = [make_result('a|b', 'baseline', miou=0.3), make_result('c', 'ensemble', miou=.4)]
    files = write(tmp_path, documents)
    report(files, tmp_path / 'page.html', markdown=tmp_path / 'table.md')
    text = (tmp_path / 'table.md').read_text()
    assert text == to_markdown(main_table(load_results(files)))
    lines = text.splitlines()
    assert lines[2].startswith('| Baseline | a\\|b | 0.300 |') and '**0.400**' in lines[3]
    # As many cells in each line: a bar within a cell is escaped.
    assert {len(re.findall(r'(?<!\\)\|', line)) for line in lines} == {14}


def test_student_is_in_the_pictures_and_the_highest_miou_is_the_best(tmp_path):
    results = load(tmp_path, paper_like())
    assert featured(results).label == 'EMUFormer' and best(results).label == 'DE-10'


def test_threshold_of_depth_is_drawn_as_sigma(tmp_path):
    result, = load(tmp_path, [make_result('x', 'baseline')])
    figure = plots.threshold([result], 'depth', 'pavpu')
    axes = figure.axes[0]
    variance = result.curve('depth', 'threshold')['uncertainty']
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.sqrt(variance))
    assert axes.get_xlabel().endswith('[m]')


def test_reliability_shows_every_bin_with_its_count(tmp_path):
    result, = load(tmp_path, [make_result('x', 'baseline')])
    above, below = plots.reliability(result).axes
    counts = result.curve('segmentation', 'reliability')['count']
    shares = [bar.get_height() for bar in below.patches]
    np.testing.assert_allclose(shares, 100 * counts / counts.sum())
    assert len(above.patches) == 2 * len(counts)


def test_worst_images_are_the_worst_and_not_among_the_best(tmp_path):
    result, = load(tmp_path, [make_result('x', 'baseline')])
    choices = {choice.heading: [stem for stem, _ in choice.images]
               for choice in choose(result, 2)}
    assert choices == {
        'Best by pixel accuracy': ['005', '004'], 'Worst by pixel accuracy': ['000', '001'],
        'Best by RMSE': ['005', '004'], 'Worst by RMSE': ['000', '001']}
    many = {choice.heading: [stem for stem, _ in choice.images] for choice in choose(result, 5)}
    assert many['Worst by RMSE'] == ['000']


def perfect(folder: DatasetFolder):
    """Return a predict that knows the truth, and counts its calls."""
    calls: list[str] = []

    def predict(document: dict, image: np.ndarray) -> Prediction:
        stem = next(stem for stem in folder.stems('train') + folder.stems('val')
                    if np.array_equal(folder.image(stem), image))
        calls.append(stem)
        example = folder.example(stem)
        shape = image.shape[:2]
        maps = {'label': example.label, 'depth': example.depth,
                'segmentation_entropy': np.full(shape, 0.5, np.float32),
                'confidence': np.ones(shape, np.float32),
                'depth_variance': np.full(shape, 0.04, np.float32)}
        return Prediction(maps, {'segmentation_entropy': 0.5, 'depth_sigma': 0.2}, shape)

    return predict, calls


def made_result(folder: DatasetFolder) -> dict:
    """Return a result on the synthetic data set."""
    document = make_result('x', 'emuformer', data_set='synthetic', classes=3, images=2)
    document['classes'] = list(folder.classes)
    return document


@pytest.mark.slow
def test_pictures_show_image_prediction_truth_and_uncertainty(synthetic, tmp_path):
    folder = DatasetFolder(synthetic)
    predict, calls = perfect(folder)
    text = report(write(tmp_path / 'in', [made_result(folder)]), tmp_path / 'page.html',
                  data=synthetic, images=1, predict=predict).read_text()
    # Best and worst by two criteria, two images in all, each predicted once.
    assert sorted(calls) == ['000', '005']
    assert text.count('data:image/jpeg;base64,') == 4 * 7
    for name in ('image', 'label', 'true label', 'entropy', 'depth', 'true depth', 'sigma'):
        assert text.count(f'<figcaption>{name}</figcaption>') == 4
    assert 'box</span>' in text, 'the legend names the classes that are seen'


def test_pictures_scale_prediction_and_truth_alike(synthetic, tmp_path):
    folder = DatasetFolder(synthetic)
    result, = load(tmp_path / 'in', [made_result(folder)])
    pictures = draw(result, folder, 1, perfect(folder)[0])
    tiles = dict(pictures.tiles['005'])
    assert tiles['depth'].shape == tiles['true depth'].shape == (240, 320, 3)
    np.testing.assert_array_equal(tiles['depth'][0, 0], tiles['true depth'][0, 0])
    assert not tiles['true depth'][-1].any(), 'no truth is black'
    assert pictures.ranges['sigma'] == pytest.approx(0.2)


@pytest.mark.slow
def test_pictures_run_the_first_checkpoint(synthetic, tmp_path, monkeypatch):
    folder = DatasetFolder(synthetic)
    loaded = []

    class Stub:
        metadata = CheckpointMetadata(architecture={'tasks': ['segmentation', 'depth']},
                                      input_size=(96, 128), intrinsics=folder.intrinsics)

        def __call__(self, image: np.ndarray, *, fx: float) -> Prediction:
            assert fx == folder.intrinsics.fx
            return perfect(folder)[0]({}, image)

    def load_stub(path: str, device: str) -> Stub:
        loaded.append((path, device))
        return Stub()

    monkeypatch.setattr('training.reporting.pictures.Predictor.load', load_stub)
    document = made_result(folder)
    checkpoint = tmp_path / 'first.safetensors'
    checkpoint.touch()
    document['checkpoints'] = [str(checkpoint), 'second.safetensors']
    text = report(write(tmp_path / 'in', [document]), tmp_path / 'page.html', data=synthetic,
                  images=1).read_text()
    assert loaded == [(str(checkpoint), 'cpu')] and 'data:image/jpeg' in text


@pytest.mark.slow
def test_without_pictures_the_page_says_why(synthetic, tmp_path):
    files = write(tmp_path / 'in', [made_result(DatasetFolder(synthetic))])
    out = tmp_path / 'page.html'
    assert 'give the data set folder with --data' in report(files, out).read_text()
    assert ('names the checkpoint runs/emuformer/best.safetensors, which is not there'
            in report(files, out, data=synthetic).read_text())


def test_pictures_are_never_of_another_network_than_the_figures(synthetic, tmp_path):
    """Trained on under the same name, its pictures stood beside the figures of before."""
    checkpoint = tmp_path / 'best.safetensors'
    checkpoint.write_bytes(b'as measured')
    result = Result(tmp_path / 'a.json', 'A', made_result(DatasetFolder(synthetic)) | {
        'checkpoints': [str(checkpoint)], 'sha256': [file_hash(checkpoint)]})
    assert missing_checkpoint(result) is None
    checkpoint.write_bytes(b'trained on')
    file, = write(tmp_path / 'in', [result.document])
    text = report([file], tmp_path / 'page.html', data=synthetic).read_text()
    assert f'was measured on another checkpoint than {checkpoint} is now: evaluate' in text


def test_names_that_are_no_utf_8_are_written(synthetic, tmp_path):
    document = made_result(DatasetFolder(synthetic)) | {'checkpoints': ['caf\udce9/a.safetensors']}
    out = report(write(tmp_path / 'in', [document]), tmp_path / 'page.html', data=synthetic)
    assert b'caf\xe9/a.safetensors, which is not there' in out.read_bytes()


def changed(**values: object) -> dict:
    """Return a result with other values; None removes a field."""
    document = {**make_result('x', 'baseline'), **values}
    return {key: value for key, value in document.items() if value is not None}


@pytest.mark.parametrize('document, words', [
    (changed(format=2), "field 'format' is 2, this report reads 1"),
    (changed(format=None), "field 'format' is missing"),
    (changed(miou=1, method=None), "field 'method' is missing"),
    (changed(split=None), "field 'split' is missing"),
    (changed(method='bagging'), "field 'method' is 'bagging': one of baseline, mc_dropout"),
    (changed(tasks=['flow']), "field 'tasks' is ['flow']"),
    (changed(segmentation=None, depth=None), "field 'segmentation' is missing"),
    (changed(segmentation={'miou': 'high'}), "field 'segmentation.miou' is 'high': a number"),
    (changed(depth=[1]), "field 'depth' is [1]: an object is expected"),
    (changed(name=7), "field 'name' is 7: a text is expected"),
    (changed(class_iou=[0.5]), "field 'class_iou' has 1 values for 40 classes"),
    (changed(per_image=[{'rmse': 1}]), "field 'per_image[0]'"),
    (changed(curves={'depth': {'coverage': {'nominal': [0.5], 'observed': []}}}),
     "field 'curves.depth.coverage' has columns of [0, 1] values"),
    (changed(curves={'depth': {'coverage': {'nominal': ['a']}}}),
     "field 'curves.depth.coverage.nominal[0]' is 'a'"),
    (changed(trivial={'depth': 3}), "field 'trivial.depth' is 3: an object is expected"),
    (changed(seeds=[[1]], trained_as='x'), "field 'seeds[0]' is [1]: a whole number is expected"),
    (changed(checkpoints=[3]), "field 'checkpoints[0]' is 3: a text is expected"),
    (changed(classes=[[1]], class_iou=[0.5]), "field 'classes[0]' is [1]: a text is expected"),
    (changed(dropout='x'), "field 'dropout' is 'x': a number or null is expected"),
    (changed(samples=[]), "field 'samples' is []: a whole number is expected"),
    (changed(encoder=[1]), "field 'encoder' is [1]: a text is expected"),
    ([1], 'a JSON object is expected'),
])
def test_wrong_file_is_one_line_that_names_file_and_field(document, words, tmp_path, capsys):
    file, = write(tmp_path, [document])
    assert main([str(file), '--out', str(tmp_path / 'page.html')]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {file}: ') and words in error
    assert error.count('\n') == 1 and not (tmp_path / 'page.html').exists()


def test_a_result_is_not_replaced_by_the_page_that_shows_it(tmp_path, capsys):
    """``emu report run.json --out run.json`` wrote HTML over an evaluation of hours."""
    file, = write(tmp_path, [changed()])
    before = file.read_text()
    for words in (['--out', str(file)], ['--out', str(tmp_path / 'page.html'), '--markdown',
                                         str(file)]):
        assert main([str(file), *words]) == 1
        assert 'that is what it is made of' in capsys.readouterr().err
    assert file.read_text() == before and not (tmp_path / 'page.html').exists()


def test_file_that_is_no_json_or_not_there_is_one_line(tmp_path, capsys):
    wrong = tmp_path / 'wrong.json'
    wrong.write_bytes(b'\xff{')
    for file, words in ((wrong, 'not JSON'), (tmp_path / 'none.json', 'no such file')):
        assert main([str(file), '--out', str(tmp_path / 'page.html')]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f'error: {file}: {words}') and error.count('\n') == 1


@pytest.mark.parametrize('field, value', [('data_set', 'cityscapes'), ('split', 'test')])
def test_results_of_other_data_are_refused_naming_both(field, value, tmp_path, capsys):
    documents = [make_result('a', 'emuformer'), make_result('b', 'baseline')]
    documents[1][field] = value
    first, second = write(tmp_path, documents)
    assert main([str(first), str(second), '--out', str(tmp_path / 'page.html')]) == 1
    error = capsys.readouterr().err
    assert str(first) in error and str(second) in error and value in error


def test_other_classes_of_the_data_set_are_refused(synthetic, tmp_path, capsys):
    folder = DatasetFolder(synthetic)
    document = made_result(folder) | {'classes': ['a', 'b', 'c']}
    document['checkpoints'] = [str(synthetic / 'dataset.yaml')]
    file, = write(tmp_path / 'in', [document])
    assert main([str(file), '--out', str(tmp_path / 'p.html'), '--data', str(synthetic)]) == 1
    assert "field 'classes' has not the classes of" in capsys.readouterr().err


def test_a_network_of_three_tasks_is_reported_by_the_two_that_all_have(tmp_path):
    """Its file, which emu evaluate had written, was refused."""
    file, = write(tmp_path, [changed(tasks=['segmentation', 'depth', 'instance'], name='Three',
                                     instance={'ap': 0.1})])
    result, = load_results([file])
    assert result.tasks == ('segmentation', 'depth') and result.model == 'DeepLab'
    page = report([file], tmp_path / 'page.html').read_text()
    assert 'Three' in page and 'DeepLab' in page


@pytest.mark.slow
def test_command_writes_page_and_table(tmp_path, capsys):
    file, = write(tmp_path, [make_result('x', 'baseline')])
    out, table = tmp_path / 'a/page.html', tmp_path / 'b/table.md'
    assert main([str(file), '--out', str(out), '--title', 'A <title>', '--markdown',
                 str(table)]) == 0
    assert '<h1>A &lt;title&gt;</h1>' in out.read_text() and table.exists()
    assert capsys.readouterr().out == f'wrote {out}\n'


@pytest.mark.slow
def test_page_that_cannot_be_written_is_one_line(tmp_path, capsys):
    file, = write(tmp_path, [make_result('x', 'baseline')])
    assert main([str(file), '--out', str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f'error: {tmp_path}: is a folder; give the name of a file\n')
