# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The average of networks is their weights' average, says of whom, and keeps no constants."""

from __future__ import annotations

from dataclasses import replace

from emu_perception.checkpoint import Calibration, load_checkpoint, save_checkpoint
from emu_perception.errors import InputError
from emu_perception.networks.deeplab import MultitaskDeepLab
import pytest
import torch
from training.average import average, main
from training.calibration.twins import take_constants

PROVENANCE = {'data_set': 'made up', 'split': 'train', 'calibration': {'images': 3},
              'recipe': {'name': 'one'}}


@pytest.fixture
def two(saved):
    """Write two networks of one kind that learned from the same images; the second is all 3."""
    paths = [saved(name, provenance=PROVENANCE, metadata={'calibration': Calibration(1.3, 0.8)})
             for name in ('tiny', 'other')]
    network, metadata = load_checkpoint(paths[1])
    with torch.no_grad():
        for values in network.state_dict().values():
            values.fill_(3)
    save_checkpoint(paths[1], network, metadata)
    return paths


def test_weights_are_averaged_by_their_shares_and_the_ancestors_are_named(two, tmp_path, capsys):
    out = tmp_path / 'new/c.safetensors'
    assert main([*(word for path in two for word in ('--checkpoint', str(path))),
                 '--weight', '3', '--weight', '1', '--out', str(out)]) == 0
    (a, _), (c, metadata) = load_checkpoint(two[0]), load_checkpoint(out)
    for name, values in c.state_dict().items():
        expected = a.state_dict()[name].double() * 0.75 + 3 * 0.25
        assert torch.allclose(values.double(), expected.to(values.dtype).double(), atol=1e-6), name
    assert [(part['name'], part['share']) for part in metadata.provenance['averaged']] == [
        ('tiny', 0.75), ('other', 0.25)]
    assert [part['role'] for part in metadata.provenance['ancestors']] == ['averaged'] * 2
    # What was fitted to one of them does not hold for their average.
    assert not metadata.calibration.scores and metadata.calibration.temperature == 1.0
    assert 'calibration' not in metadata.provenance and not metadata.metrics
    assert 'not calibrated' in capsys.readouterr().out


@pytest.mark.parametrize(('role', 'said'), [('start', False), ('averaged', False),
                                            ('teacher', True), (None, True)])
def test_networks_that_are_not_known_to_have_begun_together_are_said(two, tmp_path, caplog, role,
                                                                     said):
    """Two members of an ensemble were averaged like fine-tunings, and the result knew nothing."""
    for path in two if role else ():
        network, metadata = load_checkpoint(path)
        save_checkpoint(path, network, replace(metadata, provenance={
            **metadata.provenance, 'ancestors': [{'role': role, 'name': 'before'}]}))
    average(two, [1.0, 1.0], tmp_path / 'c.safetensors')
    assert ('began apart' in caplog.text) == said


@pytest.mark.parametrize(('change', 'words'), [
    ({'input_size': (64, 64)}, "field 'input_size'"), ({'intrinsics': None}, "field 'intrinsics'"),
    ({'provenance': {'data_set': 'made up', 'split': 'train+val'}}, "field 'provenance.split'"),
    ({'provenance': {**PROVENANCE, 'balanced': {'tau': 0.2}}}, 'is balanced with tau 0.2')])
def test_networks_of_other_kinds_or_other_images_are_one_line(
        two, tmp_path, capsys, change, words):
    network, metadata = load_checkpoint(two[1])
    save_checkpoint(two[1], network, replace(metadata, **change))
    out = tmp_path / 'c.safetensors'
    assert main(['--checkpoint', str(two[0]), '--checkpoint', str(two[1]), '--out', str(out)]) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and words in error and str(two[1]) in error
    assert not out.exists()


def test_what_differs_of_two_networks_is_named_and_nothing_else(saved, tmp_path):
    """Of an architecture the fields that differ, of forty classes the first."""
    one, wide = saved('one', provenance=PROVENANCE), saved('wide', head_dim=24, head_dropout=0.2)
    out = tmp_path / 'c.safetensors'
    with pytest.raises(InputError) as error:
        average([one, wide], [1.0, 1.0], out)
    assert str(error.value) == (
        f"{wide}: field 'architecture' has head_dim 24, head_dropout 0.2, that of {one} head_dim "
        '16, head_dropout 0.1: only networks of one kind can be averaged')
    network, metadata = load_checkpoint(one)
    other = tmp_path / 'other.safetensors'
    save_checkpoint(other, network, replace(metadata, classes=('wall', 'floor', 'bin')))
    with pytest.raises(InputError, match=f"'classes' is not that of {one}: class 2 is 'bin' and "
                                         "'box': only"):
        average([one, other], [1.0, 1.0], out)


def test_networks_of_other_families_are_a_short_line(saved, tmp_path):
    """All that either of them has was named: a screen of it."""
    one, other = saved('one', provenance=PROVENANCE), tmp_path / 'other.safetensors'
    network = MultitaskDeepLab('test_resnet', num_classes=3, aspp_dim=16, decoder_dim=8,
                               tasks=('segmentation', 'depth'))
    save_checkpoint(other, network, replace(load_checkpoint(one)[1],
                                            architecture=network.arguments))
    with pytest.raises(InputError) as error:
        average([one, other], [1.0, 1.0], tmp_path / 'c.safetensors')
    assert str(error.value) == (f"{other}: is of family 'deeplab', {one} of 'all_mlp': only "
                                'networks of one kind can be averaged')
    with pytest.raises(InputError, match=f"^--constants-of {other}: is of family 'deeplab', {one} "
                                         "of 'all_mlp': they are no twins$"):
        take_constants(one, other, tmp_path / 'c.safetensors')
    apart = saved('apart', head_dim=24, head_dropout=0.2, context='transformer', num_heads=2,
                  encoder='resnet18')
    with pytest.raises(InputError, match=' and 2 more, that of ') as error:
        average([one, apart], [1.0, 1.0], tmp_path / 'c.safetensors')


def test_a_folder_is_said_before_the_work(two, tmp_path, capsys):
    """Of --out it was the serializer's own words, after all had been read."""
    words = ['--checkpoint', str(two[0]), '--checkpoint']
    assert main([*words, str(two[1]), '--out', str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f'error: {tmp_path}: is a folder; give the name of a file\n')
    assert main([*words, str(tmp_path), '--out', str(tmp_path / 'c')]) == 1
    assert capsys.readouterr().err == f'error: {tmp_path}: is a folder, not a file\n'


@pytest.mark.parametrize(('more', 'words'), [
    ([], 'two or more'), (['--checkpoint', 'b', '--weight', '1'], 'given 1 times'),
    (['--checkpoint', 'b', '--weight', '1', '--weight', '0'], '--weight is 0')])
def test_what_cannot_be_averaged_is_one_line(two, tmp_path, capsys, more, words):
    more = [str(two[1]) if word == 'b' else word for word in more]
    assert main(['--checkpoint', str(two[0]), *more, '--out', str(tmp_path / 'c')]) == 1
    assert words in capsys.readouterr().err


def test_networks_of_two_sizes_meet_with_their_depths_brought_there(two, tmp_path):
    network, metadata = load_checkpoint(two[1])
    save_checkpoint(two[1], network, replace(metadata, input_size=(96, 128)))
    out = tmp_path / 'c.safetensors'
    assert main(['--checkpoint', str(two[0]), '--checkpoint', str(two[1]), '--out', str(out),
                 '--input-size', '64x128', '--depth-factor', '2', '--depth-factor', '0.5']) == 0
    (first, _), (average, document) = load_checkpoint(two[0]), load_checkpoint(out)
    assert document.input_size == (64, 128)
    assert [part.get('depth_factor') for part in document.provenance['averaged']] == [2, 0.5]
    for name in ('weight', 'bias'):
        mean, variance = average.depth_layer.get_parameter(name)
        old_mean, old_variance = first.depth_layer.get_parameter(name)
        assert torch.allclose(mean, (2 * old_mean + 0.5 * 3) / 2, rtol=1e-6)
        assert torch.allclose(variance, (old_variance + 3) / 2, rtol=1e-6)


@pytest.mark.parametrize(('more', 'words'), [
    (['--depth-factor', '1'], 'given 1 times'),
    (['--depth-factor', '1', '--depth-factor', 'nan'], '--depth-factor is nan'),
    (['--input-size', '60x128'], "--input-size is '60x128'")])
def test_sizes_and_factors_that_make_no_sense_are_one_line(two, tmp_path, capsys, more, words):
    assert main([*(word for path in two for word in ('--checkpoint', str(path))), *more,
                 '--out', str(tmp_path / 'c')]) == 1
    assert words in capsys.readouterr().err


def test_a_network_that_it_is_made_of_is_not_written_over(two, capsys):
    before = two[1].read_bytes()
    assert main(['--checkpoint', str(two[0]), '--checkpoint', str(two[1]),
                 '--out', str(two[1])]) == 1
    assert '--out is' in capsys.readouterr().err and two[1].read_bytes() == before


@pytest.mark.parametrize('copied', [False, True])
def test_one_network_twice_would_count_twice_and_is_refused(two, tmp_path, capsys, copied):
    again = two[0]
    if copied:
        again = tmp_path / 'copy.safetensors'
        again.write_bytes(two[0].read_bytes())
    out = tmp_path / 'c.safetensors'
    assert main([*(word for path in (*two, again) for word in ('--checkpoint', str(path))),
                 '--out', str(out)]) == 1
    error = capsys.readouterr().err
    assert f'{again}: is the same network as {two[0]}' in error and error.count('\n') == 1
    assert '--weight' in error and not out.exists()
    with pytest.raises(InputError, match='is the same network as'):
        average([two[0], two[0]], [1, 1], out)
