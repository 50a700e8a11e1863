# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics on torchmetrics' base class, from pooled integer counts."""
