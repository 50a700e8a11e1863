# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The risk flag, event by event: raised, held and lowered as the design says, and fail safe."""

from __future__ import annotations

import math

from emu_perception.errors import InputError
from emu_perception.risk import RiskMonitor, RiskReason, RiskThresholds
import pytest

R = RiskReason


def scores(entropy: float | None, sigma: float | None) -> dict[str, float]:
    """Return the scores of an image, nat and m; None for a task that the network has not."""
    values = {'segmentation_entropy': entropy, 'depth_sigma': sigma}
    return {name: value for name, value in values.items() if value is not None}


def limits(segmentation: float | None = None, depth: float | None = None) -> RiskThresholds:
    """Return thresholds, nat and m."""
    return RiskThresholds(scores(segmentation, depth))


GOOD, BAD = scores(0.5, 0.2), scores(1.5, 0.2)  # with the limits below
LIMITS = limits(segmentation=1.0, depth=0.4)


def play(monitor: RiskMonitor, events: str) -> str:
    """
    Return the flag after each event: '!' raised, '.' lowered.

    Events: g an image below the limits, B one above, u one that cannot be used, f a failure,
    s five seconds of silence, D deactivate, A activate.
    """
    now_s, flags = 0.0, ''
    for event in events:
        now_s += 0.1
        if event in 'gB':
            state = monitor.observe(GOOD if event == 'g' else BAD, now_s)
        elif event == 'u':
            state = monitor.unusable_input('too dark', now_s)
        elif event == 'f':
            state = monitor.failure('out of memory', now_s)
        elif event == 's':
            now_s += 5.0
            state = monitor.check(now_s)
        elif event == 'D':
            state = monitor.deactivate()
        elif event == 'A':
            state = monitor.activate()
        assert state == monitor.state
        assert state.raised == (state.reason is not R.NONE), state
        flags += '!' if state.raised else '.'
    return flags


def active(raise_after: int = 1, clear_after: int = 1, **options: object) -> RiskMonitor:
    """Return a monitor that has been activated."""
    monitor = RiskMonitor(options.pop('thresholds', LIMITS), raise_after=raise_after,
                          clear_after=clear_after, **options)
    monitor.activate()
    return monitor


@pytest.mark.parametrize(('raise_after', 'clear_after', 'events', 'flags'), [
    (1, 1, 'gBgBB', '.!.!!'),
    (1, 3, 'gggBgggB', '!!.!!!.!'),
    (1, 3, 'ggBggg', '!!!!!.'),         # an uncertain image starts the count again
    (3, 1, 'gBBgBBBg', '......!.'),     # so does a certain one
    (3, 2, 'ggBBBgBgg', '!...!!!!.'),
    (2, 2, 'BBBgg', '!!!!.'),
    (3, 2, 'ggugg', '!.!!.'), (3, 2, 'ggfgg', '!.!!.'), (3, 2, 'ggfgugg', '!.!!!!.'),
    (1, 1, 'uuug', '!!!.'), (2, 1, 'gBfB', '..!!'),
    (3, 2, 'ggsgg', '!.!!.'), (1, 1, 'gsssg', '.!!!.'), (1, 2, 'gsg', '!!!'),
    (1, 1, 'sg', '!.'),                 # silence before the first image: raised as it was
    (1, 1, 'gDggs', '.!!!!'),           # while inactive nothing lowers it
    (1, 1, 'gDufB', '.!!!!'), (1, 2, 'ggDAgg', '!.!!!.'), (1, 2, 'gDAg', '!!!!'),
    (2, 1, 'gBDAgB', '..!!..')])
def test_the_flag_follows_the_table(raise_after, clear_after, events, flags):
    assert play(active(raise_after, clear_after), events) == flags


@pytest.mark.parametrize(('events', 'reason'), [
    ('', R.NO_IMAGE), ('g', R.NONE), ('B', R.UNCERTAIN), ('u', R.UNUSABLE_INPUT),
    ('f', R.FAILURE), ('gs', R.STALE), ('s', R.NO_IMAGE), ('gD', R.INACTIVE),
    ('gDf', R.INACTIVE), ('gDs', R.INACTIVE), ('gDA', R.NO_IMAGE), ('us', R.STALE),
    ('su', R.UNUSABLE_INPUT), ('gsB', R.UNCERTAIN), ('Bs', R.STALE)])
def test_the_reason_is_the_last_events(events, reason):
    monitor = active()
    play(monitor, events)
    assert monitor.state.reason is reason


def test_uncertainty_takes_over_from_a_fault_only_after_its_count():
    monitor = active(raise_after=2)
    play(monitor, 'gBf')
    assert monitor.observe(BAD, 1.0).reason is R.FAILURE
    assert monitor.observe(BAD, 1.1).reason is R.UNCERTAIN


def test_it_starts_raised_and_nothing_lowers_it_before_activation():
    monitor = RiskMonitor(LIMITS, clear_after=1)
    assert (monitor.state.raised, monitor.state.reason) == (True, R.INACTIVE)
    assert play(monitor, 'ggggs') == '!!!!!'
    assert monitor.state.reason is R.INACTIVE


@pytest.mark.parametrize(('thresholds', 'means', 'raised'), [
    (LIMITS, (1.0, 0.4), False),       # the limit itself is still trusted
    (LIMITS, (1.0001, 0.1), True), (LIMITS, (0.1, 0.4001), True), (LIMITS, (9.0, 9.0), True),
    (LIMITS, (None, 0.3), False), (LIMITS, (None, 0.5), True),
    (LIMITS, (0.5, None), False), (LIMITS, (1.5, None), True),
    (RiskThresholds(), (99.0, 99.0), False),
    (limits(segmentation=1.0), (0.5, 99.0), False),
    (limits(segmentation=1.0), (1.5, 0.0), True),
    (limits(depth=0.4), (99.0, 0.3), False),
    (limits(depth=0.4), (0.0, 0.5), True)])
def test_either_task_raises_by_its_own_limit_and_none_without_one(thresholds, means, raised):
    state = active(thresholds=thresholds, clear_below=1.0).observe(scores(*means), 0.0)
    assert state.raised is raised
    assert state.scores == scores(*means)


@pytest.mark.parametrize('means', [(math.nan, 0.1), (0.1, math.nan), (math.inf, 0.1),
                                   (0.1, math.inf), (-math.inf, 0.1), (None, math.nan),
                                   (None, None)])
@pytest.mark.parametrize('thresholds', [LIMITS, RiskThresholds()])
def test_means_that_are_no_numbers_raise_at_once_whatever_the_count_or_limits(means, thresholds):
    monitor = active(raise_after=9, thresholds=thresholds)
    assert not monitor.observe(GOOD, 0.0).raised
    state = monitor.observe(scores(*means), 0.1)
    assert (state.raised, state.reason) == (True, R.FAILURE)
    assert repr(state.scores) == repr(scores(*means))


def test_a_detail_names_figures_and_limits_and_the_count():
    monitor = active(raise_after=2)
    monitor.observe(GOOD, 0.0)
    assert monitor.observe(scores(1.234, 0.567), 0.1).detail == (
        'mean entropy 1.234 > 1.000 nat, mean depth sigma 0.567 > 0.400 m (1 of 2 images)')
    assert '(' not in monitor.observe(scores(1.234, 0.1), 0.2).detail
    assert monitor.unusable_input('too dark', 0.3).detail == 'too dark'
    monitor = active(raise_after=9, clear_after=2)
    details = [monitor.observe(image, 0.0).detail for image in (GOOD, GOOD, GOOD, BAD, GOOD)]
    assert details[0] == 'certain for 1 of 2 images'
    assert details[1:3] == ['certain'] * 2 and '(1 of 9 images)' in details[3]
    assert details[4] == 'certain'  # the flag is down: there is nothing to clear


def test_stale_is_later_than_the_limit_and_not_at_it():
    monitor = active(stale_after_s=2.0)
    monitor.observe(GOOD, 10.0)
    assert not monitor.check(12.0).raised
    state = monitor.check(12.1)
    assert state.reason is R.STALE and '2.1 s' in state.detail
    assert not monitor.observe(GOOD, 12.2).raised


def test_images_that_cannot_be_used_are_their_own_reason_and_no_silence():
    monitor = active(stale_after_s=1.0)
    for i in range(5):
        monitor.unusable_input('too dark', float(i))
        assert monitor.check(i + 0.5).reason is R.UNUSABLE_INPUT


# -- changed while running ----------------------------------------------------------------------
def test_new_thresholds_judge_the_next_image():
    monitor = active()
    assert not monitor.observe(GOOD, 0.0).raised
    monitor.configure(thresholds=limits(segmentation=0.1))
    assert not monitor.state.raised
    assert monitor.observe(GOOD, 0.1).raised
    monitor.configure(thresholds=RiskThresholds())
    assert not monitor.observe(GOOD, 0.2).raised


def test_counts_go_on_over_a_change():
    monitor = active(raise_after=5)
    assert play(monitor, 'gBBB') == '....'
    monitor.configure(raise_after=4)
    assert monitor.observe(BAD, 1.0).raised
    monitor.configure(clear_after=3)
    assert play(monitor, 'gg') == '!!'
    monitor.configure(clear_after=2)
    assert play(monitor, 'g') == '.'


def test_a_new_staleness_limit_holds_at_the_next_look():
    monitor = active(stale_after_s=10.0)
    monitor.observe(GOOD, 0.0)
    assert not monitor.check(5.0).raised
    monitor.configure(stale_after_s=1.0)
    assert monitor.check(5.0).reason is R.STALE


@pytest.mark.parametrize('wrong', [
    {'raise_after': 0}, {'raise_after': -1}, {'clear_after': 0}, {'stale_after_s': 0.0},
    {'stale_after_s': -1.0}, {'stale_after_s': math.nan}, {'clear_below': 0.0},
    {'clear_below': 1.01}, {'clear_below': math.nan}], ids=str)
def test_a_setting_out_of_range_is_refused_and_changes_nothing(wrong):
    (name, value), = wrong.items()
    with pytest.raises(InputError, match=f'{name} is {value}'):
        RiskMonitor(LIMITS, **wrong)
    monitor = active(raise_after=2, clear_after=3)
    good = {'thresholds': RiskThresholds(), 'raise_after': 7, 'clear_after': 7,
            'clear_below': 0.7, 'stale_after_s': 7.0}
    with pytest.raises(InputError):
        monitor.configure(**{**good, **wrong})
    assert (monitor.thresholds, monitor.raise_after, monitor.clear_after, monitor.clear_below,
            monitor.stale_after_s) == (LIMITS, 2, 3, 0.9, 1.0)


@pytest.mark.parametrize('value', [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize('name', ['segmentation_entropy', 'depth_sigma'])
def test_a_threshold_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match=f'risk threshold {name} is {value}'):
        RiskThresholds({name: value})


def test_a_threshold_of_no_score_is_refused_with_those_there_are():
    with pytest.raises(InputError, match='risk threshold mood is of no score.*depth_sigma'):
        RiskThresholds({'mood': 1.0})


def test_thresholds_do_not_change_with_the_mapping_that_they_were_made_from():
    values = scores(1.0, 0.4)
    thresholds = RiskThresholds(values)
    values.clear()
    assert thresholds == LIMITS != RiskThresholds()


# -- near the threshold ---------------------------------------------------------------------------
NEAR = scores(0.95, 0.2)  # below its limit, above 0.9 of it


@pytest.mark.parametrize(('raise_after', 'clear_after', 'images', 'flags'), [
    (1, 2, 'gg', '!.'), (1, 2, 'gngngg', '!!!!!.'), (1, 1, 'nnng', '!!!.'),
    (1, 1, 'gnnn', '....'),      # down it stays down
    (1, 1, 'gBnBnBng', '.!!!!!!.'),   # up it stays up, where it flapped at image rate
    (2, 1, 'gBnBn', '.....'), (2, 1, 'gBB', '..!')])
def test_between_the_threshold_and_a_share_of_it_the_flag_holds_what_it_is(
        raise_after, clear_after, images, flags):
    monitor = active(raise_after, clear_after)
    given = {'g': GOOD, 'n': NEAR, 'B': BAD}
    found = ['!' if monitor.observe(given[image], 0.0).raised else '.' for image in images]
    assert ''.join(found) == flags


def test_an_image_near_its_threshold_says_why_the_flag_is_not_lowered():
    state = active().observe(NEAR, 0.0)
    assert state.detail == 'mean entropy 0.950 nat is above 0.9 of its threshold 1.000'
    assert state.certain and not active().observe(BAD, 0.0).certain


def test_an_image_with_a_fault_is_not_certain_whatever_its_scores_are():
    monitor = active(clear_after=2)
    old = monitor.observe(GOOD, 0.0, reason=R.STALE, detail='2.0 s old')
    assert not old.certain and old.largest == 0.5
    good = monitor.observe(GOOD, 0.1)
    assert good.certain and good.raised and good.reason is R.STALE


def test_the_share_is_changed_while_running():
    monitor = active()
    assert monitor.observe(NEAR, 0.0).raised
    monitor.configure(clear_below=0.96)
    assert not monitor.observe(NEAR, 0.1).raised


# -- what is missing, and how near the flag is ----------------------------------------------------
@pytest.mark.parametrize('thresholds', [LIMITS, limits(depth=0.4), RiskThresholds()])
def test_a_score_that_the_network_should_have_given_raises_whether_it_is_judged_or_not(thresholds):
    monitor = active(thresholds=thresholds, expected=('segmentation_entropy', 'depth_sigma'))
    assert not monitor.observe(GOOD, 0.0).raised
    state = monitor.observe(scores(None, 0.2), 0.1)
    assert (state.raised, state.reason) == (True, R.FAILURE)
    assert 'lacks the score segmentation_entropy' in state.detail
    monitor.configure(expected=('depth_sigma',))
    assert not monitor.observe(scores(None, 0.2), 0.2).raised


def test_a_score_that_is_to_judge_and_has_no_threshold_raises_until_it_has_one():
    monitor = active(thresholds=limits(segmentation=1.0), chosen=('segmentation_entropy',
                                                                  'depth_sigma'))
    state = monitor.observe(GOOD, 0.0)
    assert (state.raised, state.reason, state.certain) == (True, R.FAILURE, False)
    assert 'depth_sigma' in state.detail and 'risk_threshold_depth' in state.detail
    monitor.configure(thresholds=LIMITS)
    assert not monitor.observe(GOOD, 0.1).raised
    monitor.configure(thresholds=RiskThresholds())
    assert monitor.observe(GOOD, 0.2).raised, 'nothing judges, and somebody asked for it'
    monitor.configure(chosen=())
    assert not monitor.observe(GOOD, 0.3).raised


@pytest.mark.parametrize(('image', 'largest', 'name'), [
    (GOOD, 0.5, 'segmentation_entropy'), (BAD, 1.5, 'segmentation_entropy'),
    (scores(0.5, 0.3), 0.75, 'depth_sigma'), (scores(None, 0.8), 2.0, 'depth_sigma'),
    (scores(0.5, math.nan), math.inf, 'depth_sigma')])
def test_the_state_tells_the_largest_score_as_a_share_of_its_threshold(image, largest, name):
    state = active(raise_after=2).observe(image, 0.0)
    assert (state.largest, state.largest_of) == (pytest.approx(largest), name)


def test_nothing_is_largest_where_nothing_is_judged():
    monitor = active(thresholds=RiskThresholds())
    for state in (monitor.state, monitor.observe(GOOD, 0.0), monitor.unusable_input('dark', 0.1)):
        assert (state.largest, state.largest_of) == (None, '')


@pytest.mark.parametrize('limit', [1.0, 1.7033467786825671, 0.8184624265831923, 1.9999999999999998,
                                   math.nextafter(2.0, 0.0), 3e-7, 1e300])
def test_the_smallest_excess_raises_and_the_threshold_itself_does_not(limit):
    monitor = active(thresholds=limits(segmentation=limit), clear_below=1.0)
    assert not monitor.observe(scores(limit, None), 0.0).raised
    state = monitor.observe(scores(math.nextafter(limit, math.inf), None), 0.1)
    assert state.raised and state.largest > 1.0


@pytest.mark.parametrize('reason', [R.NO_CALIBRATION, R.STALE])
def test_what_speaks_against_an_image_raises_at_once_and_clears_nothing(reason):
    monitor = active(raise_after=5, clear_after=2)
    monitor.observe(GOOD, 0.0)
    state = monitor.observe(GOOD, 0.1, reason=reason, detail='why')
    assert (state.raised, state.reason, state.detail) == (True, reason, 'why')
    assert monitor.observe(GOOD, 0.2).raised, 'it counted as one that clears'
    assert not monitor.observe(GOOD, 0.3).raised
    assert monitor.observe(GOOD, 0.4, reason=reason, detail='why').raised


def test_scores_in_metres_are_left_out_where_no_focal_length_is_known():
    monitor = active()
    state = monitor.observe(BAD, 0.0, reason=R.NO_CALIBRATION, detail='why')
    assert state.scores == {'segmentation_entropy': 1.5}
    assert state.largest_of == 'segmentation_entropy'


def test_a_score_that_is_no_number_is_a_failure_before_all_else():
    monitor = active()
    state = monitor.observe(scores(math.nan, 0.2), 0.0, reason=R.NO_CALIBRATION, detail='why')
    assert state.reason is R.FAILURE
    assert list(state.scores) == ['segmentation_entropy'], 'metres of no known lens'


def test_beginning_anew_raises_until_images_come_as_after_activation():
    monitor = active(clear_after=2)
    for _ in range(2):
        monitor.observe(GOOD, 0.0)
    state = monitor.begin_anew('the clock jumped')
    assert (state.raised, state.reason, state.detail) == (True, R.STALE, 'the clock jumped')
    assert monitor.check(100.0).detail == 'the clock jumped'
    assert monitor.observe(GOOD, 100.0).raised and not monitor.observe(GOOD, 100.1).raised


def test_beginning_anew_says_nothing_of_an_inactive_node():
    monitor = active()
    monitor.deactivate()
    assert monitor.begin_anew('the clock jumped').reason is R.INACTIVE
