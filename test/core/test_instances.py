# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Votes become instances: touching ones apart, split ones together, always the same."""

from __future__ import annotations

from dataclasses import replace
import sys

import cv2
from emu_perception.errors import InputError
from emu_perception.instances import cluster_instances, InstanceSettings
import numpy as np
import pytest

HEIGHT, WIDTH = 96, 160
CAR, PERSON = 1, 2
SETTINGS = InstanceSettings(things=(CAR, PERSON), votes=600)


class Scene:
    """Drawn objects, later ones in front, with the true vectors of what is seen of each."""

    def __init__(self, height: int = HEIGHT, width: int = WIDTH) -> None:
        """Start empty."""
        self.label = np.zeros((height, width), np.uint8)
        self.truth = np.zeros((height, width), np.uint16)

    def box(self, left: int, top: int, right: int, bottom: int, thing: int = CAR) -> Scene:
        """Draw an object of a class; class 0 only hides."""
        self.label[top:bottom, left:right] = thing
        self.truth[top:bottom, left:right] = self.truth.max() + 1 if thing else 0
        return self

    def vectors(self, noise_px: float = 1.5, seed: int = 0) -> np.ndarray:
        """Return [2, H, W] as a network at 1/8 gives them: smooth, noisy, blurred at edges."""
        rng = np.random.default_rng(seed)
        at = np.stack(np.meshgrid(np.arange(self.label.shape[1]), np.arange(self.label.shape[0])))
        exact = rng.normal(0.0, 20.0, at.shape)
        for number in np.unique(self.truth[self.truth > 0]):
            inside = self.truth == number
            exact[:, inside] = at[:, inside].mean(axis=1, keepdims=True) - at[:, inside]
        coarse = exact[:, 4::8, 4::8]
        coarse = coarse + rng.normal(0.0, noise_px, coarse.shape)
        return np.stack([cv2.resize(part, self.label.shape[::-1]) for part in coarse]).astype(
            np.float32)

    def found(self, settings: InstanceSettings = SETTINGS, **arguments: float) -> np.ndarray:
        """Return the instances of the noisy vectors."""
        return cluster_instances(self.label, self.vectors(**arguments), settings)  # type: ignore


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def assert_like_the_truth(scene: Scene, found: np.ndarray, least: float = 0.75) -> None:
    numbers = np.unique(scene.truth[scene.truth > 0])
    assert found.dtype == np.uint16 and found.shape == scene.label.shape
    assert found.max() == len(numbers), 'objects torn apart, joined or missed'
    for number in numbers:
        inside = scene.truth == number
        best = np.bincount(found[inside]).argmax()
        assert best and overlap(inside, found == best) > least


def test_an_object_alone_is_one_instance_and_the_rest_is_none():
    scene = Scene().box(40, 30, 104, 78)
    found = scene.found()
    assert_like_the_truth(scene, found, 0.9)
    assert not found[scene.label == 0].any()


def test_a_mask_that_an_occluder_splits_stays_one_instance():
    scene = Scene().box(20, 20, 140, 84)
    scene.box(70, 0, 90, 96, thing=0)
    assert cv2.connectedComponents(scene.label)[0] == 3, 'background and two halves'
    assert_like_the_truth(scene, scene.found(), 0.85)


def test_an_object_in_front_of_another_of_its_class_leaves_that_one_whole():
    scene = Scene().box(8, 24, 152, 60).box(64, 36, 96, 92)
    # What is seen of the one behind lies on both sides of the one in front.
    vectors = scene.vectors()
    found = cluster_instances(scene.label, vectors, SETTINGS)
    left, right, front = found[40, 20], found[40, 140], found[80, 80]
    assert left == right != front and {left, front} == {1, 2}


def test_two_touching_objects_of_one_class_are_two():
    scene = Scene().box(16, 24, 80, 72).box(80, 24, 144, 72)
    assert cv2.connectedComponents(scene.label)[0] == 2
    assert_like_the_truth(scene, scene.found())


def test_objects_of_two_classes_are_numbered_by_class_and_then_by_size():
    scene = Scene().box(8, 8, 40, 40, PERSON).box(48, 8, 80, 40).box(88, 8, 152, 56)
    found = scene.found()
    assert_like_the_truth(scene, found)
    assert (found[30, 120], found[24, 64], found[24, 24]) == (1, 2, 3)


@pytest.mark.parametrize('noise_px', [0.0, 0.5, 4.0])
def test_exact_and_very_noisy_votes_alike_give_one_instance_an_object(noise_px):
    scene = Scene().box(8, 8, 72, 88).box(88, 16, 152, 80)
    assert_like_the_truth(scene, scene.found(noise_px=noise_px), 0.8)


@pytest.mark.slow
def test_the_same_input_gives_the_same_result_whatever_numpy_has_drawn_before():
    scene = Scene().box(16, 24, 80, 72).box(80, 24, 144, 72).box(0, 0, 40, 20, PERSON)
    vectors = scene.vectors()
    first = cluster_instances(scene.label, vectors, SETTINGS)
    np.random.default_rng().normal(size=10)
    np.random.seed(7)
    assert np.array_equal(first, cluster_instances(scene.label, vectors, SETTINGS))


@pytest.mark.slow
def test_one_class_is_clustered_the_same_with_and_without_another_beside_it():
    both = Scene().box(8, 8, 72, 88).box(88, 16, 152, 80, PERSON)
    vectors = both.vectors()
    cars = np.where(both.label == CAR, both.label, 0).astype(np.uint8)
    alone = cluster_instances(cars, vectors, SETTINGS)
    together = cluster_instances(both.label, vectors, SETTINGS)
    assert np.array_equal(together == 1, alone == 1) and together.max() == 2


def assert_all_found(objects: list[tuple[int, int, float]]) -> None:
    """Check that each square (side, how many, sigma of its votes) beside others is found."""
    rng, ends, truth = np.random.default_rng(0), [], []
    for side, count, sigma in objects:
        for _ in range(count):
            centre = (100.0 * len(ends) + 50.0, 50.0)
            ends.append(rng.normal(centre, sigma, (side * side, 2)))
            truth.append(np.full(side * side, len(ends)))
    votes = np.concatenate(ends)
    at = np.stack([np.arange(len(votes)), np.zeros(len(votes))], axis=1)
    found = cluster_instances(np.full((1, len(votes)), CAR, np.uint8),
                              (votes - at).T[:, None].astype(np.float32),
                              InstanceSettings(things=(CAR,)))[0]
    numbers = np.concatenate(truth)
    assert found.max() == len(ends)
    for number in range(1, len(ends) + 1):
        share = np.bincount(found[numbers == number], minlength=len(ends) + 1)
        assert share.argmax() and share.max() > 0.9 * share.sum()


@pytest.mark.slow
@pytest.mark.parametrize('objects', [
    [(121, 1, 0.3), (11, 1, 2.0)], [(81, 8, 2.0), (15, 1, 2.0)]], ids=['sharp', 'many'])
def test_a_small_object_beside_large_ones_is_found_though_its_votes_are_sparser(objects):
    assert_all_found(objects)


# -- what OPTICS is given -----------------------------------------------------------------------
@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of votes that OPTICS is given, as they come."""
    from sklearn.cluster import OPTICS
    numbers: list[int] = []
    fit = OPTICS.fit

    def counted(self, votes, *arguments):
        numbers.append(len(votes))
        return fit(self, votes, *arguments)
    monkeypatch.setattr(OPTICS, 'fit', counted)
    return numbers


def test_of_many_thousand_votes_no_more_than_asked_for_are_clustered(given):
    scene = Scene(256, 512).box(0, 0, 256, 256).box(256, 0, 512, 256)
    found = scene.found(InstanceSettings(things=(CAR,), votes=500))
    assert given == [500]
    assert_like_the_truth(scene, found, 0.9)


def test_one_image_has_a_bound_and_small_classes_keep_all_of_their_votes(given):
    scene = Scene().box(0, 0, 80, 96).box(80, 0, 160, 80, PERSON).box(80, 80, 96, 96, 3)
    scene.found(InstanceSettings(things=(CAR, PERSON, 3), votes=400, max_votes=900))
    assert given == [322, 322, 256] and sum(given) == 900


def test_the_defaults_bound_an_image_whatever_there_is_in_it(given, monkeypatch):
    from sklearn.cluster import OPTICS
    monkeypatch.setattr(OPTICS, 'fit', lambda self, votes: given.append(len(votes)) or _noise(
        self, len(votes)))
    label = np.tile(np.arange(16, dtype=np.uint8), (256, 32))
    cluster_instances(label, np.zeros((2, 256, 512), np.float32),
                      InstanceSettings(things=tuple(range(16))))
    assert len(given) == 16 and sum(given) <= 6000 and max(given) <= 4000


def _noise(optics, count):
    optics.core_distances_ = optics.reachability_ = np.full(count, np.inf)
    optics.ordering_ = np.arange(count)
    return optics


# -- what is no object --------------------------------------------------------------------------
@pytest.mark.parametrize('things', [(), (9,)])
def test_an_image_without_things_has_no_instances_and_runs_no_clustering(things, given):
    scene = Scene().box(40, 30, 104, 78)
    assert not scene.found(InstanceSettings(things=things)).any() and not given


@pytest.mark.slow
def test_votes_all_over_the_place_are_no_object():
    scene = Scene(128, 256).box(0, 0, 256, 128)
    at = np.stack(np.meshgrid(np.arange(256), np.arange(128))).astype(np.float32)
    ends = np.random.default_rng(0).uniform(0, 1, at.shape) * [[[256]], [[128]]]
    for votes in (300, 4000):  # Sparse and dense: thousands hang together however they lie.
        found = cluster_instances(scene.label, (ends - at).astype(np.float32),
                                  InstanceSettings(things=(CAR,), votes=votes))
        assert not found.any()


@pytest.mark.parametrize(('side', 'settings'), [
    (5, {}), (10, {'min_samples': 101, 'min_size': 1}), (10, {'min_size': 101})])
def test_fewer_pixels_than_an_object_or_a_neighbourhood_needs_are_none(side, settings):
    scene = Scene().box(40, 40, 40 + side, 40 + side)
    vectors = np.zeros((2, HEIGHT, WIDTH), np.float32)
    assert not cluster_instances(scene.label, vectors,
                                 InstanceSettings(things=(CAR,), **settings)).any()


@pytest.mark.slow
@pytest.mark.parametrize(('min_size', 'objects'), [(40, 1), (16, 2)])
def test_an_object_smaller_than_asked_for_is_none_beside_a_large_one(min_size, objects):
    scene = Scene().box(8, 8, 72, 72).box(120, 40, 126, 46)
    vectors = np.zeros((2, HEIGHT, WIDTH), np.float32)
    at = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))
    for number, centre in ((1, (39.5, 39.5)), (2, (122.5, 42.5))):
        inside = scene.truth == number
        vectors[:, inside] = np.array(centre)[:, None] - at[:, inside]
    found = cluster_instances(scene.label, vectors, InstanceSettings(
        things=(CAR,), min_size=min_size))
    assert found.max() == objects and (found[42, 122] > 0) == (objects == 2)


def test_votes_for_neighbouring_parts_of_one_pixel_are_one_instance():
    scene = Scene().box(40, 30, 72, 62)
    at = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))
    # Most votes coincide, so that the median distance between them is 0.
    ends = 50.0 + 0.4 * (at % 2)
    found = cluster_instances(scene.label, (ends - at).astype(np.float32), SETTINGS)
    assert set(found[scene.label > 0]) == {1}


@pytest.mark.parametrize(('radius_px', 'separation', 'objects'), [
    (6.0, 2.0, 1), (6.0, 0.0, 2), (2.0, 2.0, 2)])
def test_lumps_of_votes_nearer_than_they_are_wide_are_one_object(radius_px, separation, objects):
    scene = Scene().box(40, 20, 104, 84)
    at = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))
    rng = np.random.default_rng(0)
    radius, angle = radius_px * np.sqrt(rng.uniform(size=at[0].shape)), rng.uniform(
        0, 2 * np.pi, at[0].shape)
    # Two discs of votes, 15.5 pixels apart; never nearer to each other than 3.5.
    ends = np.stack([np.where(at[0] < 72, 64.0, 79.5) + radius * np.cos(angle),
                     52.0 + radius * np.sin(angle)])
    found = cluster_instances(scene.label, (ends - at).astype(np.float32),
                              replace(SETTINGS, separation=separation))
    assert found.max() == objects and found[scene.label > 0].all()


def test_fewer_votes_left_than_a_neighbourhood_needs_are_none_and_no_error():
    scene = Scene().box(0, 0, 80, 96).box(80, 0, 160, 96, PERSON)
    found = scene.found(InstanceSettings(things=(CAR, PERSON), max_votes=20, min_samples=12))
    assert not found.any()


def test_a_vote_far_from_every_centre_belongs_to_none():
    scene = Scene().box(40, 30, 104, 78)
    vectors = scene.vectors()
    vectors[:, 40:48, 50:58] = 500.0
    found = cluster_instances(scene.label, vectors, SETTINGS)
    assert not found[40:48, 50:58].any() and found[70, 90] == 1


def test_vectors_that_are_not_finite_take_part_in_nothing():
    scene = Scene().box(40, 30, 104, 78)
    vectors = scene.vectors()
    vectors[0, 40:48, 50:58], vectors[1, 50:58, 50:58] = np.nan, np.inf
    found = cluster_instances(scene.label, vectors, SETTINGS)
    assert not found[40:58, 50:58][[*range(8), *range(10, 18)]].any() and found.max() == 1
    vectors[:] = np.nan
    assert not cluster_instances(scene.label, vectors, SETTINGS).any()


def test_without_scikit_learn_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.cluster', None)
    with pytest.raises(InputError, match='pip install scikit-learn'):
        Scene().box(40, 30, 104, 78).found()


# -- settings -----------------------------------------------------------------------------------
@pytest.mark.parametrize('change', [
    {'things': 5}, {'things': None}, {'things': 'ab'}, {'things': [1, 1]}, {'things': [-1]},
    {'things': [255]}, {'things': [1.5]}, {'things': [[1]]}, {'votes': 0}, {'votes': 10**9},
    {'votes': 1.5}, {'votes': None}, {'votes': True}, {'max_votes': 10**9}, {'min_samples': 1},
    {'separation': -1.0}, {'reach': 0.5}, {'reach': float('nan')},
    {'max_eps_px': 0.0}, {'max_radius_px': -1.0}, {'max_radius_px': 'x'},
    {'max_radius_px': float('inf')}, {'min_size': 0}], ids=str)
def test_settings_out_of_range_are_named(change):
    with pytest.raises(InputError) as caught:
        InstanceSettings(**{'things': (1,), **change})
    assert str(caught.value).startswith(next(iter(change)))
