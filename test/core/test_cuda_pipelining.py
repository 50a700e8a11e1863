# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Several images in flight: in order, bounded, with each one's own error, closed cleanly."""

from __future__ import annotations

import threading
import time

from core_bench import make_metadata, make_network
from emu_perception.errors import InputError
from emu_perception.pipelining import PipelinedPredictor
from emu_perception.predictor import Predictor
import numpy as np
import pytest
import torch


class Slow:
    """Answers with its image's first value; counts how many it works on at once."""

    def __init__(self, device='cuda') -> None:
        self.device = torch.device(device)
        self.now = self.most = self.begun = 0
        self.lock = threading.Lock()

    def __call__(self, image, *, fail=()):
        with self.lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            # Even ones are slower: without an order kept, odd ones would overtake them.
            time.sleep(0.02 if image[0] % 2 == 0 else 0.001)
            if image[0] in fail:
                raise ValueError(f'image {image[0]}')
            return int(image[0])
        finally:
            with self.lock:
                self.now -= 1


def images(count):
    return (np.array([i]) for i in range(count))


@pytest.mark.parametrize(('device', 'given', 'expected'), [
    ('cuda', None, 2), ('cpu', None, 1), ('cpu', 3, 3)])
def test_results_come_in_order_with_so_many_images_in_flight(device, given, expected):
    slow = Slow(device)
    with PipelinedPredictor(slow, given) as pipeline:
        assert list(pipeline.map(images(9))) == list(range(9))
    assert slow.most == expected == pipeline.in_flight


def test_no_more_images_are_taken_than_are_in_flight():
    taken = []

    def source():
        for image in images(9):
            taken.append(1)
            yield image
    with PipelinedPredictor(Slow()) as pipeline:
        results = pipeline.map(source())
        next(results)
        assert len(taken) == 3
        results.close()
    assert len(taken) == 3


def test_an_error_is_its_images_own():
    with PipelinedPredictor(Slow()) as pipeline:
        futures = [pipeline.submit(image, fail=(2,)) for image in images(5)]
        assert [i for i in range(5) if futures[i].exception()] == [2]
        with pytest.raises(ValueError, match='image 2'):
            futures[2].result()
        assert [futures[i].result() for i in (0, 1, 3, 4)] == [0, 1, 3, 4]
        with pytest.raises(ValueError, match='image 1'):
            list(pipeline.map(images(4), fail=(1,)))
        assert list(pipeline.map(images(4))) == [0, 1, 2, 3]


def test_submit_waits_for_a_place():
    slow, gate = Slow(), threading.Event()

    def held(image):
        assert gate.wait(20.0)
        return slow(image)
    with PipelinedPredictor(held, 2) as pipeline:
        first = [pipeline.submit(image) for image in images(2)]
        third = []
        waiter = threading.Thread(target=lambda: third.append(pipeline.submit(np.array([2]))))
        waiter.start()
        waiter.join(0.05)
        assert waiter.is_alive() and not third
        gate.set()
        waiter.join(20.0)
        assert [future.result() for future in (*first, *third)] == [0, 1, 2]


def test_closing_waits_for_what_is_in_flight_and_refuses_more():
    slow = Slow()
    pipeline = PipelinedPredictor(slow)
    futures = [pipeline.submit(image) for image in images(2)]
    pipeline.close()
    pipeline.close()
    assert all(future.done() for future in futures) and slow.now == 0
    for _ in range(3):  # Each refusal gives its place back.
        with pytest.raises(InputError, match='closed'):
            pipeline.submit(np.array([1]))


def test_less_than_one_image_in_flight_is_refused():
    with pytest.raises(InputError, match='in_flight is 0'):
        PipelinedPredictor(Slow(), 0)


def test_a_real_predictor_gives_the_same_maps_as_alone():
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    pictures = [np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8)
                for seed in range(4)]
    expected = [predictor(image, fx=90.0).depth_variance for image in pictures]
    for in_flight in (None, 2):
        with PipelinedPredictor(predictor, in_flight) as pipeline:
            for one, found in zip(expected, pipeline.map(pictures, fx=90.0)):
                assert np.array_equal(one, found.depth_variance)
            with pytest.raises(InputError, match='image is'):
                pipeline.submit(np.zeros((4, 4), np.uint8)).result()
