# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs of neighbouring frames, and folds made of whole runs.

Neighbouring frames show the same room: with one of them in the fitted part and one in the measured
part, a constant would be judged on what it was fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
import re

# Frames whose numbers differ by no more are neighbours: every fifth of a video, say.
NEAR_NUMBERS = 10
# A number of so many digits or more is a time: what training.prepare bag calls its frames are
# nanoseconds, and some cameras' milliseconds. Two seconds are near, most digits first.
TIMES = ((16, 2_000_000_000), (13, 2_000))
# Seconds and their fraction, as in TUM's 1305031102.175304.
_SECONDS = re.compile(r'(.*?)(?<!\d)(\d{9,10})[._-](\d{1,9})(\D*)')
# Date and time of the day, as of telephones (IMG_20261129_100058) and loggers; by its last number
# a frame before a full minute is no neighbour of one behind it. A recording's time of start with
# the frame's number behind (rosbag2_2026_11_29-10_00_58_0001) is a number's.
_CLOCK = re.compile(
    r'(.*?)(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\3(\d\d)[-_T .]?(\d\d)([-_.:h]?)(\d\d)'
    r'[-_.:m]?(\d\d)(?:\.(\d{1,9}))?(\D*)')
_NEAR_CLOCK_NS = NEAR_NUMBERS * 1_000_000_000  # Of a second each, with or without a fraction.
# Which camera of a rig a frame is of: 0001_left, right-0001, 0001_cam0, drive_image_02_0000000005.
# What one of them has seen the others have too.
# An image_02 with no number behind is no camera: it is the second image.
_CAMERA = re.compile(r'[-_. ]?(?<![a-z])(?:left|right|l|r|(?:cam|camera|infra)[-_]?\d{1,2}|'
                     r'image_0\d(?=[-_.]\d))(?![a-z0-9])', re.IGNORECASE)
_NUMBER = re.compile(r'(.*?)(\d+)(\D*)')  # The last one: frame-000123.color has its words behind.


@dataclass(frozen=True)
class _Place:
    """
    Where a stem stands in its recording.

    :ivar words: of all its frames: what stands around the number, but for the camera of a rig; of
        a stem without one itself. At the same time it is the same place, whatever the words.
    :ivar near: by how much the numbers of neighbours differ at most.
    """

    words: tuple[str, ...]
    number: int
    near: int
    stem: str


def frame_runs(stems: Sequence[str]) -> list[list[str]]:
    """
    Split stems into runs: the same words, and last numbers that are near one another.

    The cameras of one rig see the same place: their frames of one time, or of one number and words
    that say which of them it is, are one run. A stem without a number is a run of its own.
    """
    runs: list[list[str]] = []
    last: _Place | None = None
    for place in sorted(map(_place, stems), key=lambda place: (place.words, place.number)):
        if last is not None and last.words == place.words \
                and place.number - last.number <= place.near:
            runs[-1].append(place.stem)
        else:
            runs.append([place.stem])
        last = place
    return runs


def _place(stem: str) -> _Place:
    match = _SECONDS.fullmatch(stem)
    if match:
        _, seconds, fraction, _ = match.groups()
        return _Place(('s',), int(seconds + fraction.ljust(9, '0')), TIMES[0][1],
                      stem)
    match = _CLOCK.fullmatch(stem)
    if match:
        _, year, _, month, day, hour, _, minute, second, fraction, _ = match.groups()
        try:
            at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second),
                          tzinfo=timezone.utc)
        except ValueError:
            pass  # The digits are something else.
        else:
            number = int(at.timestamp()) * 10**9 + int((fraction or '').ljust(9, '0'))
            return _Place(('clock',), number, _NEAR_CLOCK_NS, stem)
    of_all_cameras = _CAMERA.sub('', stem) or stem
    # With no other number office_cam_07 is the seventh image, and not of the place of the 70th.
    match = _NUMBER.fullmatch(of_all_cameras) or _NUMBER.fullmatch(stem)
    if not match:
        return _Place((of_all_cameras,), 0, 0, stem)
    before, digits, after = match.groups()
    for least, near in TIMES:
        if len(digits) >= least:
            return _Place((f'{least} digits',), int(digits), near, stem)
    return _Place((before, after), int(digits), NEAR_NUMBERS, stem)


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
