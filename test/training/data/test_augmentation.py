# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: one geometry for image, label and depth, and depth that stays metric."""

from __future__ import annotations

import numpy as np
import pytest
from training.data.augmentation import jittered, random_view
from training.data.dataset_folder import Example
from training.recipes.options import RecipeError
from training.recipes.sections import AugmentationRecipe

SIZE = (96, 128)


@pytest.fixture
def quadrants() -> Example:
    """Return an example in which colour, class and depth of each quadrant name each other."""
    label = np.zeros(SIZE, np.uint8)
    label[:48, 64:], label[48:, :64], label[48:, 64:] = 1, 2, 3
    return Example('q', np.stack([label * 60 + 20] * 3, -1), label,
                   (label + 1).astype(np.float32))


def views(example, count=60, size=SIZE, **fields):
    recipe = AugmentationRecipe(**fields)
    for seed in range(count):
        yield random_view(example, size, recipe, np.random.default_rng(seed))


@pytest.mark.parametrize('scale', [(0.5, 0.9), (1.0, 1.0), (1.1, 2.0)])
def test_image_label_and_depth_share_scale_crop_flip_and_padding(quadrants, scale):
    for view in views(quadrants, scale=scale, depth_scale_policy='none'):
        assert view.image.shape == (*SIZE, 3) and view.label.shape == view.depth.shape == SIZE
        known = view.label != 255
        assert ((view.depth > 0) == known).all(), 'padding must be unknown in both'
        assert (view.depth[known] == view.label[known] + 1).all()
        # Colours blend at edges, and nowhere else.
        agree = np.abs(view.image[..., 0].astype(int) - (view.label.astype(int) * 60 + 20)) <= 2
        assert agree[known].mean() > 0.9


def test_divide_keeps_the_camera_model(quadrants):
    """An object seen s times larger by the same camera is s times nearer."""
    for view in views(quadrants, scale=(1.5, 1.5), depth_scale_policy='divide'):
        ratio = view.depth / (view.label + 1)
        assert np.allclose(ratio, 1 / 1.5, rtol=0.02)
    for view in views(quadrants, scale=(0.5, 0.5), depth_scale_policy='divide'):
        known = view.label != 255
        assert np.allclose((view.depth / (view.label + 1.0))[known], 2.0, rtol=0.02)


def test_the_network_size_is_not_a_zoom(quadrants):
    """A whole image at half the pixels has the same depth: base scale is not divided by."""
    view = next(views(quadrants, 1, size=(48, 64), scale=(1.0, 1.0), flip_probability=0.0))
    assert np.allclose(view.depth, view.label + 1)


def test_flip_happens_at_its_probability(quadrants):
    def flipped(probability):
        return sum(view.label[0, 0] != 0 for view in
                   views(quadrants, 200, scale=(1.0, 1.0), flip_probability=probability))
    assert flipped(0.0) == 0 and flipped(1.0) == 200 and 60 < flipped(0.5) < 140


def test_border_is_cut_off_at_its_probability(quadrants):
    quadrants.image[:8] = 255
    white = [(view.image == 255).all(-1).any() for view in
             views(quadrants, 100, scale=(1.0, 1.0), border=(8, 0, 0, 0), border_probability=0.5)]
    assert 20 < sum(white) < 80
    assert not any((view.image == 255).all(-1).any() for view in
                   views(quadrants, 20, scale=(1.0, 1.0), border=(8, 0, 0, 0),
                         border_probability=1.0))


@pytest.mark.parametrize('border', [(48, 48, 0, 0), (0, 0, 100, 40)])
def test_a_border_that_leaves_nothing_is_refused(quadrants, border):
    with pytest.raises(RecipeError, match='border.*image of 96x128 has nothing left'):
        next(views(quadrants, border=border, border_probability=1.0))


def test_the_same_seed_gives_the_same_view(quadrants):
    one, two = (next(views(quadrants, 1, color_jitter=0.3)) for _ in range(2))
    assert (one.image == two.image).all() and (one.depth == two.depth).all()


def test_the_sample_is_not_changed(quadrants):
    before = quadrants.depth.copy()
    for view in views(quadrants, 5, color_jitter=0.5):
        view.depth[...] = -1
        view.image[...] = 0
    assert (quadrants.depth == before).all() and quadrants.image.max() == 200


def test_jitter_of_factors_one_changes_nothing_and_stays_in_range():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (jittered(image, (1.0, 1.0, 1.0)) == image).all()
    strong = jittered(image, (1.9, 0.3, 1.6))
    assert strong.dtype == np.uint8 and (strong != image).any()


def test_missing_truth_stays_missing():
    image = np.zeros((*SIZE, 3), np.uint8)
    view = next(views(Example('x', image, None, None), 1))
    assert view.label is None and view.depth is None


def test_corrupted_views_keep_their_truth_and_come_as_often_as_asked(quadrants):
    changed = 0
    for clean, other, again in zip(views(quadrants), views(quadrants, corruption_probability=0.5),
                                   views(quadrants, corruption_probability=0.5)):
        assert np.array_equal(clean.label, other.label)
        assert np.array_equal(clean.depth, other.depth)
        assert other.image.dtype == np.uint8 and other.image.shape == clean.image.shape
        changed += not np.array_equal(clean.image, other.image)
        assert np.array_equal(other.image, again.image), 'a resumed run would differ'
    assert 18 <= changed <= 42
