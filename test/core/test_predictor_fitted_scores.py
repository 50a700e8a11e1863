# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The scores that are fitted, from a checkpoint's arrays through every backend to the flag."""

from __future__ import annotations

from dataclasses import replace
import math

from core_bench import INPUT_SIZE, make_metadata, make_network
from cuda_bench import spoil_graphs
from emu_perception.backends import is_installed
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.proving import Disproof, Proof
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.checkpoint import CheckpointMetadata, load_checkpoint, save_checkpoint
from emu_perception.errors import CheckpointError
from emu_perception.familiarity import (
    fit_familiarity,
    fit_predicted_failure,
    FittedScores,
    PREDICTED_FAILURE,
    UNFAMILIARITY,
)
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.networks.statistics import STATISTICS, statistics_length, with_statistics
from emu_perception.predictor import Predictor
from emu_perception.risk import problem_of
from emu_perception.scores import names_of, scores_of
import numpy as np
import pytest
from rounding import NETWORK
from tensorrt_bench import pretend_tensorrt
import torch

BOTH = (UNFAMILIARITY, PREDICTED_FAILURE)
TASKS = [(SEGMENTATION,), (DEPTH,), (SEGMENTATION, DEPTH)]


def fitted_to(network, tasks=(SEGMENTATION, DEPTH), failure=True) -> FittedScores:
    """Return scores fitted to made statistics of a network's length."""
    rng = np.random.default_rng(0)
    statistics = rng.normal(size=(40, statistics_length(network.folded()))).astype(np.float32)
    familiarity = fit_familiarity(statistics[:, :100])
    if not failure:
        return FittedScores(familiarity)
    names = {'segmentation_entropy': SEGMENTATION, 'relative_depth_sigma': DEPTH}
    scores = {name: rng.uniform(0.1, 2.0, 40) for name, task in names.items() if task in tasks}
    scores[UNFAMILIARITY] = familiarity.unfamiliarity(statistics)
    return FittedScores(familiarity, fit_predicted_failure(
        statistics, scores, rng.uniform(0.2, 2.0, 40), first=100, penalty=100.0))


@pytest.fixture
def judged(network) -> CheckpointMetadata:
    """Return a document with arrays of both scores."""
    return make_metadata(network, statistics=fitted_to(network).arrays())


@pytest.mark.parametrize('tasks', TASKS)
def test_the_length_of_the_statistics_is_told_before_they_are_measured(tasks):
    folded = make_network(tasks=tasks).folded()
    found = with_statistics(folded, torch.zeros(1, 3, *INPUT_SIZE))[1]
    assert found.shape == (1, statistics_length(folded))


@pytest.mark.parametrize('tasks', TASKS)
def test_both_scores_come_through_a_checkpoint_and_are_those_of_its_arrays(
        tmp_path, image, tasks):
    network = make_network(tasks=tasks)
    fitted = fitted_to(network, tasks)
    path = tmp_path / 'a.safetensors'
    save_checkpoint(path, network, make_metadata(network, statistics=fitted.arrays()))
    predictor = Predictor.load(path, 'cpu', backend='eager')
    prediction = predictor(image)
    assert tuple(prediction.scores) == predictor.metadata.score_names
    assert prediction.scores.keys() == {*names_of(tasks), *BOTH}
    assert prediction.statistics.dtype == np.float32
    expected = fitted.measure(prediction.statistics, prediction.scores)
    assert {name: prediction.scores[name] for name in BOTH} == pytest.approx(expected, rel=1e-6)
    assert load_checkpoint(path)[1].score_names == predictor.metadata.score_names


def test_familiarity_alone_gives_its_one_score(network, metadata, image):
    metadata = replace(metadata, statistics=fitted_to(network, failure=False).arrays())
    scores = Predictor(network, metadata, device='cpu', backend='eager')(image).scores
    assert scores.keys() == {*names_of(network.tasks), UNFAMILIARITY}


def test_a_checkpoint_without_them_is_answered_as_before(network, metadata, judged, image):
    plain = Predictor(network, metadata, device='cpu', backend='eager')(image)
    more = Predictor(network, judged, device='cpu', backend='eager')(image)
    assert plain.statistics is None and tuple(plain.scores) == names_of(network.tasks)
    assert {name: more.scores[name] for name in plain.scores} == plain.scores
    assert all(np.array_equal(plain.maps[name], more.maps[name], equal_nan=True)
               for name in plain.maps)


@pytest.mark.slow
@pytest.mark.skipif(not is_installed('openvino'), reason='NOT TESTED: openvino is not installed '
                    '(requirements/cpu.txt)')
def test_openvino_gives_the_scores_of_pytorch_at_every_size_and_from_its_cache(
        network, judged, image, monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    eager = Predictor(network, judged, device='cpu', backend='eager')
    for _ in range(2):  # The second one reads what the first has kept.
        predictor = Predictor(network, judged, device='cpu', backend='openvino')
        assert predictor.backend == 'openvino' and not predictor.backend_notes
        for cut in (image, image[:200], image[:, :200]):
            found, expected = predictor(cut), eager(cut)
            assert found.scores == pytest.approx(expected.scores, rel=10 * NETWORK)
            off = np.abs(found.statistics - expected.statistics).max()
            assert off <= NETWORK * np.abs(expected.statistics).max()
    # Graphs of the same weights that give no statistics are others.
    plain = Predictor(network, replace(judged, statistics={}), device='cpu', backend='openvino')
    assert tuple(plain(image).scores) == names_of(network.tasks)


def test_a_backend_that_loses_the_statistics_or_gets_them_wrong_is_refused(network, judged):
    folded = network.folded()
    options = BackendOptions(torch.device('cpu'), 'fp32', judged.mean, judged.std,
                             statistics=True)
    proof = Proof(folded, options, INPUT_SIZE)
    backend = EagerBackend(folded, options)
    proof.check('other', backend.predict)
    for change, words in ((lambda x: None, 'no statistics'), (lambda x: x[1:], 'statistics are'),
                          (lambda x: x + 0.1, 'off on average'),
                          (lambda x: np.where(x == x.max(), np.nan, x), 'off on average')):
        def answer(image, request: Request, change=change):
            prediction = backend.predict(image, request)
            return replace(prediction, statistics=change(prediction.statistics))
        with pytest.raises(Disproof, match=words):
            proof.check('other', answer)
    plain = Proof(folded, replace(options, statistics=False), INPUT_SIZE)
    with pytest.raises(Disproof, match='unasked statistics'):
        plain.check('other', backend.predict)


@pytest.mark.parametrize('statistics', [None, 'nan'])
def test_a_score_that_is_lost_or_no_number_is_a_failure(network, judged, image, monkeypatch,
                                                       statistics):
    predictor = Predictor(network, judged, device='cpu', backend='eager')
    assert not problem_of(predictor(image).scores, judged.score_names)
    predict = EagerBackend.predict

    def spoiled(backend, image, request):
        prediction = predict(backend, image, request)
        return replace(prediction, statistics=None if statistics is None else
                       prediction.statistics * np.float32(math.nan))
    monkeypatch.setattr(EagerBackend, 'predict', spoiled)
    problem = problem_of(predictor(image).scores, judged.score_names)
    assert UNFAMILIARITY in problem and ('lacks' in problem) == (statistics is None)


def test_rows_that_are_fitted_are_there_where_the_checkpoint_holds_their_arrays():
    tasks = (SEGMENTATION,)
    assert scores_of(tasks) == scores_of(tasks, ('other.mean',))
    assert names_of(tasks, ('familiarity.mean',)) == (*names_of(tasks), UNFAMILIARITY)
    assert names_of(tasks, ('familiarity.mean', 'familiarity.failure.mean')) == (
        *names_of(tasks), *BOTH)


@pytest.mark.slow
def test_arrays_of_another_network_are_refused(network, judged):
    other = make_network(tasks=(SEGMENTATION,))
    with pytest.raises(CheckpointError, match='fitted to another network') as error:
        Predictor(other, make_metadata(other, statistics=judged.statistics), device='cpu')
    assert str(error.value).startswith("tiny: field 'statistics'")


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_cuda_gives_the_scores_of_pytorch_before_and_with_graphs(
        network, judged, fake_cuda, precision):
    eager, fast = (Predictor(network, judged, device='cpu', backend=backend, precision=precision)
                   for backend in ('eager', 'cuda'))
    assert fast.backend == 'cuda' and not fast.backend_notes
    tolerance = {'fp32': 10 * NETWORK, 'fp16': 0.02}[precision]
    for seed in range(3):
        picture = np.random.default_rng(seed).integers(0, 256, (*INPUT_SIZE, 3), np.uint8)
        expected, found = eager(picture, fx=90.0), fast(picture, fx=90.0)
        assert found.statistics.dtype == np.float32
        assert found.scores.keys() == expected.scores.keys() >= set(BOTH)
        off = np.abs(found.statistics - expected.statistics).max()
        assert off <= tolerance * np.abs(expected.statistics).max()
    assert fake_cuda[-1].captures == 3
    plain = Predictor(network, replace(judged, statistics={}), device='cpu', backend='cuda')
    assert plain(picture).statistics is None


def test_a_graph_that_gives_other_statistics_is_not_used(
        network, judged, fake_cuda, monkeypatch, caplog):
    fast = Predictor(network, judged, device='cpu', backend='cuda')
    spoil_graphs(monkeypatch, lambda raw: raw[STATISTICS][0, 5].add_(1.0))
    expected = Predictor(network, judged, device='cpu', backend='eager')
    for seed in range(3):
        picture = np.random.default_rng(seed).integers(0, 256, (*INPUT_SIZE, 3), np.uint8)
        assert np.allclose(fast(picture).statistics, expected(picture).statistics, atol=1e-3)
    assert 'other maps than the same work without it' in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_tensorrt_gives_the_scores_of_pytorch(
        network, judged, fake_cuda, monkeypatch, tmp_path, precision):
    trt = pretend_tensorrt(monkeypatch, tmp_path)
    eager, fast = (Predictor(network, judged, device='cpu', backend=backend, precision=precision)
                   for backend in ('eager', 'tensorrt'))
    assert fast.backend == 'tensorrt', fast.backend_notes
    tolerance = {'fp32': 10 * NETWORK, 'fp16': 0.02}[precision]
    picture = np.random.default_rng(0).integers(0, 256, (*INPUT_SIZE, 3), np.uint8)
    expected, found = eager(picture, fx=90.0), fast(picture, fx=90.0)
    assert found.scores.keys() == expected.scores.keys() >= set(BOTH)
    off = np.abs(found.statistics - expected.statistics).max()
    assert off <= tolerance * np.abs(expected.statistics).max()
    # In low precision the squares of the statistics stay float32, not the two last layers alone.
    assert (trt.full > 20) == (precision == 'fp16')
    # An engine of the same weights that gives no statistics is another.
    plain = Predictor(network, replace(judged, statistics={}), device='cpu', backend='tensorrt')
    assert plain.backend == 'tensorrt' and plain(picture).statistics is None


def test_an_engine_that_gives_other_statistics_is_refused_and_cuda_answers(
        network, judged, fake_cuda, monkeypatch, tmp_path, caplog):
    trt = pretend_tensorrt(monkeypatch, tmp_path)

    def spoil(name, values):
        if name == STATISTICS:
            values += 1.0
    trt.spoil = spoil
    predictor = Predictor(network, judged, device='cpu', backend='tensorrt')
    assert predictor.backend == 'cuda' and 'statistics are' in predictor.backend_notes[0]
    assert 'going on with cuda' in caplog.text
