# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: newest first, never blocked, never dead."""

from __future__ import annotations

import threading

from emu_perception.ros.worker import Worker

TIMEOUT_S = 10.0


class Recorder:
    """Processes items, slowly where ``gate`` is closed."""

    def __init__(self):
        self.seen, self.errors = [], []
        self.gate, self.entered, self.stopped = (threading.Event() for _ in range(3))
        self.gate.set()
        self.idle = threading.Semaphore(0)
        self.worker = Worker(self.process, on_error=self.errors.append,
                             on_stopped=self.stopped.set)

    def process(self, item):
        self.entered.set()
        assert self.gate.wait(TIMEOUT_S)
        self.seen.append(item)
        self.idle.release()
        if item == 'bad':
            raise ValueError(item)


def test_newest_item_replaces_the_waiting_one_and_nothing_blocks():
    recorder = Recorder()
    recorder.gate.clear()
    assert recorder.worker.offer(1) is None
    assert recorder.entered.wait(TIMEOUT_S)
    assert recorder.worker.offer(2) is None
    assert recorder.worker.offer(3) == 2
    recorder.gate.set()
    for _ in range(2):
        assert recorder.idle.acquire(timeout=TIMEOUT_S)
    assert recorder.seen == [1, 3]
    recorder.worker.stop()
    assert recorder.worker.join(TIMEOUT_S)


def test_exception_is_reported_and_the_next_item_processed():
    recorder = Recorder()
    recorder.worker.offer('bad')
    assert recorder.idle.acquire(timeout=TIMEOUT_S)
    recorder.worker.offer('good')
    assert recorder.idle.acquire(timeout=TIMEOUT_S)
    assert recorder.seen == ['bad', 'good'] and str(recorder.errors[0]) == 'bad'
    recorder.worker.stop()
    assert recorder.worker.join(TIMEOUT_S)


def test_stop_returns_at_once_and_frees_after_the_item_in_work():
    recorder = Recorder()
    recorder.gate.clear()
    recorder.worker.offer(1)
    assert recorder.entered.wait(TIMEOUT_S)
    recorder.worker.offer(2)
    recorder.worker.stop()
    assert not recorder.worker.join(0.05) and not recorder.stopped.is_set()
    recorder.gate.set()
    assert recorder.worker.join(TIMEOUT_S) and recorder.stopped.is_set()
    assert recorder.seen == [1], 'an item was processed after stop'


def test_cleared_slot_is_not_processed():
    recorder = Recorder()
    recorder.gate.clear()
    recorder.worker.offer(1)
    assert recorder.entered.wait(TIMEOUT_S)
    recorder.worker.offer(2)
    assert recorder.worker.clear() == 2 and recorder.worker.clear() is None
    recorder.gate.set()
    recorder.worker.offer(3)
    for _ in range(2):
        assert recorder.idle.acquire(timeout=TIMEOUT_S)
    assert recorder.seen == [1, 3]
    recorder.worker.stop()
    assert recorder.worker.join(TIMEOUT_S)
