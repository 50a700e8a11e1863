# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A recording has the promised maps that are asked for, of images that are believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emu_perception.checkpoint import (
    load_checkpoint,
    Promise,
    PromiseLevel,
    save_checkpoint,
)
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from run_bench import emu_run, pixels, read_bag, scene, write_images

BOTH = ('depth/interval', 'label_set_size')
FX = 518.9 / 640 * 128  # The training camera's view, of images of 128 pixels.


@pytest.fixture
def promising(checkpoint: Path) -> Path:
    """Return a checkpoint with promises at 0.8 and 0.9 that believes every image."""
    network, metadata = load_checkpoint(checkpoint)
    classes = float(len(metadata.classes))
    promises = {
        'depth_interval': Promise((PromiseLevel(0.8, (1.0, 1.5), True),
                                   PromiseLevel(0.9, (2.0, 3.0), True)), 15),
        'label_set_size': Promise((PromiseLevel(0.9, (1.5, classes), True),), 15)}
    save_checkpoint(checkpoint, network, replace(metadata, calibration=replace(
        metadata.calibration, scores={}, promises=promises)))
    return checkpoint


def recorded(tmp_path: Path, checkpoint: Path, *options: str) -> dict:
    """Run over two images and read the recording."""
    write_images(tmp_path / 'in', 2)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--mcap', *options) == 0
    return read_bag(tmp_path / 'out/recording')


def test_they_are_those_of_python_where_they_are_asked_for(tmp_path, promising):
    found = recorded(tmp_path, promising, '--fx', str(FX), '--topics', *BOTH)
    for index in range(2):
        expected = Predictor.load(promising, 'cpu')(scene(index), fx=FX)
        intervals, sizes = (found[f'/emu/{name}'][index][1] for name in BOTH)
        assert (intervals.encoding, sizes.encoding) == ('32FC2', 'mono8')
        np.testing.assert_array_equal(pixels(intervals), expected.depth_interval(0.9))
        np.testing.assert_array_equal(pixels(sizes), expected.label_set_size(0.9))
    assert '/emu/label' not in found


def test_a_level_that_one_map_was_not_fitted_for_leaves_it_out_and_is_said(
        tmp_path, promising, capsys):
    found = recorded(tmp_path, promising, '--fx', str(FX), '--topics', 'all',
                     '--promise-level', '0.8')
    assert len(found['/emu/depth/interval']) == 2 and '/emu/label_set_size' not in found
    said = capsys.readouterr().err
    assert said.count('no label_set_size is recorded: --promise-level is 0.8') == 1


@pytest.mark.parametrize('camera, words', [
    (('--fx', str(2 * FX)), 'the focal length is 2.00 times'),
    (('--fx', str(FX), '--risk-threshold-segmentation', '1e-6'), '')])
def test_of_another_camera_or_an_image_that_is_not_believed_there_is_none(
        tmp_path, promising, capsys, camera, words):
    found = recorded(tmp_path, promising, *camera, '--topics', 'label', *BOTH)
    assert len(found['/emu/label']) == 2
    assert not {f'/emu/{name}' for name in BOTH} & set(found)
    said = capsys.readouterr().err
    # Each map that is missing is named, and once.
    assert [said.count(f'no {name} is recorded: {words}') for name in BOTH] == [bool(words)] * 2


@pytest.mark.parametrize('options, words', [
    (('--promise-level', '0.95'), '--promise-level is 0.95: the checkpoint has 0.8, 0.9'),
    (('--promise-level', '2'), 'argument --promise-level'), ((), ''),
    (('--topics', 'label', '--promise-level', '0.9'), '--topics names none')])
def test_what_the_checkpoint_does_not_promise_is_one_line_before_anything_is_written(
        tmp_path, promising, network, metadata, capsys, options, words):
    write_images(tmp_path / 'in', 1)
    if not words:
        save_checkpoint(promising, network, metadata)
        words = '--topics label_set_size: the checkpoint promises no label set size'
    try:
        code = emu_run(tmp_path / 'in', tmp_path / 'out', promising, '--fx', str(FX), '--mcap',
                       '--topics', 'label_set_size', *options)
    except SystemExit as end:
        code = end.code
    assert code and words in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_that_no_image_was_believed_is_said_where_promised_maps_were_asked_for(
        tmp_path, promising, capsys):
    """A recording without what was asked for is no answer: why is."""
    found = recorded(tmp_path, promising, '--topics', *BOTH)  # Without a focal length.
    assert not {f'/emu/{name}' for name in BOTH} & found.keys()
    said, = [line for line in capsys.readouterr().err.splitlines() if 'has nothing of' in line]
    assert 'depth/interval, label_set_size' in said and 'frames.csv' in said
