# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of the ruler in docs, made by a command."""

from __future__ import annotations

import cv2
from emu_perception.corruptions import BREAKS, contact_sheet, CORRUPTIONS, FAULTS, MILD
from emu_perception.corruptions.photographs import no_room_files
import numpy as np
import pytest


@pytest.mark.slow
def test_the_sheet_has_a_tile_for_every_kind_and_severity(tmp_path):
    if not no_room_files():
        pytest.skip('scikit-image is not installed: no photographs')
    photograph, out = tmp_path / 'room.png', tmp_path / 'sheet.jpg'
    cv2.imwrite(str(photograph), np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    assert contact_sheet.main(['--image', str(photograph), '--out', str(out)]) == 0
    sheet = cv2.imread(str(out))
    rows = len(CORRUPTIONS) + -(-(len(BREAKS) + len(FAULTS) + len(MILD)) // 5)
    assert sheet.shape[0] == rows * (contact_sheet.TILE[0] + 18)
    assert sheet.shape[1] == 5 * (contact_sheet.TILE[1] + 2)


@pytest.mark.parametrize(('image', 'out', 'words'), [
    ('none.png', 'sheet.jpg', ('none.png', 'no such file')),
    (None, 'sheet.foo', ('sheet.foo',))])
def test_what_cannot_be_drawn_is_one_line(tmp_path, capsys, image, out, words):
    if not no_room_files():
        pytest.skip('scikit-image is not installed: no photographs')
    given = [] if image is None else ['--image', str(tmp_path / image)]
    assert contact_sheet.main([*given, '--out', str(tmp_path / out)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words)
