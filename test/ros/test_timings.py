# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The times of one image's stages, by the moments at which each began."""

from __future__ import annotations

from emu_perception.ros.timings import Timings

# Moments that binary fractions hold exactly, so that differences of them are exact too.
TIMINGS = Timings(received_s=8.0, turn_s=8.5, started_s=8.75, converted_s=9.0, predicted_s=11.0,
                  flagged_s=11.25, predictor_ms={'turn': 250.0, 'network': 1500.0})
PUBLISHED = TIMINGS.published(begun_s=11.5, done_s=12.0)


def test_every_stage_is_the_time_between_two_moments():
    assert PUBLISHED == {
        'waiting_time_ms': 750.0, 'conversion_time_ms': 250.0, 'prediction_time_ms': 2000.0,
        'turn_time_ms': 250.0, 'network_time_ms': 1500.0, 'risk_time_ms': 250.0,
        'handover_time_ms': 250.0, 'publish_time_ms': 500.0, 'processing_time_ms': 3250.0,
        'overhead_time_ms': 1750.0}


def test_overhead_is_the_latency_less_predictor_and_queue():
    latency_ms = (12.0 - TIMINGS.received_s) * 1e3
    queued_ms = (TIMINGS.turn_s - TIMINGS.received_s) * 1e3
    assert PUBLISHED['overhead_time_ms'] == latency_ms - queued_ms - 1750.0


def test_the_stages_of_the_node_sum_to_the_time_from_arrival_to_the_last_message():
    parts = ('waiting', 'conversion', 'prediction', 'risk', 'handover', 'publish')
    assert sum(PUBLISHED[f'{part}_time_ms'] for part in parts) == (12.0 - 8.0) * 1e3
