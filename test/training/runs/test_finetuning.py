# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What of an encoder learns: nothing else moves, and low-rank additions end up in the weights."""

from __future__ import annotations

import copy

from emu_perception.checkpoint import (
    CheckpointMetadata,
    Intrinsics,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from emu_perception.commands import export
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, SEGMENTATION
from emu_perception.predictor import Predictor
import pytest
from rounding import NETWORK, rounding
from small_models import CLASSES, small_network, small_recipe
import torch
from torch.nn import functional as F
from training.data.dataset_folder import DatasetFolder
from training.fit import fit
from training.methods.baseline import Baseline
from training.methods.optimization import parameter_groups
from training.methods.parts import Parts
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe
from training.recipes.sections import FinetuneOptions, OptimizerRecipe
from training.runs.finetuning import restrict
from training.runs.lora import is_addition, merged

TINY = {'depth': 4, 'embed_dim': 32, 'num_heads': 2, 'img_size': 112}


def vit(name: str = 'vit_small_patch16_dinov3') -> MultitaskNetwork:
    network = small_network(encoder=name, encoder_arguments=TINY)
    for part, parameter in network.named_parameters():
        if 'gamma' in part:  # Layer scales of 1e-5 would hide every mistake behind them.
            torch.nn.init.ones_(parameter)
    return network


def learning(network: MultitaskNetwork) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def own(names: set[str]) -> set[str]:
    """Return those of the pretrained encoder."""
    return {name for name in names if name.startswith('encoder.model.')}


def test_of_a_frozen_encoder_only_pyramid_and_heads_learn():
    network = vit()
    everything = learning(network)
    restrict(network, FinetuneOptions('none'))
    assert learning(network) == everything - own(everything)
    assert {name.split('.')[1] for name in learning(network)} == {'pyramid', SEGMENTATION, DEPTH}


def test_batch_norms_of_a_frozen_encoder_keep_the_statistics_of_its_weights():
    network = small_network(encoder='resnet10t', context='pyramid_pooling')
    recipe = small_recipe(finetune={'encoder': 'none'})
    restrict(network, recipe.finetune)
    module = Baseline(network, recipe, Parts((0.5,) * 3, (0.25,) * 3))
    norms = {name for name, part in network.named_modules()
             if isinstance(part, torch.nn.BatchNorm2d)}
    frozen = {name for name in norms if name.startswith('encoder.')}
    assert frozen and norms - frozen
    for _ in range(2):  # As it is made, and as whoever trains it sets it.
        training = {name for name in norms if network.get_submodule(name).training}
        assert training == norms - frozen
        before = {key: value.clone() for key, value in network.encoder.state_dict().items()}
        module.through({'image': torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)})
        assert all(torch.equal(value, before[key])
                   for key, value in network.encoder.state_dict().items())
        module.eval()
        module.train()


def test_the_last_blocks_and_the_norm_learn():
    network = vit('vit_small_patch14_dinov2')
    restrict(network, FinetuneOptions('last', blocks=2))
    assert {'.'.join(name.split('.')[2:4]).removesuffix('.weight').removesuffix('.bias')
            for name in own(learning(network))} == {'blocks.2', 'blocks.3', 'norm'}


@pytest.mark.parametrize('name', ['vit_small_patch14_dinov2', 'vit_small_patch16_dinov3',
                                  'vit_small_patch16_dinov3_qkvb'])
def test_low_rank_additions_start_at_nothing_learn_alone_and_are_merged(name):
    network = vit(name).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = network(images)[DEPTH]
    plain = copy.deepcopy(network)
    restrict(network, FinetuneOptions('lora', rank=4, alpha=8.0))
    assert {is_addition(part) for part in own(learning(network))} == {True}
    with torch.no_grad():
        assert torch.equal(network(images)[DEPTH], before)
        for part, parameter in network.named_parameters():
            if is_addition(part):
                torch.nn.init.normal_(parameter, std=0.2)
        trained = network(images)[DEPTH]
        whole = merged(network)
        assert torch.allclose(whole(images)[DEPTH], trained, rtol=NETWORK, atol=NETWORK)
    assert not torch.allclose(trained, before, atol=1e-2), 'the additions do nothing'
    # What the robot gets is a network like any other.
    assert whole.state_dict().keys() == plain.state_dict().keys()
    assert any(is_addition(part) for part, _ in network.named_parameters()), 'it learns on'


@pytest.mark.slow
@pytest.mark.parametrize(('suffix', 'packages'), [
    ('.onnx', ('onnx', 'onnxruntime')), ('.xml', ('openvino',))])
def test_merged_additions_are_proven_in_what_is_exported(suffix, packages, synthetic, tmp_path,
                                                         capsys):
    for package in packages:
        pytest.importorskip(package, reason=f'NOT TESTED: {package} is not installed')
    network = vit('vit_small_patch14_reg4_dinov2')
    restrict(network, FinetuneOptions('lora', rank=4, alpha=8.0))
    with torch.no_grad():
        for part, parameter in network.named_parameters():
            if is_addition(part):
                torch.nn.init.normal_(parameter, std=0.2)
    save_checkpoint(tmp_path / 'a.safetensors', merged(network.eval()), CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), classes=CLASSES,
        palette=((1, 2, 3),) * 3, intrinsics=Intrinsics(96, 64, 80.0, 80.0, 48.0, 32.0)))
    assert export.main(['--model', str(tmp_path / 'a.safetensors'), '--images',
                        str(synthetic / 'image/000.png'), '--out',
                        str(tmp_path / f'out/a{suffix}')]) == 0
    assert 'proven on 1 images' in capsys.readouterr().out


def test_a_merged_layer_is_the_layer_and_its_two_products():
    network = vit()
    restrict(network, FinetuneOptions('lora', rank=4, alpha=8.0))
    layer = network.encoder.model.blocks[1].attn.proj
    addition = layer.parametrizations.weight[0]
    torch.nn.init.normal_(addition.up)
    original = layer.parametrizations.weight.original
    x = torch.randn(5, 32)
    with torch.no_grad():
        apart = F.linear(x, original, layer.bias) + 8.0 / 4 * F.linear(
            F.linear(x, addition.down), addition.up)
        together = merged(network).encoder.model.blocks[1].attn.proj(x)
        largest = F.linear(x.abs(), original.abs(), layer.bias.abs()) + 2.0 * F.linear(
            F.linear(x.abs(), addition.down.abs()), addition.up.abs())
    # 32 and 4 terms, a factor and two sums, on both ways.
    assert ((apart - together).abs() <= 2 * rounding(40) * largest).all()


def test_pyramid_and_additions_learn_at_the_heads_rate():
    network = vit()
    restrict(network, FinetuneOptions('lora'))
    recipe = OptimizerRecipe(learning_rate=1e-3, head_factor=10.0)
    groups = parameter_groups(network, recipe)
    assert {group['lr'] for group in groups} == {1e-2}
    restricted = vit()
    restrict(restricted, FinetuneOptions('last', blocks=1))
    rates = {id(p): group['lr'] for group in parameter_groups(restricted, recipe)
             for p in group['params']}
    assert rates[id(restricted.encoder.model.norm.weight)] == 1e-3
    assert rates[id(restricted.encoder.pyramid[1].weight)] == 1e-2


@pytest.mark.parametrize(('encoder', 'options', 'part'), [
    ('resnet10t', FinetuneOptions('lora'), 'no vision transformer'),
    ('vit', FinetuneOptions('last', blocks=5), 'has 4')])
def test_an_encoder_without_such_a_part_is_one_clear_line(encoder, options, part):
    network = vit() if encoder == 'vit' else small_network(encoder=encoder)
    with pytest.raises(RecipeError, match="'finetune") as caught:
        restrict(network, options)
    assert part in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['dinov2_small', 'dinov3_small'])
def test_the_recipes_train_resume_and_answer_on_a_tiny_vit(name, synthetic, tmp_path, power_cut,
                                                           caplog):
    def recipe(run: str):
        return load_recipe(name, [
            f'data={synthetic}', f'output={tmp_path}', f'name={run}', 'epochs=3', 'batch_size=2',
            'input_size=[96, 128]', 'precision=32-true', 'views=loader', 'validate_every=1',
            'network.initial_weights=none', 'network.head_dim=16', 'ema_decay=0.5',
            f'network.encoder_arguments={TINY}', 'optimizer.warmup_steps=0',
            'finetune.rank=2', 'optimizer.learning_rate=1e-3'])
    best = fit(recipe('straight'), progress=False)
    # Without weights to start from low-rank additions learn on noise: said, not refused.
    assert 'what of the encoder does not learn stays random' in caplog.text
    power_cut(recipe('cut'))
    fit(recipe('cut'), resume=True, progress=False)
    straight, _ = load_checkpoint(best.with_name('last.safetensors'))
    resumed, _ = load_checkpoint(tmp_path / 'cut/last.safetensors')
    for (part, one), two in zip(straight.state_dict().items(), resumed.state_dict().values(),
                                strict=True):
        assert torch.equal(one, two), f'{part} differs after resume'
    metadata = read_metadata(best)
    assert metadata.provenance['recipe']['finetune']['encoder'] == 'lora'
    predictor = Predictor.load(best, 'cpu')
    prediction = predictor(DatasetFolder(synthetic).image('000'), fx=110.0)
    assert prediction.label.shape == prediction.depth.shape
    assert metadata.calibration.scores, 'no threshold was fitted'
