# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the tools that draw the documents' pictures share."""
