# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is deprecated and used by us fails a test; what others use is theirs to mend."""

from __future__ import annotations

import warnings

import pytest


@pytest.mark.parametrize('kind', [DeprecationWarning, PendingDeprecationWarning, FutureWarning])
def test_a_deprecated_call_of_ours_is_an_error(kind):
    for module in ('emu_perception', 'emu_perception.ros.node', 'training.fit'):
        with pytest.raises(kind):
            warnings.warn_explicit('old', kind, 'file.py', 1, module=module)
    with pytest.warns(kind):
        warnings.warn_explicit('old', kind, 'file.py', 1, module='trainings.of_others')
