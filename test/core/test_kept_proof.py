# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The next start need not ask PyTorch again, and lets no backend through that errs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from core_bench import make_metadata, make_network
from emu_perception.backends import is_installed, kept_proof
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.network_hash import network_hash
from emu_perception.backends.openvino_graphs import GraphStages
from emu_perception.cache_files import cache_folder, read_cached, write_cached
from emu_perception.predictor import Predictor
import pytest
from torch import nn

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not is_installed('openvino'), reason='NOT TESTED: openvino is not installed '
    '(requirements/cpu.txt)')]


@pytest.fixture
def asked(monkeypatch) -> Counter:
    """Return how often PyTorch and OpenVINO were asked."""
    count: Counter = Counter()
    for kind in (EagerBackend, GraphStages):
        def counted(stages, x, real=kind.network):
            count[type(stages).__name__] += 1
            return real(stages, x)
        monkeypatch.setattr(kind, 'network', counted)
    return count


@pytest.fixture
def folder(_graphs_of_this_test) -> Path:
    """Return where answers are kept."""
    return cache_folder('answers')


def started(network, metadata=None) -> Predictor:
    return Predictor(network, metadata or make_metadata(network), device='cpu',
                     backend='openvino')


def test_a_second_start_asks_pytorch_nothing_and_openvino_every_probe(asked, folder):
    network = make_network()
    started(network)
    assert asked.pop('EagerBackend') == 2 and asked.pop('GraphStages') == 2
    assert started(network).backend == 'openvino'
    assert asked == {'GraphStages': 2}


def test_what_is_kept_is_for_the_same_network_calibration_and_code_alone(
        asked, folder, monkeypatch):
    network = make_network()
    metadata = make_metadata(network)
    started(network, metadata)
    calibration = metadata.calibration
    for other, its in (
            (make_network(), None),
            (network, replace(metadata, calibration=replace(calibration, temperature=2.0))),
            # It changes no graph, but what is held against the answers.
            (network, replace(metadata, calibration=replace(calibration, variance_scale=0.7)))):
        asked.clear()
        started(other, its)
        assert asked['EagerBackend'] == 2
    monkeypatch.setattr(kept_proof, '_code', lambda: ['another'])
    asked.clear()
    started(network, metadata)
    assert asked['EagerBackend'] == 2


def test_graphs_that_err_are_refused_by_what_pytorch_says_now(asked, folder, monkeypatch):
    network = make_network()
    started(network)
    real = GraphStages.network
    monkeypatch.setattr(GraphStages, 'network',
                        lambda stages, x: [1.3 * values for values in real(stages, x)])
    asked.clear()
    second = started(network)
    assert second.backend == 'eager'
    assert 'does not say what PyTorch says' in second.backend_notes[0]
    assert asked['EagerBackend'] == 2


@pytest.mark.parametrize('fault', ['of another network', 'cut off', 'of no kind'])
def test_answers_that_are_not_the_networks_refuse_nobody_and_are_made_again(
        asked, folder, fault):
    """A good backend must not be lost, start after start, to a bad file."""
    network = make_network()
    started(network)
    path, = folder.iterdir()
    whole = path.read_bytes()
    if fault == 'of another network':
        started(make_network())
        other, = {*folder.iterdir()} - {path}
        content = read_cached(other, other.stem, '')
        assert content is not None
        write_cached(path, path.stem, content, '')
    elif fault == 'cut off':
        path.write_bytes(whole[:-1])
    else:
        write_cached(path, path.stem, b'no tensors', '')
    asked.clear()
    again = started(network)
    assert again.backend == 'openvino' and not again.backend_notes
    assert asked['EagerBackend'] == 2 and path.read_bytes() == whole


def test_networks_that_print_alike_are_others_where_they_were_made_with_another_option():
    class Power(nn.Module):
        def __init__(self, exponent):
            super().__init__()
            self.exponents = (1, exponent)
    assert str(Power(2)) == str(Power(3))
    assert network_hash(Power(2)) == network_hash(Power(2)) != network_hash(Power(3))
