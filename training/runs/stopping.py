# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM (a scheduler's, ``timeout``, ``docker stop``) and Ctrl-C as one exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import threading
from types import FrameType

_NAMES = {signal.SIGINT: 'Ctrl-C', signal.SIGTERM: 'SIGTERM'}


class Stopped(BaseException):
    """
    A signal that ends the command.

    No KeyboardInterrupt, of which Lightning makes exit code 1 without a word, and no SystemExit;
    neither does an ``except Exception`` take it.

    :ivar number: of the signal.
    :ivar kept: what is kept, and how to go on; for people.
    """

    def __init__(self, number: int, kept: str = 'the same command begins again') -> None:
        super().__init__(number, kept)
        self.number, self.kept = number, kept

    def __str__(self) -> str:
        return f'stopped by {_NAMES.get(signal.Signals(self.number), self.number)}: {self.kept}'

    @property
    def code(self) -> int:
        """Return the exit code, as shells have it."""
        return 128 + self.number


def speaks() -> bool:
    """
    Tell whether this process speaks for a training: the first of those that share it.

    RANK is torchrun's; LOCAL_RANK is in the processes that Lightning has started for the other
    devices, and in none that stands for itself; SLURM_PROCID is srun's.
    """
    rank = next((os.environ[name] for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID')
                 if os.environ.get(name)), '0')
    return not rank.isdecimal() or int(rank) == 0


def _stop(number: int, _: FrameType | None) -> None:
    # While all is being put away: a scheduler signals the whole group, and whoever started
    # this process signals it too. Who presses Ctrl-C again does not want to wait.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise Stopped(number)


def pass_stops_on(before: object, tell_others: Callable[[], object]) -> None:
    """
    Take SIGTERM back from a library that has put its own handler before ours.

    Lightning's broadcasts to the other processes of a training from within the handler, which
    fails where one of them has gone already, as it has when all are signalled: nobody would
    then say what is kept.

    :param before: the handler that the library found: nothing is done where it is not ours.
    :param tell_others: signals the processes that this one has started.
    """
    if before is not _stop or threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, frame: FrameType | None) -> None:
        tell_others()
        _stop(number, frame)

    signal.signal(signal.SIGTERM, stop)


@contextmanager
def stops_raised() -> Iterator[None]:
    """Raise Stopped where the signals come, in the main thread; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {number: signal.signal(number, _stop) for number in _NAMES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def kept(words: str) -> Iterator[None]:
    """Say what is kept where a signal ends the block."""
    try:
        yield
    except Stopped as stop:
        raise Stopped(stop.number, words) from None


def raise_if_stopped(code: int, words: str) -> None:
    """
    Pass on a signal that has ended a command within this one.

    :param code: its exit code.
    :param words: what is kept, and how to go on.
    """
    if code - 128 in _NAMES:
        raise Stopped(code - 128, words)
