# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depths in other units than dataset.yaml says are said before a network learns them."""

from __future__ import annotations

import pytest
from small_models import small_recipe
from training.data.dataset_folder import DatasetFolder
from training.data.depth_units import depth_doubt
from training.data.examples import ExampleCache
from training.runs.building import build_network
import yaml


@pytest.mark.parametrize(('metres', 'doubted'), [
    (0.3, False), (2.5, False), (30.0, False), (250.0, False), (2500.0, True), (0.0025, True)])
def test_what_no_camera_sees_on_average_is_doubted(metres, doubted):
    assert ("'depth.scale' is 0.01" in depth_doubt(metres, 0.01)) == doubted


@pytest.mark.parametrize(('scale', 'doubted'), [(0.001, False), (1.0, True)])
def test_a_training_says_it_at_its_start(synthetic, caplog, scale, doubted):
    path = synthetic / 'dataset.yaml'
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), 'depth': {
        'scale': scale, 'invalid': [0]}}))
    folder = DatasetFolder(synthetic)
    build_network(small_recipe(data=str(synthetic)), folder,
                  ExampleCache(folder, folder.stems('train')), folder.classes)
    assert (f'{path}: depths lie around 2' in caplog.text) == doubted
