# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which timm has made a network: part of the key of all that is compiled of it."""

from __future__ import annotations

import sys


def timm_version() -> str:
    """Return timm's version, 'none' where nobody has imported it: then no network is its."""
    timm = sys.modules.get('timm')
    return 'none' if timm is None else str(timm.__version__)
