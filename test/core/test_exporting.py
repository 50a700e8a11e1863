# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An exported file says what the Predictor says, or there is none; its example runs without us."""

from __future__ import annotations

from dataclasses import replace
import json
import os
from pathlib import Path
import re
import subprocess
import sys

from core_bench import make_metadata
import cv2
from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    Intrinsics,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from emu_perception.commands import export
from emu_perception.errors import InputError
from emu_perception.exporting import beside, format_names, formats
from emu_perception.exporting.proof import proof
from emu_perception.exporting.whole_model import WholeModel
from emu_perception.model_file import default_model
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.preprocessing import network_size
from emu_perception.visualization import default_palette
import numpy as np
import pytest
import torch
from vit_cases import tiny_vit, VITS

SIZE = (96, 128)
# As the exporter asks for it: importing onnxruntime would write an identifier of this machine.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Return a small network of random weights, calibrated with constants that are not 1."""
    torch.manual_seed(0)
    network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=32,
                               context='pyramid_pooling').eval()
    with torch.no_grad():  # Depths of metres, not of nothing.
        network.heads['depth'].classifier.bias[0] += 2.0
    path = tmp_path_factory.mktemp('model') / 'small.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=SIZE, classes=tuple('abcde'), name='small',
        palette=tuple(default_palette(5)), depth_max=10.0,
        calibration=Calibration(temperature=1.3, variance_scale=1.7),
        intrinsics=Intrinsics(128, 96, 100.0, 100.0, 63.5, 47.5)))
    return path


@pytest.fixture(scope='module')
def picture(tmp_path_factory):
    """Return the path of a picture that is not of the network's size."""
    path = tmp_path_factory.mktemp('images') / 'a.png'
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (256, 192)))
    return path


def run(checkpoint, picture, out, *more):
    """Run the command."""
    return export.main(['--model', str(checkpoint), '--images', str(picture), '--out', str(out),
                        *more])


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'suffix', 'batch'), [
    ('onnx', '.onnx', 1), ('onnx', '.onnx', 2), ('onnx', '.onnx', None), ('torch', '.pt2', 1),
    ('openvino', '.xml', 1)])
def test_what_is_written_is_what_the_predictor_says_and_its_example_runs(
        checkpoint, picture, tmp_path, capsys, kind, suffix, batch):
    for package in formats.FORMATS[kind].packages:
        pytest.importorskip(package, reason=f'NOT TESTED: {package} is not installed')
    out = tmp_path / f'new/small{suffix}'
    # The name says the format.
    assert run(checkpoint, picture, out, *(('--batch', str(batch)) if batch else (
        '--any-batch',))) == 0
    assert 'proven on 1 images' in capsys.readouterr().out
    names = ['label', 'segmentation_entropy', 'confidence', 'depth', 'depth_variance',
             'score_segmentation_entropy', 'score_depth_sigma', 'score_relative_depth_sigma']
    assert json.loads(out.with_suffix('.json').read_text())['outputs'] == names
    assert json.loads(out.with_suffix('.json').read_text())['batch'] == batch
    page = out.with_suffix('.md').read_text()
    assert all(f'`{name}`' in page for name in names) and '**Proven** on 1 images' in page
    assert kind != 'onnx' or ('trtexec --onnx=small.onnx' in page) is (batch is not None)
    example = out.with_name('small_example.py')
    assert len(example.read_text().splitlines()) < 32
    assert 'emu_perception' not in example.read_text()
    # What is no focal length gave metres below zero, or 0 of them, and 'no risk'.
    for words in ([], [str(picture)], ['nothing.jpg', '200'], *(
            [str(picture), fx] for fx in ('0', '-200', 'nan', '3.9', '90000', 'far'))):
        done = subprocess.run([sys.executable, str(example), *words], cwd=tmp_path,
                              capture_output=True, text=True)
        # OpenCV has a line of its own where there is no file.
        assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
        assert 'small_example.py IMAGE FX_PIXELS' in done.stderr.splitlines()[-1]
    done = subprocess.run([sys.executable, str(example), str(picture), '200'], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0 and 'risk' in done.stdout, done.stderr
    metres = Predictor.load(checkpoint, 'cpu', backend='eager')(picture, fx=200.0)
    said = float(done.stdout.split('median depth ')[1].split()[0])
    # It prints two digits; its maps have the network's size, those here the image's.
    assert abs(said - float(np.median(metres.depth))) < 0.03


def test_where_nothing_can_be_written_is_said_in_one_line_before_the_work(
        checkpoint, picture, tmp_path, capsys):
    """The system's own words came, after the export."""
    (tmp_path / 'file').write_text('.')
    assert run(checkpoint, picture, tmp_path / 'file/emu.onnx') == 1
    line, = capsys.readouterr().err.splitlines()
    assert f'--out {tmp_path}/file/emu.onnx: {tmp_path}/file is a file, not a folder' in line


@pytest.mark.parametrize(('words', 'said'), [
    (['--out', 'there.onnx'], 'is there already'), (['--out', 'no_name'], '.onnx, .xml, .pt2'),
    (['--out', 'a.onnx', '--format', 'torch'], 'ends in .pt2'),
    (['--out', 'a.trt'], 'tensorrt is not written'),
    (['--out', 'a.onnx', '--size', '100x128'], '--size')])
def test_what_the_line_says_is_judged_before_torch_is_imported(tmp_path, words, said):
    """It took seconds, and a machine that has torch, to say that a file is there."""
    (tmp_path / 'there.onnx').touch()
    done = subprocess.run(
        [sys.executable, '-c', 'import sys; sys.modules["torch"] = None; sys.path.insert(0, '
         f'{str(Path(export.__file__).parents[2])!r}); from emu_perception.commands.export import '
         f'main; sys.exit(main({words!r}))'], cwd=tmp_path, capture_output=True, text=True)
    line, = done.stderr.splitlines()
    assert done.returncode == 1 and said in line, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(('change', 'said', 'page'), [
    ({'tasks': ['segmentation']}, 'classes', None),
    ({'tasks': ['depth']}, 'median depth', '**Metres.**'),
    ({'intrinsics': None}, 'RISK: no metres', '**No metres.**')])
def test_an_example_runs_for_one_task_and_says_where_there_are_no_metres(
        checkpoint, picture, tmp_path, change, said, page):
    for package in formats.FORMATS['onnx'].packages:
        pytest.importorskip(package, reason=f'NOT TESTED: {package} is not installed')
    metadata = load_checkpoint(checkpoint)[1]
    tasks = change.get('tasks', ['segmentation', 'depth'])
    network = MultitaskNetwork('mobilenetv3_small_050', tasks, num_classes=5, head_dim=32).eval()
    labels = 'segmentation' in tasks
    path = tmp_path / 'one.safetensors'
    save_checkpoint(path, network, replace(
        metadata, architecture=network.arguments, calibration=Calibration(),
        classes=metadata.classes if labels else (), palette=metadata.palette if labels else (),
        intrinsics=change.get('intrinsics', metadata.intrinsics)))
    out = tmp_path / 'one.onnx'
    assert run(path, picture, out) == 0
    done = subprocess.run([sys.executable, 'one_example.py', str(picture), '200'], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0 and said in done.stdout, done.stderr
    assert ('classes' in done.stdout) is labels
    assert ('no risk' in done.stdout) is ('intrinsics' not in change), 'one word on the flag'
    assert ('median depth' in done.stdout) is ('depth' in tasks and 'intrinsics' not in change)
    text = out.with_suffix('.md').read_text()
    assert page in text if page else 'etres.**' not in text
    assert 'None' not in text


def test_each_format_has_its_suffix_its_example_and_its_words():
    assert (format_names.SUFFIXES.keys() == beside._RUNS.keys() == beside._OF_RUNTIMES.keys()
            == formats.FORMATS.keys())


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'seen', 'expected'), [
    ('onnx', "os.environ['ORT_DISABLE_TELEMETRY']", '1'),
    ('openvino', "__import__('openvino.tools.ovc.telemetry_utils').tools.ovc.telemetry_utils.tm."
     '__name__', 'openvino.tools.ovc.telemetry_stub')])
def test_an_example_lets_its_runtime_report_to_nobody(kind, seen, expected):
    """In a process of its own, as a user starts it: the runtime is imported there and then."""
    for package in formats.FORMATS[kind].packages:
        pytest.importorskip(package, reason=f'NOT TESTED: {package} is not installed')
    text = beside.example('small', kind, {'outputs': ['label']})
    imports = 'import sys\n' + text.split('it takes seconds.\n')[1].split('about = ')[0]
    said, imported = imports.index('TELEMETRY' if kind == 'onnx' else 'telemetry'), imports.index(
        f'import {formats.FORMATS[kind].packages[-1]}')
    assert said < imported
    environment = {name: value for name, value in os.environ.items()
                   if name != 'ORT_DISABLE_TELEMETRY'}
    done = subprocess.run([sys.executable, '-c', f'{imports}\nprint({seen})'], text=True,
                          capture_output=True, env=environment)
    assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize('name', ['a.engine', 'a.plan', 'a.onnx'])
def test_a_tensorrt_engine_is_refused_with_what_builds_one(checkpoint, picture, tmp_path, capsys,
                                                           name):
    words = ['--format', 'tensorrt'] if name == 'a.onnx' else []
    assert run(checkpoint, picture, tmp_path / name, *words) == 1
    line, = capsys.readouterr().err.splitlines()
    assert 'tensorrt is not written' in line and 'trtexec' in line and '--out NAME.onnx' in line
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['onnx', 'torch', 'openvino'])
@pytest.mark.parametrize('encoder', VITS)
def test_a_vision_transformer_is_proven_in_every_format(encoder, kind, picture, tmp_path, capsys):
    for package in formats.FORMATS[kind].packages:
        pytest.importorskip(package, reason=f'NOT TESTED: {package} is not installed')
    network = tiny_vit(encoder)
    save_checkpoint(tmp_path / 'vit.safetensors', network, make_metadata(network))
    suffix = {'onnx': '.onnx', 'torch': '.pt2', 'openvino': '.xml'}[kind]
    assert run(tmp_path / 'vit.safetensors', picture, tmp_path / f'out/vit{suffix}') == 0
    assert 'proven on 1 images' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['onnx', 'torch', 'openvino'])
def test_a_head_of_logarithms_is_proven_in_every_format(kind, picture, tmp_path, capsys):
    for package in formats.FORMATS[kind].packages:
        pytest.importorskip(package, reason=f'NOT TESTED: {package} is not installed')
    network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=32,
                               depth_output='log').eval()
    network.initialize_depth(3.0, 0.5)
    save_checkpoint(tmp_path / 'log.safetensors', network, make_metadata(network))
    suffix = {'onnx': '.onnx', 'torch': '.pt2', 'openvino': '.xml'}[kind]
    assert run(tmp_path / 'log.safetensors', picture, tmp_path / f'out/log{suffix}') == 0
    assert 'proven on 1 images' in capsys.readouterr().out


@pytest.mark.slow
def test_fitted_scores_and_the_range_are_in_the_module():
    predictor = Predictor.load(device='cpu', backend='eager')
    network, metadata = load_checkpoint(default_model())
    size = metadata.input_size
    model = WholeModel(network, metadata, size).eval()
    assert {'score_unfamiliarity', 'score_predicted_failure'} <= {*model.names}

    def eager(batch):
        with torch.no_grad():
            return [values.numpy() for values in model(torch.from_numpy(batch))]
    noise = np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8)
    found = proof(eager, model, predictor, [cv2.resize(noise, (640, 480))], size, 2, 1e-4)
    assert found.images == 1 and {'segmentation_entropy', 'score_segmentation_entropy',
                                  'score_predicted_failure'} <= found.largest.keys()


@pytest.mark.parametrize(('name', 'change'), [
    ('depth', lambda x: x + 0.01), ('segmentation_entropy', lambda x: x * np.float32('nan')),
    ('score_depth_sigma', lambda x: x * 1.01), ('label', lambda x: (x + 1) % 5),
    ('depth_variance', lambda x: x[:, :-1])])
def test_an_export_that_is_off_is_refused_and_says_where(checkpoint, picture, name, change):
    network, metadata = load_checkpoint(checkpoint)
    model = WholeModel(network, metadata, SIZE).eval()

    def spoiled(batch):
        with torch.no_grad():
            found = [values.numpy() for values in model(torch.from_numpy(batch))]
        index = model.names.index(name)
        found[index] = change(found[index])
        return found
    predictor = Predictor.load(checkpoint, 'cpu', backend='eager')
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    with pytest.raises(InputError, match=f'{name} of image 0'):
        proof(spoiled, model, predictor, [image], SIZE, 1, 1e-4)


def test_a_refused_file_is_removed_again(checkpoint, picture, tmp_path, monkeypatch, capsys):
    pytest.importorskip('onnx', reason='NOT TESTED: onnx is not installed')
    pytest.importorskip('onnxruntime', reason='NOT TESTED: onnxruntime is not installed')

    def refused(*arguments):
        raise InputError('depth of image 0 is off')
    monkeypatch.setattr('emu_perception.exporting.proof.proof', refused)
    assert run(checkpoint, picture, tmp_path / 'a.onnx') == 1
    assert 'is off' in capsys.readouterr().err and not [*tmp_path.iterdir()]


@pytest.mark.parametrize('error', [InputError('depth of image 0 is off'), KeyboardInterrupt()])
def test_an_export_that_comes_to_nothing_leaves_the_one_of_before(
        checkpoint, picture, tmp_path, monkeypatch, error):
    """With --force the proven file of before was gone, and its NAME.json described none."""
    def written(row, model, example, out, **ignored):
        out.write_bytes(b'not proven')
        raise error
    monkeypatch.setattr('emu_perception.exporting.formats.written', written)
    before = {'a.pt2': 'proven', 'a.json': '{}', 'a.md': 'page', 'a_example.py': 'pass'}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    assert run(checkpoint, picture, tmp_path / 'a.pt2', '--force') in (1, 130)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(('name', 'kind'), [
    ('a.md', '.pt2'), ('a.json', '.pt2'), ('a_example.py', '.pt2'), ('a.bin', '.xml')])
def test_what_lies_beside_the_file_is_not_replaced_unasked(checkpoint, picture, tmp_path, capsys,
                                                           monkeypatch, name, kind):
    """The model card of a checkpoint of the same name was: of the default model's too."""
    monkeypatch.setattr(formats, 'find_spec', lambda name: 'there')
    (tmp_path / name).write_text('mine')
    assert run(checkpoint, picture, tmp_path / f'a{kind}') == 1
    line, = capsys.readouterr().err.splitlines()
    assert f'a{kind}: {tmp_path / name} is there already' in line and '--force' in line
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_was_cut_short_before_its_proof_is_removed_again(checkpoint, picture, tmp_path,
                                                              monkeypatch, capsys):
    def written(row, model, example, out, **ignored):
        out.write_bytes(b'not proven')
        raise KeyboardInterrupt
    monkeypatch.setattr('emu_perception.exporting.formats.written', written)
    assert run(checkpoint, picture, tmp_path / 'a.pt2') == 130
    assert capsys.readouterr().err.endswith('interrupted\n') and not [*tmp_path.iterdir()]


def test_a_number_of_images_is_given_or_left_open_but_not_both(checkpoint, picture, tmp_path,
                                                               capsys):
    with pytest.raises(SystemExit):
        run(checkpoint, picture, tmp_path / 'a.onnx', '--batch', '3', '--any-batch')
    assert 'not allowed with' in capsys.readouterr().err


@pytest.mark.parametrize(('more', 'words'), [
    (['--size', '100x128'], '--size'), (['--out', 'a.txt'], '.onnx'),
    (['--images', '/no/such'], '/no/such'), (['--model', '/no/such'], '/no/such')])
def test_what_cannot_be_exported_is_one_line(checkpoint, picture, tmp_path, capsys, monkeypatch,
                                             more, words):
    monkeypatch.setattr(formats, 'find_spec', lambda name: 'there')  # onnx comes into none of it
    assert run(checkpoint, picture, tmp_path / 'a.onnx', *more) == 1
    line, = capsys.readouterr().err.splitlines()
    assert words in line and not (tmp_path / 'a.onnx').exists()


def test_a_size_that_the_predictor_would_not_run_is_refused_before_the_work(
        checkpoint, picture, tmp_path, capsys, monkeypatch):
    """It was after the file was written, with a size of Python's brackets."""
    monkeypatch.setattr(formats, 'find_spec', lambda name: 'there')
    assert run(checkpoint, picture, tmp_path / 'a.onnx', '--size', '1024x1024') == 1
    line, = capsys.readouterr().err.splitlines()
    assert re.search(r'--size is 1024x1024: the Predictor runs such images at \d+x\d+: give', line)


def test_sizes_that_are_shown_are_some_that_the_default_model_takes():
    """The page went on naming the size of the default model before."""
    trained = read_metadata(default_model()).input_size
    page = Path(export.__file__).parents[2].joinpath('docs/export.md').read_text()
    shown = re.findall(r'--size (\d+)x(\d+)', page + str(export.__doc__))
    assert len(shown) >= 2
    for size in ((int(height), int(width)) for height, width in shown):
        assert network_size(size, trained) == size


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(formats, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"package onnx.*'\.\[export\]'"):
        formats.need('onnx')


def test_a_file_that_is_there_is_not_replaced_unasked(checkpoint, picture, tmp_path, capsys,
                                                      monkeypatch):
    monkeypatch.setattr(formats, 'find_spec', lambda name: 'there')
    (tmp_path / 'a.onnx').write_text('mine')
    assert run(checkpoint, picture, tmp_path / 'a.onnx') == 1
    assert '--force' in capsys.readouterr().err
    assert (tmp_path / 'a.onnx').read_text() == 'mine'


@pytest.mark.slow
@pytest.mark.parametrize('encoder', ['resnet18', 'efficientnet_lite0'])
def test_one_file_answers_any_number_of_images_each_as_the_predictor(encoder, tmp_path):
    """With the fitted scores of the default model, and without."""
    onnxruntime = pytest.importorskip('onnxruntime', reason='NOT TESTED: no onnxruntime')
    pytest.importorskip('onnx', reason='NOT TESTED: onnx is not installed')
    if encoder == 'resnet18':
        torch.manual_seed(0)
        network, size = MultitaskNetwork(encoder, num_classes=5, head_dim=16).eval(), (64, 96)
        metadata = CheckpointMetadata(
            architecture=network.arguments, input_size=size, classes=tuple('abcde'),
            palette=tuple(default_palette(5)), depth_max=10.0)
    else:
        network, metadata = load_checkpoint(default_model())
        size = metadata.input_size
    path = tmp_path / 'any.onnx'
    model = WholeModel(network, metadata, size)
    row = formats.FORMATS['onnx']
    runs = formats.written(row, model, torch.zeros(1, *size, 3, dtype=torch.uint8), path,
                           any_batch=True)
    # The photograph beside the default model: its left half is a room.
    whole = cv2.cvtColor(cv2.imread(str(default_model().with_name('emu_default_demo.jpg'))),
                         cv2.COLOR_BGR2RGB)
    images = [whole[:300, :400], whole[100:400, 200:600]]
    predictor = Predictor(network, metadata, device='cpu', precision='fp32', backend='eager')
    for batch in (1, 3):
        assert proof(runs, model, predictor, images, size, batch, row.bound).images == 2
    inputs, = onnxruntime.InferenceSession(str(path)).get_inputs()
    assert inputs.shape == ['batch', *size, 3]


def test_a_runtime_that_fails_refuses_the_export(checkpoint, picture):
    network, metadata = load_checkpoint(checkpoint)
    model = WholeModel(network, metadata, SIZE).eval()

    def fails(batch):
        raise LookupError('cannot be reshaped')  # As of attention whose batch became a constant.
    predictor = Predictor.load(checkpoint, 'cpu', backend='eager')
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    with pytest.raises(InputError, match='batch of 3 nothing is answered, this export is refused'):
        proof(fails, model, predictor, [image], SIZE, 3, 1e-4)


def test_a_format_without_an_open_batch_says_which_has_one(checkpoint, picture, tmp_path, capsys):
    assert run(checkpoint, picture, tmp_path / 'a.pt2', '--any-batch') == 1
    assert '.onnx' in capsys.readouterr().err and not [*tmp_path.iterdir()]
