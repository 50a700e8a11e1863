# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Networks are converted in another process; their graphs are there again at the next start."""

from __future__ import annotations

from dataclasses import replace
import logging
import os
from pathlib import Path
import subprocess
import sys

from core_bench import make_metadata, make_network
from emu_perception.backends import is_installed, openvino_conversion, openvino_graphs
from emu_perception.backends.openvino_conversion import (
    Conversion,
    converted_models,
    import_openvino,
    models_of,
)
from emu_perception.backends.openvino_graphs import GraphMaker, GraphStages
from emu_perception.backends.openvino_modules import NormalizedNetwork
from emu_perception.backends.signal_stack import kept_signal_stack
from emu_perception.cache_files import cache_folder, read_cached, write_cached
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK
import torch

pytestmark = pytest.mark.skipif(not is_installed('openvino'), reason='NOT TESTED: openvino is not '
                                'installed (requirements/cpu.txt)')
SIZE = (96, 128)


@pytest.fixture
def folder(_graphs_of_this_test) -> Path:
    """Return where the graphs of a test are kept."""
    return cache_folder('openvino')


@pytest.fixture
def converted(monkeypatch) -> list[Conversion]:
    """Return what is converted, which is done here."""
    asked: list[Conversion] = []
    monkeypatch.setattr(openvino_graphs, 'models_of',
                        lambda conversion: asked.append(conversion) or converted_models(conversion)
                        )
    return asked


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def started(network, metadata=None, **arguments) -> Predictor:
    return Predictor(network, metadata or make_metadata(network), device='cpu', backend='openvino',
                     **arguments)


def equal(one, two) -> None:
    for name, values in one.maps.items():
        assert np.array_equal(values, two.maps[name], equal_nan=values.dtype != np.uint8), name


# -- another process -----------------------------------------------------------------------------
def conversion(network) -> Conversion:
    scale, shift = torch.full((3,), 0.02), torch.full((3,), -2.0)
    return Conversion(NormalizedNetwork(network, scale, shift).eval(), 1.3, SIZE, open_sizes=True)


@pytest.mark.slow
def test_what_another_process_converts_is_what_this_one_converts(monkeypatch):
    asked = conversion(make_network().folded())
    ours = converted_models(asked)
    monkeypatch.setattr(openvino_conversion, 'converted_models', None)  # Not here.
    theirs = models_of(asked)
    with kept_signal_stack():
        core = import_openvino().Core()
        core.get_property('CPU', 'FULL_DEVICE_NAME')  # Loads the plugin.
    values = [picture()[None]]
    for one, two in zip(ours, theirs, strict=True):
        shapes = dict(enumerate(list(x.shape) for x in values))
        found = []
        for model in (one, two):
            model.reshape(shapes)
            request = core.compile_model(model, 'CPU').create_infer_request()
            request.infer(values)
            found.append([output.data.copy() for output in request.output_tensors])
        for a, b in zip(*found, strict=True):
            assert np.allclose(a, b, rtol=NETWORK, atol=NETWORK)
        values = found[0]


@pytest.mark.slow
@pytest.mark.parametrize('fault', ['no interpreter', 'dies', 'cannot be handed over'])
def test_a_network_is_converted_here_where_no_other_process_can(monkeypatch, caplog, fault):
    caplog.set_level(logging.DEBUG, 'emu_perception')
    network = make_network().folded()
    if fault == 'no interpreter':
        monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    elif fault == 'dies':
        monkeypatch.setattr(openvino_conversion, '_CHILD', 'raise SystemExit("out of memory")')
    else:
        network.heads.hook = lambda x: x  # A function of no module cannot be pickled.
    models = models_of(conversion(network))
    assert len(models) == 2 and 'converting in this process' in caplog.text
    if fault == 'dies':
        assert 'out of memory' in caplog.text


@pytest.mark.slow
def test_nothing_is_left_of_what_was_handed_over(monkeypatch, tmp_path):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setattr('tempfile.tempdir', None)
    seen = []
    run = subprocess.run

    def spy(arguments, **settings):
        folder = Path(arguments[-1])
        seen.append((folder.parent, folder.stat().st_mode & 0o777))
        return run(arguments, **settings)
    monkeypatch.setattr(subprocess, 'run', spy)
    models_of(conversion(make_network().folded()))
    assert seen == [(tmp_path, 0o700)] and not list(tmp_path.glob('emu_openvino_*'))


@pytest.mark.slow
# -- the next start ------------------------------------------------------------------------------
def test_a_second_start_converts_nothing_and_says_the_same(converted, folder):
    network = make_network()
    first = started(network)(picture())
    assert len(converted) == 1 and len(list(folder.iterdir())) == 1
    equal(first, started(network)(picture()))
    assert len(converted) == 1
    # A size that is not kept yet.
    wide = started(network)
    wide(picture((96, 288)))
    assert len(converted) == 2 and len(list(folder.iterdir())) == 2
    equal(wide(picture((96, 288))), started(network)(picture((96, 288))))
    assert len(converted) == 2


@pytest.mark.slow
def test_what_is_kept_is_for_the_same_network_and_calibration_alone(converted):
    network = make_network()
    metadata = make_metadata(network)
    started(network, metadata)
    for other, changes in ((make_network(), {}), (network, {'mean': (0.5, 0.5, 0.5)}),
                           (network, {'calibration': replace(metadata.calibration,
                                                             temperature=2.0)})):
        before = len(converted)
        started(other, make_metadata(other, **changes))
        assert len(converted) == before + 1
    before = len(converted)
    started(network, metadata, precision='bf16')
    torch.set_num_threads(2)
    try:
        started(network, metadata)
    finally:
        torch.set_num_threads(1)
    assert len(converted) == before + 2
    # What is no part of the graphs needs none of its own.
    started(network, make_metadata(network, calibration=replace(metadata.calibration,
                                                                variance_scale=0.7)))
    assert len(converted) == before + 2


@pytest.mark.slow
@pytest.mark.parametrize('damage', [
    lambda content: content[:-1], lambda content: content[:20], lambda content: b'',
    lambda content: content[:-3] + b'xyz'])
def test_a_damaged_file_is_made_again(converted, folder, caplog, damage):
    network = make_network()
    first = started(network)(picture())
    path, = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    equal(first, started(network)(picture()))
    assert len(converted) == 2 and 'made again' in caplog.text
    assert len(path.read_bytes()) == len(whole)


@pytest.mark.slow
def test_a_whole_file_that_openvino_does_not_take_is_made_again(converted, folder, caplog):
    network = make_network()
    first = started(network)(picture())
    path, = folder.iterdir()
    kept = read_cached(path, path.stem, '')
    write_cached(path, path.stem, kept[:8] + b'of another version', '')
    equal(first, started(network)(picture()))
    assert len(converted) == 2 and 'do not run' in caplog.text


@pytest.mark.slow
def test_kept_graphs_that_say_something_else_are_made_again(converted, folder, monkeypatch):
    """They are proven as any others: a file of the right name may hold another network's."""
    network = make_network()
    first = started(network)(picture())
    real = GraphStages.network
    monkeypatch.setattr(GraphStages, 'network', lambda stages, x: [
        values * (1.3 if stages.from_file else 1.0) for values in real(stages, x)])
    equal(first, started(network)(picture()))
    assert len(converted) == 2


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_costs_only_time(converted, folder, caplog):
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text('')
    network = make_network()
    first = started(network)(picture())
    equal(first, started(network)(picture()))
    assert len(converted) == 2 and 'cannot be written' in caplog.text


@pytest.mark.slow
def test_nobody_else_can_read_or_place_graphs(converted, folder, caplog):
    network = make_network()
    started(network)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    started(network)
    assert len(converted) == 2 and 'others can write' in caplog.text


@pytest.mark.slow
def test_the_cache_does_not_grow_without_end(converted, folder, monkeypatch):
    monkeypatch.setattr(openvino_graphs, 'KEPT_FILES', 3)
    networks = [make_network() for _ in range(4)]
    for network in networks[:3]:
        started(network)
    for number, path in enumerate(sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)):
        os.utime(path, (number, number))
    started(networks[0])  # The oldest, but used again.
    started(networks[3])
    assert len(converted) == 4 and len(list(folder.iterdir())) == 3
    started(networks[0])
    assert len(converted) == 4
    started(networks[1])
    assert len(converted) == 5


@pytest.mark.slow
def test_a_precision_that_the_cpu_does_not_have_is_not_rounded_further(caplog, monkeypatch):
    """OpenVINO would run bfloat16 where float16 was asked for."""
    network = make_network()
    maker = GraphMaker.__init__

    def without(self, *arguments):
        monkeypatch.setattr(openvino_graphs, 'import_openvino', lambda: fake)
        maker(self, *arguments)
    real = import_openvino()

    class Core:

        def __init__(self) -> None:
            self.core = real.Core()

        def get_property(self, device, name):
            found = self.core.get_property(device, name)
            return [x for x in found if x != 'FP16'] if name.startswith('OPT') else found

        def __getattr__(self, name):
            return getattr(self.core, name)

    class fake:  # noqa: N801
        __version__ = real.__version__
    fake.Core = Core
    monkeypatch.setattr(GraphMaker, '__init__', without)
    found = started(network, precision='fp16')(picture(), fx=90.0)
    assert 'no float16 arithmetic' in caplog.text
    exact = Predictor(network, make_metadata(network), device='cpu', backend='eager')(
        picture(), fx=90.0)
    assert np.allclose(found.depth_variance, exact.depth_variance, rtol=NETWORK)
