# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters through the real services: refused with a reason, or really applied."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.ros.lifecycle_node import EmuNode
from emu_perception.ros.parameter_rows import START
from emu_perception.ros.parameters import TABLE, value_of
from node_bench import FakePredictor, rgb_image
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image


def newest(bench, messages):
    """Return a message of an image sent from now on."""
    stamp = 5000 + len(messages)
    bench.until(lambda: any(m.header.stamp.sec == stamp for m in messages),
                send=rgb_image(sec=stamp))
    return next(m for m in messages if m.header.stamp.sec == stamp)


@pytest.mark.parametrize('name, value', [
    ('overlay_alpha', 1.5), ('raise_after', 0), ('stale_after_s', 0.0),
    ('risk_threshold_depth', -1.0), ('output_size', 'tiny'), ('unknown_depth_sigma', float('nan')),
    ('stale_after_s', 'soon'), ('model_file', '/other'), ('device', 'cuda:99'),
    ('depth_encoding', '16SC1'),
    ('transport', 'compressed'), ('autostart', True)])
def test_change_is_refused_with_a_reason_and_without_effect(make_bench, name, value):
    bench = make_bench()
    before = bench.node.get_parameter(name).value
    result = bench.set(**{name: value})
    assert not result.successful and name in result.reason
    assert bench.node.get_parameter(name).value == before
    assert value_of(bench.node._settings, name) == before


def test_one_bad_value_among_good_ones_changes_nothing(make_bench):
    bench = make_bench()
    assert not bench.set(clear_after=9, overlay_alpha=2.0).successful
    assert bench.node._settings.clear_after == 3


def test_deleting_a_parameter_is_refused(make_bench):
    bench = make_bench()
    assert not bench.set(stale_after_s=None).successful
    assert bench.node.has_parameter('stale_after_s')


def test_output_size_is_applied_live(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    assert newest(bench, labels).width == 64
    assert bench.set(output_size='network').successful
    bench.until(lambda: labels[-1].width == 32, send=rgb_image())


def test_unknown_limits_are_applied_live(make_bench):
    bench = make_bench()
    labels, depths = bench.listen(Image, 'label'), bench.listen(Image, 'depth/image')
    assert bench.set(unknown_label_entropy=0.7, unknown_depth_sigma=0.3).successful
    label = np.frombuffer(newest(bench, labels).data, np.uint8).reshape(48, 64)
    assert (label[24:] == 255).all() and (label[:24] < 3).all()
    depth = np.frombuffer(newest(bench, depths).data, np.float32).reshape(48, 64)
    assert np.isnan(depth[24:]).all() and (depth[1:24] == 2.0).all() and np.isinf(depth[0, 0])


@pytest.mark.parametrize('topic, change', [
    ('overlay', {'overlay_alpha': 1.0}),
    ('segmentation_uncertainty_color', {'entropy_color_max': 5.0}),
    ('depth_uncertainty_color', {'sigma_color_max_m': 9.0})])
def test_picture_follows_its_parameter(make_bench, topic, change):
    bench = make_bench()
    pictures = bench.listen(Image, topic)
    before = np.frombuffer(newest(bench, pictures).data, np.uint8).reshape(48, 64, 3)[20:]
    assert bench.set(**change).successful
    after = np.frombuffer(newest(bench, pictures).data, np.uint8).reshape(48, 64, 3)[20:]
    assert np.abs(before.astype(int) - after).mean() > 5


def test_risk_parameters_are_applied_live(make_bench):
    bench = make_bench()
    bench.clear_risk()
    assert bench.set(risk_threshold_depth=0.1).successful
    bench.until(lambda: bench.risk() is True, send=rgb_image())
    assert bench.set(risk_threshold_depth=0.0, clear_after=1).successful
    bench.clear_risk()
    assert bench.set(stale_after_s=0.1).successful
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'stale')


def test_use_camera_info_is_applied_live(make_bench):
    from node_bench import camera_info
    bench = make_bench(parameters={'fallback_hfov_deg': 0.0})
    bench.until(lambda: bench.predictor.calls and bench.predictor.calls[-1]['fx'] == 50.0,
                send=rgb_image(), camera_info=camera_info())
    assert bench.set(use_camera_info=False).successful
    bench.until(lambda: bench.predictor.calls[-1]['fx'] is None, send=rgb_image(),
                camera_info=camera_info())


def test_whole_number_for_a_float_is_taken_at_the_start_and_later(make_bench):
    bench = make_bench(parameters={'stale_after_s': 2})
    assert bench.node._settings.stale_after_s == 2.0
    assert bench.set(stale_after_s=3).successful
    assert bench.node._settings.stale_after_s == 3.0


@pytest.mark.parametrize('name, value, wanted', [
    ('overlay_alpha', 7.0, 'a number from 0 to 1'), ('transport', 'theora', 'one of raw, comp'),
    ('raise_after', 0, 'a whole number from 1'), ('raise_after', 'x', 'a whole number from 1'),
    ('raise_after', 2.0, 'a whole number from 1'), ('autostart', 'true', 'true or false'),
    ('gate', 'points', 'a list'), ('stale_after_s', float('nan'), 'a number from 0.05'),
    ('device', 0, 'text, in quotes'),  # As device: 0, and off, in YAML.
    ('depth_hint_contradicted', False, 'one of off, count, nan, nearer, in quotes')])
def test_bad_value_at_the_start_ends_in_one_line_that_says_what_to_give(ros, name, value, wanted):
    with pytest.raises(InputError) as caught:
        EmuNode(predictor_loader=FakePredictor().load,
                parameter_overrides=[Parameter(name, value=value)])
    said = str(caught.value)
    assert said.startswith(f'parameter {name} is {value!r}: give {wanted}') and '\n' not in said


def qos(bench, topic, *, publisher):
    """Return the QoS that a topic of the node really has, as another node sees it."""
    ask = (bench.helper.get_publishers_info_by_topic if publisher
           else bench.helper.get_subscriptions_info_by_topic)
    return bench.until(lambda: [end.qos_profile for end in ask(topic)
                                if end.node_name == 'emu'])[0]


QOS_TOPICS = [('/image', False), ('/camera_info', False), ('/emu/label', True),
              ('/emu/depth/image', True), ('/emu/points', True), ('/emu/risk', True)]


@pytest.mark.parametrize('topic, publisher', QOS_TOPICS)
def test_images_are_read_best_effort_and_maps_sent_reliably(make_bench, topic, publisher):
    found = qos(make_bench(), topic, publisher=publisher)
    assert found.reliability.name == ('RELIABLE' if publisher else 'BEST_EFFORT')


@pytest.mark.parametrize('topic, publisher', QOS_TOPICS)
def test_qos_override_changes_the_topic_itself(make_bench, topic, publisher):
    override = f'qos_overrides.{topic}.{"publisher" if publisher else "subscription"}'
    bench = make_bench(parameters={
        f'{override}.reliability': 'best_effort' if publisher else 'reliable',
        f'{override}.depth': 7})
    found = qos(bench, topic, publisher=publisher)
    assert found.reliability.name == ('BEST_EFFORT' if publisher else 'RELIABLE')
    # The depth is the node's own affair: DDS does not tell it to others.
    assert bench.node.get_parameter(f'{override}.depth').value == 7


def test_node_with_overridden_qos_works_through_a_second_activation(make_bench):
    bench = make_bench(parameters={'qos_overrides./image.subscription.reliability': 'reliable',
                                   'qos_overrides./emu/label.publisher.depth': 7})
    assert bench.transition('deactivate') and bench.transition('activate')
    assert qos(bench, '/image', publisher=False).reliability.name == 'RELIABLE'
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())


def test_a_dump_is_loaded_without_complaint_but_for_what_only_a_start_sets(make_bench):
    """What ``ros2 param load`` of ``ros2 param dump`` asks for: each parameter as it is."""
    bench = make_bench()
    names = [name for name in bench.node._parameters if not name.startswith('qos_overrides.')]
    before = {one.name: one.value for one in bench.node.get_parameters(names)}
    refused = {name for name, one in zip(names, bench.node.get_parameters(names))
               if one.type_ != Parameter.Type.NOT_SET
               and not bench.node.set_parameters([one])[0].successful}
    read_only = {name for name in names if bench.node.describe_parameter(name).read_only}
    assert refused == read_only  # rclpy's own answer, and one of rclpy's own parameters
    assert refused & TABLE.keys() == {name for name, row in TABLE.items() if row.change == START}
    assert {one.name: one.value for one in bench.node.get_parameters(names)} == before


def test_no_image_is_processed_by_settings_that_are_being_checked(make_bench, monkeypatch):
    bench = make_bench()
    seen = []

    def check(names, settings, running):
        seen.append(bench.node._settings.fallback_hfov_deg)
        raise InputError('parameter model_file: no')
    monkeypatch.setattr(bench.node._swap, 'check', check)
    assert not bench.set(model_file='/other', fallback_hfov_deg=120.0).successful
    assert seen == [65.0] and bench.node._settings.fallback_hfov_deg == 65.0


def test_an_error_that_nobody_foresaw_refuses_the_parameters_and_leaves_them(
        make_bench, monkeypatch):
    bench = make_bench()

    def check(names, settings, running):
        raise RuntimeError('the disk is gone')
    monkeypatch.setattr(bench.node._swap, 'check', check)
    refused = bench.set(clear_after=1)
    assert not refused.successful and 'RuntimeError: the disk is gone' in refused.reason
    assert bench.node._settings.clear_after == 3
