# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing, multiply-accumulates and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
import subprocess
import sys
import time
from typing import Any

from emu_perception.errors import InputError
import numpy as np
import torch

WARM_UP = 3


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int,
                progress: Callable[[], None] = lambda: None,
                clock: Callable[[], float] = time.perf_counter) -> dict[str, list[float]]:
    """
    Return the milliseconds of each call of each round.

    One of each in turn, so that what slows the machine for a while slows all of them; the order
    turns round every second time.

    :param calls: each ends with its result in host memory.
    :param clock: in seconds; ``time.process_time`` is the processor's share, on a busy machine.
    """
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
            progress()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        names = list(calls) if turn % 2 == 0 else list(calls)[::-1]
        for name in names:
            start = clock()
            calls[name]()
            times[name].append(1e3 * (clock() - start))
            progress()
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Return median, p99, smallest, mean and standard deviation of some milliseconds."""
    values = np.array(times)
    return {'median_ms': float(np.median(values)), 'p99_ms': float(np.percentile(values, 99)),
            'min_ms': float(values.min()), 'mean_ms': float(values.mean()),
            'std_ms': float(values.std()), 'rounds': len(times)}


def gmac(function: Callable[[torch.Tensor], Any], size: tuple[int, int],
         device: torch.device, *, attention: bool = False) -> float:
    """
    Return the multiply-accumulates of one image, in units of 1e9.

    :param attention: count the products of attention too, which papers leave out.
    :raises InputError: if torch is too old to count them; a robot's may be, which needs none.
    """
    try:
        from torch.nn.attention import sdpa_kernel, SDPBackend
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError as error:
        raise InputError(f'torch {torch.__version__} cannot count operations: use 2.3 or newer '
                         'to benchmark') from error
    # The other kernels of attention are one operation, of which torch counts nothing on a CPU.
    kernel = sdpa_kernel(SDPBackend.MATH) if attention else nullcontext()
    with torch.no_grad(), kernel, FlopCounterMode(display=False) as counter:
        function(torch.zeros(1, 3, *size, device=device))
    return counter.get_total_flops() / 2e9


def peak_memory_mb(command: list[str]) -> float | None:
    """
    Return the most memory in MB that a process of its own held while it ran one contestant.

    :param command: prints the number on its last line.
    """
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    try:
        return float(done.stdout.split()[-1])
    except (IndexError, ValueError):
        return None
