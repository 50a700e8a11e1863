# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Gathers from a node's parts what it says of itself on /diagnostics; some of it is logged too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import time

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.ros.arrivals import Arrivals
from emu_perception.ros.diagnostics import diagnostic_array, Health
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.model_swap import ModelSwap
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.parameters import Settings
from emu_perception.ros.pipeline import Pipeline
from emu_perception.ros.risk_publisher import RiskPublisher
from emu_perception.ros.silence import clock_problem
from emu_perception.ros.subscriptions import Subscriptions
from rclpy.node import Node

SILENT_AFTER_S = 5.0
LOST_LOG_EVERY_S = 60.0


@dataclass(frozen=True)
class Running:
    """
    What of a node changes with its transitions.

    :ivar pipeline: None where it is not configured.
    :ivar activated_s: since when it is active, on the steady clock; None where it is not.
    :ivar arrivals: of the images since then.
    :ivar configure_problem: why the last configure failed.
    :ivar model: ``model_values`` of the model that runs.
    """

    settings: Settings
    pipeline: Pipeline | None
    activated_s: float | None
    arrivals: Arrivals
    configure_problem: str = ''
    model: Mapping[str, object] = field(default_factory=dict)


class NodeHealth:
    """Asks the parts of a node, which live as long as it does."""

    def __init__(self, node: Node, risk: RiskPublisher, statistics: Statistics,
                 inputs: Subscriptions, swap: ModelSwap, log: QuietLog) -> None:
        """Take them."""
        self._node, self._risk, self._statistics = node, risk, statistics
        self._inputs, self._swap, self._log = inputs, swap, log
        self._drops_before: Counter[str] = Counter()

    def message(self, running: Running) -> DiagnosticArray:
        """Return what /diagnostics say now; of drops those since the last message."""
        now_s, node, pipeline = time.monotonic(), self._node, running.pipeline
        snapshot = self._statistics.snapshot(now_s)
        if running.activated_s is not None and snapshot.image_age_s is not None and (
                snapshot.image_age_s > now_s - running.activated_s):
            snapshot = replace(snapshot, image_age_s=None)  # Of an activation before.
        drops = Counter(snapshot.drops)
        camera = pipeline.camera if pipeline else None
        active = running.activated_s is not None
        health = Health(
            state=('unconfigured' if pipeline is None else 'active' if active else 'inactive'),
            image_topic=camera.image_topic if camera else node.resolve_topic_name('image'),
            camera_info_topic=node.resolve_topic_name('camera_info'),
            risk=self._risk.state, thresholds=self._risk.thresholds,
            threshold_sources=self._risk.sources, configure_problem=running.configure_problem,
            swap_problem=self._swap.problem, loading=self._swap.loading,
            input_problem=self._input_problem(running, now_s, snapshot.image_age_s),
            camera_problem=camera.problem if camera else '',
            camera_warnings=camera.warnings if camera else '',
            fallback=camera.fallback if camera else False,
            rectifying=camera.rectifying if camera else '',
            metres_withheld=(pipeline.metres_withheld
                             if pipeline and active and snapshot.image_age_s is not None else ''),
            warnings=self._warnings(running, now_s), lost_before=self._inputs.lost,
            recent_drops=drops - self._drops_before, model=dict(running.model),
            consumer_timeout_s=running.settings.consumer_timeout_s,
            raises=self._risk.raises, name_problem=self._name_problem())
        if pipeline is not None:
            if pipeline.fusion is not None:
                health.hints.update(pipeline.fusion.values)
            health.model['nodes_sharing_it'] = pipeline.predictor.users
            # One may be refused at a size that comes later.
            health.model['backend_refused'] = '; '.join(pipeline.predictor.backend_notes)
        self._drops_before = drops
        return diagnostic_array(node.get_fully_qualified_name().lstrip('/'),
                                node.get_clock().now().to_msg(), snapshot, health)

    def _input_problem(self, running: Running, now_s: float, image_age_s: float | None) -> str:
        if running.activated_s is None or running.pipeline is None:
            return ''
        if self._inputs.advice:
            return self._inputs.advice
        silent_s = now_s - running.activated_s
        if image_age_s is not None:
            silent_s = min(silent_s, image_age_s)
        if silent_s < SILENT_AFTER_S:
            return clock_problem(self._node)
        return self._explained('silence', '; '.join(filter(None, (
            clock_problem(self._node), self._inputs.explain_silence()))))

    def _name_problem(self) -> str:
        others = self._risk.foreign_publishers
        if not others:
            return ''
        name = self._node.get_fully_qualified_name()
        problem = (f'{others} more publish on {name}/risk: another node is called {name} too, or '
                   'one was killed just now; each lowers the flag that the other raises')
        return self._explained('name', problem)

    def _warnings(self, running: Running, now_s: float) -> str:
        if running.activated_s is None or running.pipeline is None:
            return ''
        camera, fusion = running.pipeline.camera, running.pipeline.fusion
        remarks = [remark.text for remark in running.arrivals.warnings]
        remarks += [remark.text for remark in camera.judgement.warnings if camera.fallback]
        hints = fusion.hints if fusion else None
        hint = f'depth hint: {hints.problem}' if hints and hints.problem else ''
        if now_s - running.activated_s >= SILENT_AFTER_S:
            problem = camera.judgement.problem
            if problem and problem.code == 'missing' and running.pipeline.metres_withheld:
                remarks.append(self._explained(
                    'no info', self._inputs.explain_no_info(camera.camera_info_topic)))
            if hints and hints.problem and hints.none_came:
                hint = self._explained(
                    'no hint', f'depth hint: {self._inputs.explain_no_hint(hints.topic)}')
        if several := self._inputs.explain_several():
            remarks.append(self._explained('several', several))
        lost = self._inputs.explain_losses(now_s)
        if lost:
            self._log.every(LOST_LOG_EVERY_S, 'lost', lost)
        return '; '.join(filter(None, (*remarks, running.pipeline.delivery.problem, lost,
                                       camera.ended(now_s), hint,
                                       fusion.ground_problem if fusion else '')))

    def _explained(self, key: str, text: str) -> str:
        self._log.every(30.0, key, text)
        return text
