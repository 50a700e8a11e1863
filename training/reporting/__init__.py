# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the report: results, tables, ordering, plots, pictures, page."""
