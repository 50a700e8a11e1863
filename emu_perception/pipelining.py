# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A second image in flight: one is copied while another is computed.

For streams whose images come faster than one is answered (a recording, a camera at full rate).
It raises the rate, not the speed of one image: with an image in flight the next one's answer comes
later than it would alone. A node that takes the newest image only is better off without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
import threading
from typing import Any

from emu_perception.errors import InputError
from emu_perception.prediction import Prediction
import numpy as np


class PipelinedPredictor:
    """
    A predictor with several images in flight; results come in the order of the images.

    On a GPU the copies of one image hide behind the computing of another; on a CPU one image at a
    time is computed, beside whatever the caller does.

    :param predictor: called like ``Predictor``; stays open when this is closed.
    :param in_flight: images at once; None = 2 on a GPU, 1 elsewhere.
    :raises InputError: if ``in_flight`` is below 1.
    """

    def __init__(self, predictor: Callable[..., Prediction],
                 in_flight: int | None = None) -> None:
        if in_flight is None:
            device = getattr(predictor, 'device', None)
            in_flight = 2 if getattr(device, 'type', 'cpu') == 'cuda' else 1
        if in_flight < 1:
            raise InputError(f'in_flight is {in_flight}: give 1 or more')
        self.in_flight = in_flight
        self._predictor = predictor
        self._workers = ThreadPoolExecutor(in_flight, thread_name_prefix='emu_pipeline')
        self._places = threading.Semaphore(in_flight)
        self._closed = False

    def submit(self, image: np.ndarray, **arguments: Any) -> Future[Prediction]:
        """
        Begin with an image; waits while as many as may be are in flight already.

        :param image: must not change before its result is there.
        :param arguments: of the predictor.
        :return: its ``result()`` is the prediction, or raises what the predictor raised.
        :raises InputError: if this is closed.
        """
        self._places.acquire()
        try:
            if self._closed:
                raise InputError('the pipeline is closed: make another')
            future = self._workers.submit(self._predictor, image, **arguments)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda done: self._places.release())
        return future

    def map(self, images: Iterable[np.ndarray],  # noqa: A003
            **arguments: Any) -> Iterator[Prediction]:
        """
        Return the predictions of images, in order; no more images are taken than are in flight.

        :param arguments: of the predictor, for every image.
        """
        waiting: deque[Future[Prediction]] = deque()
        source = iter(images)
        try:
            for image in islice(source, self.in_flight):
                waiting.append(self.submit(image, **arguments))
            while waiting:
                found = waiting.popleft().result()
                for image in islice(source, 1):
                    waiting.append(self.submit(image, **arguments))
                yield found
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Wait for what is in flight; a second call does nothing."""
        self._closed = True
        self._workers.shutdown(wait=True)

    def __enter__(self) -> PipelinedPredictor:
        """Be closed at the end of a block."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Close."""
        self.close()
