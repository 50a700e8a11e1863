# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions through the real services, with failures in between."""

from __future__ import annotations

from emu_perception.errors import CheckpointError
from node_bench import fake_calibration, FakePredictor, rgb_image, TIMEOUT_S
import pytest
from sensor_msgs.msg import Image


def subscriptions(bench):
    return {name for name, _ in
            bench.helper.get_subscriber_names_and_types_by_node('emu', '/')}


def test_configure_loads_and_warms_up_activate_subscribes_cleanup_frees(make_bench):
    bench = make_bench(active=False, parameters={
        'device': 'cpu', 'precision': 'bf16', 'backend': 'eager'})
    assert bench.state() == 'unconfigured'
    assert bench.transition('configure') and bench.state() == 'inactive'
    assert bench.predictor.warmed_up
    assert str(bench.predictor.loaded.pop('path')) == '/fake'
    assert bench.predictor.loaded == {
        'device': 'cpu', 'precision': 'bf16', 'backend': 'eager'}
    assert '/image' not in subscriptions(bench)
    assert bench.transition('activate') and bench.state() == 'active'
    bench.until(lambda: {'/image', '/camera_info'} <= subscriptions(bench))
    assert bench.transition('deactivate') and bench.state() == 'inactive'
    bench.until(lambda: '/image' not in subscriptions(bench))
    assert not bench.predictor.closed.is_set()
    assert bench.transition('cleanup') and bench.state() == 'unconfigured'
    assert bench.predictor.closed.wait(TIMEOUT_S)


def test_nothing_is_published_while_inactive_and_all_is_again_after_reactivation(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    assert bench.transition('deactivate')
    calls = len(bench.predictor.calls)
    bench.until(lambda: bench.risk() is True)
    for _ in range(5):
        bench.send()
    assert bench.transition('activate')
    labels.clear()
    bench.until(lambda: labels, send=rgb_image(sec=77))
    assert all(label.header.stamp.sec == 77 for label in labels)
    assert len(bench.predictor.calls) > calls


def test_second_round_after_cleanup_works(make_bench):
    bench = make_bench()
    assert bench.transition('deactivate') and bench.transition('cleanup')
    assert bench.transition('configure') and bench.transition('activate')
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())


@pytest.mark.parametrize('error', [
    CheckpointError('/fake: truncated: no such field'), RuntimeError('two\nlines'),
    ModuleNotFoundError("No module named 'safetensors'", name='safetensors')])
def test_failed_configure_leaves_the_node_alive_and_mendable(make_bench, error):
    good = FakePredictor()

    def load(path, **options):
        if str(path) == '/fake':
            raise error
        return good.load(path, **options)
    bench = make_bench(active=False, loader=load, predictor=good)
    assert not bench.transition('configure')
    assert bench.state() == 'unconfigured'
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x02')
    message = bench.diagnostics()['model']['message']
    assert str(error).split()[0] in message or 'safetensors' in message
    assert '\n' not in message
    if isinstance(error, ImportError):
        assert 'pip install safetensors' in message
    assert bench.set(model_file='/mended').successful
    assert bench.transition('configure') and bench.transition('activate')
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x00')
    bench.clear_risk()


def test_failing_warm_up_frees_what_was_loaded(make_bench):
    predictor = FakePredictor()

    def fail(*_, **__):
        raise RuntimeError('CUDA out of memory')
    predictor.warm_up = fail
    bench = make_bench(active=False, predictor=predictor)
    assert not bench.transition('configure')
    assert predictor.closed.is_set()
    del predictor.warm_up
    assert bench.transition('configure')


def test_configure_that_fails_at_its_end_leaves_nothing_behind(make_bench):
    broken = FakePredictor(calibration=fake_calibration(depth=-1.0))
    bench = make_bench(active=False, predictor=broken)
    assert not bench.transition('configure')
    assert broken.closed.wait(TIMEOUT_S), 'the network of a failed configure stays in memory'
    bench.until(lambda: '/emu/label' not in {
        name for name, _ in bench.helper.get_publisher_names_and_types_by_node('emu', '/')})
    assert 'risk threshold depth_sigma is -1.0' in bench.diagnostics()['model']['message']
    assert bench.set(model_file='/other').successful, 'still counts as configured'


def test_transition_the_state_does_not_allow_is_answered_and_ends_nothing(make_bench):
    bench = make_bench(active=False)
    assert not bench.transition('activate')
    assert bench.state() == 'unconfigured'
    assert bench.transition('configure')
    assert not bench.transition('configure')
    assert bench.state() == 'inactive'


@pytest.mark.parametrize('steps, shutdown', [
    ((), 'unconfigured_shutdown'), (('configure',), 'inactive_shutdown'),
    (('configure', 'activate'), 'active_shutdown')])
def test_shutdown_from_any_state_frees_and_raises_the_flag(make_bench, steps, shutdown):
    bench = make_bench(active=False)
    for step in steps:
        assert bench.transition(step)
    if 'activate' in steps:
        bench.clear_risk()
    assert bench.transition(shutdown) and bench.state() == 'finalized'
    bench.until(lambda: bench.risk() is True)
    if steps:
        assert bench.predictor.closed.wait(TIMEOUT_S)


def test_error_in_a_transition_ends_unconfigured_with_the_flag_raised(make_bench):
    bench = make_bench()
    bench.clear_risk()
    # on_deactivate raises once; on_error must then work.
    bench.node._stop_input = _raise_once(bench.node, bench.node._stop_input)
    assert not bench.transition('deactivate')
    assert bench.state() == 'unconfigured'
    bench.until(lambda: bench.risk() is True)
    assert bench.predictor.closed.wait(TIMEOUT_S)
    assert bench.transition('configure') and bench.transition('activate')
    bench.clear_risk()


def _raise_once(node, original):
    def raise_once():
        node._stop_input = original
        raise RuntimeError('broken once')
    return raise_once


def test_autostart_reaches_active_without_a_manager(make_bench):
    bench = make_bench(active=False, parameters={'autostart': True})
    bench.until(lambda: bench.state() == 'active')
    bench.clear_risk()


def test_autostart_with_a_bad_model_stays_alive_and_unconfigured(make_bench):
    def load(path, **options):
        raise CheckpointError('/fake: no such checkpoint')
    bench = make_bench(active=False, loader=load, parameters={'autostart': True})
    bench.until(lambda: 'no such checkpoint' in bench.diagnostics()['model']['message'])
    assert bench.state() == 'unconfigured'
