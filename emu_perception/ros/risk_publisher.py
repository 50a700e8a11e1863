# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The risk flag on its topics: latched, repeated, raised whenever nobody vouches for the image.

It is watched and repeated on a thread of its own, which nothing but its own end can stop: whoever
hears no flag for a second takes that for risk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import threading
import time
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.risk import RiskMonitor, RiskReason, RiskState, RiskThresholds
from emu_perception.risk_status import (
    banner_text,
    Origin,
    resolve_thresholds,
    status_names,
)
from emu_perception.ros.diagnostics import risk_status
from emu_perception.ros.heartbeat import Heartbeat
from emu_perception.ros.parameters import Settings
from emu_perception.ros.qos import reliable, watched, with_overrides
from emu_perception.ros.raises import Raises
from emu_perception.ros.silence import is_simulated
from emu_perception.scores import SCORES
from emu_perception.watch_clock import WatchClock
from geometry_msgs.msg import Point
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Bool, ColorRGBA, Float32, Header
from visualization_msgs.msg import Marker

if TYPE_CHECKING:  # the checkpoint package needs torch, which may be missing until configure
    from emu_perception.checkpoint.metadata import CheckpointMetadata

_REPEAT_S = 0.25
_LOOK_S = 0.05
_MARKER_LIFETIME_S = 1.5
_END_TIMEOUT_S = 1.0


class RiskPublisher:
    """
    Owns the monitor; its methods may be called from any thread.

    A session is the time from one activation to the next deactivation. What the worker reports
    for a session that has ended is ignored: an image that was in work at deactivation must not
    lower the flag afterwards.
    """

    def __init__(self, node: LifecycleNode, on_error: Callable[[Exception], None]) -> None:
        """
        Create the topics and publish the raised flag; it is repeated from :meth:`start` on.

        :param on_error: told of what goes wrong in the thread that repeats it.
        """
        self._node, self._on_error = node, on_error
        self._lock = threading.RLock()
        self._monitor = RiskMonitor(RiskThresholds())
        self._watch = WatchClock()
        self._sources: dict[str, Origin] = {}
        self._metadata: CheckpointMetadata | None = None
        self._session = 0
        self._active = False
        self._header: Header | None = None
        self._published_s = 0.0
        self._raises = Raises()
        self._heartbeat = Heartbeat(self.tick, _LOOK_S, on_error=self._survives, name='emu_flag')
        create, options = node.create_publisher, with_overrides
        self._flag = create(Bool, '~/risk', watched(), **options())
        self._status = create(DiagnosticArray, '~/risk_status', reliable(), **options())
        self._marker = create(Marker, '~/risk_marker', reliable(), **options())
        self._scores = {name: create(Float32, f'~/{row.topic}', reliable(), **options())
                        for name, row in SCORES.items()}
        self._publish()

    @property
    def state(self) -> RiskState:
        """Return the flag as of the last event."""
        return self._monitor.state

    @property
    def thresholds(self) -> RiskThresholds:
        """Return the thresholds in force."""
        return self._monitor.thresholds

    @property
    def sources(self) -> dict[str, Origin]:
        """Return where the threshold of each score came from."""
        return self._sources

    @property
    def raises(self) -> tuple[int, int]:
        """Return how often images or faults have raised the flag: in all, in the last minute."""
        with self._lock:
            return self._raises.total, self._raises.last_minute(time.monotonic())

    @property
    def foreign_publishers(self) -> int:
        """Return how many others publish on the flag's topic, as a node of the same name does."""
        return max(0, self._node.count_publishers(self._flag.topic_name) - 1)

    def start(self) -> None:
        """Watch and repeat the flag from now on."""
        self._heartbeat.start()

    def stop(self) -> bool:
        """End that; return whether it has ended."""
        return self._heartbeat.stop(_END_TIMEOUT_S)

    def configure(self, settings: Settings, metadata: CheckpointMetadata | None = None) -> None:
        """
        Apply the risk parameters for a network.

        :param metadata: None = of the network as before: at a hand-over the next one is chosen
            already, while the last image of the old one is still to be judged by its own.
        :raises InputError: if one is out of range; nothing is changed then.
        """
        metadata = metadata or self._metadata
        assert metadata is not None, 'the first time a network is given'
        thresholds, sources = resolve_thresholds(settings.risk_thresholds, metadata.calibration,
                                                 settings.risk_scores)
        # One that is to raise and never comes: a failure, not silence.
        expected = dict.fromkeys((*metadata.score_names, *settings.risk_scores))
        with self._lock:
            self._monitor.configure(thresholds=thresholds, expected=expected,
                                    chosen=settings.risk_scores,
                                    raise_after=settings.raise_after,
                                    clear_after=settings.clear_after,
                                    clear_below=settings.clear_below,
                                    stale_after_s=settings.stale_after_s)
            self._sources, self._metadata = sources, metadata

    def activate(self) -> int:
        """Wait for the first image, raised; return the number of the new session."""
        with self._lock:
            self._session += 1
            self._active = True
            self._monitor.activate()
            self._publish()
            return self._session

    def deactivate(self) -> None:
        """End the session, if there is one, and publish the raised flag."""
        with self._lock:
            self._session += 1
            self._active = False
            self._monitor.deactivate()
            self._publish()

    def is_current(self, session: int) -> bool:
        """Tell whether a session is still on."""
        with self._lock:
            return self._active and session == self._session

    def observe(self, session: int, header: Header, scores: Mapping[str, float], *,
                reason: RiskReason = RiskReason.NONE, detail: str = '') -> RiskState | None:
        """
        Take in the scores of a processed image; None if its session has ended.

        :param reason: what speaks against it besides, see :meth:`RiskMonitor.observe`.
        """
        with self._lock:
            if not self.is_current(session):
                return None
            state = self._monitor.observe(scores, self._now_s(), reason=reason, detail=detail)
            self._header = header
            self._publish()
            for name, publisher in self._scores.items():
                if name in state.scores:
                    publisher.publish(Float32(data=float(state.scores[name])))
            return state

    def fault(self, session: int, reason: RiskReason, detail: str,
              header: Header | None) -> None:
        """Raise because an image could not be used or inference failed."""
        with self._lock:
            if self.is_current(session):
                report = (self._monitor.unusable_input if reason is RiskReason.UNUSABLE_INPUT
                          else self._monitor.failure)
                report(detail, self._now_s())
                self._header = header or self._header
                self._publish()

    def tick(self) -> None:
        """Look for staleness; publish a change at once, and repeat the flag every 0.25 s."""
        with self._lock:
            before = self._monitor.state
            now_s = time.monotonic()
            state = self._monitor.check(self._now_s())
            changed = (state.raised, state.reason) != (before.raised, before.reason)
            if changed or now_s - self._published_s >= _REPEAT_S:
                self._publish()

    def wait_until_received(self, timeout_s: float) -> None:
        """Wait until the last flag has reached its reliable subscribers: used before the end."""
        self._flag.wait_for_all_acked(Duration(nanoseconds=int(timeout_s * 1e9)))

    def _survives(self, error: Exception) -> bool:
        """Say what went wrong in the flag's thread; False where ROS has been shut down."""
        if not self._node.context.ok():
            return False
        self._on_error(error)
        return True

    def _now_s(self) -> float:
        """Return the time that silence is measured by; begin anew where it has jumped back."""
        clock = self._node.get_clock()
        now_s, back_s = self._watch.advance(
            time.monotonic(), clock.now().nanoseconds if is_simulated(clock) else None)
        if back_s:
            self._monitor.begin_anew(f'/clock has jumped back by {back_s:.1f} s: beginning anew')
        return now_s

    def _publish(self) -> None:
        state = self._monitor.state
        self._published_s = time.monotonic()
        if self._active:
            self._raises.note(state.raised, self._published_s)
        else:
            self._raises.begin()
        self._flag.publish(Bool(data=state.raised))
        header = self._header or Header(stamp=self._node.get_clock().now().to_msg())
        if self._status.get_subscription_count():
            name = f'{self._node.get_fully_qualified_name().lstrip("/")}: risk'
            self._status.publish(DiagnosticArray(header=header, status=[
                risk_status(one, state, self.thresholds, self._sources)
                for one in status_names(name, state)]))
        if header.frame_id and self._marker.get_subscription_count():
            self._marker.publish(_marker(header, state))


def _marker(header: Header, state: RiskState) -> Marker:
    """Write the flag a metre ahead of the camera, above the optical axis (y points down)."""
    marker = Marker(header=header, ns='risk', id=0, type=Marker.TEXT_VIEW_FACING,
                    action=Marker.ADD, text=banner_text(state),
                    lifetime=Duration(seconds=_MARKER_LIFETIME_S).to_msg())
    marker.pose.position = Point(x=0.0, y=-0.4, z=1.0)
    marker.pose.orientation.w = 1.0
    marker.scale.z = 0.08
    red, green = (0.9, 0.15) if state.raised else (0.15, 0.8)
    marker.color = ColorRGBA(r=red, g=green, b=0.15, a=1.0)
    return marker
