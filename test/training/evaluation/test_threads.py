# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One thread for a while, then as many as before, whatever happened."""

from __future__ import annotations

import pytest
import torch
from training.evaluation.threads import one_thread


def test_threads_are_given_back_after_an_error_too():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError), one_thread():
            assert torch.get_num_threads() == 1
            raise ValueError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
