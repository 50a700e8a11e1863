# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What runs a network: ``registry.py`` has a record of each."""

from emu_perception.backends.base import Backend
from emu_perception.backends.registry import BACKENDS, is_installed, make_backend
from emu_perception.backends.request import BackendOptions, Request

__all__ = ['Backend', 'BackendOptions', 'BACKENDS', 'is_installed', 'make_backend', 'Request']
