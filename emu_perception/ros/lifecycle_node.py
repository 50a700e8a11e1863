# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The lifecycle node.

The executor's thread only moves messages, timers and transitions; the network runs on a worker's
thread. So transitions, parameters and diagnostics answer while an image is in work; the risk flag
has a thread of its own, which answers while a transition loads a model too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.errors import EmuError
from emu_perception.ros import parameters
from emu_perception.ros.arrivals import Arrivals
from emu_perception.ros.configuration import configured
from emu_perception.ros.delivery_watch import DeliveryWatch
from emu_perception.ros.diagnostics import model_values
from emu_perception.ros.faults import Faults
from emu_perception.ros.introduction import introduce, say_promises
from emu_perception.ros.logs import ForwardToRos, QuietLog
from emu_perception.ros.map_rate import MapRate
from emu_perception.ros.model_swap import ModelSwap
from emu_perception.ros.node_health import NodeHealth, Running
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.parameter_files import unknown_overrides, unknown_parameters
from emu_perception.ros.pipeline import Pipeline, WaitingImage
from emu_perception.ros.predictor_pool import load_predictor, PredictorPool, SharedPredictor
from emu_perception.ros.publishing_thread import PublishingThread
from emu_perception.ros.qos import reliable, with_overrides
from emu_perception.ros.risk_publisher import RiskPublisher
from emu_perception.ros.subscriptions import Subscriptions
from emu_perception.ros.transitions import answer_refused_transitions, describe, reported
from emu_perception.ros.worker import Worker
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

SWAP_PERIOD_S = 0.1
DIAGNOSTICS_PERIOD_S = 1.0
LOOK_PERIOD_S = 1.0
_OLD_WORKER_TIMEOUT_S = 10.0
_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class EmuNode(LifecycleNode):
    """Labels, metric depth, their uncertainties and a risk flag from camera images."""

    def __init__(self, name: str = 'emu', *,
                 predictor_loader: Callable[..., Any] | None = None,
                 predictor_pool: PredictorPool | None = None, **kwargs: Any) -> None:
        """
        Start unconfigured, with the risk flag raised.

        :param predictor_loader: called with the path, ``device``, ``precision`` and ``backend``;
            by default :func:`load_predictor`, in tests a fake.
        :param predictor_pool: shared by the nodes of a process; by default this node's own.
        :raises InputError: if a parameter given at the start is out of range.
        """
        super().__init__(name, **kwargs)
        self.predictor_pool = predictor_pool or PredictorPool(predictor_loader or load_predictor)
        try:
            self._settings = parameters.declare(self)
        except Exception:
            # From Kilted on the shutdown destroys nodes that were never whole, ours not any more.
            super().destroy_node()
            raise
        self._log = QuietLog(self.get_logger())
        # What files and command line say; of rclpy's own, since it is told nobody.
        for line in unknown_parameters(getattr(self, '_parameter_overrides', {}),
                                       parameters.TABLE):
            self._log.warning(line)
        self._forward = ForwardToRos(self._log)
        self._forward.start()
        self._risk = RiskPublisher(self, self.report_callback_error)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', reliable(10),
                                                  **with_overrides())
        self._statistics = Statistics()
        self._faults = Faults(self._risk, self._statistics, self._log)
        self._publishing = PublishingThread(self, self._risk, self._statistics, self._faults,
                                         self._log)
        self._pipeline: Pipeline | None = None
        self._worker: Worker[WaitingImage] | None = None
        self._last_worker: Worker[WaitingImage] | None = None
        self._session: int | None = None
        self._arrivals = Arrivals(self.get_clock())
        self._activated_s = 0.0
        self._inputs = Subscriptions(self)
        self._map_rate = MapRate()
        self.create_service(Trigger, '~/publish_next', self._on_publish_next)
        self._configure_problem = ''
        self._model_values: dict[str, object] = {}
        self._swap = ModelSwap(self.predictor_pool)
        self._health = NodeHealth(self, self._risk, self._statistics, self._inputs, self._swap,
                                  self._log)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        # A timer of ROS time stands still under use_sim_time without /clock: these must not.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._steady_timers = [
            self.create_timer(SWAP_PERIOD_S, self._poll_swap, clock=steady),
            self.create_timer(LOOK_PERIOD_S, self._inputs.look_for_latched, clock=steady),
            self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady)]
        answer_refused_transitions(self, self._log)
        self._risk.start()
        if self._settings.autostart:
            # The first round of the executor, so that the services are there before.
            self._autostart_timer = self.create_timer(0.0, self._autostart, clock=steady)

    # Transitions ---------------------------------------------------------------------------------
    @reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up; on failure one clear line, and the node stays unconfigured."""
        try:
            self._configure()
        except Exception as error:
            self._release()
            self._configure_problem = describe(error)
            self._log.error(f'cannot configure: {self._configure_problem}')
            return _FAILURE
        self._configure_problem = ''
        return _SUCCESS

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe; on failure one clear line, and the node stays inactive."""
        assert self._pipeline is not None
        self._log.forget()
        self._session = self._risk.activate()
        self._activated_s = time.monotonic()
        self._arrivals = Arrivals(self.get_clock())
        self._pipeline.delivery.begin()
        camera, fusion = self._pipeline.camera, self._pipeline.fusion
        try:
            self._inputs.start(camera, self._settings.transport, self._on_image,
                               fusion.hints if fusion else None)
        except Exception as error:
            self._stop_input()
            self._log.error(f'cannot activate: {describe(error)}')
            return _FAILURE
        self._log.info(f'active: reading {camera.image_topic} and {camera.camera_info_topic}')
        if self._inputs.advice:
            self._log.once('advice', self._inputs.advice)
        for line in unknown_overrides(self):
            self._log.once(line, line)
        return _SUCCESS

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and raise the flag; an image still in work is thrown away when done."""
        self._stop_input()
        return _SUCCESS

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network, at once or as soon as the image in work is done."""
        self._release()
        return _SUCCESS

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything, from any state, with the flag raised."""
        self._release()
        return _SUCCESS

    @reported
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything and go back to unconfigured."""
        self._release()
        return _SUCCESS

    def destroy_node(self) -> None:
        """Stop the threads too."""
        self._release()
        self._publishing.stop()
        self._risk.stop()  # before its topics are gone
        self._forward.stop()
        super().destroy_node()

    def finish(self, timeout_s: float) -> bool:
        """
        Raise the flag, see it delivered and end the threads; return whether they have ended.

        To be called once, when the process is about to end.
        """
        try:
            self.trigger_shutdown()
        except Exception:  # a state that has no way to shutdown: then without its event
            self._release()
        self._publishing.stop()
        self._risk.wait_until_received(timeout_s)
        return (self._risk.stop()
                and (self._last_worker is None or self._last_worker.join(timeout_s))
                and self._publishing.join(timeout_s) and self._swap.join(timeout_s))

    def report_callback_error(self, error: Exception) -> None:
        """Say and count what a callback let out."""
        text = f'callback: {describe(error)}'
        self._statistics.failed(text)
        self._log.every(5.0, text, text)

    # Callbacks -----------------------------------------------------------------------------------
    def _on_image(self, message: Image | CompressedImage, other_sender: bool = False) -> None:
        if self._session is None or self._worker is None:
            return
        now_s = time.monotonic()
        self._statistics.received(now_s)
        self._arrivals.note(message, now_s, other_sender=other_sender)
        waiting = WaitingImage(message, now_s, self._session, self._arrivals)
        if self._worker.offer(waiting) is not None:
            self._statistics.dropped('newer_image')

    def _on_publish_next(self, _: Trigger.Request, response: Trigger.Response
                         ) -> Trigger.Response:
        """Have the maps of the next image published, whatever max_rate_hz and on_request say."""
        pipeline = self._pipeline
        if self._session is None or pipeline is None:
            response.message = 'the node is not active'
        elif not pipeline.maps.wanted():
            response.message = 'nobody listens to a map: subscribe first'
        else:
            self._map_rate.request()
            response.success = True
            response.message = f'of the next image: {", ".join(pipeline.maps.listened_to())}'
        return response

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        names = [change.name for change in changes]
        try:
            settings = parameters.changed(
                self._settings, {change.name: change.value for change in changes},
                configured=self._pipeline is not None)
            predictor = None if self._pipeline is None else self._pipeline.predictor
            model = (None if predictor is None
                     else self._swap.check(names, settings, predictor))
        except Exception as error:  # whatever it is, the caller waits for an answer
            return SetParametersResult(successful=False, reason=describe(error))
        # Not before all is checked: images are in work meanwhile. But before the flag's part: a
        # new model that takes over now must not bring the old ones back.
        before, self._settings = self._settings, settings
        if predictor is None:
            return SetParametersResult(successful=True)
        try:
            self._risk.configure(settings)
        except EmuError as error:
            self._settings = before
            return SetParametersResult(successful=False, reason=str(error))
        self._swap.begin(settings, model, predictor)
        if 'promise_level' in names and model in (None, predictor.key):
            say_promises(self._log, predictor, settings)
        return SetParametersResult(successful=True)

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        if self.trigger_configure() == _SUCCESS:
            self.trigger_activate()

    def _publish_diagnostics(self) -> None:
        self._diagnostics.publish(self._health.message(Running(
            self._settings, self._pipeline,
            None if self._session is None else self._activated_s, self._arrivals,
            self._configure_problem, self._model_values)))

    # Helpers -------------------------------------------------------------------------------------
    def _configure(self) -> None:
        # An image of the last configuration may still be in work: one network at a time.
        if self._last_worker and not self._last_worker.join(_OLD_WORKER_TIMEOUT_S):
            raise EmuError('the network of the last configuration is still running: try again')
        self._pipeline, converter = configured(
            self, self.predictor_pool, lambda: self._settings, risk=self._risk,
            publishing=self._publishing, statistics=self._statistics, faults=self._faults,
            log=self._log, map_rate=self._map_rate)
        predictor = self._pipeline.predictor
        self._worker = self._last_worker = self._new_worker(self._pipeline)
        self._risk.configure(self._settings, predictor.metadata)
        self._introduce(predictor, converter)

    def _new_worker(self, pipeline: Pipeline, on_started: Callable[[], None] = lambda: None
                    ) -> Worker[WaitingImage]:
        return Worker(pipeline.process, on_stopped=pipeline.predictor.close, on_started=on_started,
                      on_error=self._on_worker_error)

    def _on_worker_error(self, error: Exception) -> None:
        text = f'worker: {describe(error)}'
        self._statistics.failed(text)
        self._log.every(5.0, text, text)

    def _poll_swap(self) -> None:
        outcome = self._swap.poll()
        if outcome is None:
            return
        if outcome.predictor is not None:
            self._change_model(outcome.predictor)
            return
        self._log.error(f'{outcome.problem}; the old model runs on')
        assert self._pipeline is not None, 'a cleanup cancels the swap'
        self._swap.revert(self, self._settings, self._pipeline.predictor)

    def _change_model(self, predictor: SharedPredictor) -> None:
        """Hand over between two images: the new worker begins when the old one has ended."""
        assert self._pipeline is not None and self._worker is not None
        old, metadata, fusion = self._worker, predictor.metadata, self._pipeline.fusion
        same_file = predictor.key.content == self._pipeline.predictor.key.content

        def begin() -> None:
            old.join(None)
            self._risk.configure(self._settings, metadata)
        self._pipeline = replace(self._pipeline, predictor=predictor,
                                 maps=self._pipeline.maps.showing(predictor.metadata),
                                 delivery=DeliveryWatch(),
                                 fusion=fusion and fusion.another_network(same_file))
        self._introduce(predictor, str(self._model_values['converter']))
        waiting = old.clear()
        old.stop()
        self._worker = self._last_worker = self._new_worker(self._pipeline, begin)
        if waiting is not None:
            self._worker.offer(waiting)

    def _introduce(self, predictor: SharedPredictor, converter: str) -> None:
        """Say what runs from now on, to people and to the diagnostics."""
        assert self._pipeline is not None
        self._swap.runs(self._settings)
        self._model_values = model_values(predictor.key.path, predictor, converter)
        label_info = ('segmentation' in predictor.metadata.tasks
                      and self._pipeline.maps.publish_label_info(at_once=self._session is None))
        introduce(self._log, predictor, self._settings, converter, label_info=label_info)

    def _stop_input(self) -> None:
        self._session = None
        self._map_rate.forget()
        self._risk.deactivate()
        self._inputs.stop()
        if self._worker is not None and self._worker.clear() is not None:
            self._faults.ended()
        self._publishing.clear()

    def _release(self) -> None:
        self._stop_input()
        self._swap.cancel()
        if self._worker is not None:
            self._worker.stop()  # closes the predictor in its own thread, after the last image
            self._worker = None
        if self._pipeline is not None:
            self._pipeline.maps.destroy()
            self._pipeline = None
        self._model_values = {}
