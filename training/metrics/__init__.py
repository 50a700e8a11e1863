# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Streaming metrics on torchmetrics' base class, from integers only: order cannot matter."""
