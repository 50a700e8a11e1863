# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The table of what recipes cost is that of its result file, and stands in its own place."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
from types import ModuleType

from emu_perception.errors import InputError
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    """Return tools/recipe_costs.py, which is a program."""
    spec = spec_from_file_location('recipe_costs', ROOT / 'tools/recipe_costs.py')
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_the_result_file(tool):
    page = (ROOT / 'docs/speed.md').read_text()
    result = json.loads((ROOT / 'results/speed/cpu_vit.json').read_text())
    assert tool.with_table(page, result) == page
    assert set(result['recipes']) == {'dinov2_small', 'dinov3_small'} and result['command']


def test_what_is_not_timed_is_said_so_and_a_page_without_a_place_is_refused(tool):
    row = {'encoder': 'x', 'head_dim': 8, 'size': [64, 96], 'parameters_m': 1.0, 'gmac': 2.0,
           'gmac_with_attention': 3.0, 'peak_memory_mb': {'eager': 1500.0}, 'images_per_s': {}}
    assert '| `a`, 64x96 | 1.0 M | 2.0, 3.0 | 1.50 GB, not taken yet |' in tool.table(
        {'recipes': {'a': row}})
    timed = {**row, 'images_per_s': {'eager': 4.567}}
    assert tool.table({'recipes': {'a': timed}}).endswith('1.50 GB, 4.57 |')
    with pytest.raises(InputError, match='add them'):
        tool.with_table('a page', {'recipes': {'a': row}})
