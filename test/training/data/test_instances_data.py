# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Instances and inverse depths from the data set folder to the batch, by construction."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from training.data.augmentation import random_view
from training.data.dataset_folder import DatasetError, DatasetFolder, Example
from training.data.examples import ExampleCache, TrainingViews, WholeImages
from training.data.instances import centroid_vectors
from training.prepare.problems import inspect
from training.recipes.sections import AugmentationRecipe
import yaml

SIZE = (64, 96)
FX, BASELINE = 80.0, 0.2


def drawn(instance: np.ndarray, inverse: np.ndarray | None = None) -> Example:
    """Return an example whose red channel is the instance id."""
    image = np.zeros((*instance.shape, 3), np.uint8)
    image[..., 0] = instance
    return Example('x', image, None, None, inverse, instance)


def view_of(example: Example, seed: int = 0, in_pixels: bool = False,
            **fields: object) -> Example:
    recipe = AugmentationRecipe(**{'flip_probability': 0.0, **fields})
    return random_view(example, SIZE, recipe, np.random.default_rng(seed), in_pixels=in_pixels)


@pytest.fixture
def two_boxes() -> np.ndarray:
    """Return ids: 7 at rows 8..23, columns 10..29; 9, split by a gap, at rows 40..55."""
    instance = np.zeros(SIZE, np.uint16)
    instance[8:24, 10:30] = 7
    instance[40:56, 50:60] = instance[40:56, 70:80] = 9
    return instance


def test_vectors_point_to_the_centroid_of_all_that_is_seen(two_boxes):
    vectors = centroid_vectors(two_boxes)
    rows, columns = np.indices(SIZE)
    for instance, centre in ((7, (19.5, 15.5)), (9, (64.5, 47.5))):
        where = two_boxes == instance
        assert np.allclose(vectors[0][where] + columns[where], centre[0], atol=1e-4), 'dx'
        assert np.allclose(vectors[1][where] + rows[where], centre[1], atol=1e-4), 'dy'
    assert (vectors[:, two_boxes == 0] == 0).all()
    # A mask that is split is one instance: its parts point into the gap between them.
    assert vectors[0, 45, 52] > 0 > vectors[0, 45, 77]


def test_vectors_are_right_after_a_flip(two_boxes):
    view = view_of(drawn(two_boxes), scale=(1.0, 1.0), flip_probability=1.0)
    assert (view.instance == two_boxes[:, ::-1]).all()
    vectors, before = centroid_vectors(view.instance), centroid_vectors(two_boxes)
    assert np.allclose(vectors[0], -before[0][:, ::-1], atol=1e-4)
    assert np.allclose(vectors[1], before[1][:, ::-1], atol=1e-4)


def test_vectors_grow_with_the_view_and_ids_are_never_mixed(two_boxes):
    for seed in range(20):
        view = view_of(drawn(two_boxes), seed, scale=(1.6, 1.6))
        assert set(np.unique(view.instance)) <= {0, 7, 9}
        # Where all of an instance is seen its width has grown by the scale.
        if (view.instance == 7).sum() >= 1.6**2 * 320 * 0.97:
            vectors = centroid_vectors(view.instance)[0][view.instance == 7]
            assert vectors.max() == pytest.approx(1.6 * 9.5, abs=1.0)
            break
    else:
        pytest.fail('no view showed the whole box')


def test_what_the_frame_cuts_has_the_centroid_of_what_is_left(two_boxes):
    cut = two_boxes[:, 20:]
    vectors = centroid_vectors(cut)
    where = cut == 7
    assert np.allclose(vectors[0][where] + np.indices(cut.shape)[1][where], 4.5, atol=1e-4)


def test_padding_has_no_instance_and_no_inverse_depth(two_boxes):
    inverse = np.full(SIZE, 0.5, np.float32)
    for seed in range(5):
        view = view_of(drawn(two_boxes, inverse), seed, scale=(0.5, 0.5),
                       depth_scale_policy='none')
        assert (view.inverse >= 0).sum() == 32 * 48 and (view.inverse[view.inverse >= 0] == 0.5
                                                         ).all()
        assert (view.instance[view.inverse < 0] == 0).all()


@pytest.mark.parametrize(('policy', 'in_pixels', 'factor'), [
    ('divide', False, 1.5), ('none', False, 1.0), ('divide', True, 1.5), ('none', True, 1.0)])
def test_inverse_depth_grows_where_depth_shrinks(policy, in_pixels, factor):
    inverse = np.full(SIZE, 0.25, np.float32)
    inverse[:10], inverse[10:20] = 0.0, -1.0
    view = view_of(drawn(np.zeros(SIZE, np.uint16), inverse), scale=(1.5, 1.5),
                   depth_scale_policy=policy, in_pixels=in_pixels)
    known = view.inverse[view.inverse > 0]
    assert np.allclose(known, 0.25 * factor, rtol=0.03)
    # The sky stays infinitely far, what is unknown stays unknown.
    assert set(np.unique(np.sign(view.inverse))) <= {-1.0, 0.0, 1.0} and len(known)


def test_disparities_are_in_pixels_of_the_view(two_boxes):
    """An image twice as large as the network has disparities twice those of the network."""
    large = np.full((128, 192), 6.0, np.float32)
    example = Example('x', np.zeros((128, 192, 3), np.uint8), None, None, large, None)
    for policy, factor in (('divide', 1.25), ('none', 1.0)):
        view = view_of(example, scale=(1.25, 1.25), depth_scale_policy=policy, in_pixels=True)
        assert np.allclose(view.inverse, 3.0 * factor, rtol=0.03), policy


def test_disparities_of_a_letterboxed_view_are_those_of_the_stretched_image():
    """
    Validation and the robot stretch an image of nearly the network's aspect; views letterbox it.

    What a disparity is divided by is of the stretched one: fx there.
    """
    narrow = np.full((128, 180), 6.0, np.float32)
    example = Example('x', np.zeros((128, 180, 3), np.uint8), None, None, narrow, None)
    stretched = 6.0 * SIZE[1] / 180
    assert stretched / (6.0 * SIZE[0] / 128) > 1.06, 'the letterbox is another scale'
    for scale in (1.0, 1.25):
        view = view_of(example, scale=(scale, scale), depth_scale_policy='divide', in_pixels=True)
        known = view.inverse[view.inverse > 0]
        # Sizes are rounded to whole pixels, of 77 columns at least.
        assert len(known) and np.allclose(known, scale * stretched, rtol=1 / 77), scale


def write_folder(root: Path, disparity: bool, **document: object) -> DatasetFolder:
    """Draw one image in both splits: sky above, floor, a thing; raw depth 1 000 or 513."""
    for kind in ('image', 'label', 'depth', 'instance'):
        (root / kind).mkdir(parents=True, exist_ok=True)
    label = np.ones(SIZE, np.uint8)
    label[:16], label[30:50, 30:60], label[-2:] = 0, 2, 255
    raw = np.full(SIZE, 513 if disparity else 4000, np.uint16)
    raw[:16], raw[20] = (1 if disparity else 0), 0
    for stem in ('a', 'b'):
        cv2.imwrite(str(root / f'image/{stem}.png'), np.zeros((*SIZE, 3), np.uint8))
        cv2.imwrite(str(root / f'label/{stem}.png'), label)
        cv2.imwrite(str(root / f'depth/{stem}.png'), raw)
        cv2.imwrite(str(root / f'instance/{stem}.png'),
                    np.where(label == 2, 300, 0).astype(np.uint16))
    (root / 'train.txt').write_text('a')
    (root / 'val.txt').write_text('b')
    depth = {'scale': 1 / 256, 'offset': -1 / 256, 'invalid': [0], 'min': 0.0, 'max': 128.0,
             'quantity': 'disparity'} if disparity else {
                 'scale': 0.001, 'invalid': [0], 'min': 0.1, 'max': 10.0}
    (root / 'dataset.yaml').write_text(yaml.safe_dump({
        'name': 'x', 'classes': ['sky', 'floor', 'thing'], 'things': ['thing'], 'depth': depth,
        'intrinsics': {'width': SIZE[1], 'height': SIZE[0], 'fx': FX, 'fy': FX, 'cx': 48,
                       'cy': 32, 'baseline': BASELINE}, **document}))
    return DatasetFolder(root)


def test_metres_become_inverse_depth_with_the_sky_at_zero(tmp_path):
    example = write_folder(tmp_path, disparity=False).example('a', inverse=True, instance=True)
    assert example.inverse[30, 5] == 0.25 and example.depth[30, 5] == 4.0
    assert (example.inverse[:16] == 0).all(), 'sky'
    assert (example.inverse[20] == -1).all(), 'invalid'
    assert set(np.unique(example.instance)) == {0, 300} and example.instance.dtype == np.uint16


def test_the_sky_can_be_taken_as_it_was_measured(tmp_path):
    example = write_folder(tmp_path, disparity=False, sky=None).example('a', inverse=True)
    assert (example.inverse[:16] == -1).all()


def test_disparities_become_metres_by_the_camera(tmp_path):
    folder = write_folder(tmp_path, disparity=True)
    example = folder.example('a', inverse=True)
    assert example.inverse[30, 5] == 2.0 and (example.inverse[:16] == 0).all()
    assert example.depth[30, 5] == pytest.approx(FX * BASELINE / 2.0) and example.depth[0, 0] == 0
    assert folder.inverse_factor == pytest.approx(FX * BASELINE)
    assert folder.depth_range == (pytest.approx(FX * BASELINE / 128), np.inf)
    camera = {'width': 96, 'height': 64, 'fx': FX, 'fy': FX, 'cx': 48, 'cy': 32}
    assert write_folder(tmp_path, True, intrinsics=camera).inverse_factor is None


def test_an_image_of_another_size_has_disparities_in_pixels_of_its_own(tmp_path):
    """Half as wide, with half the disparities, it shows the same metres."""
    folder = write_folder(tmp_path, disparity=True)
    half = SIZE[0] // 2, SIZE[1] // 2
    raw = np.full(half, 257, np.uint16)  # 1 px, where the whole has 2.
    cv2.imwrite(str(tmp_path / 'image/b.png'), np.zeros((*half, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'label/b.png'), np.full(half, 1, np.uint8))
    cv2.imwrite(str(tmp_path / 'depth/b.png'), raw)
    cv2.imwrite(str(tmp_path / 'instance/b.png'), np.zeros(half, np.uint16))
    whole, small = folder.example('a'), folder.example('b')
    assert small.depth[0, 0] == pytest.approx(whole.depth[30, 5]) == FX * BASELINE / 2.0


@pytest.mark.parametrize('disparity', [False, True])
def test_batches_hold_vectors_and_inverse_depth_in_the_networks_pixels(tmp_path, disparity):
    folder = write_folder(tmp_path, disparity)
    half = (SIZE[0] // 2, SIZE[1] // 2)
    cache = ExampleCache(folder, ['a'], inverse=True, instance=True)
    whole = WholeImages(cache, half)[0]
    assert whole['label'].shape == whole['inverse'].shape == SIZE, 'truth keeps its size'
    assert whole['vectors'].shape == (2, *half) and whole['on_instance'].shape == half
    assert float(whole['vectors'][0].max()) == pytest.approx(7.0, abs=0.51), 'px of the network'
    assert float(whole['inverse'].max()) == (1.0 if disparity else 0.25)
    view = TrainingViews(cache, half, AugmentationRecipe(scale=(1.0, 1.0), flip_probability=0), 0
                         )[(0, 0)]
    assert float(view['inverse'].max()) == (1.0 if disparity else 0.25)
    assert view['vectors'].shape == (2, *half)
    plain = WholeImages(ExampleCache(folder, ['a']), half)[0]
    assert set(plain) == {'image', 'label', 'depth', 'index'}, 'other networks read no more'


def test_images_without_maps_have_no_instance_and_no_inverse_depth(tmp_path):
    folder = write_folder(tmp_path, disparity=False, sky=None)
    (tmp_path / 'instance/a.png').unlink()
    (tmp_path / 'depth/a.png').unlink()
    example = folder.example('a', inverse=True, instance=True)
    assert not example.instance.any() and (example.inverse < 0).all()


@pytest.mark.parametrize(('changes', 'words'), [
    ({'things': ['car']}, ("'things'", "'car'", "'classes'")),
    ({'things': 'thing'}, ("'things'", 'list')),
    ({'things': ['thing', 'thing']}, ("'things'", "'thing'", 'more than once')),
    ({'sky': 'heaven'}, ("'sky'", "'heaven'")),
    ({'intrinsics': {'width': 96, 'height': 64, 'fx': 1, 'fy': 1, 'cx': 1, 'cy': 1,
                     'baseline': -1}}, ("'intrinsics.baseline'", '-1'))])
def test_a_wrong_field_is_one_line(tmp_path, changes, words):
    with pytest.raises(DatasetError) as caught:
        write_folder(tmp_path, False, **changes)
    for word in ('dataset.yaml', *words):
        assert word in str(caught.value)


def found(root: Path) -> str:
    return '\n'.join(map(str, inspect(DatasetFolder(root))[0]))


def test_check_finds_what_is_wrong_with_instance_maps(tmp_path):
    folder = write_folder(tmp_path, disparity=False)
    assert 'instance' not in found(tmp_path)
    ids = folder.example('a', instance=True).instance
    path = tmp_path / 'instance/a.png'
    for values, words in (
            (np.where(ids > 0, ids, 5), 'instance 5 lies on class'),
            (np.where(np.arange(SIZE[0])[:, None] < 40, ids, np.where(ids > 0, 300, 0)) + np.where(
                np.indices(SIZE)[0] == 52, 300, 0), 'instance 300 lies on 2 classes'),
            (np.zeros((4, 4)), 'is 4x4')):
        cv2.imwrite(str(path), values.astype(np.uint16))
        assert 'instance/a.png' in found(tmp_path) and words in found(tmp_path), words
    path.unlink()
    assert '1 of 1 images of split train have no readable instance' in found(tmp_path)
    write_folder(tmp_path, disparity=False, things=None)
    assert "'things' is missing" in found(tmp_path)
