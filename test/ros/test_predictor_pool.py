# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One network in memory for all who want the same, freed with the last, used in turn."""

from __future__ import annotations

import os
from pathlib import Path
import threading
import time

from emu_perception.errors import InputError
from emu_perception.ros.predictor_pool import FairLock, ModelKey, PredictorPool
from node_bench import FakePredictor
import numpy as np
import pytest

IMAGE = np.zeros((48, 64, 3), np.uint8)
OPTIONS = {'device': 'cpu', 'precision': 'fp32', 'backend': 'auto'}


class Loader:
    """Makes a new fake for each load."""

    def __init__(self):
        self.made = []

    def __call__(self, path, **options):
        self.made.append(FakePredictor())
        return self.made[-1].load(path, **options)


def test_equal_wishes_share_and_the_last_share_frees():
    loader = Loader()
    pool = PredictorPool(loader)
    shares = [pool.take(Path('/m'), **OPTIONS) for _ in range(3)]
    assert len(loader.made) == 1 and shares[0].users == 3
    for share in shares[:2]:
        share.close()
        share.close()  # twice is once
    assert not loader.made[0].closed.is_set(), 'freed under the camera that still uses it'
    shares[2](IMAGE)
    shares[2].close()
    assert loader.made[0].closed.is_set()
    with pytest.raises(InputError, match='closed'):
        shares[2](IMAGE)
    assert pool.take(Path('/m'), **OPTIONS).users == 1 and len(loader.made) == 2


@pytest.mark.parametrize('other', [
    {'path': Path('/n')}, {'device': 'cuda'}, {'precision': 'bf16'}, {'backend': 'eager'}])
def test_another_file_device_precision_or_backend_is_another_network(other):
    loader = Loader()
    pool = PredictorPool(loader)
    wish = {'path': Path('/m'), **OPTIONS}
    pool.take(**wish), pool.take(**{**wish, **other})
    assert len(loader.made) == 2


def test_file_replaced_under_its_name_is_another_model_and_a_link_is_the_same(tmp_path):
    path, link = tmp_path / 'm', tmp_path / 'link'
    path.write_bytes(b'one')
    link.symlink_to(path)
    before = ModelKey.of(path, **OPTIONS)
    assert ModelKey.of(link, **OPTIONS) == before
    new = tmp_path / 'new'
    new.write_bytes(b'two')
    os.replace(new, path)
    assert ModelKey.of(path, **OPTIONS) != before


def test_cameras_that_start_together_load_once():
    loader = Loader()

    def slow(path, **options):
        time.sleep(0.2)
        return loader(path, **options)
    pool = PredictorPool(slow)
    threads = [threading.Thread(target=pool.take, args=(Path('/m'),),
                                kwargs=OPTIONS) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loader.made) == 1


def test_failed_load_or_warm_up_leaves_nothing_and_the_next_try_works():
    predictor = FakePredictor()

    def fail(*_, **__):
        raise RuntimeError('CUDA out of memory')
    predictor.warm_up = fail
    pool = PredictorPool(predictor.load)
    with pytest.raises(RuntimeError):
        pool.take(Path('/m'), **OPTIONS)
    assert predictor.closed.is_set()
    del predictor.warm_up
    assert pool.take(Path('/m'), **OPTIONS).users == 1


def test_each_camera_gives_its_own_label_limit():
    pool = PredictorPool(Loader())
    front, left = (pool.take(Path('/m'), **OPTIONS) for _ in range(2))
    assert (left(IMAGE, unknown_label_entropy=0.7).label == 255).any()
    assert not (front(IMAGE).label == 255).any()


def test_error_in_one_camera_hands_the_turn_on():
    loader = Loader()
    pool = PredictorPool(loader)
    front, left = (pool.take(Path('/m'), **OPTIONS) for _ in range(2))
    loader.made[0].fails = RuntimeError('CUDA out of memory')
    with pytest.raises(RuntimeError):
        front(IMAGE)
    loader.made[0].fails = None
    assert left(IMAGE).timing_ms['turn'] >= 0


def test_lock_serves_in_order_and_a_busy_camera_starves_nobody():
    lock, order, begin = FairLock(), [], threading.Barrier(4)

    def camera(number):
        begin.wait()
        for _ in range(30):
            with lock:  # without a pause: threading.Lock would go to the same thread again
                order.append(number)
                time.sleep(0.0005)
    threads = [threading.Thread(target=camera, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    middle = order[8:-40]  # all four are at it
    assert all(set(middle[at:at + 6]) == {0, 1, 2, 3} for at in range(len(middle) - 6)), order
