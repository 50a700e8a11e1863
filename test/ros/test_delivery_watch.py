# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Of which images another delivery is asked for, and what the node says when it finds one."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from diagnostic_msgs.msg import DiagnosticStatus
from emu_perception.corruptions.unseen import vignette
from emu_perception.delivery import DELIVERIES
from emu_perception.ros import delivery_watch
from emu_perception.ros.delivery_watch import (
    DeliveryWatch,
    MOVED,
    PERIOD_S,
    PICTURES,
    SLOWEST_S,
)
from node_bench import FakeMetadata, FakePredictor, rgb_image, TIMEOUT_S
import numpy as np
import pytest

QUICK_S = 0.5 * SLOWEST_S
FITTED = FakeMetadata()
ASKED = 2 * PICTURES  # Red and blue, and upside down; the others have another size.


def moving(count: int = 2 * ASKED) -> Iterator[np.ndarray]:
    """Yield pictures that differ, bluer than red, brighter below."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        picture = rng.integers(0, 100, (48, 64, 3), dtype=np.uint8)
        picture[..., 2] += 60
        picture[24:] += 60
        picture[:, rng.integers(0, 48):] += 30
        yield picture


def surer(red: float = 0.0, bright_above: float = 0.0):
    """Return a network's scores that are lower for redder pictures, or such with light above."""
    calls = []

    def scores(image: np.ndarray) -> Mapping[str, float]:
        calls.append(image)
        channel = image.reshape(-1, 3).mean(axis=0)
        above, below = image[:24].mean(), image[24:].mean()
        value = np.exp((red * (channel[2] - channel[0])
                        + bright_above * (below - above)) / 100)
        return {'segmentation_entropy': float(value), 'depth_sigma': 7.0, 'unfamiliarity': 1.0,
                'relative_depth_sigma': 0.1, 'predicted_failure': 0.2}
    scores.calls = calls
    return scores


def drive(watch: DeliveryWatch, scores, pictures, metadata=FITTED, *,
          took_s: float = QUICK_S, waits_s: float = 1.0, period_s: float = PERIOD_S,
          region: bool = False) -> list[str]:
    """Return what was said of each picture."""
    return [watch.see(picture, metadata, scores, own=None if region else scores(picture),
                      took_s=took_s, waits_s=waits_s, now_s=100.0 + i * period_s)
            for i, picture in enumerate(pictures)]


@pytest.mark.parametrize(('kind', 'words'), [
    ({'red': 1.0}, DELIVERIES['swapped'].words),
    ({'bright_above': 1.0}, DELIVERIES['upside_down'].words)])
@pytest.mark.parametrize('region', [False, True])
def test_what_speaks_for_another_delivery_is_said_once_and_kept(kind, words, region):
    watch = DeliveryWatch()
    said = drive(watch, surer(**kind), moving(), region=region)
    # The first images are let alone.
    assert said.count('') == len(said) - 1 and said[ASKED].startswith(words)
    assert watch.problem == said[ASKED]
    watch.begin()
    assert watch.problem == ''
    assert drive(watch, surer(**kind), moving())[ASKED], 'another activation asks again'


@pytest.mark.parametrize('kind', [{}, {'red': -1.0}, {'bright_above': -1.0}])
def test_what_stands_as_it_should_is_not_doubted_and_asked_for_no_longer(kind):
    watch, scores = DeliveryWatch(), surer(**kind)
    assert not any(drive(watch, scores, moving())) and watch.problem == ''
    assert len(scores.calls) == 2 * ASKED + ASKED, 'each picture itself, and the questions'


@pytest.mark.parametrize(('given', 'questions'), [
    ({'took_s': 1.01 * SLOWEST_S}, 0), ({'took_s': 1.01 * SLOWEST_S, 'waits_s': 60.0}, 0),
    ({'waits_s': 0.49}, 0),  # The flag would be late, or raised for the question's sake.
    ({'period_s': PERIOD_S / 4}, ASKED // 2 - 1),
    ({'metadata': FakeMetadata(statistics=())}, 0)])
def test_questions_are_few_and_only_of_a_network_that_is_quick_and_fitted(given, questions):
    scores = surer(red=1.0)
    drive(DeliveryWatch(), scores, moving(), **given)
    assert len(scores.calls) == 2 * ASKED + questions


@pytest.mark.parametrize('given', [
    {}, {'took_s': 1.01 * SLOWEST_S}, {'metadata': FakeMetadata(statistics=())}])
def test_dark_corners_are_said_whatever_the_network_is(given):
    """They take no question; other deliveries are asked for on."""
    watch, hooded = DeliveryWatch(), [vignette(picture, np.random.default_rng(0))
                                      for picture in moving()]
    said = drive(watch, surer(red=1.0), hooded, **given)
    words = 'the corners of the images are dark'
    assert said[PICTURES].startswith(words) and words in watch.problem
    assert said.count('') == len(said) - (1 if given else 2)
    if not given:
        assert said[ASKED].startswith(DELIVERIES['swapped'].words) and words not in said[ASKED]
        assert DELIVERIES['swapped'].words in watch.problem


def test_a_slow_network_s_pictures_are_not_looked_at_for_ever(monkeypatch):
    """Each is compared with all that were kept."""
    resized, kept = [], delivery_watch.cv2.resize
    monkeypatch.setattr(delivery_watch.cv2, 'resize', lambda *args, **fields: (
        resized.append(1), kept(*args, **fields))[1])
    drive(DeliveryWatch(), surer(), moving(4 * ASKED), took_s=1.01 * SLOWEST_S)
    assert len(resized) <= 2 * PICTURES  # Those of the corners are made so, too.


def test_a_network_that_is_slow_at_times_is_asked_until_all_is_known():
    watch, scores, said = DeliveryWatch(), surer(red=1.0), []
    for i, picture in enumerate(moving(4 * ASKED)):
        said.append(watch.see(picture, FITTED, scores, own=scores(picture), waits_s=1.0,
                              took_s=QUICK_S if i % 3 == 0 else 2 * SLOWEST_S,
                              now_s=100.0 + i * PERIOD_S))
    assert DELIVERIES['swapped'].words in watch.problem and len(said) - said.count('') == 1


@pytest.mark.parametrize(('step', 'questions'), [(0.5 * MOVED, 1), (2 * MOVED, 10)])
def test_a_robot_that_stands_still_is_one_picture(step, questions):
    pictures = [np.full((48, 64, 3), round(20 + i % 10 * step), np.uint8) for i in range(40)]
    if questions == 1:
        pictures = [np.full((48, 64, 3), round(20 + i % 2 * step), np.uint8) for i in range(40)]
    scores = surer(red=1.0)
    drive(DeliveryWatch(), scores, pictures)
    assert len(scores.calls) == 40 + questions


def test_what_is_found_of_the_drive_before_is_said_of_no_new_one(monkeypatch):
    """The worker may be at its last image while the executor activates anew."""
    watch, doubt = DeliveryWatch(), delivery_watch.doubt

    def overtaken(margins):
        watch.begin()
        return doubt(margins)
    monkeypatch.setattr(delivery_watch, 'doubt', overtaken)
    assert not any(drive(watch, surer(red=1.0), moving(ASKED + 1))) and watch.problem == ''
    monkeypatch.undo()
    assert drive(watch, surer(red=1.0), moving())[ASKED], 'all of it is asked anew'


def send_another(bench, picture: np.ndarray) -> None:
    """Send one picture, and wait for its flag."""
    before = len(bench.predictor.calls)
    image = rgb_image()
    image.data = array('B', np.ascontiguousarray(picture).tobytes())
    bench.send(image)
    bench.until(lambda: len(bench.predictor.calls) > before)


@pytest.mark.parametrize('fails', [False, True])
def test_the_node_warns_and_leaves_the_flag_to_the_scores(make_bench, monkeypatch, fails):
    """A network that is less sure of what is bluer than red; or whose questions fail."""
    class Surer(FakePredictor):
        def __call__(self, image, **options):
            found, red = super().__call__(image, **options), image.reshape(-1, 3).mean(axis=0)
            if red[0] < red[2]:
                found.scores.update(unfamiliarity=0.3)
            elif fails:
                raise RuntimeError('no')
            return found
    monkeypatch.setattr(delivery_watch, 'PERIOD_S', 0.0)
    monkeypatch.setattr(delivery_watch, 'SLOWEST_S', 1e3)
    bench = make_bench(predictor=Surer())
    pictures = moving(10 * ASKED)

    def warned() -> bool:
        send_another(bench, next(pictures))
        return DELIVERIES['swapped'].words in bench.diagnostics()['input']['warnings']
    if fails:
        for _ in range(10):
            send_another(bench, next(pictures))
        assert not warned()
    else:
        bench.until(warned, timeout_s=4 * TIMEOUT_S)
        assert bench.diagnostics()['input']['level'] == DiagnosticStatus.WARN
    bench.clear_risk()
    assert bench.diagnostics()['inference']['level'] == DiagnosticStatus.OK
