# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The process around the node: start, spin, and a clean end with exit code 0 on Ctrl-C and SIGTERM.

This module imports nothing slow: the signal handlers are in place before torch, OpenCV and ROS
are loaded. All of ROS runs on a second thread, so that a signal is answered at any time, also
while the first thread would be deep in the loading of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import signal
import sys
import threading
import time
from typing import Any

_END_TIMEOUT_S = 1.0
_MAX_SPIN_S = 0.5


class _Process:
    """The state that the two threads share."""

    def __init__(self, args: Sequence[str] | None) -> None:
        self.args = None if args is None else list(args)
        self.stop = threading.Event()
        self.exit_code = 0
        self.clean = False
        self.node_exists = False
        self._executor: Any = None

    def request_stop(self, *_: object) -> None:
        """Answer a signal."""
        self.stop.set()

    def wake(self) -> None:
        """Have the executor look at ``stop`` now."""
        executor = self._executor
        if executor is not None:
            try:
                executor.wake()
            except Exception:
                pass  # it is being destroyed: it has seen ``stop`` already

    def run(self) -> None:
        """Be the second thread: import, start, spin, end."""
        try:
            self._run()
        except ImportError as error:
            from emu_perception.ros.dependencies import missing_dependency
            self._fail(missing_dependency(error))
        except Exception as error:
            self._fail(' '.join(str(error).split()) or type(error).__name__)
        finally:
            self.stop.set()

    def _run(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from emu_perception.ros.lifecycle_node import EmuNode
        # rclpy's own handlers end the context at once: then the flag could not be raised anymore.
        rclpy.init(args=self.args, signal_handler_options=SignalHandlerOptions.NO)
        try:
            node = EmuNode()
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            self._executor = executor
            self.node_exists = True
            self._spin(executor, node)
            self.clean = node.finish(_END_TIMEOUT_S)
            if self.clean:
                node.destroy_node()
        finally:
            self._executor = None
            rclpy.try_shutdown()

    def _spin(self, executor: Any, node: Any) -> None:
        while not self.stop.is_set():
            try:
                executor.spin_once(timeout_sec=_MAX_SPIN_S)
            except Exception as error:  # a callback's mistake must not end a robot's node
                if self.stop.is_set() or not executor.context.ok():
                    break
                node.report_callback_error(error)
                time.sleep(0.05)  # an error that comes back at once must not eat the processor

    def _fail(self, text: str) -> None:
        if not self.stop.is_set():
            self.exit_code = 1
            print(f'emu_node: {text}', file=sys.stderr, flush=True)
        self.clean = True


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until a signal comes; return the exit code."""
    process = _Process(args)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, process.request_stop)
    thread = threading.Thread(target=process.run, name='emu_ros', daemon=True)
    thread.start()
    while not process.stop.wait(0.5):
        pass  # with a timeout: a signal may be delivered to another thread than this one
    process.wake()
    # Before there is a node there is nothing to end: leave at once.
    thread.join(3 * _END_TIMEOUT_S if process.node_exists or process.exit_code else 0.0)
    if thread.is_alive() or not process.clean:
        # An inference or the loading of a model is still running in native code. Leaving through
        # the interpreter's own end would crash there; nothing is left to be saved.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(process.exit_code)
    return process.exit_code


if __name__ == '__main__':
    sys.exit(main())
