# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a new size: nobody waits for a compiler, and whoever answers says the same."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import weakref

from core_bench import make_metadata, make_network, Stub
from emu_perception.backends import is_installed, registry
from emu_perception.backends import openvino as openvino_backend
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.openvino import KEPT_SIZES, OpenVinoWhenReady
from emu_perception.backends.openvino_conversion import import_openvino
from emu_perception.backends.openvino_graphs import GraphMaker
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK
import torch

pytestmark = pytest.mark.skipif(not is_installed('openvino'), reason='NOT TESTED: openvino is not '
                                'installed (requirements/cpu.txt)')
FIRST, WIDE, TALL = (96, 128), (64, 160), (128, 96)  # The first is the network's own size.
MAPS = ('depth', 'segmentation_entropy', 'confidence', 'depth_variance')


class Gate:
    """Holds the compiler up until it is opened; follows what it was asked for, and by whom."""

    def __init__(self, monkeypatch):
        self.open, self.asked = threading.Event(), []
        self.open.set()
        self.error = None
        self.stood_in = 0
        make, predict = GraphMaker.make, EagerBackend.predict

        def held(maker, size):
            self.asked.append(size)
            assert self.open.wait(30)
            if self.error is not None:
                raise self.error
            return make(maker, size)

        def counted(backend, image, request):
            self.stood_in += 1
            return predict(backend, image, request)
        monkeypatch.setattr(GraphMaker, 'make', held)
        monkeypatch.setattr(EagerBackend, 'predict', counted)


@pytest.fixture
def gate(monkeypatch):
    monkeypatch.setattr(registry, 'preferred', lambda device: ('openvino', 'eager'))
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()
    finish()


def finish() -> None:
    """Wait for the compiler's thread."""
    for thread in threading.enumerate():
        if thread.name == 'emu_compile':
            thread.join(30)


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def automatic() -> Predictor:
    network = make_network()
    return Predictor(network, make_metadata(network), device='cpu', backend='auto')


def same(one, two) -> None:
    for name in MAPS:
        a, b = getattr(one, name), getattr(two, name)
        known = np.isfinite(a) & np.isfinite(b)
        assert known.any() and np.allclose(a[known], b[known], rtol=NETWORK, atol=NETWORK), name
    assert (one.label != two.label).mean() < 1e-3


@pytest.mark.slow
def test_an_image_of_a_new_size_does_not_wait_and_gets_the_same_answer(gate, caplog):
    caplog.set_level(logging.INFO, 'emu_perception')
    predictor = automatic()
    assert predictor.backend == 'openvino' and gate.asked == [FIRST]
    gate.open.clear()
    image = picture(WIDE)
    meanwhile = predictor(image, fx=100.0)
    assert gate.stood_in == 1 and '160x64 is compiled' in caplog.text
    # The compiler is at work: neither the known size nor another new one waits for it.
    predictor(picture(FIRST), fx=100.0)
    assert gate.stood_in == 1
    predictor(picture(TALL), fx=100.0)
    assert gate.stood_in == 2
    gate.open.set()
    finish()
    later = predictor(image, fx=100.0)
    assert gate.stood_in == 2 and 'compiled for 64x160 in' in caplog.text
    same(meanwhile, later)


@pytest.mark.slow
def test_two_new_sizes_in_turn_are_both_compiled_once(gate):
    predictor = automatic()
    for turn in range(4):
        for size in (WIDE, TALL):
            predictor(picture(size, turn))
            finish()
    assert gate.asked == [FIRST, WIDE, TALL] and gate.stood_in == 2


@pytest.mark.slow
def test_a_compiler_that_fails_is_said_once_and_asked_no_more(gate, caplog):
    predictor = automatic()
    gate.error = InputError("backend is 'openvino', which has no memory left")
    for size in (WIDE, TALL, WIDE):
        assert predictor(picture(size)).depth is not None
        finish()
    assert gate.stood_in == 3 and gate.asked == [FIRST, WIDE]
    assert caplog.text.count('has no memory left') == 1 and 'stay with PyTorch' in caplog.text
    predictor(picture(FIRST))
    assert gate.stood_in == 3, 'what was compiled before is used as before'


@pytest.mark.slow
def test_a_warm_up_waits_for_the_size_it_is_given(gate):
    predictor = automatic()
    gate.open.clear()
    threading.Timer(0.3, gate.open.set).start()
    predictor.warm_up(WIDE)
    predictor(picture(WIDE))
    assert gate.stood_in == 0 and gate.asked == [FIRST, WIDE]


@pytest.mark.slow
def test_a_predictor_closed_while_compiling_is_freed_when_the_compiler_is_done(gate):
    predictor = automatic()
    backend = weakref.ref(predictor._backend)
    assert isinstance(backend(), OpenVinoWhenReady)
    gate.open.clear()
    predictor(picture(WIDE))
    predictor.close()
    with pytest.raises(InputError, match='closed'):
        predictor(picture(WIDE))
    gate.open.set()
    finish()
    gc.collect()
    assert backend() is None


@pytest.mark.slow
def test_only_the_sizes_used_last_are_kept(gate):
    network = make_network()
    backend = Predictor(network, make_metadata(network), device='cpu', backend='openvino')._backend
    sizes = [FIRST, *((64, 32 * n) for n in range(1, KEPT_SIZES))]
    for size in (*sizes, FIRST, (96, 96), FIRST, (96, 96), *sizes[2:]):
        backend.compile(size)
    assert gate.asked == [*sizes, (96, 96)]
    backend.compile(sizes[1])
    assert gate.asked == [*sizes, (96, 96), sizes[1]]


@pytest.mark.slow
def test_more_sizes_in_turn_than_are_kept_do_not_compile_without_end(gate, monkeypatch, caplog):
    monkeypatch.setattr(openvino_backend, 'KEPT_SIZES', 2)
    network = make_network()
    one = Predictor(network, make_metadata(network), device='cpu', backend='auto')
    plain = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    assert isinstance(one._backend, OpenVinoWhenReady)
    for _ in range(3):
        for size in (FIRST, WIDE, TALL):
            same(plain(picture(size), fx=100.0), one(picture(size), fx=100.0))
            if one._backend._thread is not None:
                one._backend._thread.join()
    assert len(gate.asked) == 2
    assert sum('more than 2 image sizes' in text for text in caplog.messages) == 1


@pytest.mark.slow
def test_a_network_is_converted_once_for_all_sizes(monkeypatch):
    calls = []
    openvino = import_openvino()
    convert = openvino.convert_model
    monkeypatch.setattr(openvino, 'convert_model',
                        lambda *a, **k: calls.append(1) or convert(*a, **k))
    network = make_network('tf_efficientnet_lite0', context='pyramid_pooling')
    one, two = (Predictor(network, make_metadata(network), device='cpu', backend=backend)
                for backend in ('eager', 'openvino'))
    for size in (FIRST, WIDE, TALL):
        same(one(picture(size), fx=100.0), two(picture(size), fx=100.0))
    assert len(calls) == 2  # The network and the maps.


@pytest.mark.parametrize('factor', [None, 4, 2.5])
def test_what_a_trace_took_for_a_constant_is_found_out(factor):
    """An encoder that computes with the size in Python is converted for each size."""
    def raw(images: torch.Tensor) -> dict[str, torch.Tensor]:
        height, width = int(images.shape[-2]), int(images.shape[-1])
        depth = 2.0 + 0.2 * images[:, :2] + width / 100.0
        if factor is None:  # The shape is right at every size, only the values are not.
            return {'depth': torch.nn.functional.avg_pool2d(depth, 4)}
        return {'depth': torch.nn.functional.interpolate(
            depth, (int(height // factor), int(width // factor)))}
    stub = Stub(raw, ('depth',))
    one, two = (Predictor(stub, make_metadata(stub), device='cpu', backend=backend)
                for backend in ('eager', 'openvino'))
    for size in (FIRST, (96, 192)):
        image = picture(size)
        assert np.allclose(one(image).depth, two(image).depth, rtol=NETWORK, equal_nan=True)


def test_a_task_that_has_no_graph_is_refused_and_not_left_out():
    stub = Stub(lambda x: {}, ('depth', 'normals'))
    with pytest.raises(InputError, match='normals'):
        Predictor(stub, make_metadata(stub), device='cpu', backend='openvino')


@pytest.mark.slow
def test_openvino_does_not_report_to_the_internet():
    """In a process of its own: this one's conftest has seen to it already."""
    code = ('from emu_perception.backends.openvino_conversion import import_openvino; '
            'import_openvino(); from openvino.tools.ovc import convert_impl, telemetry_utils; '
            'print(convert_impl.tm.__name__, telemetry_utils.tm.__name__)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['openvino.tools.ovc.telemetry_stub'] * 2
