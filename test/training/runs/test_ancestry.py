# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The terms of every ancestor stand in a derived network's document and card."""

from __future__ import annotations

from dataclasses import replace
import logging
from pathlib import Path

from emu_perception.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from emu_perception.predictor import Predictor
import pytest
from small_models import small_recipe
from training.average import average
from training.balance import balance
from training.data.dataset_folder import DatasetFolder
from training.density import said
from training.evaluation.measuring import description
from training.fit import main
from training.methods.ensemble import Ensemble
from training.reporting.model_card import inherited, model_card
from training.runs import ancestry
from training.runs.ancestry import ancestors_of, command_line, source_in_words, steps_of
from training.runs.provenance import metadata_of
import yaml


@pytest.fixture(scope='module')
def member(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a trained member that says that its data and start had terms of their own."""
    network, metadata = load_checkpoint(trained / 'synthetic/member_00/best.safetensors')
    path = tmp_path_factory.mktemp('ancestry') / 'member.safetensors'
    save_checkpoint(path, network, replace(metadata, name='member', provenance={
        **metadata.provenance, 'data_set': 'nyuv2', 'data_licence': 'for research',
        'initial_weights_licence': 'non-commercial',
        'ancestors': [{'role': 'start', 'name': 'older', 'data_set': 'secret',
                       'initial_weights_licence': 'ask first'}]}))
    return path


def test_terms_pass_on_through_generations_each_once(member):
    metadata = read_metadata(member)
    child = ancestors_of([('teacher', metadata), ('teacher', metadata), ('start', metadata)])
    assert [(each['role'], each['name'], each['data_set']) for each in child] == [
        ('teacher', 'member', 'nyuv2'), ('start', 'older', 'secret'),
        ('start', 'member', 'nyuv2')]
    grandchild = ancestors_of([('averaged', replace(metadata, name='child', provenance={
        'data_set': 'own', 'ancestors': child}))])
    assert [each['name'] for each in grandchild] == ['child', 'member', 'older', 'member']


@pytest.mark.slow
def test_a_derived_network_says_what_it_inherits_and_how_it_was_made(
        member, trained, tmp_path, monkeypatch):
    data = tmp_path / 'data'
    data.mkdir()
    for path in (trained / 'data').iterdir():
        (data / path.name).symlink_to(path)
    (data / 'dataset.yaml').unlink()
    document = yaml.safe_load((trained / 'data/dataset.yaml').read_text())
    (data / 'dataset.yaml').write_text(yaml.safe_dump({
        **document, 'source': {'camera': 'my robot'}, 'licence': 'mine'}))
    arguments = ['--recipe', str(trained / 'recipe.yaml'), f'data={data}', f'output={tmp_path}',
                 'name=child', 'epochs=2', 'validate_every=1', 'method=emuformer',
                 f'emuformer.teacher=[{member}]', 'network.initial_weights=teacher',
                 '--no-progress']
    monkeypatch.setattr(ancestry.sys, 'argv', ['/somewhere/training/fit.py', *arguments])
    assert main(arguments) == 0
    metadata = read_metadata(tmp_path / 'child/last.safetensors')
    provenance = metadata.provenance
    assert [each['role'] for each in provenance['ancestors']] == ['teacher', 'start', 'start']
    assert provenance['data_licence'] == 'mine' and 'my robot' in provenance['data_source']
    assert (provenance['epoch'], provenance['epochs_run']) == (2, 2)
    assert provenance['command'].startswith('python -m training.fit --recipe ')
    card = model_card(metadata, tmp_path / 'child/last.safetensors')
    for words in ('inherited from teacher `member`: trained on nyuv2 (for research)',
                  'NYU Depth V2', 'non-commercial', 'ask first', 'data: camera: my robot; mine',
                  '2 of 2 epochs run, weights of epoch 2', 'python -m training.fit'):
        assert words in card, card


def test_a_card_of_a_network_without_ancestors_inherits_nothing():
    assert inherited({'data_set': 'nyuv2'}) == []


def test_what_is_no_command_has_none(monkeypatch):
    monkeypatch.setattr(ancestry.sys, 'argv', ['/usr/bin/pytest', 'x'])
    assert command_line() == ''
    monkeypatch.setattr(ancestry.sys, 'argv', ['/a b/training/distill.py', 'data=my data'])
    assert command_line() == "python -m training.distill 'data=my data'"
    assert source_in_words(None) == '' and source_in_words('a\nb') == 'a b'


def test_a_network_of_dropout_says_that_it_runs_as_one_pass(member, tmp_path, caplog):
    network, metadata = load_checkpoint(member)
    recipe = {**metadata.provenance['recipe'], 'method': 'mc_dropout'}
    save_checkpoint(tmp_path / 'dropout.safetensors', network, replace(
        metadata, provenance={**metadata.provenance, 'recipe': recipe}))
    caplog.set_level(logging.WARNING, 'emu_perception')
    Predictor.load(member, 'cpu', backend='eager')
    assert 'Monte Carlo' not in caplog.text
    Predictor.load(tmp_path / 'dropout.safetensors', 'cpu', backend='eager')
    assert 'one deterministic pass' in caplog.text and 'emu distill' in caplog.text


def made(saved, name: str, method: str, **provenance: object) -> Path:
    return saved(name, seed=len(name), provenance={
        'data_set': 'd', 'split': 'train', 'recipe': {'method': method, 'seed': 3}, **provenance})


def test_a_network_says_all_that_was_done_to_make_it_and_not_the_last_training_alone(
        saved, synthetic, tmp_path):
    """The default model is a baseline that goes on from an average of students."""
    first, second, other = (made(saved, name, method) for name, method in (
        ('a', 'emuformer'), ('bb', 'emuformer'), ('ccc', 'baseline')))
    pair = average([first, second], [1, 1], tmp_path / 'pair.safetensors')
    assert pair.provenance['steps'] == ['emuformer', 'average of 2']
    mixed = average([first, other], [1, 1], tmp_path / 'mixed.safetensors')
    assert mixed.provenance['steps'] == ['average of 2 (emuformer; baseline)']
    even = balance(tmp_path / 'pair.safetensors', DatasetFolder(synthetic), 0.2,
                   tmp_path / 'even.safetensors')
    said(tmp_path / 'even.safetensors', 'median', tmp_path / 'read.safetensors')
    steps = ['emuformer', 'average of 2', 'balanced with tau 0.2', 'depths read as median']
    read = read_metadata(tmp_path / 'read.safetensors')
    assert even.provenance['steps'] == steps[:-1] and read.provenance['steps'] == steps
    # Of a file of before, which says no steps, those that it tells of.
    older = {name: value for name, value in read.provenance.items() if name != 'steps'}
    assert steps_of(replace(read, provenance=older)) == steps
    assert steps_of(replace(read, provenance={})) == []
    about = description(Ensemble([tmp_path / 'read.safetensors']), 'auto')
    assert (about['method'], about['made_by']) == ('emuformer', [', then '.join(steps)])
    assert f'- made by: {", then ".join(steps)}\n' in model_card(
        read, tmp_path / 'read.safetensors')
    recipe = small_recipe(network={'encoder': 'resnet10t', 'head_dim': 16, 'initial_weights':
                                   str(tmp_path / 'read.safetensors')}, data=str(synthetic))
    network, _ = load_checkpoint(first)
    assert metadata_of(recipe, DatasetFolder(synthetic), network, '', {}, None, epoch=1,
                       epochs_run=1).provenance['steps'] == [*steps, 'baseline']


def test_an_average_is_no_training_of_the_first_seed(saved, synthetic, tmp_path):
    """Its recipe is that of the first network: mean and spread over seeds took it for one."""
    first, second = made(saved, 'a', 'baseline'), made(saved, 'bb', 'baseline')
    average([first, second], [1, 1], tmp_path / 'pair.safetensors')
    for path, out in ((first, 'one'), (second, 'two')):
        balance(path, DatasetFolder(synthetic), 0.2, tmp_path / f'{out}.safetensors')
    kinds = {name: description(Ensemble([path]), 'auto')['trained_as'] for name, path in {
        'first': first, 'second': second, **{name: tmp_path / f'{name}.safetensors'
                                             for name in ('pair', 'one', 'two')}}.items()}
    assert kinds['pair'] is None
    assert kinds['first'] == kinds['second'] != kinds['one'] == kinds['two'] is not None
