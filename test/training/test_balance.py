# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Balancing divides every class's probability by its prior to the power tau, and says so."""

from __future__ import annotations

from dataclasses import replace
import math

from emu_perception.checkpoint import Calibration, load_checkpoint, save_checkpoint
import pytest
from rounding import FEW, rounding
from small_models import CLASSES
from synthetic_data import make_dataset
import torch
from training.balance import log_prior, main
from training.data.dataset_folder import DatasetFolder
from training.losses.class_weights import label_counts
from training.reporting.model_card import model_card


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return a data set folder of drawn rooms."""
    return make_dataset(tmp_path_factory.mktemp('balance') / 'data')


@pytest.fixture
def network(saved, data):
    """Write a calibrated network of the data's classes."""
    assert DatasetFolder(data).classes == CLASSES
    return saved('tiny', provenance={'data_set': 'made up', 'calibration': {'images': 3}},
                 metadata={'calibration': Calibration(1.3, 0.8)})


def balanced(network, data, out, *more):
    """Run the command; return its exit code."""
    return main(['--checkpoint', str(network), '--data', str(data), '--out', str(out), *more])


def test_probabilities_are_divided_by_the_prior_to_the_power_tau(network, data, tmp_path, capsys):
    out = tmp_path / 'new/b.safetensors'
    assert balanced(network, data, out, '--tau', '0.4') == 0
    (before, old), (after, new) = load_checkpoint(network), load_checkpoint(out)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        raw, changed = (each.eval()(images) for each in (before, after))
    prior = log_prior(label_counts(DatasetFolder(data), len(old.classes))).exp()
    expected = raw['segmentation'].softmax(1) / prior.view(1, -1, 1, 1) ** 0.4
    expected /= expected.sum(1, keepdim=True)
    # The logits of both are rounded at their own size; a probability passes that on.
    bound = 2 * rounding(FEW, 1 + float(raw['segmentation'].abs().max()))
    assert float((changed['segmentation'].softmax(1) - expected).abs().max()) <= bound
    assert torch.equal(raw['depth'], changed['depth'])
    # What was fitted to the old logits does not hold for the new ones.
    assert new.calibration == Calibration() and not new.statistics
    assert 'calibration' not in new.provenance
    assert new.provenance['balanced']['tau'] == 0.4
    assert [part['role'] for part in new.provenance['ancestors']] == ['balanced']
    assert '- balanced: tau 0.4 of the classes' in model_card(new, out)
    assert 'not calibrated' in capsys.readouterr().out


def test_a_class_that_never_occurs_is_not_raised_above_the_rarest_that_does():
    assert log_prior(torch.tensor([90, 0, 10])).tolist() == pytest.approx(
        [math.log(0.9), math.log(0.1), math.log(0.1)])


@pytest.mark.parametrize('tau', ['0', '-1', '1.1', 'nan'])
def test_a_tau_that_makes_no_sense_is_one_line(network, data, tmp_path, capsys, tau):
    assert balanced(network, data, tmp_path / 'b', f'--tau={tau}') == 1
    assert f'--tau is {tau}' in capsys.readouterr().err and not (tmp_path / 'b').exists()


def test_balancing_twice_is_refused(network, data, tmp_path, capsys):
    once = tmp_path / 'once.safetensors'
    assert balanced(network, data, once) == 0
    assert balanced(once, data, tmp_path / 'twice') == 1
    assert 'balanced already, with tau 0.2' in capsys.readouterr().err


def test_another_data_set_s_classes_and_depth_alone_are_one_line(
        saved, network, data, tmp_path, capsys):
    loaded, metadata = load_checkpoint(network)
    save_checkpoint(network, loaded, replace(metadata, classes=('a', 'b', 'c')))
    assert balanced(network, data, tmp_path / 'b') == 1
    assert 'field classes' in capsys.readouterr().err
    assert balanced(saved('depth', tasks=('depth',)), data, tmp_path / 'b') == 1
    assert 'no classes to balance' in capsys.readouterr().err


def test_every_head_of_a_sub_ensemble_is_balanced(saved, data, tmp_path):
    path = saved('heads', num_heads=2)
    assert balanced(path, data, tmp_path / 'b.safetensors') == 0
    (before, _), (after, _) = load_checkpoint(path), load_checkpoint(tmp_path / 'b.safetensors')
    shift = -0.2 * log_prior(label_counts(DatasetFolder(data), 3))
    for old, new in zip(before.segmentation_layers, after.segmentation_layers, strict=True):
        assert torch.allclose(new.bias - old.bias, shift, atol=1e-6)


def test_the_network_that_it_is_made_of_is_not_written_over(network, data, capsys):
    before = network.read_bytes()
    assert balanced(network, data, network) == 1
    assert '--out is' in capsys.readouterr().err and network.read_bytes() == before


@pytest.mark.parametrize('name, said', [('made up', True), ('synthetic', False), (None, False)])
def test_the_prior_of_another_data_set_is_said(saved, data, tmp_path, caplog, name, said):
    provenance = {} if name is None else {'data_set': name}
    path = saved('named', provenance=provenance)
    assert balanced(path, data, tmp_path / 'b.safetensors') == 0
    lines = [one.getMessage() for one in caplog.records if 'data set' in one.getMessage()]
    assert len(lines) == said
    for line in lines:
        assert str(data) in line and "'synthetic'" in line and "'made up'" in line
