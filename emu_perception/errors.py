# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Errors whose message is one clear line: what, where, which value, and what to do."""

from __future__ import annotations

import sys

# cudaErrorMemoryAllocation, as torch's AcceleratorError carries it.
_CUDA_NO_MEMORY = 2


class EmuError(Exception):
    """Base of every error this package raises on bad input; its text is one line for a user."""


class CheckpointError(EmuError):
    """A checkpoint that cannot be used: the message names the file and the field."""


class ForeignFileError(CheckpointError):
    """A file of weights that is whole, but none of this package's: it has no document."""


class InputError(EmuError):
    """An image, intrinsics or option that cannot be used: the message names field and value."""


def text_of(error: BaseException) -> str:
    """Return what an error says, on one line; its kind where it says nothing."""
    return ' '.join(str(error).split()) or type(error).__name__


def kind_and_text(error: BaseException) -> str:
    """Return what an error is and says, on one line: for those that no code foresaw."""
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def is_out_of_memory(error: BaseException) -> bool:
    """
    Tell by its type whether an error is a GPU's memory running out.

    Where torch is not loaded nobody has taken any, and torch is not loaded for the question.
    """
    torch = sys.modules.get('torch')
    if torch is None:
        return False
    if isinstance(error, torch.cuda.OutOfMemoryError):  # From torch's own allocator.
        return True
    # From CUDA itself, as for pinned memory; a torch before 2.8 has no type for it.
    kind = getattr(torch, 'AcceleratorError', None)
    return (kind is not None and isinstance(error, kind)
            and getattr(error, 'error_code', None) == _CUDA_NO_MEMORY)
