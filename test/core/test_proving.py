# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Who says something else than PyTorch does not answer; who only rounds otherwise does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import logging
import math

from core_bench import make_network, Stub
from emu_perception.backends.agreement import Expected
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.proving import Disproof, probes, Proof
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.networks.depth_forms import DEPTH_FORMS
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.prediction import Prediction
import numpy as np
import pytest
import torch

SIZE = (64, 96)
OPTIONS = BackendOptions(torch.device('cpu'), 'fp32', (0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
                         temperature=1.3, variance_scale=0.8, depth_max=10.0)
Change = Callable[[dict[str, np.ndarray], dict[str, float]], None]


@pytest.fixture(params=DEPTH_FORMS)
def folded(request) -> FoldedNetwork:
    """Return a network with logits of several units and depths of some metres, of each form."""
    network = make_network(depth_output=request.param)
    network.initialize_depth(3.0, 0.5)
    with torch.no_grad():
        network.head(SEGMENTATION).classifier.weight.mul_(8.0)
        network.head(DEPTH).classifier.weight.mul_(4.0)
    return network.folded()


def changed(network, change: Change, options: BackendOptions = OPTIONS):
    """Return the answers of 'eager' after a change of their maps and scores."""
    eager = EagerBackend(network, options)

    def answer(image: np.ndarray, request: Request) -> Prediction:
        found = eager.predict(image, request)
        maps = {name: values.copy() for name, values in found.maps.items()}
        scores = dict(found.scores)
        change(maps, scores)
        return replace(found, maps=maps, scores=scores)
    return answer


def larger_depth(maps, scores):
    maps['depth'] *= 1.3


def permuted_labels(maps, scores):
    maps['label'] = ((maps['label'] + 1) % 5).astype(np.uint8)


def corner(name: str, value: float) -> Change:
    def change(maps, scores):
        maps[name][-1, 0] = value
    return change


FAULTS: dict[str, tuple[Change, str]] = {
    'depth 1.3 times too large': (larger_depth, 'depth is'),
    'labels permuted': (permuted_labels, 'of its labels are others'),
    'one label that does not exist': (corner('label', 77), 'label is no answer at row 63'),
    'unlabelled in one corner': (corner('label', 255), 'label is no answer at row 63'),
    **{f'{value} as {name} in one corner': (
        corner(name, value), f'{name} is no answer at row 63, column 0')
        for name in ('depth', 'depth_variance', 'segmentation_entropy', 'confidence')
        for value in (math.nan, math.inf)},
    'a depth beyond the range': (corner('depth', 10.5), 'depth is no answer at row 63, column 0'),
    'a negative depth': (corner('depth', -1.0), 'depth is no answer at row 63, column 0'),
    'a variance of 0': (corner('depth_variance', 0.0), 'depth_variance is no answer'),
    'sigma where the variance should be': (
        lambda maps, scores: np.sqrt(maps['depth_variance'], out=maps['depth_variance']),
        'depth_variance is'),
    'variance 2 times too large': (
        lambda maps, scores: maps.update(depth_variance=2.0 * maps['depth_variance']),
        'depth_variance is'),
    'entropy in bits': (
        lambda maps, scores: maps.update(
            segmentation_entropy=maps['segmentation_entropy'] / np.float32(math.log(2.0))),
        'segmentation_entropy is'),
    'confidence of the second class': (
        lambda maps, scores: maps.update(confidence=1.0 - maps['confidence']), 'confidence is'),
    'a row shifted': (
        lambda maps, scores: maps.update(depth=np.roll(maps['depth'], 4, axis=0)), 'depth is'),
    'a map of another type': (
        lambda maps, scores: maps.update(depth=maps['depth'].astype(np.float64)),
        'depth is float64'),
    'a map that is missing': (lambda maps, scores: maps.pop('confidence'), 'its maps are'),
    'a score 1.3 times too large': (
        lambda maps, scores: scores.update(depth_sigma=1.3 * scores['depth_sigma']),
        'the score depth_sigma'),
    'a score that is no number': (
        lambda maps, scores: scores.update(segmentation_entropy=math.nan),
        'the score segmentation_entropy'),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_a_backend_that_errs_is_refused_and_what_is_wrong_is_named(folded, fault):
    change, words = FAULTS[fault]
    proof = Proof(folded, OPTIONS, SIZE)
    with pytest.raises(Disproof) as caught:
        proof.check('fake', changed(folded, change))
    text = str(caught.value)
    assert words in text and "backend 'fake'" in text and '64x96' in text and '\n' not in text
    with pytest.raises(Disproof) as again:  # As an earlier start has kept it.
        Proof.of(proof.arrays, SIZE).check('fake', changed(folded, change))
    assert str(again.value) == text


def test_nothing_is_lost_of_what_is_held_against_an_answer(folded):
    with torch.inference_mode():
        eager = EagerBackend(folded, OPTIONS)
        raw = eager.network(eager.prepare(probes(SIZE)['noise'], SIZE))
        expected = Expected(raw, eager.maps(raw, SIZE), OPTIONS,
                            form=folded.depth_form)
    kept = Expected.of(expected.arrays)
    assert vars(kept).keys() == vars(expected).keys()
    for name, value in vars(expected).items():
        again = vars(kept)[name]
        if isinstance(value, dict) and name == '_maps':
            assert value.keys() == again.keys()
            assert all(np.array_equal(values, again[key]) and values.dtype == again[key].dtype
                       for key, values in value.items())
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, again)
        else:
            assert value == again, name


def test_a_proof_that_was_kept_lets_pytorch_pass_and_is_refused_where_it_is_not_whole(folded):
    arrays = Proof(folded, OPTIONS, SIZE).arrays
    Proof.of(arrays, SIZE).check('fake', EagerBackend(folded, OPTIONS).predict)
    for lost in arrays:
        kept = {name: values for name, values in arrays.items() if name != lost}
        with pytest.raises((KeyError, ValueError, Disproof)):
            Proof.of(kept, SIZE).check('fake', EagerBackend(folded, OPTIONS).predict)


@pytest.mark.parametrize('fault', ['depth 1.3 times too large', 'labels permuted',
                                   'nan as depth in one corner', 'one label that does not exist',
                                   'nan as depth_variance in one corner'])
@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
def test_the_bounds_of_reduced_precision_let_no_such_error_through(folded, fault, precision):
    options = replace(OPTIONS, precision=precision)
    with pytest.raises(Disproof):
        Proof(folded, options, SIZE).check('fake', changed(folded, FAULTS[fault][0], options))


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_rounding_is_no_error(folded, precision):
    options = replace(OPTIONS, precision=precision)
    Proof(folded, options, SIZE).check('fake', EagerBackend(folded, options).predict)


def test_a_drift_that_fp16_alone_has_is_found_there(folded):
    """2 % of the depth: within what bfloat16 may do, and not what float16 may."""
    def drift(maps, scores):
        maps['depth'] *= 1.02
    fp16, bf16 = (replace(OPTIONS, precision=precision) for precision in ('fp16', 'bf16'))
    Proof(folded, bf16, SIZE).check('fake', changed(folded, drift, bf16))
    Proof(folded, fp16, SIZE).check('fake', EagerBackend(folded, fp16).predict)
    with pytest.raises(Disproof, match='depth is'):
        Proof(folded, fp16, SIZE).check('fake', changed(folded, drift, fp16))


def stub(segmentation: torch.Tensor | None = None, depth: torch.Tensor | None = None) -> Expected:
    """Return what is expected of raw maps [C, h, w]."""
    raw = {task: values[None] for task, values in ((SEGMENTATION, segmentation), (DEPTH, depth))
           if values is not None}
    network = Stub(lambda x: raw, tuple(raw)).folded()
    eager = EagerBackend(network, OPTIONS)
    return Expected(raw, eager.maps(raw, SIZE), OPTIONS)


def answer_of(segmentation: torch.Tensor | None = None,
              depth: torch.Tensor | None = None) -> Prediction:
    raw = {task: values[None] for task, values in ((SEGMENTATION, segmentation), (DEPTH, depth))
           if values is not None}
    network = Stub(lambda x: raw, tuple(raw)).folded()
    return EagerBackend(network, OPTIONS).predict(np.zeros((*SIZE, 3), np.uint8),
                                                  Request(SIZE, SIZE))


def test_a_label_may_be_another_only_where_the_two_best_are_nearly_tied():
    logits = torch.randn(5, 16, 24)
    logits[2] = 4.0
    tied = logits.clone()
    tied[3, :, :12] = 4.0  # PyTorch takes the first of two equal ones.
    other = tied.clone()
    other[3, :, :12] += 1e-6
    assert (answer_of(tied).label != answer_of(other).label).any()
    assert stub(tied).problem(answer_of(other)) == ''
    other[3, 5, 20] = 5.0
    assert 'label' in stub(tied).problem(answer_of(other))
    assert '' != stub(logits).problem(answer_of(other))


@pytest.mark.parametrize(('ours', 'theirs', 'agree'), [
    (10.0, 10.00001, True), (10.0, 9.99999, True), (9.9, 10.1, False), (10.1, 9.9, False),
    (0.0, 1e-5, True), (1e-5, 0.0, True), (0.0, -0.1, True), (0.0, 0.1, False), (0.1, 0.0, False)])
def test_a_mark_may_be_another_only_at_the_end_of_the_range(ours, theirs, agree):
    """+inf beyond 10 m; NaN at 0, which a ReLU makes of what is below."""
    depth, other = torch.full((2, 16, 24), ours), torch.full((2, 16, 24), theirs)
    other[1] = depth[1]
    assert (stub(depth=depth).problem(answer_of(depth=other)) == '') == agree


def test_a_network_that_gives_no_numbers_is_answered_by_pytorch_alone():
    """The flag has to be raised by what PyTorch gives: another's numbers would hide it."""
    depth = torch.full((2, 16, 24), 5.0)
    good = answer_of(depth=depth)
    depth[0, 3, 3] = math.nan
    assert 'depth' in stub(depth=depth).problem(good)
    assert stub(depth=depth).problem(answer_of(depth=depth)) == ''


def test_probes_are_images_of_several_kinds_and_always_the_same():
    first, second = probes(SIZE), probes(SIZE)
    assert first.keys() == second.keys() and len(first) > 1
    for name, image in first.items():
        assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
        assert np.array_equal(image, second[name])
    dark = first['ramps'][SIZE[0] // 2:]
    assert dark.max() < 30 and first['ramps'].max() == 255
    assert np.abs(np.diff(first['ramps'].astype(int), axis=1)).max() < 10  # Smooth.


def test_a_proof_leaves_the_network_as_it_was(folded, caplog):
    caplog.set_level(logging.WARNING)
    before = {name: values.clone() for name, values in folded.state_dict().items()}
    Proof(folded, replace(OPTIONS, precision='bf16'), SIZE)
    assert all(torch.equal(values, before[name]) for name, values in folded.state_dict().items())
    assert not caplog.records
