# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Backend 'cuda' on a GPU: nothing of this runs where there is none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from core_bench import make_metadata, make_network
from cuda_bench import MAPS, picture
from emu_perception.backends import cuda_program
from emu_perception.kernels import triton_runs_on
from emu_perception.kernels.classifier import fused_classifier, plain_classifier
from emu_perception.kernels.segmentation import fused_segmentation_maps
from emu_perception.predictor import Predictor
from emu_perception.uncertainty import segmentation_maps
from head_reference import classifier_reference
import numpy as np
import pytest
from segmentation_reference import reference
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(
    not torch.cuda.is_available(), reason='NOT TESTED: there is no CUDA GPU')]


def two(encoder='mit_b0', **arguments):
    """Return predictors on the GPU: stage by stage, and the fast path; float32 is float32."""
    network = make_network(encoder, context='pyramid_pooling' if 'lite' in encoder else None)
    network.initialize_depth(3.0, 0.5)
    metadata = make_metadata(network)
    return [Predictor(network, metadata, device='cuda', backend=name, **arguments)
            for name in ('eager', 'cuda')]


@pytest.fixture(autouse=True)
def full_float32(monkeypatch):
    """Let PyTorch's convolutions use all bits of float32."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)


def assert_close(one, fast, tolerance):
    for name in MAPS:
        a, b = getattr(one, name), getattr(fast, name)
        known = np.isfinite(a) & np.isfinite(b)
        assert (np.isfinite(a) == np.isfinite(b)).mean() > 0.999
        assert np.abs(a - b)[known].max() < tolerance, name
    assert (one.label != fast.label).mean() < 10 * tolerance
    assert fast.scores['segmentation_entropy'] == pytest.approx(one.scores['segmentation_entropy'],
                                                           rel=tolerance)
    assert fast.scores['depth_sigma'] == pytest.approx(one.scores['depth_sigma'], rel=tolerance)


@pytest.mark.parametrize('encoder', ['mit_b0', 'tf_efficientnet_lite0'])
@pytest.mark.parametrize(('precision', 'tolerance'), [
    ('fp32', 1e-4), ('fp16', 2e-2), ('bf16', 1e-1)])
def test_it_gives_what_eager_gives_with_graphs_and_changing_images(
        encoder, precision, tolerance, caplog):
    eager, fast = two(encoder, precision=precision)
    for seed in range(5):
        image = picture(seed=seed)
        assert_close(eager(image, fx=90.0 + seed), fast(image, fx=90.0 + seed), tolerance)
    plan, = fast._backend._plans.values()
    assert plan._replays is not None and not caplog.records


def test_both_kernels_are_taken():
    fast = two()[1]
    model = fast._backend._model
    assert triton_runs_on(model.device), 'pip install triton'
    assert model.fused_maps and model.network.heads.fused


@pytest.mark.parametrize(('classes', 'dim', 'small'), [
    (40, 256, (60, 80)), (1, 48, (15, 21)), (150, 768, (30, 40)), (5, 33, (7, 9))])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_kernels_on_real_sizes(classes, dim, small, dtype):
    torch.manual_seed(0)
    maps = [torch.randn(1, dim, -(-small[0] // 2 ** i), -(-small[1] // 2 ** i), device='cuda').to(
        dtype).contiguous(memory_format=torch.channels_last) for i in range(4)]
    weight = (torch.randn(classes, dim, device='cuda') / dim ** 0.5).to(dtype)
    bias = torch.randn(classes, device='cuda')
    exact, bound = classifier_reference(maps, weight, bias)
    for form in (fused_classifier, plain_classifier):
        assert (form(maps, weight, bias) - exact).abs().max() <= bound
    raw, size = exact[0].to(dtype), (4 * small[0], 4 * small[1] + 3)
    for maps_of in (fused_segmentation_maps, segmentation_maps):
        labels, entropy, confidence = reference(raw, size, 0.7).judged(maps_of(raw, size, 0.7))
        assert labels == 0 and entropy <= 1 and confidence <= 1


def test_sizes_threads_and_two_images_in_flight():
    eager, fast = two()
    images = [picture(*size, seed) for seed, size in enumerate(
        ((96, 128), (128, 96), (240, 320), (64, 128), (160, 96), (96, 128)))]
    smooth = [np.repeat(np.repeat(image[::8, ::8], 8, 0), 8, 1)[:image.shape[0], :image.shape[1]]
              for image in images]
    expected = [eager(image, fx=90.0) for image in smooth]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda image: fast(image, fx=90.0), smooth * 4))
    for one, other in zip(expected * 4, found):
        # Grey levels may round apart where the size changes.
        assert np.abs(one.segmentation_entropy - other.segmentation_entropy).mean() < 5e-3
    alone = [fast(image, fx=90.0) for image in smooth]
    with ThreadPoolExecutor(2) as pool:
        for one, other in zip(alone, pool.map(lambda image: fast(image, fx=90.0), smooth)):
            assert np.array_equal(one.depth_variance, other.depth_variance)


def test_maps_stay_when_the_next_images_come():
    fast = two()[1]
    kept = [fast(picture(seed=seed)) for seed in range(6)]
    before = [{name: getattr(x, name).copy() for name in MAPS} for x in kept]
    for seed in range(6, 16):
        fast(picture(seed=seed))
    for one, values in zip(kept, before):
        assert all(np.array_equal(getattr(one, name), value, equal_nan=True)
                   for name, value in values.items())


def test_out_of_memory_costs_the_fast_path_and_no_more(monkeypatch, caplog):
    eager, fast = two()
    real = cuda_program.Program.network

    def greedy(self, x):
        torch.empty(1 << 50, dtype=torch.uint8, device=x.device)
        return real(self, x)
    monkeypatch.setattr(cuda_program.Program, 'network', greedy)
    image = picture()
    assert_close(eager(image, fx=90.0), fast(image, fx=90.0), 1e-4)
    assert 'fast path failed' in caplog.text and 'going on with eager' in caplog.text
    monkeypatch.setattr(cuda_program.Program, 'network', real)
    other = picture(128, 96)
    for _ in range(3):
        assert_close(eager(other, fx=90.0), fast(other, fx=90.0), 1e-4)


def test_closing_gives_the_memory_back():
    network = make_network('resnet18')
    torch.cuda.synchronize()
    before = torch.cuda.memory_reserved()
    predictor = Predictor(network, make_metadata(network), device='cuda', backend='cuda')
    for size in ((96, 128), (240, 320)):
        for _ in range(3):
            predictor(picture(*size))
    assert torch.cuda.memory_reserved() > before
    predictor.close()
    # The libraries' workspaces stay with the process.
    assert torch.cuda.memory_reserved() <= before + 80_000_000
