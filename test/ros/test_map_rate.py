# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Of which images maps are made, while rates change and images fail."""

from __future__ import annotations

from emu_perception.ros.map_rate import MapRate
import pytest


def due(rate: MapRate, now_s: float, max_rate_hz: float = 0.0, on_request: bool = False) -> bool:
    return rate.is_due(now_s, max_rate_hz=max_rate_hz, on_request=on_request)


@pytest.mark.parametrize('later_hz', [0.0, 10.0])
def test_another_rate_counts_at_once_and_not_when_the_old_one_would_be_due(later_hz):
    rate = MapRate()
    for now_s in (0.0, 1.0, 2.0):
        due(rate, now_s, 0.001)
    assert not due(rate, 3.0, 0.001)
    assert due(rate, 4.0, later_hz)


def test_mean_rate_is_kept_by_a_camera_that_is_not_in_step():
    rate = MapRate()
    made = sum(due(rate, number / 30.0, 7.0) for number in range(300))
    assert 70 <= made <= 72


def test_request_is_answered_once_and_by_the_next_image_where_one_fails():
    rate = MapRate()
    rate.request()
    assert due(rate, 0.0, on_request=True)
    rate.failed()
    assert due(rate, 0.1, on_request=True)
    assert not due(rate, 0.2, on_request=True)
    rate.failed()  # of an image that answered nothing
    assert not due(rate, 0.3, on_request=True)


def test_request_of_an_ended_session_is_forgotten():
    rate = MapRate()
    rate.request()
    rate.forget()
    assert not due(rate, 0.0, on_request=True)
