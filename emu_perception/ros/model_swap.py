# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Another model while the node runs.

What can be known at once (is the file a checkpoint, has it the same tasks, is there such a device
or backend) is refused at once. The rest, seconds of work, happens on a thread of its own beside
the running model, which goes on answering; the node takes the result with :meth:`ModelSwap.poll`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
import threading

from emu_perception.model_file import resolve_model_file
from emu_perception.ros.model_checks import check_level, checked_classes
from emu_perception.ros.parameters import Settings
from emu_perception.ros.predictor_pool import (
    empty_cuda_cache,
    ModelKey,
    PredictorPool,
    SharedPredictor,
)
from emu_perception.ros.transitions import describe
from rclpy.node import Node
from rclpy.parameter import Parameter

MODEL_PARAMETERS = ('model_file', 'device', 'precision', 'backend')


@dataclass(frozen=True)
class Outcome:
    """How a swap ended: the loaded model, or why there is none."""

    key: ModelKey
    predictor: SharedPredictor | None
    problem: str = ''


class ModelSwap:
    """At most one swap at a time, the newest wish; all methods are for the executor's thread."""

    def __init__(self, pool: PredictorPool) -> None:
        """
        Start with nothing to do.

        :ivar problem: why the last swap failed; '' after one that did not.
        """
        self.problem = ''
        self._pool = pool
        self._values: Mapping[str, str] = {}
        self._fitting: Settings | None = None
        self._classes: Sequence[str] = ()
        self._reverting = False
        self._load: _Load | None = None
        self._last: _Load | None = None

    @property
    def loading(self) -> str:
        """Return the file that is being loaded, or ''."""
        return str(self._load.key.path) if self._load else ''

    @property
    def loading_classes(self) -> Sequence[str]:
        """Return the classes of the model that is being loaded; none where none is."""
        return self._classes if self._load else ()

    def runs(self, settings: Settings) -> None:
        """Note that the model of these settings runs from now on."""
        self._fitting = settings
        self._values = {name: getattr(settings, name) for name in MODEL_PARAMETERS}
        self.problem = ''

    def check(self, changed: Collection[str], settings: Settings,
              running: SharedPredictor) -> ModelKey | None:
        """
        Return the key of the model that the settings ask for; None if that was not changed.

        :param changed: names of the parameters that were set, be it to the value they have.
        :raises EmuError: one line, if it is plain that this model cannot take over, or settings
            are not for the model that will run.
        """
        key, metadata = self._asked_for(changed, settings, running), running.metadata
        if key in (None, running.key):
            if 'promise_level' in changed:
                check_level(settings.promise_level, metadata)
            if key is None:
                settings.check_classes(self.loading_classes or metadata.classes, changed)
            else:
                settings.check_classes(metadata.classes)
        return key

    def _asked_for(self, changed: Collection[str], settings: Settings,
                   running: SharedPredictor) -> ModelKey | None:
        """Return the key likewise; another model than the one that runs is checked here."""
        if self._reverting or not set(changed) & set(MODEL_PARAMETERS):
            return None
        path = resolve_model_file(settings.model_file)
        key = ModelKey.of(path, settings.device, settings.precision, settings.backend)
        if key != running.key:
            self._classes = checked_classes(
                path, settings, running.metadata.outputs,
                device_changed=settings.device != self._values.get('device'))
        return key

    def begin(self, settings: Settings, key: ModelKey | None, running: SharedPredictor) -> None:
        """Load the model of checked settings, unless it runs or is being loaded already."""
        if key is None and self._load is None:
            self._fitting = settings
        if key is None or self._load is not None and self._load.key == key:
            return
        self.cancel()
        if key == running.key:
            self.runs(settings)
        else:
            self._load = self._last = _Load(self._pool, key)

    def poll(self) -> Outcome | None:
        """Return the outcome of a swap, once; None while there is none."""
        load = self._load
        if load is None or load.outcome is None:
            return None
        self._load = None
        self.problem = load.outcome.problem
        return load.outcome

    def revert(self, node: Node, settings: Settings, running: SharedPredictor) -> None:
        """Let the parameters say again what runs, and no classes that it does not have."""
        values: dict[str, object] = dict(self._values)
        for name in settings.unfit(running.metadata.classes):
            values[name] = list(getattr(self._fitting, name))
        self._reverting = True
        try:
            node.set_parameters([Parameter(name, value=value)
                                 for name, value in values.items()])
        finally:
            self._reverting = False

    def cancel(self) -> None:
        """Forget the swap; what it has loaded is freed as soon as it is there."""
        self.problem = ''
        if self._load is not None:
            self._load.cancel()
            self._load = None

    def join(self, timeout_s: float) -> bool:
        """Wait until nothing is being loaded; return whether that is so."""
        return self._last is None or self._last.join(timeout_s)


class _Load:
    """One model on its way into memory, on a thread of its own."""

    def __init__(self, pool: PredictorPool, key: ModelKey) -> None:
        self.key = key
        self.outcome: Outcome | None = None
        self._pool = pool
        self._cancelled = False
        self._lock = threading.Lock()
        # A daemon, so that a file system that never answers cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name='emu_model_swap', daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Have the thread free what it loads; if it is done, free it here."""
        with self._lock:
            self._cancelled = True
            outcome = self.outcome
        _close(outcome)

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        key, predictor, problem = self.key, None, ''
        try:
            predictor = self._pool.take(key.path, device=key.device, precision=key.precision,
                                        backend=key.backend)
        except Exception as error:
            problem = f'{key.path} cannot take over: {describe(error)}'
        if problem:
            # After the exception is gone, whose traceback held on to what was half loaded.
            try:
                empty_cuda_cache()
            except Exception as error:  # CUDA itself may be broken; the outcome is told.
                problem = f'{problem}; {describe(error)}'
        outcome = Outcome(key, predictor, problem)
        with self._lock:
            self.outcome = outcome
            cancelled = self._cancelled
        if cancelled:
            _close(outcome)


def _close(outcome: Outcome | None) -> None:
    if outcome is not None and outcome.predictor is not None:
        outcome.predictor.close()
