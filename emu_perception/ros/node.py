# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The process around the node, or around one for each of several cameras that share a network.

It ends cleanly, with exit code 0, on Ctrl-C and SIGTERM. This module imports nothing slow: the
signal handlers are in place before torch, OpenCV and ROS are loaded. All of ROS runs on other
threads, one for each node, so that a signal is answered at any time, also while the first thread
would be deep in the loading of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import gc
import os
import signal
import sys
import threading
import time
from typing import Any

from emu_perception.commands.program import program
from emu_perception.errors import text_of
from emu_perception.uncollected import uncollected

_END_TIMEOUT_S = 1.0
_MAX_SPIN_S = 0.5


class _Process:
    """The state that the threads share."""

    def __init__(self, name: str, args: Sequence[str] | None, namespaces: Sequence[str]) -> None:
        self.name = name
        self.args = None if args is None else list(args)
        self.namespaces = namespaces
        self.stop = threading.Event()
        self.exit_code = 0
        self.clean = False
        self.node_exists = False
        self._executors: list[Any] = []
        self._ended: list[bool] = []

    def request_stop(self, *_: object) -> None:
        """Answer a signal."""
        self.stop.set()

    def wake(self) -> None:
        """Have the executors look at ``stop`` now."""
        for executor in list(self._executors):
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
            self._fail(text_of(error))
        finally:
            self.stop.set()

    def _run(self) -> None:
        with uncollected('emu_perception.ros.lifecycle_node'):
            from emu_perception.ros.lifecycle_node import EmuNode
            from emu_perception.ros.shared_memory import use_shared_memory
            import rclpy
            from rclpy.logging import get_logger
            from rclpy.signals import SignalHandlerOptions
        shared_memory = use_shared_memory(os.environ)
        # rclpy's own handlers end the context at once: then the flag could not be raised anymore.
        rclpy.init(args=self.args, signal_handler_options=SignalHandlerOptions.NO)
        get_logger(self.name).info(shared_memory)
        try:
            self._serve_all(EmuNode)
        finally:
            rclpy.try_shutdown()
            # rclpy's lifecycle state machine keeps a node's handle, and that the DDS participant
            # with its files in /dev/shm, until it is collected.
            self._executors.clear()
            gc.unfreeze()  # See ``uncollected``.
            gc.collect()

    def _serve_all(self, make: Callable[..., Any]) -> None:
        from rclpy.exceptions import InvalidNamespaceException
        nodes: list[Any] = []
        for namespace in self.namespaces:
            pool = nodes[0].predictor_pool if nodes else None
            try:
                nodes.append(make(namespace=namespace, predictor_pool=pool))
            except Exception as error:
                # A name that can be none is a slip of the command line, not of one camera.
                if len(self.namespaces) == 1 or isinstance(error, InvalidNamespaceException):
                    raise
                # The camera's flag is silent, which is risk; the others go on.
                self._say(f'{namespace}/emu is not there: {text_of(error)}')
        if not nodes:
            raise RuntimeError('no camera is left')
        names = [node.get_fully_qualified_name() for node in nodes]
        self._check_names(names, [node.get_namespace() for node in nodes])
        self._warn_of_files(names)
        self.node_exists = True
        # A thread for each, so that one that loads its model does not hold up the others.
        threads = [threading.Thread(target=self._serve, args=(node,), daemon=True)
                   for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.clean = self._ended == [True] * len(nodes)

    def _warn_of_files(self, names: Sequence[str]) -> None:
        from emu_perception.ros.parameter_files import files_of, keys_in_vain, said_twice
        from emu_perception.ros.parameters import TABLE
        from rclpy.logging import get_logger
        for path in files_of(sys.argv if self.args is None else self.args):
            for line in (*said_twice(path), *keys_in_vain(path, names, TABLE)):
                get_logger(self.name).warning(line)

    def _say(self, text: str) -> None:
        print(f'{self.name}: {text}', file=sys.stderr, flush=True)

    def _check_names(self, names: Sequence[str], places: Sequence[str]) -> None:
        given = {f'/{namespace.strip("/")}' for namespace in self.namespaces if namespace}
        if len(set(names)) < len(names) or given and not {*places} <= given:
            raise ValueError(f'the nodes {", ".join(names)} share a name, or are not where they '
                             'were asked for: give each camera once, and no __ns beside cameras')

    def _serve(self, node: Any) -> None:
        """Be a node's thread: spin until the end, then end it."""
        from rclpy.executors import SingleThreadedExecutor
        ended = False
        try:
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            self._executors.append(executor)
            self._spin(executor, node)
            ended = node.finish(_END_TIMEOUT_S)
            executor.shutdown(_END_TIMEOUT_S)  # one that outlives its context complains
            if ended:
                node.destroy_node()
        finally:
            self._ended.append(ended)
            self.stop.set()

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
            self._say(text)
        self.clean = True


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until a signal comes; return the exit code."""
    return run('emu_node', args, [''])


def main_multi(args: Sequence[str] | None = None) -> int:
    """Run a node for each camera (``emu_multi front left --ros-args ...``) in this process."""
    words = list(sys.argv if args is None else args)
    own = words[1:words.index('--ros-args')] if '--ros-args' in words else words[1:]
    cameras = [camera for word in own for camera in word.split(',') if camera]
    if not cameras or any(camera.startswith('-') for camera in cameras):
        print(f'usage: {program("emu_multi")} CAMERA [CAMERA ...] [--ros-args ...]\n'
              'One node, CAMERA/emu, for each camera; it reads CAMERA/image and '
              'CAMERA/camera_info.\nThe nodes share one network where model_file, device, '
              'precision and backend agree.', file=sys.stderr)
        return 0 if cameras in (['-h'], ['--help']) else 2
    return run('emu_multi', words, cameras)


def run(name: str, args: Sequence[str] | None, namespaces: Sequence[str]) -> int:
    """Run a node in each namespace until a signal comes; return the exit code."""
    process = _Process(name, args, namespaces)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, process.request_stop)
    thread = threading.Thread(target=process.run, name='emu_ros', daemon=True)
    thread.start()
    while not process.stop.wait(0.5):
        pass  # with a timeout: a signal may be delivered to another thread than this one
    process.wake()
    # Before there is a node there is nothing to end: leave at once.
    thread.join(4 * _END_TIMEOUT_S if process.node_exists or process.exit_code else 0.0)
    if process.node_exists:
        # The interpreter's own end takes many seconds to take torch apart, in which ros2 launch
        # loses patience, and crashes where an inference still runs in native code. All that is to
        # be ended is.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(process.exit_code)
    return process.exit_code


if __name__ == '__main__':
    sys.exit(main())
