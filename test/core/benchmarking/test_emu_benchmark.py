# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark compares equals, interleaved, and says what it measured."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
import json
import shlex
import sys

from emu_perception.backends import is_installed
from emu_perception.benchmarking.arguments import parser
from emu_perception.benchmarking.command import asked, main, subject
from emu_perception.benchmarking.measure import gmac, interleaved, summary
from emu_perception.benchmarking.reference import reference, unfolded
from emu_perception.benchmarking.reference_openvino import CompiledReference
from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.familiarity import fit_familiarity, FittedScores
from emu_perception.intrinsics import Intrinsics
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.networks.statistics import statistics_length
from emu_perception.predictor import Predictor
from emu_perception.visualization import default_palette
import numpy as np
import pytest
import torch

TINY = ['--encoder', 'mit_b0', '--head-dim', '16', '--classes', '5', '--size', '64x96',
        '--device', 'cpu', '--rounds', '2', '--no-progress', '--no-memory', '--backend', 'eager']
# A robot's torch may be older; what counts came with 2.3.
counting = pytest.mark.skipif(find_spec('torch.nn.attention') is None,
                              reason='NOT TESTED: torch before 2.3 cannot count operations')


def tiny() -> tuple[MultitaskNetwork, CheckpointMetadata]:
    torch.manual_seed(0)
    # transformers 5 runs with one epsilon everywhere, whatever its configuration says.
    network = MultitaskNetwork('mit_b0', num_classes=5, head_dim=16,
                               encoder_arguments={'norm_eps': 1e-5}).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.3)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    network.initialize_depth(2.0, 0.5)
    return network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 96), classes=tuple('abcde'),
        palette=tuple(default_palette(5)))


def compiled(network, metadata, device, precision):
    return CompiledReference(network, metadata, precision)


@pytest.mark.slow
@pytest.mark.parametrize('make', [reference, unfolded, compiled])
def test_what_is_compared_against_says_the_same(make):
    """Both heads with our weights: else a faster answer to another question would be praised."""
    if make is not unfolded:
        pytest.importorskip('transformers')
    if make is compiled and not is_installed('openvino'):
        pytest.skip('NOT TESTED: openvino is not installed (requirements/cpu.txt)')
    network, metadata = tiny()
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    ours = Predictor(network, metadata, device='cpu')(image)
    theirs = make(network, metadata, torch.device('cpu'), 'fp32')(image)
    assert (ours.label == theirs['label']).mean() > 0.999
    for name in ('segmentation_entropy', 'confidence', 'depth', 'depth_variance'):
        assert np.allclose(getattr(ours, name), theirs[name], atol=2e-4), name


def test_rounds_are_interleaved_and_turn_round():
    order = []
    times = interleaved({name: (lambda name=name: order.append(name)) for name in 'ab'}, 4)
    assert order[6:] == list('abba' * 2)
    assert {name: len(values) for name, values in times.items()} == {'a': 4, 'b': 4}
    assert summary([1.0, 2.0, 9.0])['median_ms'] == 2.0


@counting
def test_the_products_of_attention_are_counted_where_they_are_asked_for():
    q = torch.zeros(1, 2, 6, 5)

    def attend(x):
        return torch.nn.functional.scaled_dot_product_attention(q, q, q)
    count = [1e9 * gmac(attend, (32, 32), torch.device('cpu'), attention=whole)
             for whole in (False, True)]
    assert count == pytest.approx([0, 2 * 2 * 6 * 6 * 5])


@counting
def test_the_json_has_what_a_table_needs(tmp_path, capsys):
    out = tmp_path / 'speed.json'
    assert main([*TINY, '--against', 'unfolded', '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    assert set(result['rows']) == {'ours', 'unfolded'} and result['network_size'] == [64, 96]
    assert result['rows']['ours']['times_ours'] == 1.0
    assert result['rows']['ours']['gmac'] < result['rows']['unfolded']['gmac']
    assert result['gmac_with_attention'] > result['rows']['ours']['gmac']
    assert result['parameters_m'] == pytest.approx(3.4, abs=0.2)
    assert result['rows']['unfolded']['largest_depth_difference_m'] < 1e-4
    assert '--encoder mit_b0' in result['command'] and 'unfolded' in capsys.readouterr().out


@counting
def test_the_flag_costs_what_ours_takes_beside_the_same_without_it(tmp_path):
    network, metadata = tiny()
    own = np.random.default_rng(0).normal(
        size=(20, statistics_length(network.folded()))).astype(np.float32)
    fitted = FittedScores(fit_familiarity(own[:, :100]))
    save_checkpoint(tmp_path / 'a.safetensors', network, replace(
        metadata, statistics=fitted.arrays(), intrinsics=Intrinsics(96, 64, 80, 80, 48, 32)))
    options = ['--checkpoint', str(tmp_path / 'a.safetensors'), *TINY[6:]]
    out = tmp_path / 'speed.json'
    assert main([*options, '--against', 'unjudged', '--json', str(out)]) == 0
    row = json.loads(out.read_text())['rows']['unjudged']
    assert row['largest_depth_difference_m'] == 0 and row['median_ms'] > 0


def test_without_fitted_scores_there_is_nothing_to_leave_out(capsys):
    assert main([*TINY, '--against', 'unjudged']) == 1
    assert '--fit-scores' in capsys.readouterr().err


@counting
@pytest.mark.slow
def test_peak_memory_is_of_a_process_of_its_own(tmp_path):
    out = tmp_path / 'speed.json'
    arguments = [part for part in TINY if part != '--no-memory']
    ballast = np.ones(2 * 10**9, np.uint8)
    assert main([*arguments, '--against', '', '--json', str(out)]) == 0
    # Linux would have a new process begin with the peak of the one that started it.
    assert 50 < json.loads(out.read_text())['rows']['ours']['peak_memory_mb'] < 1800
    assert ballast[-1] == 1


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--size', '100x100'], ["'100x100'", '480x640']), (['--against', 'magic'], ["'magic'"]),
    (['--checkpoint', '/no/such'], ['/no/such']), (['--encoder', 'x'], ["'x'"]),
    (['--rounds', '0'], ['--rounds is 0']), (['--backend', 'magic'], ["'magic'"])])
def test_what_cannot_be_measured_is_one_line(capsys, arguments, words):
    base = ['--no-progress', '--no-memory', '--device', 'cpu']
    assert main([*base, *arguments]) == 1
    message = capsys.readouterr().err
    assert message.count('\n') == 1 and all(word in message for word in words)


def test_a_torch_that_cannot_count_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch.nn.attention', None)
    assert main([*TINY, '--against', 'unfolded']) == 1
    said = capsys.readouterr().err
    assert 'use 2.3 or newer' in said and 'Traceback' not in said


def test_speed_is_measured_without_a_word_on_the_scale_of_depths(caplog):
    """A benchmark knows no camera and needs none; its depths are the network's own."""
    network, metadata, _ = subject(parser().options(TINY))
    predictor = Predictor(network, metadata, device='cpu', backend='eager')
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    depth = asked(predictor, image)().depth
    assert 'NOT scaled' not in caplog.text
    np.testing.assert_allclose(predictor(image).depth, depth, rtol=1e-6)


@pytest.mark.parametrize(('options', 'words'), [
    (['--threads', '-1'], '--threads is -1: give 1 or more'),
    (['--rounds', '0'], '--rounds is 0'),
    (['--image', '480'], "--image is '480'"),
    (['--checkpoint', 'a.safetensors'], '--checkpoint is a.safetensors, but --encoder'),
    (['--json', '/proc/none/speed.json'], '/proc/none/speed.json: cannot be written'),
])
def test_a_wrong_option_is_one_line_before_anything_is_measured(options, words, capsys):
    assert main([*TINY, *options]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--head-dim', '--classes'])
def test_what_a_checkpoint_has_itself_is_not_taken_silently(option, capsys):
    """The default model was measured, and the width that was asked for was not."""
    assert main([option, '128', '--no-progress', '--no-memory']) == 1
    assert f'{option} is 128, but a checkpoint is measured' in capsys.readouterr().err


@counting
@pytest.mark.slow
def test_an_image_has_any_size_and_the_command_can_be_said_again(tmp_path):
    """1080 is no multiple of 32, and most cameras have it; a path may have spaces."""
    out = tmp_path / 'of two words.json'
    words = [*TINY, '--image', '54x96', '--against', '', '--json', str(out)]
    assert main(words) == 0
    result = json.loads(out.read_text())
    assert result['image'] == [54, 96]
    assert shlex.split(result['command']) == ['emu_benchmark', *words]
