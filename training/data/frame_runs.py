# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs of neighbouring frames, and folds made of whole runs.

Neighbouring frames show the same room: with one of them in the fitted part and one in the measured
part, a constant would be judged on what it was fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
import re

# Frames whose numbers differ by no more are neighbours: every fifth of a video, say.
NEAR_NUMBERS = 10
# Numbers of so many digits are nanoseconds: what training.prepare bag calls its frames.
STAMP_DIGITS = 16
NEAR_NS = 2_000_000_000


def frame_runs(stems: Sequence[str]) -> list[list[str]]:
    """
    Split stems into runs: the same words, and numbers at the end that are near one another.

    A stem without a number at its end is a run of its own.
    """
    keyed = []
    for stem in stems:
        match = re.fullmatch(r'(.*?)(\d+)', stem)
        keyed.append((match[1], match[2], stem) if match else (stem, '', stem))
    runs: list[list[str]] = []
    words, digits = '', ''
    for next_words, next_digits, stem in sorted(keyed, key=lambda key: (key[0],
                                                                        int(key[1] or 0))):
        near = NEAR_NS if len(next_digits) >= STAMP_DIGITS else NEAR_NUMBERS
        if digits and next_digits and words == next_words \
                and int(next_digits) - int(digits) <= near:
            runs[-1].append(stem)
        else:
            runs.append([stem])
        words, digits = next_words, next_digits
    return runs


def folds(runs: Sequence[Sequence[str]], count: int) -> list[list[str]]:
    """
    Deal whole runs out into folds of sizes as equal as they allow; never an empty one.

    :param count: of the folds, if there are as many runs.
    """
    parts: list[list[str]] = [[] for _ in range(min(count, len(runs)))]
    # The longest first, each to the smallest fold.
    for run in sorted(runs, key=len, reverse=True):
        min(parts, key=len).extend(run)
    return parts
