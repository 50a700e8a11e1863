# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The control flow of backend 'cuda' on a CPU: see ``cuda_bench``.

What a GPU does with it is held in test_cuda_device.py.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import gc
import json
import weakref

from core_bench import make_metadata, make_network
from cuda_bench import assert_same, MAPS, picture, two
from emu_perception.backends import cuda, cuda_plan
from emu_perception.backends.agreement import ROUNDING
from emu_perception.benchmarking.command import main
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
import numpy as np
import pytest
from rounding import NETWORK
import torch
from vit_cases import tiny_vit, VITS

pytestmark = pytest.mark.usefixtures('fake_cuda')


@pytest.mark.parametrize('encoder', ['mit_b0', 'tf_efficientnet_lite0'])
def test_it_gives_what_pytorch_gives_before_and_with_graphs(fake_cuda, encoder):
    network = make_network(encoder, context='pyramid_pooling' if 'lite' in encoder else None)
    one, fast = two(network, make_metadata(network))
    assert fast.backend == 'cuda'
    for seed in range(4):
        # Another image, camera and flag each time: a graph holds nothing of the first.
        arguments = {'fx': 90.0 + seed,
                     'unknown_label_entropy': (None, 1.2, 0.9, None)[seed]}
        image = picture(seed=seed)
        assert_same(one(image, **arguments), fast(image, **arguments))
        assert fake_cuda[-1].captures == (0 if seed == 0 else 3)
    assert (fast(image, fx=80.0).label != 255).all()
    assert (fast(image, fx=80.0, unknown_label_entropy=0.0).label == 255).all()


@pytest.mark.parametrize('encoder', VITS)
def test_a_vision_transformer_is_captured_with_its_positions(fake_cuda, encoder):
    network = tiny_vit(encoder)
    one, fast = two(network, make_metadata(network))
    for seed, size in enumerate([(96, 128)] * 3 + [(96, 192)] * 3):
        image = picture(*size, seed=seed)
        assert_same(one(image, fx=90.0), fast(image, fx=90.0))
    assert fast.backend == 'cuda' and fake_cuda[-1].captures == 6


def test_what_is_not_known_goes_through_graphs_too(fake_cuda):
    network = make_network(epistemic=True)
    one, fast = two(network, make_metadata(network))
    for seed in range(3):
        a, b = one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0)
        assert_same(a, b)
        assert a.maps.keys() == b.maps.keys()
        for name in ('mutual_information', 'depth_epistemic_variance'):
            assert np.allclose(a.maps[name], b.maps[name], rtol=NETWORK, atol=NETWORK)
    assert fast.backend == 'cuda' and fake_cuda[-1].captures == 3


def test_a_head_of_logarithms_goes_through_graphs_too(fake_cuda):
    network = make_network(depth_output='log')
    network.initialize_depth(3.0, 0.5)
    one, fast = two(network, make_metadata(network))
    for seed in range(3):
        assert_same(one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0))
    assert fast.backend == 'cuda' and fake_cuda[-1].captures == 3


@pytest.mark.parametrize(('image', 'maps'), [
    ((192, 256), None), ((192, 256), (96, 128)), ((96, 128), (300, 211)), ((48, 64), (30, 40))])
def test_sizes_are_changed_as_on_the_cpu(image, maps):
    """A picture without noise: one grey level less or more must not matter."""
    network = make_network()
    network.initialize_depth(3.0, 0.5)  # No depth near 0, where a rounding makes a NaN.
    one, fast = two(network, make_metadata(network))
    smooth = np.stack(np.meshgrid(np.linspace(0, 255, image[1]), np.linspace(0, 255, image[0])),
                      axis=-1).astype(np.uint8)
    rgb = np.dstack([smooth, smooth[..., :1]])
    for _ in range(3):
        found = fast(rgb, size=maps, fx=100.0)
        assert found.size == (maps or image)
        assert_same(one(rgb, size=maps, fx=100.0), found, 5e-3)


def test_an_image_far_too_large_is_resized_before_it_is_uploaded():
    network = make_network()
    one, fast = two(network, make_metadata(network, input_size=(32, 64)))
    image = picture(32 * 18, 64 * 18)
    for _ in range(2):
        assert_same(one(image, size=(32, 64), fx=900.0), fast(image, size=(32, 64), fx=900.0))
    plan, = fast._backend._plans.values()
    assert plan.program.input_bytes == 16 + 32 * 64 * 3


@pytest.mark.parametrize('task', [SEGMENTATION, DEPTH])
def test_a_single_task(task):
    network = make_network(tasks=(task,))
    one, fast = two(network, make_metadata(network))
    for seed in range(3):
        assert_same(one(picture(seed=seed)), fast(picture(seed=seed)))


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
def test_weights_are_converted_once_and_the_error_is_no_more_than_with_autocast(precision):
    network = make_network('tf_efficientnet_lite0', context='pyramid_pooling')
    exact, _ = two(network, make_metadata(network))
    autocast, fast = two(network, make_metadata(network), precision=precision)
    model = fast._backend._model.network
    kinds = {name: values.dtype for name, values in model.state_dict().items()}
    half = {'fp16': torch.float16, 'bf16': torch.bfloat16}[precision]
    assert all(dtype == half for name, dtype in kinds.items() if 'conv' in name)
    assert all(dtype == torch.float32 for name, dtype in kinds.items() if 'running_var' in name)
    for seed in range(3):
        image = picture(seed=seed)
        a, b, c = exact(image, fx=90.0), autocast(image, fx=90.0), fast(image, fx=90.0)
        for name in ('depth_variance', 'segmentation_entropy', 'confidence'):
            error, usual = (np.abs(getattr(x, name) - getattr(a, name)).mean() for x in (c, b))
            assert 0 < error < 1.5 * usual
        assert (c.label == a.label).mean() > 0.98
        # What agreement.py allows a backend of this precision on average.
        assert c.scores['depth_sigma'] == pytest.approx(
            a.scores['depth_sigma'], rel=25 * ROUNDING[precision])
    assert all(values.dtype == torch.float32 for values in network.parameters())


def test_small_variances_are_exact_in_float16():
    network = make_network()
    with torch.no_grad():
        network.head(DEPTH).classifier.weight.zero_()
        network.head(DEPTH).classifier.bias.copy_(torch.tensor([2.0, -16.3]))
    metadata = make_metadata(network)
    found = two(network, metadata, precision='fp16')[1](picture()).depth_variance
    expected = (np.log1p(np.exp(-16.3)) + 1e-6) * metadata.calibration.variance_scale
    # As in test_backends.py; a bias in float16 would be 6e-4 off.
    assert np.allclose(found, expected, rtol=1e-4, atol=0)


def test_a_nan_of_the_network_reaches_the_means():
    network = make_network()
    fast = two(network, make_metadata(network))[1]
    heads = fast._backend._model.network.heads
    for task in heads.tasks:
        heads.get_buffer(f'{task}_bias')[0] = float('nan')
    for _ in range(3):
        found = fast(picture())
        assert np.isnan(found.scores['segmentation_entropy']) and np.isnan(found.depth).all()


def test_maps_stay_what_they_were_when_the_next_images_come():
    network = make_network()
    fast = two(network, make_metadata(network))[1]
    kept = [fast(picture(seed=seed)) for seed in range(5)]
    before = [{name: getattr(x, name).copy() for name in (*MAPS, 'label')} for x in kept]
    for seed in range(5, 9):
        fast(picture(seed=seed))
    for one, values in zip(kept, before):
        assert all(np.array_equal(getattr(one, name), value, equal_nan=name != 'label')
                   for name, value in values.items())


@pytest.mark.slow
def test_threads_and_more_sizes_than_are_kept_do_not_mix_up(monkeypatch):
    monkeypatch.setattr(cuda, 'KEPT_SIZES', 4)
    network = make_network()
    one, fast = two(network, make_metadata(network))
    sizes = ((96, 128), (128, 96), (96, 192), (64, 128), (160, 96), (96, 128), (64, 64))
    images = [picture(*size, seed) for seed, size in enumerate(sizes)]
    expected = [one(image, fx=90.0) for image in images]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda image: fast(image, fx=90.0), images * 3))
    for a, b in zip(expected * 3, found):
        assert np.allclose(a.segmentation_entropy.mean(), b.segmentation_entropy.mean(), rtol=1e-3)
        assert a.size == b.size
    assert len(fast._backend._plans) == 4


def test_every_buffer_is_waited_for_before_it_is_written_again(fake_cuda):
    """Each image waits for its slot's upload to be read and, in a used slot, for its download."""
    network = make_network()
    fast = two(network, make_metadata(network))[1]
    runtime = fake_cuda[-1]
    for done in range(1, 6):
        fast(picture())
        assert (runtime.upload.waited, runtime.download.waited) == (done, done)
        # For the upload each time, and for the download from the third image on.
        assert runtime.compute.waited == done + max(0, done - cuda_plan.SLOTS)


def test_closing_leaves_nothing_behind_at_once():
    """A GPU's memory comes back with the last reference, not when Python looks for cycles."""
    network = make_network()
    fast = two(network, make_metadata(network))[1]
    for _ in range(3):
        fast(picture())
    plan, = fast._backend._plans.values()
    gone = [weakref.ref(fast._backend), weakref.ref(plan), weakref.ref(fast._backend._model)]
    del plan
    gc.disable()
    try:
        fast.close()
        assert [reference() for reference in gone] == [None] * 3
    finally:
        gc.enable()


def test_times_of_the_stages_are_those_of_the_streams():
    network = make_network()
    fast = two(network, make_metadata(network))[1]
    for _ in range(3):
        times = fast(picture()).timing_ms
        assert set(times) == {'preprocess', 'network', 'postprocess'}
        assert all(0 < value < 60_000 for value in times.values())


@pytest.mark.slow
def test_emu_benchmark_measures_it_against_the_others(tmp_path, capsys):
    out = tmp_path / 'out.json'
    status = main(['--encoder', 'mit_b0', '--head-dim', '16', '--classes', '5', '--size', '64x96',
                   '--device', 'cpu', '--backend', 'cuda', '--against', 'eager,unfolded,reference',
                   '--rounds', '2', '--no-memory', '--no-progress', '--json', str(out)])
    assert status == 0, capsys.readouterr().err
    result = json.loads(out.read_text())
    rows = result['rows']
    assert [row['backend'] for row in rows.values()] == ['cuda', 'eager', 'eager', 'eager']
    assert set(rows['ours']['stages_ms']) == {'preprocess', 'network', 'postprocess'}
    assert all(row['largest_depth_difference_m'] < 1e-3 for row in rows.values())
    assert result['network_size'] == [64, 96]
