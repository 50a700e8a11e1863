# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``from emu_perception import train``: to its end, in few words."""

from __future__ import annotations

import logging

from emu_perception import Predictor, train
import lightning.pytorch
import pytest
from synthetic_data import make_dataset

LIGHTNING = logging.getLogger(lightning.pytorch.__name__)


@pytest.mark.slow
def test_it_trains_to_the_end_without_advertisements(tmp_path, caplog, capsys, monkeypatch):
    """Lightning's hints for other products stood there, "Epoch 0/0", and ``v_num: t_0_``."""
    monkeypatch.chdir(tmp_path)
    folder = make_dataset(tmp_path / 'data')
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text('method: baseline\nnetwork: {encoder: resnet10t, head_dim: 32}\n'
                      'name: mine\n')
    caplog.set_level(logging.INFO)
    before = LIGHTNING.level
    best = train(folder, recipe, epochs=1, input_size=[96, 128], batch_size=4)
    assert best.name == 'best.safetensors' and best.is_file()
    assert Predictor.load(best, device='cpu').metadata.provenance is not None
    assert LIGHTNING.level == before
    assert not [record.message for record in caplog.records
                if record.name.startswith('lightning') and record.levelno < logging.WARNING]
    shown = capsys.readouterr().out
    assert 'Epoch 1/1' in shown and 'v_num' not in shown
