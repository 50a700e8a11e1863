# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A Gaussian or a log-normal: measured by hand's arithmetic, and a checkpoint that says it."""

from __future__ import annotations

import json

from emu_perception.checkpoint import Calibration, load_checkpoint
from emu_perception.networks.depth_forms import DEPTH_FORMS
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from synthetic_data import make_dataset
import torch
from training.data.dataset_folder import DatasetFolder
from training.density import main, READINGS, Tails
from training.density import said as write
from training.evaluate import main as evaluate
from training.reporting.model_card import model_card


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return a data set folder of drawn rooms."""
    return make_dataset(tmp_path_factory.mktemp('density') / 'data')


@pytest.fixture
def network(saved):
    """Write a calibrated network of the data's classes."""
    return saved('tiny', metadata={'calibration': Calibration(1.3, 0.8)})


def test_the_tails_of_a_log_normal_are_its_own_and_too_long_for_a_gaussian():
    """By quantiles of the law itself, 0.05 % apart: each side of 90 % has 5 %."""
    sigma_log, median = 0.4, 2.0
    p = (torch.arange(2000) + 0.5) / 2000
    truth = median * torch.exp(sigma_log * torch.distributions.Normal(0, 1).icdf(p.double()))
    depth, variance = (torch.full_like(truth, value)
                       for value in (median, (median * sigma_log)**2))
    own, gaussian = Tails(DEPTH_FORMS['median']), Tails(DEPTH_FORMS['linear'])
    for tails in (own, gaussian):
        tails.update(depth, variance, truth)
        tails.update(depth[:1], variance[:1], torch.zeros(1))  # No truth there.
    assert {**own.compute()} == {'nearer': pytest.approx(0.05), 'farther': pytest.approx(0.05)}
    # ln(1 -+ 1.645 * 0.4) / 0.4 deviations: 2.7 below, 1.3 above.
    assert float(gaussian.compute()['nearer']) == pytest.approx(0.0037, abs=0.0006)
    assert float(gaussian.compute()['farther']) == pytest.approx(0.1033, abs=0.0006)


def test_the_checkpoint_says_another_density_and_nothing_else_changes(
        network, data, tmp_path, capsys):
    out, figures = tmp_path / 'new/median.safetensors', tmp_path / 'density.json'
    assert main(['--checkpoint', str(network), '--data', str(data), '--as', 'median', '--out',
                 str(out), '--json', str(figures), '--no-progress', '--device', 'cpu']) == 0
    said = capsys.readouterr().out
    assert 'linear (as it is)' in said and 'depth_output median: evaluate it anew' in said
    (one, old), (two, new) = load_checkpoint(network), load_checkpoint(out)
    assert new.depth_form.name == 'median' and old.depth_form.name == 'linear'
    assert new.calibration == old.calibration and new.provenance['density']['name'] == old.name
    assert 'median and sigma of a log-normal' in model_card(new, out)
    same = write(network, 'linear', tmp_path / 'same.safetensors')
    assert 'log-normal' not in model_card(same, out), 'chosen as what it is, a Gaussian'
    assert all(torch.equal(part, two.state_dict()[name])
               for name, part in one.state_dict().items())
    image = DatasetFolder(data).example(DatasetFolder(data).stems('val')[0]).image
    before, after = (Predictor(*each, device='cpu', backend='eager')(image, fx=200.0)
                     for each in ((one, old), (two, new)))
    for name in ('depth', 'depth_sigma', 'label', 'segmentation_entropy'):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    # What it has found is what evaluate says of each, to the bit: both are exact sums.
    found = json.loads(figures.read_text())['densities']
    for path, name in ((network, 'linear'), (out, 'median')):
        assert evaluate(['--checkpoint', str(path), '--data', str(data), '--json',
                         str(tmp_path / 'e.json'), '--no-progress', '--device', 'cpu']) == 0
        depth = json.loads((tmp_path / 'e.json').read_text())['depth']
        assert found[name]['nll'] == pytest.approx(depth['nll'], rel=1e-9)
        assert found[name]['coverage_90'] == pytest.approx(depth['coverage_90'], rel=1e-9)
        assert found[name]['nearer'] + found[name]['farther'] == pytest.approx(
            1.0 - found[name]['coverage_90'], abs=1e-6)


def test_without_a_word_the_likelier_is_written(network, data, tmp_path):
    out, figures = tmp_path / 'm.safetensors', tmp_path / 'f.json'
    assert main(['--checkpoint', str(network), '--data', str(data), '--out', str(out), '--json',
                 str(figures), '--no-progress']) == 0
    found = json.loads(figures.read_text())['densities']
    assert load_checkpoint(out)[1].depth_form.name == min(found, key=lambda n: found[n]['nll'])


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--as', 'median'], 'there is no --out'), (['--limit', '0'], '--limit is 0'),
    (['--split', 'nowhere'], 'nowhere')])
def test_what_makes_no_sense_is_one_line(network, data, capsys, arguments, words):
    assert main(['--checkpoint', str(network), '--data', str(data), *arguments]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1


def test_what_a_network_has_learned_from_does_not_say_how_it_errs(saved, data, capsys):
    path = saved('learned', provenance={'data_set': DatasetFolder(data).name,
                                        'split': 'train+val'})
    assert main(['--checkpoint', str(path), '--data', str(data)]) == 1
    assert "was trained on 'val'" in capsys.readouterr().err


def test_the_readings_are_the_forms_of_the_same_channels():
    assert {*READINGS} == {name for name, form in DEPTH_FORMS.items() if not form.logarithmic}


def test_labels_alone_logarithms_and_the_file_itself_are_refused(saved, network, data, tmp_path,
                                                                 capsys):
    for path, words in ((saved('labels', tasks=('segmentation',)), 'has no depth'),
                        (saved('log', depth_output='log'), 'a log-normal already')):
        assert main(['--checkpoint', str(path), '--data', str(data), '--out',
                     str(tmp_path / 'o')]) == 1
        assert words in capsys.readouterr().err and not (tmp_path / 'o').exists()
    assert main(['--checkpoint', str(network), '--data', str(data), '--out', str(network)]) == 1
    assert 'give another name' in capsys.readouterr().err
