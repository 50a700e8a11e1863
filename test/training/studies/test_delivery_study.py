# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the study says of wrong deliveries is what would be said of pictures delivered so."""

from __future__ import annotations

from types import SimpleNamespace

from emu_perception.delivery import DELIVERIES, doubt
from emu_perception.delivery_check import DeliveryCheck
from emu_perception.observer import Seen
from emu_perception.shading import LEAST
import numpy as np
import pytest
from training.studies import delivery

IMAGES = 12
BACK = {'on_left_side': 'on_right_side', 'on_right_side': 'on_left_side'}


class Leaning:
    """An observer that is surer of what is bright below and, more so, on the right."""

    metadata = SimpleNamespace(tasks=('segmentation',), statistics={})

    def __call__(self, image: np.ndarray, focal: float | None = None) -> Seen:
        rows, columns = (2 * (np.arange(side) >= side / 2) - 1 for side in image.shape[:2])
        grey = image.mean(axis=2) / 100
        below, right = (grey * rows[:, None]).mean(), (grey * columns).mean()
        colour = (image[..., 2].mean() - image[..., 0].mean()) / 100
        return Seen(np.zeros(0), {'segmentation_entropy': float(
            np.exp(colour - below - 2 * right))}, None)


def check() -> DeliveryCheck:
    """Return a check by it, without fitted scores."""
    return DeliveryCheck(Leaning(), SimpleNamespace(measure=lambda *_: {}))


@pytest.fixture
def images() -> list[np.ndarray]:
    """Return pictures, much brighter below, a little on the right, redder than blue."""
    rng = np.random.default_rng(0)
    image = np.full((32, 48, 3), 60)
    image[16:] += 100
    image[:, 24:] += 20
    image[..., 0] += 20
    return [(image + rng.integers(0, 9, image.shape)).astype(np.uint8) for _ in range(IMAGES)]


def test_corners_are_measured_as_they_are_and_under_a_hood(images):
    found = delivery._measured(check(), Leaning(), [lambda image=image: image
                                                    for image in images])['corners']
    assert found['as_they_are']['doubted'] == 0.0 and found['hooded']['doubted'] == 1.0
    assert found['hooded']['light']['highest'] < LEAST < found['as_they_are']['light']['lowest']


def test_found_is_what_pictures_that_are_delivered_so_are_doubted_by(images):
    rows = {row['delivery']: row for row in delivery._measured(
        check(), Leaning(), [lambda image=image: image for image in images])['deliveries']}
    assert rows.keys() == DELIVERIES.keys()
    for name in DELIVERIES:
        delivered = check()
        for image in images:
            wrong = DELIVERIES[BACK.get(name, name)].redo(image)
            delivered.see(wrong, Leaning()(wrong))
        said = doubt({name: np.array(delivered.margins[name])})
        assert rows[name]['found'] == (said is not None), name
    # Each turn is the other one's undoing, and not its own.
    assert rows['on_left_side']['found'] != rows['on_right_side']['found']
