# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The flag stays up for a while after a failure; good images are good all the same."""

from __future__ import annotations

import time

from node_bench import rgb_image
from sensor_msgs.msg import Image


def test_the_first_good_image_after_a_failure_is_published_and_not_counted_as_another(make_bench):
    """The flag's reason stays 'failure' until clear_after images: it must not condemn them."""
    bench = make_bench(parameters={'clear_after': 1000})
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    bench.predictor.fails = ValueError('once')
    bench.until(lambda: bench.diagnostics()['inference']['dropped_failure'] != '0',
                send=rgb_image())
    bench.predictor.fails = None
    time.sleep(0.3)  # What was under way has failed by now.
    failures = bench.diagnostics()['inference']['dropped_failure']
    before = len(labels)
    bench.until(lambda: len(labels) > before + 1, send=rgb_image())
    assert bench.diagnostics()['inference']['dropped_failure'] == failures
    assert bench.risk() is True, 'one good image must not lower the flag'
