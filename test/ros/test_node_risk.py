# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The flag through real topics: fail safe at every turn."""

from __future__ import annotations

from dataclasses import replace
import time

from emu_perception.checkpoint import FittedThreshold
from emu_perception.region import Region
from emu_perception.scores import SCORES
from node_bench import fake_calibration, FakePredictor, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32


def reason(bench):
    return bench.diagnostics()['risk']['reason']


def test_flag_is_raised_before_the_first_image_and_latched_for_late_subscribers(make_bench):
    bench = make_bench(active=False)
    late = bench.listen(Bool, 'risk', latched=True)
    bench.until(lambda: late and late[0].data is True)
    assert bench.transition('configure') and bench.transition('activate')
    time.sleep(0.3)
    assert bench.risk() is True
    bench.until(lambda: reason(bench) == 'no_image')


def test_certain_images_lower_it_uncertain_ones_raise_it_by_the_models_own_voice(make_bench):
    bench = make_bench(parameters={'clear_below': 1.0})
    bench.clear_risk()
    bench.predictor.mean_entropy = 0.81  # the checkpoint's threshold is 0.8
    bench.until(lambda: bench.risk() is True, send=rgb_image())
    bench.until(lambda: reason(bench) == 'uncertain', send=rgb_image())
    bench.predictor.mean_entropy = 0.79
    bench.clear_risk()
    bench.predictor.mean_sigma = 0.51
    bench.until(lambda: bench.risk() is True, send=rgb_image())


def test_silent_camera_raises_it_and_it_is_repeated_every_second(make_bench):
    bench = make_bench(parameters={'stale_after_s': 0.5})
    bench.clear_risk()
    flags = bench.received['risk']
    bench.until(lambda: bench.risk() is True)
    bench.until(lambda: reason(bench) == 'stale')
    count, begin = len(flags), time.monotonic()
    bench.until(lambda: len(flags) >= count + 4)
    assert time.monotonic() - begin < 4 + 2, 'not repeated at least once a second'


def test_hung_network_raises_it(make_bench):
    bench = make_bench(parameters={'stale_after_s': 0.5})
    bench.clear_risk()
    bench.hang()
    bench.until(lambda: bench.risk() is True)
    bench.until(lambda: reason(bench) == 'stale')


def test_deactivation_raises_it(make_bench):
    bench = make_bench()
    bench.clear_risk()
    assert bench.transition('deactivate')
    bench.until(lambda: bench.risk() is True)
    bench.until(lambda: reason(bench) == 'inactive')


def test_image_in_work_at_deactivation_does_not_lower_it_afterwards(make_bench):
    bench = make_bench(parameters={'clear_after': 1})
    bench.hang()
    assert bench.transition('deactivate')
    bench.predictor.gate.set()
    bench.until(lambda: bench.diagnostics()['inference']['dropped_deactivated'] != '0')
    time.sleep(0.3)
    assert bench.risk() is True and not any(not f.data for f in bench.received['risk'])


def test_clear_after_and_raise_after_count_images(make_bench):
    raised = []

    class Watching(FakePredictor):

        def __call__(self, *args, **options):
            raised.append(bench.node._risk.state.raised)
            return super().__call__(*args, **options)
    bench = make_bench(predictor=Watching(), parameters={
        'clear_after': 4, 'raise_after': 3, 'stale_after_s': 60.0})
    bench.until(lambda: len(raised) > 4, send=rgb_image())
    assert raised[:5] == [True] * 4 + [False]
    bench.predictor.mean_sigma = 9.0
    before = len(raised)  # one image may still be in work with the old mean
    bench.until(lambda: raised[-1], send=rgb_image())
    assert raised[before:before + 4].index(True) in (2, 3)


@pytest.mark.parametrize('calibration, parameters, source', [
    (fake_calibration(), {}, 'checkpoint'),
    (fake_calibration(), {'risk_threshold_segmentation': 0.3}, 'parameter'),
    (fake_calibration(segmentation=None), {}, 'none: not judged')])
def test_threshold_and_where_it_came_from_are_told(make_bench, calibration, parameters, source):
    bench = make_bench(predictor=FakePredictor(calibration=calibration), parameters=parameters)
    bench.until(lambda: bench.diagnostics()['risk']['threshold_segmentation_from'] == source)
    if source == 'parameter':
        assert bench.diagnostics()['risk']['threshold_segmentation_nat'] == '0.3'
        bench.until(lambda: reason(bench) == 'uncertain', send=rgb_image())
    if source.startswith('none'):
        bench.predictor.mean_entropy = 50.0
        bench.clear_risk()


def test_a_network_that_knows_no_distance_does_not_pass_by_a_threshold_of_its_own(make_bench):
    """Trained for an epoch it says sigma is 15 times the depth, of 95 % of its images."""
    scores = {**fake_calibration().scores, 'relative_depth_sigma': FittedThreshold(15.0, 95.0)}
    predictor = FakePredictor(calibration=replace(fake_calibration(), scores=scores))
    predictor.relative_sigma = 12.0
    bench = make_bench(predictor=predictor)
    bench.until(lambda: reason(bench) == 'uncertain', send=rgb_image())
    found = bench.diagnostics()
    assert found['risk']['threshold_relative_depth_from'] == 'at most 1; the checkpoint has 15'
    assert found['model']['level'] == b'\x01' and 'worth nothing' in found['model']['message']
    assert 'risk_threshold_relative_depth' in found['model']['message']
    assert bench.set(risk_threshold_relative_depth=10.0).successful
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x00')
    predictor.relative_sigma = 8.0
    bench.clear_risk()


@pytest.mark.parametrize('row', SCORES.values(), ids=SCORES)
def test_every_score_has_a_parameter_that_lets_it_raise_and_a_topic(make_bench, row):
    unjudged = fake_calibration(segmentation=None, depth=None)
    bench = make_bench(predictor=FakePredictor(calibration=unjudged))
    values = bench.listen(Float32, row.topic)
    bench.clear_risk()
    assert bench.set(**{row.parameter: 0.01}).successful
    bench.until(lambda: reason(bench) == 'uncertain', send=rgb_image())
    status = bench.diagnostics()['risk']
    assert row.words in status['detail'] and status['largest_score_of'] == row.name
    assert (status[row.threshold_key], status[row.origin_key]) == ('0.01', 'parameter')
    value = bench.predictor(np.zeros((48, 64, 3), np.uint8)).scores[row.name]
    assert float(status[row.key]) == pytest.approx(values[-1].data) == pytest.approx(value)
    assert float(status['largest_score']) == pytest.approx(100.0 * value)


def test_risk_scores_says_which_scores_raise_and_the_plain_rule_is_two_of_them(make_bench):
    bench = make_bench(parameters={'risk_threshold_unfamiliarity': 0.05,
                                   'risk_threshold_relative_depth': 0.5})
    bench.until(lambda: reason(bench) == 'uncertain', send=rgb_image())
    assert 'unfamiliarity' in bench.diagnostics()['risk']['detail']
    assert bench.set(risk_scores=['segmentation_entropy', 'relative_depth_sigma']).successful
    bench.clear_risk()
    bench.until(lambda: reason(bench) == 'none', send=rgb_image())
    origin = bench.diagnostics()['risk']
    assert origin['threshold_unfamiliarity_from'] == 'none: not in risk_scores'
    assert origin['threshold_segmentation_from'] == 'checkpoint'
    bench.predictor.mean_entropy = 0.9  # the checkpoint's threshold is 0.8
    bench.until(lambda: reason(bench) == 'uncertain', send=rgb_image())
    assert 'mean entropy' in bench.diagnostics()['risk']['detail']
    answer = bench.set(risk_scores=['segmentation_entropy', 'mean_entropy'])
    assert not answer.successful and '\n' not in answer.reason
    assert 'risk_scores' in answer.reason and 'predicted_failure' in answer.reason


def test_a_score_that_is_to_raise_but_is_not_the_checkpoints_keeps_the_flag_up(make_bench):
    predictor = FakePredictor()
    predictor.metadata = replace(predictor.metadata, statistics=())
    bench = make_bench(predictor=predictor)
    bench.clear_risk()
    assert bench.set(risk_scores=['segmentation_entropy', 'unfamiliarity']).successful
    bench.until(lambda: reason(bench) == 'failure', send=rgb_image())
    assert 'lacks the score unfamiliarity' in bench.diagnostics()['risk']['detail']


def test_a_score_that_is_to_raise_but_has_no_threshold_keeps_the_flag_up_until_it_has(make_bench):
    bench = make_bench()
    bench.clear_risk()
    assert bench.set(risk_scores=['relative_depth_sigma']).successful
    bench.until(lambda: reason(bench) == 'failure', send=rgb_image())
    assert 'set risk_threshold_relative_depth' in bench.diagnostics()['risk']['detail']
    assert bench.set(risk_threshold_relative_depth=0.5).successful
    bench.clear_risk()


def test_a_score_that_the_network_should_have_given_raises_and_its_maps_are_held_back(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.clear_risk()
    bench.until(lambda: labels, send=rgb_image())
    bench.predictor.lost_scores = {'depth_sigma'}
    bench.until(lambda: reason(bench) == 'failure', send=rgb_image())
    assert 'lacks the score depth_sigma' in bench.diagnostics()['risk']['detail']
    calls = len(bench.predictor.calls)
    bench.until(lambda: len(bench.predictor.calls) >= calls + 2, send=rgb_image())
    count = len(labels)
    bench.until(lambda: len(bench.predictor.calls) >= calls + 5, send=rgb_image())
    assert len(labels) == count


def test_images_near_the_threshold_do_not_lower_it_until_the_share_is_changed(make_bench):
    bench = make_bench()
    bench.predictor.mean_entropy = 0.79  # the checkpoint's threshold is 0.8
    bench.until(lambda: 'above 0.9 of its threshold' in bench.diagnostics()['risk']['message'],
                send=rgb_image())
    calls = len(bench.predictor.calls)
    bench.until(lambda: len(bench.predictor.calls) > calls + 4, send=rgb_image())
    assert bench.risk() is True
    assert bench.set(clear_below=0.99).successful
    bench.clear_risk()


def test_region_goes_with_each_image_is_live_and_its_thresholds_are_said_to_be_others(make_bench):
    bench = make_bench(parameters={'risk_region': [0.5, 1.0, 0.0, 1.0]})
    bench.until(lambda: bench.predictor.calls, send=rgb_image())
    assert bench.predictor.calls[-1]['score_region'] == Region(0.5, 1.0, 0.0, 1.0)
    assert bench.set(risk_region=[]).successful
    bench.until(lambda: bench.predictor.calls[-1]['score_region'] is None, send=rgb_image())
    refused = bench.set(risk_region=[1.0, 0.5, 0.0, 1.0])
    assert not refused.successful and 'give top, bottom, left, right' in refused.reason
