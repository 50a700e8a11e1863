# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Maps become messages on a thread of their own, while the network runs on the next image.

The risk flag does not come this way: it goes out from the network's thread, before its maps do.
"""

from __future__ import annotations

from dataclasses import dataclass
import time

from emu_perception.freshness import SAME_CLOCK_WITHIN_S
from emu_perception.prediction import Prediction
from emu_perception.risk import RiskState
from emu_perception.ros.faults import Faults
from emu_perception.ros.gate import Gate
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.map_messages import Frame
from emu_perception.ros.map_publishers import MapPublishers, MapsOut
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.parameters import Settings
from emu_perception.ros.planner.source import NotAskedForError
from emu_perception.ros.risk_publisher import RiskPublisher
from emu_perception.ros.stamps import stamp_age_s
from emu_perception.ros.timings import Timings
from emu_perception.ros.worker import Worker
from rclpy.node import Node

_LOG_EVERY_S = 5.0


@dataclass(frozen=True)
class MapSet:
    """
    What one image has given, on its way to the topics.

    :ivar maps: the topics, in the colours of the model that made these maps.
    :ivar due: whether they are to be published; of others the flag alone was.
    """

    session: int
    frame: Frame
    prediction: Prediction
    state: RiskState
    settings: Settings
    maps: MapPublishers
    timings: Timings
    due: bool = True


class PublishingThread:
    """One thread, with room for one set of maps: a newer one replaces it, which is counted."""

    def __init__(self, node: Node, risk: RiskPublisher, statistics: Statistics, faults: Faults,
                 log: QuietLog) -> None:
        """Start the thread."""
        self._node, self._risk, self._log = node, risk, log
        self._statistics, self._faults = statistics, faults
        self._worker: Worker[MapSet] = Worker(
            self._process, name='emu_publishing', on_stopped=lambda: None,
            on_error=lambda error: statistics.failed(f'publishing: {type(error).__name__}'))

    def offer(self, maps: MapSet) -> None:
        """
        Publish this set if it is due, unless a newer one comes before its turn. Never blocks.

        The flag of its image has just gone out: what that took since the image was taken (or,
        where that is not known, since it arrived) is counted here.
        """
        age_s = stamp_age_s(self._node, maps.frame.header.stamp)
        waited_s = maps.timings.flagged_s - maps.timings.received_s
        if age_s is None or abs(age_s) > SAME_CLOCK_WITHIN_S:
            age_s = waited_s
        self._statistics.flagged(maps.timings.flagged_s, max(age_s, waited_s))
        if not maps.due:
            # Not through the mailbox: it would push out maps that wait there and are due.
            self._done(maps, time.monotonic())
            return
        if self._worker.offer(maps) is not None:
            self._statistics.dropped('publishing_behind')

    def clear(self) -> None:
        """Drop the set that waits, because its session has ended."""
        if self._worker.clear() is not None:
            self._faults.ended()

    def stop(self) -> None:
        """Have the thread end after the set in work. Returns at once."""
        self._worker.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; return whether it has ended."""
        return self._worker.join(timeout_s)

    def _process(self, maps: MapSet) -> None:
        begun = time.monotonic()
        self._statistics.work_begins(begun, 'publishing')
        try:
            out = maps.maps.publish(
                maps.frame, maps.prediction, maps.state, maps.settings,
                lambda: self._risk.is_current(maps.session),
                Gate(maps.settings.gate, maps.state, lambda: self._risk.state.raised),
                self._leave_out)
        except Exception as error:
            self._faults.failure(maps.session, maps.frame.header, error)
            return
        finally:
            self._statistics.work_ends(time.monotonic(), 'publishing')
        if out is MapsOut.ENDED:
            self._faults.ended()
            return
        if out is MapsOut.WITHHELD:
            self._statistics.withheld()
        self._done(maps, begun)

    def _done(self, maps: MapSet, begun: float) -> None:
        """Count an image that is done with."""
        done = time.monotonic()
        times = maps.timings.published(begun, done)
        age_s = stamp_age_s(self._node, maps.frame.header.stamp)
        if age_s is not None and abs(age_s) > SAME_CLOCK_WITHIN_S:
            self._log.once('stamps', f'the stamps of the images are {age_s:.0f} s older than this '
                           "node's clock says: no pipeline_latency_ms (for a recording, play its "
                           '/clock and set use_sim_time)', warning=False)
        elif age_s is not None:
            times['pipeline_latency_ms'] = age_s * 1e3  # Autoware's name
        self._statistics.processed(done, times)

    def _leave_out(self, topic: str, why: Exception) -> None:
        if isinstance(why, NotAskedForError):
            self._log.once(f'not asked for {topic}',
                           f'there is no ~/{topic}, and somebody listens to it: {why}')
            return
        self._statistics.too_little_known()
        self._log.every(_LOG_EVERY_S, f'withheld {topic}', f'~/{topic} is withheld: {why}')
