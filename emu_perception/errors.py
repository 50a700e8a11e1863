# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Errors whose message is one clear line: what, where, which value, and what to do."""


class EmuError(Exception):
    """Base of every error this package raises on bad input; its text is one line for a user."""


class CheckpointError(EmuError):
    """A checkpoint that cannot be used: the message names the file and the field."""


class InputError(EmuError):
    """An image, intrinsics or option that cannot be used: the message names field and value."""


def kind_and_text(error: BaseException) -> str:
    """Return what an error is and says, on one line: for those that no code foresaw."""
    return f'{type(error).__name__}: {" ".join(str(error).split())}'
