# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the methods."""

from __future__ import annotations

from small_models import saved  # noqa: F401
