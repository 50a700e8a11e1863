# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of an image that cannot be used or served: counted, said, and the flag raised."""

from __future__ import annotations

import traceback

from emu_perception.errors import is_out_of_memory, kind_and_text
from emu_perception.risk import RiskReason
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.predictor_pool import empty_cuda_cache
from emu_perception.ros.risk_publisher import RiskPublisher
from std_msgs.msg import Header

_LOG_EVERY_S = 5.0


class Faults:
    """May be called from any thread."""

    def __init__(self, risk: RiskPublisher, statistics: Statistics, log: QuietLog) -> None:
        """Take whom to tell."""
        self._risk, self._statistics, self._log = risk, statistics, log

    def report(self, session: int, header: Header, reason: RiskReason, text: str) -> None:
        """Raise the flag for an image of a session, unless that has ended meanwhile."""
        if not self._risk.is_current(session):
            # The topics may be gone already: no fault of anybody.
            self.ended()
            return
        self._risk.fault(session, reason, text, header)
        self.count(reason.value, text)

    def failure(self, session: int, header: Header, error: Exception) -> None:
        """Report what no code foresaw; one line of text."""
        text = kind_and_text(error)
        if not is_out_of_memory(error):
            self.report(session, header, RiskReason.FAILURE, text)
            return
        # First of all the flag: making room may fail as well.
        self.report(session, header, RiskReason.FAILURE,
                    f'out of GPU memory, going on with the next image ({text})')
        # The frames of the network's layers hold on to its maps until they are cleared.
        traceback.clear_frames(error.__traceback__)
        try:
            empty_cuda_cache()
        except Exception as second:  # CUDA itself may be broken.
            self._statistics.failed(kind_and_text(second))

    def count(self, cause: str, text: str) -> None:
        """Count and say a drop that has raised the flag already."""
        self._statistics.dropped(cause, text)
        self._log.every(_LOG_EVERY_S, cause, f'image dropped ({cause}): {text}')

    def ended(self) -> None:
        """Count an image whose session ended while it was in work."""
        self._statistics.dropped('deactivated')
