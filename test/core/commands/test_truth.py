# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A data set folder's truth is shown beside the answer, and compared as it is written there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from core_bench import CLASSES
import cv2
from emu_perception.cameras.image_files import ImageFiles
from emu_perception.commands.truth import TruthFolder
from emu_perception.commands.truth_figures import TruthFigures
from emu_perception.errors import InputError
import numpy as np
import pytest
from run_bench import emu_run, FX, HEIGHT, turn_by_exif, WIDTH, write_images
import yaml

NAMES = tuple(f'class {i}' for i in range(CLASSES))
DEPTH = {'scale': 0.001, 'offset': 0.5, 'invalid': [0], 'min': 0.6, 'max': 8.0}


def folder(root: Path, count: int = 2, **changes: object) -> Path:
    """Write a data set folder: label 1 with a corner of ignored ones, depth 2.5 m with holes."""
    for path in write_images(root / 'image', count):
        label = np.full((HEIGHT, WIDTH), 1, np.uint8)
        label[:8, :8] = 77
        depth = np.full((HEIGHT, WIDTH), 2000, np.uint16)
        depth[0], depth[1] = 0, 50  # Invalid; below min.
        for kind, values in (('label', label), ('depth', depth)):
            (root / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(root / kind / path.name), values)
    (root / 'dataset.yaml').write_text(yaml.safe_dump({
        'classes': list(NAMES), 'ignore_index': 77, 'depth': DEPTH, **changes}))
    return root


def test_maps_are_read_as_the_dataset_yaml_says(tmp_path):
    found = TruthFolder.beside(folder(tmp_path), NAMES)
    truth = found.of('frame_8.png')
    assert set(np.unique(truth.label)) == {1, 255} and (truth.label == 255).sum() == 64
    assert np.isnan(truth.depth[:2]).all() and truth.depth[2:].min() == np.float32(2.5)
    assert truth.at((HEIGHT // 2, WIDTH // 2)).depth.shape == (HEIGHT // 2, WIDTH // 2)
    assert found.of('other.png').label is None
    assert TruthFolder.beside(tmp_path / 'image', NAMES) is not None
    assert TruthFolder.beside(tmp_path / 'depth', NAMES) is None


def test_a_map_of_another_size_than_its_image_is_said_and_not_stretched(tmp_path, log):
    found = TruthFolder.beside(folder(tmp_path), NAMES)
    cv2.imwrite(str(tmp_path / 'depth/frame_8.png'), np.full((10, 10), 2000, np.uint16))
    truth = found.of('frame_8.png', (HEIGHT, WIDTH))
    assert truth.depth is None and truth.label.shape == (HEIGHT, WIDTH)
    assert f'frame_8.png: is 10x10, its image {WIDTH}x{HEIGHT}' in log.text


def test_an_image_that_exif_turns_has_a_truth_that_is_not_and_is_not_compared(tmp_path, log):
    found = TruthFolder.beside(folder(tmp_path), NAMES)
    turned = turn_by_exif(tmp_path / 'image/frame_8.png')
    image, = ImageFiles([turned], 10.0).images()
    # Upside down it has the same size, so that nothing else would tell.
    truth = found.of(image.name, image.read().shape[:2], image.apart_from_maps)
    assert truth.label is None and truth.depth is None
    assert 'frame_8.jpg: EXIF orientation 3 turns it' in log.text and 'not compared' in log.text
    upright, = ImageFiles([tmp_path / 'image/frame_9.png'], 10.0).images()
    assert found.of(upright.name, (HEIGHT, WIDTH), upright.apart_from_maps).label is not None


def test_labels_of_other_classes_and_disparities_are_not_compared(tmp_path, log):
    found = TruthFolder.beside(folder(tmp_path, depth={**DEPTH, 'quantity': 'disparity'}),
                               ('floor', 'wall'))
    truth = found.of('frame_8.png')
    assert truth.label is None and truth.depth is None
    assert 'its classes are not those of the checkpoint' in log.text


@pytest.mark.parametrize(('field', 'value', 'words'), [
    ('depth', {'offset': 1.0}, "'depth' is {'offset': 1.0}: give 'scale'"),
    ('depth', {**DEPTH, 'scale': 'x'}, "'depth.scale' is 'x': give a number"),
    ('depth', {**DEPTH, 'offset': float('nan')}, "'depth.offset' is nan: give a number"),
    ('depth', {**DEPTH, 'invalid': 0}, "'depth.invalid' is 0: give a list of stored values"),
    ('depth', {**DEPTH, 'min': 9.0}, 'min must be below max'),
    ('depth', {**DEPTH, 'scales': 1}, "did you mean 'scale'?"),
    ('ignore_index', 0.5, "'ignore_index' is 0.5: give a whole number")])
def test_a_dataset_yaml_that_cannot_be_used_is_named(tmp_path, field, value, words):
    with pytest.raises(InputError) as error:
        TruthFolder.beside(folder(tmp_path, **{field: value}), NAMES)
    assert f"dataset.yaml: field '{field}'" in str(error.value) and words in str(error.value)


def test_what_training_takes_as_given_may_be_left_out_of_dataset_yaml_here_too(tmp_path):
    truth = TruthFolder.beside(folder(tmp_path, depth={'scale': 0.001, 'max': float('inf')}),
                               NAMES).of('frame_8.png')
    # 0 is no metres: above min, which is 0.
    assert np.isnan(truth.depth[0]).all() and (truth.depth[1] == np.float32(0.05)).all()
    assert (truth.depth[2:] == np.float32(2.0)).all()


@pytest.mark.parametrize(('field', 'value'), [
    ('classes', 5), ('depth', 5), ('classes', 'wall'), ('ignore_index', 'none')])
def test_a_field_that_is_no_list_or_section_is_named_in_one_line(tmp_path, field, value):
    with pytest.raises(InputError, match=f"dataset.yaml: field '{field}' is {value!r}: give"):
        TruthFolder.beside(folder(tmp_path, **{field: value}), NAMES)


def test_figures_are_those_counted_by_hand():
    """Two pixels of class 0 (one right), two of class 1 (both right), depths 2 for 1, 2, NaN."""
    figures = TruthFigures(3)
    figures.add(SimpleNamespace(
        truth=SimpleNamespace(label=np.array([[0, 0, 1, 1, 255]], np.uint8),
                              depth=np.array([[1.0, 2.0, 2.0, np.nan, 4.0]])),
        prediction=SimpleNamespace(
            label=np.array([[0, 1, 1, 1, 1]], np.uint8),
            depth=np.array([[2.0, 2.0, np.inf, 9.0, 3.5]]),
            depth_sigma=np.array([[0.5, 0.1, 0.1, 0.1, 0.4]]), depth_source=None),
        camera='known'))
    found = figures.summary()
    assert found.images == 1
    assert found.miou == pytest.approx((1 / 2 + 2 / 3) / 2) and found.pixel_accuracy == 0.75
    assert found.abs_rel == pytest.approx((1.0 + 0.0 + 0.125) / 3)
    assert found.rmse_m == pytest.approx(((1.0 + 0.25) / 3) ** 0.5)
    assert found.delta1 == pytest.approx(2 / 3)  # 1.14 is within 1.25, 2 is not.
    # Of errors 1, 0, 0.5 the first is beyond 1.645 * 0.5.
    assert found.coverage_90 == pytest.approx(2 / 3) and found.depth_known == 0.75


@pytest.mark.parametrize('hidden', [[], [3]])
def test_a_truth_that_is_the_depth_hint_too_measures_only_what_the_hint_does_not_see(hidden):
    """Else a data set folder whose depth is given as the hint is told to be without an error."""
    source = np.full((1, 4), 2, np.uint8)
    source[0, hidden] = 1
    truth = np.array([[1.0, 2.0, np.nan, 4.0]], np.float32)
    depth = np.where(source == 2, truth, np.float32(3.0))
    figures = TruthFigures(3)
    figures.add(SimpleNamespace(
        truth=SimpleNamespace(label=None, depth=truth), camera='known',
        prediction=SimpleNamespace(label=None, depth=depth, depth_source=source,
                                   depth_sigma=np.full((1, 4), 0.1, np.float32))))
    found = figures.summary()
    assert found.told == pytest.approx(2 / 3 if hidden else 1.0)
    assert found.rmse_m == (pytest.approx(1.0) if hidden else None)
    assert 'the depth hint is the truth itself' in found.lines[-1]


def test_nothing_compared_is_said_and_no_figure_is_made_up():
    assert TruthFigures(3).summary().lines == [
        'against the truth beside the images: nothing could be compared']


@pytest.mark.slow
def test_predict_compares_prints_and_shows_it(tmp_path, checkpoint, capsys):
    source = folder(tmp_path / 'set')
    assert emu_run(source, tmp_path / 'out', checkpoint, '--fx', str(FX)) == 0
    assert 'against the truth of 2 images' in capsys.readouterr().out
    summary = json.loads((tmp_path / 'out/summary.json').read_text())['truth']
    assert summary['images'] == 2 and summary['miou'] is not None
    assert 0.0 <= summary['coverage_90'] <= 1.0
    with_truth = cv2.imread(str(next((tmp_path / 'out/panels').iterdir())))
    # Without a focal length there are no metres to compare, but labels.
    assert emu_run(source, tmp_path / 'unknown', checkpoint) == 0
    summary = json.loads((tmp_path / 'unknown/summary.json').read_text())['truth']
    assert summary['abs_rel'] is None and summary['miou'] is not None
    # Three tiles more: true labels, true depth, its error.
    assert emu_run(source / 'image' / 'frame_8.png', tmp_path / 'one', checkpoint) == 0
    alone = cv2.imread(str(next((tmp_path / 'one/panels').iterdir())))
    assert with_truth.shape[0] > alone.shape[0]
