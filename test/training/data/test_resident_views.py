# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Views cut on the device: the ones that the loader cuts, in batches, without a wait."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import default_collate
from training.data import resident
from training.data.augmentation import draw_view, mean_color
from training.data.dataset_folder import DatasetFolder
from training.data.device_views import DeviceViews, lines, most_taps
from training.data.examples import ExampleCache, TrainingViews
from training.data.resident import DrawnViews, load_resident
from training.fit import fit, main
from training.methods.module import TrainingModule
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe
from training.recipes.sections import AugmentationRecipe
import yaml

CPU = torch.device('cpu')
SIZE, LARGE, SMALL = (96, 128), (192, 256), (64, 96)
FIELDS = {
    'name': 'synthetic', 'input_size': list(SIZE), 'batch_size': 2, 'views': 'device',
    'network': {'encoder': 'resnet10t', 'head_dim': 32},
    'optimizer': {'learning_rate': 2e-3, 'head_factor': 2.0, 'gradient_clip': 5.0}}


class BothWays:
    """The views of a data set cut by the loader and on the device."""

    def __init__(self, root: Path, size=SIZE, whole=SIZE, seed=0, **fields):
        recipe, folder = AugmentationRecipe(**fields), DatasetFolder(root)
        self.examples = ExampleCache(folder, folder.stems('train'))
        self.loader = TrainingViews(self.examples, whole, recipe, seed, size)
        self.device = DeviceViews(load_resident(self.examples, CPU, recipe.border, False), size,
                                  whole, recipe)
        self.drawn = DrawnViews(len(self.examples), self.device.images.size, whole, recipe, seed,
                                size)

    def cut(self, keys):
        """Return the batches of both."""
        return (default_collate([self.loader[key] for key in keys]), self.on_device(keys))

    def on_device(self, keys):
        return self.device(default_collate([self.drawn[key] for key in keys]))


KEYS = [(epoch, index) for epoch in range(15) for index in range(4)]


@pytest.mark.parametrize(('fields', 'grey_levels'), [
    ({'scale': (0.4, 2.5)}, 0.2),
    ({'scale': (0.4, 0.7), 'depth_scale_policy': 'none', 'flip_probability': 0.0}, 0.2),
    ({'scale': (0.75, 1.5), 'border': (6, 3, 7, 8), 'border_probability': 0.6,
      'color_jitter': 0.3}, 0.3),
    ({'scale': (0.5, 1.4), 'size': SMALL, 'whole': LARGE}, 0.2),
    ({'scale': (0.5, 1.2), 'size': SMALL, 'whole': SMALL, 'color_jitter': 0.6}, 0.5),
    ({'scale': (1.0, 1.0)}, 0.0)])
def test_the_device_cuts_the_same_views_as_the_loader(synthetic, fields, grey_levels):
    """Geometry, padding, depth policy and colours; the pictures up to the rounding."""
    loader, device = BothWays(synthetic, **fields).cut(KEYS)
    assert set(loader) == set(device)
    for name, tensor in loader.items():
        assert tensor.shape == device[name].shape and tensor.dtype == device[name].dtype, name
    assert (loader['label'] != device['label']).float().mean() < 1e-4
    assert ((loader['depth'] - device['depth']).abs() > 1e-5).float().mean() < 1e-4
    assert torch.equal(loader['index'], device['index'])
    differences = (loader['image'].int() - device['image'].int()).abs().float()
    assert differences.mean() <= grey_levels and differences.max() <= 8 * grey_levels + 1
    assert device['image'].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('seed', range(4))
def test_no_view_is_made_of_more_lines_than_the_recipe_says(seed):
    """A line too few would alias and be seen by nobody: the weights are brought to sum 1."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        image, size, whole = (tuple(rng.integers(low, 90, 2).tolist()) for low in (20, 32, 32))
        low = rng.uniform(0.2, 1.2)
        recipe = AugmentationRecipe(scale=(low, low * rng.uniform(1.0, 2.0)), border=(2, 3, 4, 1),
                                    border_probability=0.5)
        taps = most_taps(image, size, whole, recipe)
        for _ in range(5):
            view = draw_view(image, size, recipe, rng, whole)
            for axis in (0, 1):
                numbers = (torch.tensor([float(pair[axis])], dtype=torch.float64) for pair in
                           (view.start, view.seen, view.place, view.target))
                shrinks = torch.tensor([np.prod(view.seen) > np.prod(view.target)])
                found = lines(*numbers, None, shrinks, size[axis], taps + 3)
                assert found.weight[..., taps:].max() < 1e-6
                assert found.source.max() < view.start[axis] + view.seen[axis] <= image[axis]


def test_padding_is_unknown_and_has_the_mean_colour_of_what_may_be_seen(synthetic):
    border = (10, 0, 0, 20)
    both = BothWays(synthetic, scale=(0.5, 0.5), border=border, border_probability=1.0,
                    flip_probability=0.0)
    view = both.on_device([(0, 1)])
    padding = view['label'][0] == 255
    padding &= view['depth'][0] == 0
    assert padding.float().mean() > 0.5
    color = mean_color(both.examples[1].image, border)
    assert (color != mean_color(both.examples[1].image)).any()
    corner = view['image'][0, :, padding]
    assert (corner == torch.from_numpy(color)[:, None]).all(0).float().mean() > 0.95


def test_a_view_does_not_depend_on_its_batch_and_changes_with_the_epoch(synthetic):
    both = BothWays(synthetic, scale=(0.7, 1.5), color_jitter=0.3)
    alone, among = both.on_device([(3, 2)]), both.on_device([(3, 0), (3, 2), (4, 2)])
    for name in alone:
        assert torch.equal(alone[name][0], among[name][1]), name
    assert not torch.equal(among['image'][1], among['image'][2])
    other = BothWays(synthetic, scale=(0.7, 1.5), color_jitter=0.3, seed=1)
    assert not torch.equal(other.on_device([(3, 2)])['image'], alone['image'])


def test_missing_truth_is_unknown(synthetic):
    (synthetic / 'label/001.png').unlink()
    (synthetic / 'depth/002.png').unlink()
    loader, device = BothWays(synthetic).cut([(0, 1), (0, 2)])
    assert (device['label'][0] == 255).all() and (device['depth'][1] == 0).all()
    assert torch.equal(loader['label'], device['label'])


def test_nothing_is_read_back_from_the_device(synthetic):
    """Values of fake tensors are not known: whatever asks for one, or a shape by it, raises."""
    both = BothWays(synthetic, scale=(0.5, 2.0), color_jitter=0.3)
    drawn = default_collate([both.drawn[key] for key in KEYS[:4]])
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        view = both.device({name: mode.from_tensor(part) for name, part in drawn.items()})
    assert view['image'].shape == (4, 3, *SIZE)


def recipe_for(synthetic: Path, tmp_path: Path, *overrides: str, **fields: object):
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(synthetic), 'output': str(tmp_path),
                                    **fields}))
    return load_recipe(path, overrides)


@pytest.fixture
def losses(monkeypatch):
    """Return the list of the losses of all steps."""
    step, found = TrainingModule.training_step, []

    def recorded(self, batch, batch_index):
        loss = step(self, batch, batch_index)
        found.append(float(loss.detach()))
        return loss
    monkeypatch.setattr(TrainingModule, 'training_step', recorded)
    return found


@pytest.mark.slow
def test_training_on_views_of_the_device_learns_what_the_loaders_views_teach(
        synthetic, tmp_path, losses, monkeypatch):
    def run(views):
        fit(recipe_for(synthetic, tmp_path, f'name={views}', f'views={views}', 'epochs=8',
                       'validate_every=100', 'augmentation.scale=[0.8, 1.3]'), progress=False)

    def refuse(*arguments):
        raise AssertionError('the loader has cut a view that the device cuts too')
    run('loader')
    monkeypatch.setattr('training.data.examples.random_view', refuse)
    run('device')
    loader, device = np.array(losses).reshape(2, -1)
    assert device[:4] == pytest.approx(loader[:4], rel=0.02), 'other views'
    assert device[-4:].mean() < 0.7 * device[:4].mean()


@pytest.mark.slow
def test_resume_continues_with_the_same_views(synthetic, tmp_path, losses, power_cut):
    def recipe(name):
        return recipe_for(synthetic, tmp_path, f'name={name}', 'epochs=3', 'ema_decay=0.5',
                          'validate_every=100',
                          'augmentation.scale=[0.7, 1.5]', 'augmentation.color_jitter=0.3')
    fit(recipe('straight'), progress=False)
    straight = losses.copy()
    losses.clear()
    power_cut(recipe('cut'))
    fit(recipe('cut'), resume=True, progress=False)
    assert losses == straight and len(set(straight)) == 6


def test_a_copy_of_the_module_shares_the_images(synthetic):
    """The moving average of the weights copies the module that holds them."""
    module = torch.nn.Module()
    module.device_views = BothWays(synthetic).device
    assert copy.deepcopy(module).device_views is module.device_views


def test_memory_is_asked_for_before_it_is_taken(synthetic, monkeypatch):
    folder = DatasetFolder(synthetic)
    examples = ExampleCache(folder, folder.stems('train'))
    held = load_resident(examples, CPU, (0, 0, 0, 0), False)
    taken = sum(part.nbytes for part in (held.image, held.label, held.depth, held.color))
    assert resident.resident_bytes(len(examples), held.size) == taken
    assert 0 < resident.free_bytes(CPU) < 1e15
    monkeypatch.setattr(resident, 'free_bytes', lambda device: taken - 1)
    with pytest.raises(RecipeError, match=f'need {taken / 1e9:.3g} GB on cpu.*views=loader'):
        load_resident(examples, CPU, (0, 0, 0, 0), False)
    monkeypatch.setattr(resident, 'free_bytes', lambda device: taken)
    load_resident(examples, CPU, (0, 0, 0, 0), False)


def refusal(synthetic, tmp_path, capsys, *overrides):
    recipe = ['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', 'epochs=1']
    (tmp_path / 'recipe.yaml').write_text(yaml.safe_dump(
        {**FIELDS, 'data': str(synthetic), 'output': str(tmp_path)}))
    assert main([*recipe, *overrides]) == 1
    found = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
    assert len(found) == 1, found
    return found[0]


def test_images_of_several_sizes_are_refused_with_the_way_out(synthetic, tmp_path, capsys):
    for kind in ('image', 'label', 'depth'):
        path = str(synthetic / kind / '002.png')
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[:, :-8])
    message = refusal(synthetic, tmp_path, capsys)
    for words in ('002 is 120x96', '000 128x96', 'views=loader'):
        assert words in message, message


def test_a_device_that_is_too_small_is_refused_before_training(synthetic, tmp_path, capsys,
                                                               monkeypatch):
    monkeypatch.setattr(resident, 'free_bytes', lambda device: 1000)
    message = refusal(synthetic, tmp_path, capsys)
    for words in ("'views'", '4 training images', 'views=loader'):
        assert words in message, message


@pytest.mark.parametrize(('override', 'words'), [
    ('network={family: deeplab, encoder: resnet10t}', ("'views'", 'deeplab', 'views=loader')),
    ('views=gpu', ("'views'", "'gpu'", 'one of loader, device'))])
def test_views_that_the_device_cannot_cut_are_refused(synthetic, tmp_path, capsys, override,
                                                      words):
    message = refusal(synthetic, tmp_path, capsys, override)
    for word in words:
        assert word in message, message
