# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of tools/soak.py: what is sampled, sent, judged and drawn."""
