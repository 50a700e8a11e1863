# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""When the stages of one image began, and the times that /diagnostics makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """
    One image on its way to the topics; moments are seconds of the steady clock.

    :ivar received_s: it arrived.
    :ivar turn_s: it arrived or, where that was later, the network was free for it.
    :ivar started_s: the work on it began.
    :ivar converted_s: its pixels were there.
    :ivar predicted_s: the prediction was there.
    :ivar flagged_s: the risk flag was out; the maps wait for their thread from here on.
    :ivar predictor_ms: the stages of the Predictor, by name.
    """

    received_s: float
    turn_s: float
    started_s: float
    converted_s: float
    predicted_s: float
    flagged_s: float
    predictor_ms: Mapping[str, float]

    def published(self, begun_s: float, done_s: float) -> dict[str, float]:
        """
        Return the time of each stage in milliseconds, by its name in /diagnostics.

        :param begun_s: when publishing began.
        :param done_s: when the last message was out.
        """
        return {
            'waiting_time_ms': (self.started_s - self.received_s) * 1e3,
            'conversion_time_ms': (self.converted_s - self.started_s) * 1e3,
            'prediction_time_ms': (self.predicted_s - self.converted_s) * 1e3,
            **{f'{stage}_time_ms': ms for stage, ms in self.predictor_ms.items()},
            'risk_time_ms': (self.flagged_s - self.predicted_s) * 1e3,
            'handover_time_ms': (begun_s - self.flagged_s) * 1e3,
            'publish_time_ms': (done_s - begun_s) * 1e3,
            'processing_time_ms': (done_s - self.started_s) * 1e3,
            # The node's own share of the latency: what is neither Predictor nor its queue.
            'overhead_time_ms': (done_s - self.turn_s) * 1e3 - sum(self.predictor_ms.values())}
