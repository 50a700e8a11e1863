# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The node's parameters as a page, made of the table that declares them.

``PYTHONPATH=. python test/ros/parameter_table.py`` writes ``docs/parameters.md``;
``test_parameter_table.py`` holds it to the table.
"""

from __future__ import annotations

from pathlib import Path
import re
import sys

from emu_perception.ros.parameter_rows import CONFIGURE, LIVE, START, SWAP
from emu_perception.ros.parameters import TABLE
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / 'docs/parameters.md'
# What a reader looks for, by its first parameter in config/emu.yaml, whose order the page has.
_SECTIONS = {'autostart': 'Start and network', 'transport': 'The camera',
             'depth_hint': 'A depth camera, or the ground, joined in',
             'depth_encoding': 'What maps say',
             'risk_threshold_segmentation': 'The flag', 'gate': 'What planners eat',
             'max_rate_hz': 'How often', 'consumer_timeout_s': 'Diagnostics and colours'}
_CHANGES = {LIVE: 'live', SWAP: 'swap', CONFIGURE: 'configure', START: 'start'}
_HEAD = """\
# Parameters of the node
Written by `PYTHONPATH=. python test/ros/parameter_table.py` from the table that declares them
(`emu_perception/ros/parameters.py`); `ros2 param describe /emu NAME` says the same of a running
node, [config/emu.yaml](../config/emu.yaml) is the file to copy. When a new value is applied:

"""


def page() -> str:
    """Return the page."""
    lines = [f'- **{_CHANGES[change]}**: {change}' for change in (LIVE, SWAP, CONFIGURE, START)]
    rows: list[str] = []
    for name in yaml.safe_load((ROOT / 'config/emu.yaml').read_text())['/**']['ros__parameters']:
        entry = TABLE[name]
        if name in _SECTIONS:
            rows += ['', f'## {_SECTIONS[name]}', '',
                     '| parameter | default | must be | applied | what it is |',
                     '|---|---|---|---|---|']
        default = '""' if entry.default == '' else str(entry.default)
        default = default.lower() if isinstance(entry.default, bool) else default
        cells = (f'`{name}`', f'`{default}`', entry.rule.wanted, _CHANGES[entry.change],
                 # A topic's name is code: ~ would strike text through.
                 re.sub(r'(~/[\w/.]*\w(/\.\.\.)?)', r'`\1`', entry.description))
        rows.append('| ' + ' | '.join(
            cell.replace('|', r'\|').replace('<', '&lt;') for cell in cells) + ' |')
    return _HEAD + '\n'.join([*lines, *rows, ''])


if __name__ == '__main__':
    FILE.write_text(page())
    sys.exit(0)
