# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
# Triton reads annotations itself, as types of its own.
# mypy: allow-untyped-defs, allow-incomplete-defs
"""
The Triton kernels; importing this file needs Triton.

Both take the four bilinear taps of an output pixel straight from the coarse map, with PyTorch's
coordinates for ``align_corners=False``, so the upsampled tensor of all channels is never written.
All arithmetic is in float32, whatever the type of the map.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _taps(at, scale, length):
    """Return the two source indices and the second one's weight for output coordinates."""
    source = (at.to(tl.float32) + 0.5) * scale - 0.5
    source = tl.maximum(source, 0.0)
    # Rounding must not step over the edge for the last pixel.
    first = tl.minimum(source.to(tl.int32), length - 1)
    return first, tl.minimum(first + 1, length - 1), source - first.to(tl.float32)


@triton.jit
def _logit(plane, top_left, top_right, bottom_left, bottom_right, wy, wx, inside):
    """Return one class's logit at the output pixels."""
    a = tl.load(plane + top_left, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(plane + top_right, mask=inside, other=0.0).to(tl.float32)
    c = tl.load(plane + bottom_left, mask=inside, other=0.0).to(tl.float32)
    d = tl.load(plane + bottom_right, mask=inside, other=0.0).to(tl.float32)
    return (1.0 - wy) * ((1.0 - wx) * a + wx * b) + wy * ((1.0 - wx) * c + wx * d)


@triton.jit
def segmentation_kernel(logits, label, entropy, confidence, classes, height, width, out_width,
                        stride_k, stride_y, stride_x, scale_y, scale_x, inverse_temperature,
                        BLOCK: tl.constexpr):
    """
    Upsample, argmax, entropy and confidence of one strip of a row, in one pass over the classes.

    With m the largest logit so far, S = sum e^(z - m) and T = sum e^(z - m) (z - m): when m rises
    by r, S becomes S e^-r and T becomes (T - S r) e^-r. A NaN reaches S and T and stays there.
    """
    row = tl.program_id(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < out_width
    y0, y1, wy = _taps(row, scale_y, height)
    x0, x1, wx = _taps(column, scale_x, width)
    top_left = y0 * stride_y + x0 * stride_x
    top_right = y0 * stride_y + x1 * stride_x
    bottom_left = y1 * stride_y + x0 * stride_x
    bottom_right = y1 * stride_y + x1 * stride_x

    best = inverse_temperature * _logit(logits, top_left, top_right, bottom_left, bottom_right,
                                        wy, wx, inside)
    moment = best - best  # 0, or NaN where the logit is not finite.
    total = moment + 1.0
    found = tl.zeros([BLOCK], tl.int32)
    plane = logits
    for k in range(1, classes):
        plane += stride_k
        z = inverse_temperature * _logit(plane, top_left, top_right, bottom_left, bottom_right,
                                         wy, wx, inside)
        rise = z - best
        higher = rise > 0.0
        small = tl.exp(-tl.abs(rise))  # The one exponential of this class.
        moment = tl.where(higher, (moment - total * rise) * small, moment + small * rise)
        total = tl.where(higher, total * small + 1.0, total + small)
        found = tl.where(higher, k, found)
        best = tl.where(higher, z, best)
    at = row * out_width + column
    tl.store(label + at, found.to(tl.uint8), mask=inside)
    tl.store(entropy + at, tl.log(total) - moment / total, mask=inside)
    tl.store(confidence + at, 1.0 / total, mask=inside)


@triton.jit
def _upsampled(values, y, x, d, inside, height, width, stride_y, stride_x, stride_d, scale_y,
               scale_x):
    """Return [pixels, channels] of a coarser map at the pixels y, x of the finest one."""
    y0, y1, wy = _taps(y, scale_y, height)
    x0, x1, wx = _taps(x, scale_x, width)
    across = d[None, :] * stride_d
    a = tl.load(values + (y0 * stride_y + x0 * stride_x)[:, None] + across, mask=inside, other=0.0)
    b = tl.load(values + (y0 * stride_y + x1 * stride_x)[:, None] + across, mask=inside, other=0.0)
    left, right = (1.0 - wx)[:, None], wx[:, None]
    upper = left * a.to(tl.float32) + right * b.to(tl.float32)
    a = tl.load(values + (y1 * stride_y + x0 * stride_x)[:, None] + across, mask=inside, other=0.0)
    b = tl.load(values + (y1 * stride_y + x1 * stride_x)[:, None] + across, mask=inside, other=0.0)
    lower = left * a.to(tl.float32) + right * b.to(tl.float32)
    return (1.0 - wy)[:, None] * upper + wy[:, None] * lower


@triton.jit
def classifier_kernel(
        c0, c1, c2, c3, weight, bias, out, dim, outputs, height, width,
        h1, w1, h2, w2, h3, w3,
        y0s, x0s, d0s, y1s, x1s, d1s, y2s, x2s, d2s, y3s, x3s, d3s,
        sy1, sx1, sy2, sx2, sy3, sx3,
        PIXELS: tl.constexpr, CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr,
        PRECISION: tl.constexpr):
    """
    out[k, p] = bias[k] + sum_d weight[k, d] relu(c0 + up(c1) + up(c2) + up(c3))[d, p].

    The sum over the D channels is made in blocks, so the D-channel map is never written.
    """
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    known = pixel < height * width
    y, x = pixel // width, pixel % width
    k = tl.arange(0, OUTPUTS)
    result = tl.zeros([PIXELS, OUTPUTS], tl.float32)
    for start in range(0, dim, CHANNELS):
        d = start + tl.arange(0, CHANNELS)
        inside = known[:, None] & (d < dim)[None, :]
        hidden = tl.load(c0 + (y * y0s + x * x0s)[:, None] + d[None, :] * d0s,
                         mask=inside, other=0.0).to(tl.float32)
        hidden += _upsampled(c1, y, x, d, inside, h1, w1, y1s, x1s, d1s, sy1, sx1)
        hidden += _upsampled(c2, y, x, d, inside, h2, w2, y2s, x2s, d2s, sy2, sx2)
        hidden += _upsampled(c3, y, x, d, inside, h3, w3, y3s, x3s, d3s, sy3, sx3)
        hidden = tl.where(hidden < 0.0, 0.0, hidden)  # A maximum would lose a NaN.
        block = tl.load(weight + k[None, :] * dim + d[:, None],
                        mask=(k < outputs)[None, :] & (d < dim)[:, None], other=0.0)
        result = tl.dot(hidden.to(block.dtype), block, result, input_precision=PRECISION)
    result += tl.load(bias + k, mask=k < outputs, other=0.0).to(tl.float32)[None, :]
    tl.store(out + k[None, :] * (height * width) + pixel[:, None], result,
             mask=known[:, None] & (k < outputs)[None, :])
