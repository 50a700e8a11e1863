# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What commands tell people: the report of results, the studies' figures, the model card."""
