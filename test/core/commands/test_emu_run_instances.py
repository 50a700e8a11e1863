# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint that finds instances: its map is in the recording, the maps and the panels."""

from __future__ import annotations

import cv2
from deeplab_bench import deeplab_document, small_deeplab
from emu_perception.checkpoint import save_checkpoint
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from run_bench import emu_run, FX, HEIGHT, pixels, read_bag, scene, stamp_ns, WIDTH, write_images


@pytest.mark.slow
def test_instances_are_recorded_and_shown_as_the_predictor_finds_them(tmp_path, monkeypatch):
    network = small_deeplab()
    save_checkpoint(tmp_path / 'a.safetensors', network, deeplab_document(network))
    # Random weights agree on no centre: what is found is drawn, what is done with it is real.
    drawn = np.zeros(deeplab_document(network).input_size, np.uint16)
    drawn[10:30, 10:50], drawn[10:30, 50:80] = 1, 700
    monkeypatch.setattr('emu_perception.backends.base.cluster_instances', lambda *_: drawn)
    write_images(tmp_path / 'in', 2)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', tmp_path / 'a.safetensors', '--mcap',
                   '--maps', '--fx', str(FX)) == 0
    recorded = read_bag(tmp_path / 'out/recording')
    predictor = Predictor.load(tmp_path / 'a.safetensors', 'cpu')
    for index in range(2):
        expected = predictor(scene(index), fx=FX).instance
        assert expected.shape == (HEIGHT, WIDTH) and set(expected.flat) == {0, 1, 700}
        _, message = recorded['/emu/instance'][index]
        assert message.encoding == '16UC1'
        assert stamp_ns(message) == stamp_ns(recorded['/emu/label'][index][1])
        np.testing.assert_array_equal(pixels(message), expected)
        with np.load(next((tmp_path / 'out/maps').glob(f'{index:06d}_*'))) as maps:
            np.testing.assert_array_equal(maps['instance'], expected)
    panel = cv2.imread(str(next((tmp_path / 'out/panels').iterdir())))
    assert panel.shape[0] == 3 * (360 + 26), 'with instances there are seven tiles in three rows'


def test_a_checkpoint_without_the_task_records_no_instances(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 1)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--mcap', '--maps') == 0
    assert '/emu/instance' not in read_bag(tmp_path / 'out/recording')
    with np.load(next((tmp_path / 'out/maps').iterdir())) as maps:
        assert 'label' in maps and 'instance' not in maps
