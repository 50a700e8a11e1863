# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs the Triton kernels in Triton's interpreter and prints how far they are off, as JSON.

Kernels and their plain forms are both held against float64; an error is a share of its bound.

A process of its own: the interpreter is chosen when Triton is imported, for the whole process.
"""

from __future__ import annotations

from dataclasses import replace
import json
import logging
import os

os.environ['TRITON_INTERPRET'] = '1'

from core_bench import make_metadata, make_network  # noqa: E402
from cuda_bench import Runtime, two  # noqa: E402
from emu_perception.backends import BACKENDS, cuda  # noqa: E402
from emu_perception.kernels.classifier import fused_classifier, plain_classifier  # noqa: E402
from emu_perception.kernels.segmentation import fused_segmentation_maps  # noqa: E402
from emu_perception.uncertainty import segmentation_maps  # noqa: E402
from head_reference import classifier_reference  # noqa: E402
import numpy as np  # noqa: E402
from segmentation_reference import reference  # noqa: E402
import torch  # noqa: E402

# classes, (h, w), (H, W), type, temperature, channels last: whole and broken factors, one row,
# shrinking, more columns than a block.
LOGITS = [
    (5, (6, 8), (24, 32), torch.float32, 1.3, False),
    (1, (3, 5), (13, 17), torch.float16, 1, False),
    (40, (2, 5), (8, 20), torch.bfloat16, 0.7, True),
    (150, (1, 4), (3, 9), torch.float32, 1, False),
    (3, (1, 1), (5, 9), torch.float32, 1, False), (4, (9, 9), (5, 7), torch.float16, 2.0, True),
    (2, (2, 70), (3, 281), torch.float32, 1, False)]
# outputs, D, (h, w) of the finest map, type, channels last. No bfloat16: the interpreter
# multiplies its bits as integers.
HEADS = [
    (5, 16, (6, 8), torch.float32, True), (40, 48, (9, 11), torch.float16, True),
    (2, 33, (5, 6), torch.float32, False), (1, 64, (3, 3), torch.float32, True),
    (150, 40, (5, 7), torch.float16, False), (16, 32, (7, 21), torch.float32, True)]


def segmentation() -> list[list[float]]:
    """Return unexplained labels and shares of entropy and confidence, kernel and plain form."""
    found = []
    for classes, small, size, dtype, temperature, last in LOGITS:
        raw = (4 * torch.randn(classes, *small)).to(dtype)
        if last:
            raw = raw.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        exact = reference(raw, size, temperature)
        one, two_ = (form(raw, size, temperature)
                     for form in (fused_segmentation_maps, segmentation_maps))
        assert [x.dtype for x in one] == [x.dtype for x in two_]
        found += [list(exact.judged(one)), list(exact.judged(two_))]
    return found


def not_finite() -> list[bool]:
    """Return whether NaN and infinite logits spread as in the plain form, and how."""
    raw = torch.randn(4, 5, 6)
    raw[2, 2, 2], raw[0, 4, 5], raw[3, 0, 0] = float('nan'), float('inf'), float('-inf')
    one, two_ = fused_segmentation_maps(raw, (20, 24)), segmentation_maps(raw, (20, 24))
    maps = [torch.randn(1, 16, side, side) for side in (8, 4, 2, 1)]
    maps[1][0, 3, 1, 1] = float('nan')
    weight = torch.randn(3, 16)
    heads = [form(maps, weight, weight[:, 0]).isnan() for form in (fused_classifier,
                                                                   plain_classifier)]
    return [torch.equal(one[1].isnan(), two_[1].isnan()), bool(one[1].isnan().any()),
            not one[1].isnan().all(), torch.equal(*heads), bool(heads[0].any())]


def classifier() -> list[float]:
    """Return the errors of kernel and plain form as shares of their bound."""
    found = []
    for outputs, dim, (height, width), dtype, last in HEADS:
        maps = [torch.randn(1, dim, -(-height // 2 ** i), -(-width // 2 ** i)).to(dtype)
                for i in range(4)]
        if last:
            maps = [part.contiguous(memory_format=torch.channels_last) for part in maps]
        weight, bias = torch.randn(outputs, dim).to(dtype), torch.randn(outputs)
        exact, bound = classifier_reference(maps, weight, bias)
        for form in (fused_classifier, plain_classifier):
            found.append(float((form(maps, weight, bias) - exact).abs().max()) / bound)
            assert form(maps, weight, bias).dtype == torch.float32
    return found


def backend() -> list[float]:
    """Return differences of whole predictions with both kernels; -1 if they were not used."""
    cuda.CudaRuntime = Runtime
    BACKENDS['cuda'] = replace(BACKENDS['cuda'], devices=('cpu',))
    network = make_network()
    one, two_ = two(network, make_metadata(network, input_size=(32, 64)))
    model = two_._backend._model
    if not (model.fused_maps and model.network.heads.fused):
        return [-1.0]
    # One image: a graph of this test's kind cannot hold a kernel that Python computes.
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    a, b = one(image, fx=90.0), two_(image, fx=90.0)
    return [float(np.abs(np.nan_to_num(getattr(a, name)) - np.nan_to_num(getattr(b, name))).max())
            for name in ('depth', 'depth_variance', 'segmentation_entropy', 'confidence')]


if __name__ == '__main__':
    logging.disable()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(json.dumps({'segmentation': segmentation(), 'not_finite': not_finite(),
                      'classifier': classifier(), 'backend': backend()}))
