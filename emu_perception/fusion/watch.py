# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether the network's metres and intervals still hold, by what a depth camera tells.

Two running means of the log ratio of sensor and network, a quick one for what is grossly off and a
slow one for what is a little, and one of the share of sensor depths inside the 90 % intervals. An
image weighs by the time since the last one: thirty a second of one room say no more than one.
The limits: on NYUv2's val, whose rooms are off by .09 and images of a room by .10 more, none of
60 walks of 1000 images through changing rooms passed them; what is off by 1.5 did within 10
images, what is off by 1.2 within 60 (``training.studies.fusion_stream``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from emu_perception.normal_distribution import Z90
import numpy as np

COVERED = 0.9
# Weight of an image at most, and seconds over which as much time weighs one.
_QUICK, _QUICK_S = 0.2, 2.0
_SLOW, _SLOW_S = 0.03, 300.0
_QUICK_LIMIT, _SLOW_LIMIT = 0.25, 0.12  # Of the log ratio.
_LEAST_COVERED = 0.80
# Of the way back to what is expected, for it to hold again.
_BACK = 0.8
_LARGEST_WIDENING = 10.0


@dataclass(frozen=True)
class CalibrationWatch:
    """
    What has been seen until now; each image gives another.

    :ivar quick: running mean of log(sensor / network); ``slow`` likewise.
    :ivar covered: running share of the sensor's depths inside the 90 % intervals.
    :ivar widening: what sigma is to be multiplied by so that they hold 90 %; never below 1.
    :ivar problem: in one line what does not hold; '' where all does.
    """

    quick: float = 0.0
    slow: float = 0.0
    covered: float = COVERED
    widening: float = 1.0
    problem: str = ''

    def after(self, log_ratio: np.ndarray, relative: np.ndarray, seconds: float
              ) -> CalibrationWatch:
        """
        Return the watch after an image with a hint.

        :param log_ratio: log(sensor / network) of the cells that both see, [n].
        :param relative: sigma / depth of the network there, [n], not widened.
        :param seconds: since the last such image; infinite for the first.
        """
        if not len(log_ratio):
            return self
        middle = float(np.median(log_ratio))
        error = np.abs(np.expm1(log_ratio))
        held = float((error <= Z90 * relative).mean())
        wide = float((error <= Z90 * relative * self.widening).mean())
        quick, slow = min(_QUICK, seconds / _QUICK_S), min(_SLOW, seconds / _SLOW_S)
        widening = self.widening * math.exp(quick * (COVERED - wide))
        found = replace(
            self, quick=self.quick + quick * (middle - self.quick),
            slow=self.slow + slow * (middle - self.slow),
            covered=self.covered + slow * (held - self.covered),
            widening=min(max(widening, 1.0), _LARGEST_WIDENING))
        return replace(found, problem=found._judged(bool(self.problem)))

    def _judged(self, raised: bool) -> str:
        """Say what does not hold; what was said is taken back only well inside the limits."""
        share = _BACK if raised else 1.0
        problems = []
        _, mean, limit = max((abs(mean) / limit, mean, limit) for mean, limit in (
            (self.quick, _QUICK_LIMIT), (self.slow, _SLOW_LIMIT)))
        if abs(mean) > share * limit:
            problems.append(f'the depth camera sees {math.exp(mean):.2f} of the metres that the '
                            'network says')
        if self.covered < COVERED - share * (COVERED - _LEAST_COVERED):
            problems.append(f'{100 * self.covered:.0f} % of its depths lie inside the 90 % '
                            'intervals')
        return '; '.join(problems)
