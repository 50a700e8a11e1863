# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Kept features of a frozen encoder: the same network, never those of another, within a budget."""

from __future__ import annotations

from collections.abc import Callable
import csv
import errno
import logging
import os
from pathlib import Path
from typing import Any

import cv2
from emu_perception.checkpoint import load_checkpoint
from emu_perception.networks.encoder import PyramidEncoder
from emu_perception.networks.vit_encoder import ViTEncoder
import pytest
from rounding import NETWORK
import torch
from training.data import feature_store
from training.fit import fit
from training.recipes.cache_conditions import CONDITIONS
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe, Recipe
import yaml

TINY: dict[str, Any] = {'depth': 4, 'embed_dim': 32, 'num_heads': 2, 'img_size': 112}
VIT = {'encoder': 'vit_small_patch16_dinov3', 'encoder_arguments': TINY, 'head_dim': 16}
LITE = {'encoder': 'tf_efficientnet_lite0', 'encoder_arguments': {}, 'head_dim': 16,
        'context': 'pyramid_pooling'}
NETWORKS = {'vit': VIT, 'lite': LITE}


@pytest.fixture
def recipe(synthetic: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Return a function that makes a recipe that may keep features."""
    def make(name: str, *overrides: str, network: dict[str, Any] = VIT,
             cache: str = 'float32') -> Recipe:
        path = tmp_path / 'recipe.yaml'
        path.write_text(yaml.safe_dump({
            'name': name, 'data': str(synthetic), 'output': str(tmp_path),
            'input_size': [96, 128], 'batch_size': 2, 'epochs': 2, 'network': network,
            'finetune': {'encoder': 'none'}, 'cache_features': cache,
            'augmentation': {'scale': [1.0, 1.0]}, 'optimizer': {'learning_rate': 1e-3}}))
        return load_recipe(path, overrides)
    return make


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what grows by the images of each pass of an encoder that could be trained on."""
    seen: list[int] = []
    for kind in (PyramidEncoder, ViTEncoder):
        def counted(self: Any, images: torch.Tensor, kind: Any = kind) -> list[torch.Tensor]:
            seen.append(len(images))
            return BACKBONES[kind](self, images)
        monkeypatch.setattr(kind, 'backbone', counted)
    return seen


BACKBONES: dict[Any, Any] = {kind: kind.backbone for kind in (PyramidEncoder, ViTEncoder)}


def weights(best: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(best.with_name('last.safetensors'))[0].state_dict()


def losses(run: Path) -> list[float]:
    """Return the loss of each step that was logged."""
    with (run / 'logs/start_0/metrics.csv').open() as file:
        found = [float(row['train/loss']) for row in csv.DictReader(file) if row['train/loss']]
    assert len(found) > 0
    return found


def kept(folder: Path) -> list[Path]:
    return sorted((folder / 'feature_cache').glob('*/*.safetensors'))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['vit', 'lite'])
def test_with_kept_features_the_very_same_network_is_trained(kind, recipe, tmp_path):
    # SGD: what AdamW divides by is nothing but rounding where a gradient is none.
    network, sgd = NETWORKS[kind], 'optimizer.kind=sgd'
    plain = weights(fit(recipe('plain', sgd, network=network, cache='none'), progress=False))
    cached = weights(fit(recipe('cached', sgd, network=network), progress=False))
    assert len(kept(tmp_path)) == 2 * 4, 'both flips of four images'
    start = weights(fit(recipe('short', sgd, 'epochs=1', network=network), progress=False))
    moved = {name for name in plain if not torch.equal(plain[name], start[name])}
    assert moved and not any(name.startswith('encoder.model.') for name in moved)
    # The sums are the same; in which order a library adds them up may hang on the batch.
    for name, tensor in plain.items():
        assert torch.allclose(tensor, cached[name], rtol=NETWORK, atol=NETWORK), name
    assert losses(tmp_path / 'cached') == pytest.approx(losses(tmp_path / 'plain'), rel=NETWORK)


@pytest.mark.slow
def test_kept_features_survive_a_power_cut_and_are_made_once_for_all(
        recipe, tmp_path, power_cut, caplog, monkeypatch):
    straight = weights(fit(recipe('straight', 'epochs=3'), progress=False))
    before = {path: path.stat().st_mtime_ns for path in kept(tmp_path)}
    power_cut(recipe('cut', 'epochs=3'))
    fit(recipe('cut', 'epochs=3'), resume=True, progress=False)
    resumed = weights(tmp_path / 'cut/last.safetensors')
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert {path: path.stat().st_mtime_ns for path in kept(tmp_path)} == before


@pytest.mark.slow
def test_a_run_that_goes_on_reads_features_of_its_own_encoder_whatever_it_started_from(
        recipe, tmp_path, power_cut):
    start = fit(recipe('start', 'epochs=1', cache='none'), progress=False)
    cut = recipe('cut', 'epochs=3', f'network.initial_weights={start}')
    power_cut(cut)
    before = kept(tmp_path)
    start.write_bytes(fit(recipe('other', 'epochs=1', 'seed=1', cache='none'),
                          progress=False).read_bytes())
    fit(cut, resume=True, progress=False)
    assert kept(tmp_path) == before, 'features of an encoder that this run does not have'


@pytest.mark.slow
def test_another_encoder_or_image_never_reads_what_was_kept(recipe, synthetic, tmp_path, passes):
    fit(recipe('a', 'epochs=1'), progress=False)
    first = kept(tmp_path)
    made = passes.copy()
    fit(recipe('again', 'epochs=1'), progress=False)
    assert kept(tmp_path) == first and sum(passes) < 2 * sum(made), 'they were made again'
    fit(recipe('b', 'epochs=1', 'seed=1'), progress=False)  # Other random weights.
    second = [path for path in kept(tmp_path) if path not in first]
    assert len(second) == 8 and {path.name for path in second} == {path.name for path in first}
    assert second[0].parent != first[0].parent
    image = synthetic / 'image/000.png'
    cv2.imwrite(str(image), 255 - cv2.imread(str(image)))
    fit(recipe('c', 'epochs=1'), progress=False)
    assert len([path for path in kept(tmp_path) if path.parent == first[0].parent]) == 10


@pytest.mark.slow
def test_what_is_damaged_is_made_again_and_what_vanishes_in_training_is_one_line(
        recipe, tmp_path, monkeypatch):
    fit(recipe('a', 'epochs=1'), progress=False)
    path = kept(tmp_path)[3]
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    fit(recipe('b', 'epochs=1'), progress=False)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-99] + bytes([whole[-99] ^ 4]) + whole[-98:])  # A bit has turned.
    fit(recipe('d', 'epochs=1'), progress=False)
    assert path.read_bytes() == whole
    read = feature_store.FeatureStore.read

    def gone(self: Any, image: torch.Tensor) -> Any:
        self.path(image).unlink()
        return read(self, image)
    monkeypatch.setattr(feature_store.FeatureStore, 'read', gone)
    with pytest.raises(Exception, match='are gone or damaged') as caught:
        fit(recipe('c', 'epochs=1'), progress=False)
    assert '\n' not in str(caught.value)


@pytest.mark.slow
def test_a_full_disk_names_the_file_and_leaves_no_part_of_one(recipe, tmp_path, monkeypatch):
    written = []

    def full(path: Path, content: bytes) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        path.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(feature_store, 'write_whole', full)
        with pytest.raises(RecipeError, match='No space left on device') as caught:
            fit(recipe('a', 'epochs=1'), progress=False)
    assert 'feature_cache' in str(caught.value) and '\n' not in str(caught.value)
    fit(recipe('a', 'epochs=1'), progress=False)
    assert {*written} <= {*kept(tmp_path)} and len(kept(tmp_path)) == 8


@pytest.mark.parametrize(('overrides', 'free', 'field'), [
    (['cache_features_gb=0.0001'], 10**12, "'cache_features_gb' is 0.0001"),
    ([], 10_000, "'cache_features' is 'float32'")])
def test_what_does_not_fit_is_said_before_it_is_made(
        recipe, tmp_path, monkeypatch, caplog, overrides, free, field):
    usage = type('Usage', (), {'free': free})
    monkeypatch.setattr('training.runs.feature_filling.shutil.disk_usage', lambda _: usage)
    with caplog.at_level(logging.INFO), pytest.raises(RecipeError, match=field) as caught:
        fit(recipe('a', *overrides), progress=False)
    assert '\n' not in str(caught.value) and 'cache_features=none' in str(caught.value)
    # Four maps of 6x8 patches in float32.
    assert any('8 views of 0.0' in line and 'GB are to be written' in line
               for line in caplog.messages)
    assert not kept(tmp_path)


@pytest.mark.parametrize(('override', 'field'), [
    ('finetune.encoder=lora', 'finetune.encoder'), ('finetune.encoder=last', 'finetune.encoder'),
    ('augmentation.scale=[0.9, 1.1]', 'augmentation.scale'),
    ('augmentation.border_probability=0.5', 'augmentation.border_probability'),
    ('augmentation.color_jitter=0.1', 'augmentation.color_jitter'),
    ('augmentation.corruption_probability=0.1', 'augmentation.corruption_probability'),
    ('views=device', 'views'), ('devices=2', 'devices'), ('nodes=2', 'nodes'),
    ('crop_size=[64, 96]', 'crop_size'), ('method=mc_dropout', 'method'),
    ('network.encoder_arguments.drop_path_rate=0.1', 'network.encoder_arguments.drop_path_rate')])
def test_a_setting_that_makes_kept_features_wrong_is_refused_by_its_name(recipe, override, field):
    with pytest.raises(RecipeError) as caught:
        recipe('a', override)
    message = str(caught.value)
    assert f"field '{field}' is" in message and '\n' not in message
    assert 'cache_features=none' in message
    recipe('a', override, cache='none')  # It is the cache alone that minds.


def test_a_students_mix_is_refused_and_of_other_methods_not_read(recipe):
    mixed = ['emuformer.mix=cutmix']
    with pytest.raises(RecipeError, match=r"'emuformer\.mix' is 'cutmix'"):
        recipe('a', *mixed, 'method=emuformer', 'emuformer.teacher=[x]')
    assert recipe('a', *mixed).emuformer.mix == 'cutmix'


def test_every_condition_names_a_field_with_a_value_that_recipes_may_have(recipe):
    made = recipe('a', 'crop_size=[96, 128]', 'augmentation.flip_probability=1.0')
    for condition in CONDITIONS:
        value: Any = made
        for part in condition.field.split('.'):
            value = getattr(value, part)
        assert value == condition.wanted, condition.field


def test_an_encoder_that_draws_by_itself_is_refused(recipe):
    # SegFormer's has stochastic depth unless told otherwise.
    network = {'encoder': 'mit_b0', 'encoder_arguments': {}, 'head_dim': 16}
    with pytest.raises(RecipeError, match="'network.encoder' is 'mit_b0', in whose training"):
        fit(recipe('a', network=network), progress=False)


def test_an_image_of_another_aspect_has_no_fixed_view_and_is_named(recipe, synthetic):
    for folder in ('image', 'label', 'depth'):
        path = str(synthetic / folder / '001.png')
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[:92])
    with pytest.raises(RecipeError, match="'input_size' is .*'001' of 92x128") as caught:
        fit(recipe('a'), progress=False)
    assert '\n' not in str(caught.value)


@pytest.mark.slow
def test_ensemble_sub_ensemble_and_student_train_on_the_same_kept_features(
        recipe, tmp_path, passes):
    start = fit(recipe('start', 'epochs=1', cache='float16'), progress=False)
    same = ['cache_features=float16', 'epochs=1', f'network.initial_weights={start}']
    members = [fit(recipe(f'de/member_0{i}', *same, f'seed={i}'), progress=False)
               for i in (0, 1)]
    fit(recipe('dse', *same, 'method=sub_ensemble', 'sub_ensemble.heads=2'), progress=False)
    fit(recipe('student', *same[:2], 'method=emuformer',
               f'emuformer.teacher={[str(path) for path in members]}',
               'network.initial_weights=teacher'), progress=False)
    assert len(kept(tmp_path)) == 8, 'the encoder is one, whoever trains'


def test_float16_is_half_as_large(tmp_path):
    maps = [torch.randn(32, 6, 8) for _ in range(4)]
    half, whole = (len(feature_store.FeatureStore(tmp_path, dtype).content(maps))
                   for dtype in (torch.float16, torch.float32))
    # Beside the numbers a file has its header, of a few hundred bytes.
    assert whole - half == pytest.approx(4 * 32 * 6 * 8 * 2, abs=100)


def test_the_command_on_the_page_is_a_recipe(tmp_path):
    page = (Path(__file__).parents[3] / 'docs/encoders.md').read_text()
    command = next(block for block in page.replace('\\\n', ' ').splitlines()
                   if block.startswith('    emu train') and 'cache_features' in block)
    words = command.split()[4:]
    for name in ('dinov2_small', 'dinov3_small'):
        assert load_recipe(name, words).cache_features == 'float16'


def test_a_value_beyond_float16_asks_for_float32(tmp_path):
    store = feature_store.FeatureStore(tmp_path, torch.float16)
    with pytest.raises(RecipeError, match='cache_features=float32'):
        store.content([torch.tensor([[[70000.0]]])])
