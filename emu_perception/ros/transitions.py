# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What rclpy does not say or survive about lifecycle transitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from emu_perception.errors import EmuError, kind_and_text, text_of
from emu_perception.ros.dependencies import missing_dependency
from emu_perception.ros.logs import QuietLog
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

N = TypeVar('N', bound=LifecycleNode)
Transition = Callable[[N, LifecycleState], TransitionCallbackReturn]


def reported(transition: Transition[N]) -> Transition[N]:
    """Say in one line what a transition raised (rclpy says nothing) and let it be an error."""
    @wraps(transition)
    def guarded(self: N, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except Exception as error:
            self.get_logger().error(f'{transition.__name__}: {describe(error)}')
            return TransitionCallbackReturn.ERROR
    return guarded


def answer_refused_transitions(node: LifecycleNode, log: QuietLog) -> None:
    """Answer a transition that the state does not allow; rclpy lets it end the executor."""
    service = getattr(node, '_service_change_state', None)
    if service is None:
        return
    original = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return original(request, response)
        except Exception as error:
            log.error(f'transition refused: {describe(error)}')
            response.success = False
            return response
    service.callback = answer


def describe(error: Exception) -> str:
    """Return an error's text on one line: an EmuError's as it is, others with their kind."""
    if isinstance(error, ImportError):
        return missing_dependency(error)
    return text_of(error) if isinstance(error, EmuError) else kind_and_text(error)
