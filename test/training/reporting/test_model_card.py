# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The card of the model that comes with the package is the one that its file makes."""

from __future__ import annotations

from pathlib import Path

from emu_perception.checkpoint import read_metadata
from training.reporting.model_card import model_card

MODEL = Path(__file__).resolve().parents[3] / 'models/emu_default.safetensors'


def test_the_shipped_card_is_what_emu_ship_writes_of_the_shipped_file():
    """Else it goes on naming commands and lines that the template has given up."""
    path = MODEL.relative_to(MODEL.parents[1])
    assert MODEL.with_suffix('.md').read_text() == model_card(read_metadata(MODEL), path)
