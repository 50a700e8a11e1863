# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depths of a data set whose camera is not known are never taken for metres in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emu_perception.checkpoint import load_checkpoint, save_checkpoint
import pytest
from small_models import small_recipe
from training import calibrate, evaluate
from training.data.dataset_folder import DatasetFolder
from training.prepare.problems import inspect
from training.runs.building import check_tasks
import yaml


@pytest.fixture
def unknown(synthetic: Path) -> Path:
    """Return a data set folder whose dataset.yaml says nothing of the camera."""
    file = synthetic / 'dataset.yaml'
    document = yaml.safe_load(file.read_text())
    del document['intrinsics']
    file.write_text(yaml.safe_dump(document))
    return synthetic


def warned(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [one.getMessage() for one in caplog.records if words in one.getMessage()]


@pytest.mark.parametrize('command', [calibrate, evaluate])
def test_images_that_are_taken_for_the_training_camera_s_are_said_to_be_once(
        saved, unknown, caplog, command):
    assert command.main(['--checkpoint', str(saved()), '--data', str(unknown), '--device', 'cpu',
                         '--no-progress']) == 0
    line, = warned(caplog, 'dataset.yaml')
    assert str(unknown) in line and "'intrinsics' is missing" in line
    assert 'fx 80 of 96 pixels' in line and '{width, height, fx, fy, cx, cy}' in line


@pytest.mark.parametrize('tasks, intrinsics, words', [
    (('segmentation', 'depth'), None, 'holds no training intrinsics'),
    (('segmentation',), 'its own', '')])
def test_it_is_said_of_depths_alone_and_of_a_checkpoint_without_a_camera_too(
        saved, unknown, caplog, tasks, intrinsics, words):
    path = saved(tasks=tasks)
    if intrinsics is None:
        network, metadata = load_checkpoint(path)
        save_checkpoint(path, network, replace(metadata, name=str(path), intrinsics=None))
    assert evaluate.main(['--checkpoint', str(path), '--data', str(unknown), '--device', 'cpu',
                          '--no-progress']) == 0
    assert len(warned(caplog, 'intrinsics')) == bool(words)
    assert not words or words in warned(caplog, 'intrinsics')[0]


def test_what_is_to_learn_depths_of_no_camera_is_said_before_it_does(unknown, caplog):
    folder = DatasetFolder(unknown)
    check_tasks(small_recipe(data=str(unknown)), folder)
    line, = warned(caplog, 'intrinsics')
    assert 'a robot gets no metres of it' in line and str(unknown) in line
    note, = (one for one in inspect(folder)[0] if 'intrinsics' in one.text)
    assert note.note
