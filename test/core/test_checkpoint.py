# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint describes itself, comes back as it was, or gives one clear line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
import json
import math
from pathlib import Path
import pickle
import pickletools
from typing import Any

from core_bench import CLASSES, make_metadata, make_network
from emu_perception import __version__
from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    FORMAT_VERSION,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from emu_perception.checkpoint import (
    writing as module,
)
from emu_perception.errors import CheckpointError
from emu_perception.networks.families import build_network
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.risk import RiskThresholds
from emu_perception.risk_status import resolve_thresholds
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import torch


def document_of(path: Path) -> dict[str, Any]:
    """Return the JSON document of a checkpoint."""
    with safe_open(path, 'pt') as file:
        return json.loads(file.metadata()['emu_perception'])


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any] | None = None,
            tensors: Callable[[dict[str, torch.Tensor]], Any] | None = None,
            text: str | None = None) -> None:
    """Write a checkpoint again with another document, other tensors or another text."""
    document, weights = document_of(path), load_file(path)
    if change is not None:
        changed = change(document)
        document = document if changed is None else changed
    if tensors is not None:
        tensors(weights)
    save_file(weights, path, metadata={
        'emu_perception': json.dumps(document) if text is None else text})


def one_line(path: Path, *parts: str,
             read: Callable[[Path], Any] = load_checkpoint) -> str:
    """Check that reading gives one line with the file's name and all of ``parts``."""
    with pytest.raises(CheckpointError) as caught:
        read(path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1 and len(text.replace(str(path), '')) < 400, text
    for part in (str(path), *parts):
        assert part in text
    return text


# -- what goes in comes out ---------------------------------------------------------------------
def test_network_and_document_come_back_as_they_were(checkpoint, network, metadata):
    loaded, found = load_checkpoint(checkpoint)
    assert found == read_metadata(checkpoint) == metadata
    assert not loaded.training and loaded.arguments == network.arguments
    assert loaded.state_dict().keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for task, raw in network(images).items():
            assert torch.equal(loaded(images)[task], raw)


@pytest.mark.slow
@pytest.mark.parametrize('tasks', [('segmentation',), ('depth',), ('depth', 'segmentation')])
@pytest.mark.parametrize(('encoder', 'arguments'), [
    ('resnet18', {}), ('mit_b0', {'encoder_arguments': {'norm_eps': 1e-5}}),
    ('tf_efficientnet_lite0', {'context': 'pyramid_pooling', 'head_dropout': 0.3}),
    ('resnet18', {'context': 'transformer'})])
def test_every_architecture_comes_back(tmp_path, tasks, encoder, arguments):
    network = make_network(encoder, tasks, **arguments)
    save_checkpoint(tmp_path / 'a.safetensors', network, make_metadata(network))
    loaded, metadata = load_checkpoint(tmp_path / 'a.safetensors')
    assert loaded.arguments == network.arguments
    assert metadata.tasks == loaded.tasks == tasks
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for task in tasks:
            assert torch.equal(loaded(images)[task], network(images)[task])


def test_unlimited_depth_and_missing_knowledge_come_back(tmp_path, network):
    metadata = make_metadata(network, depth_max=math.inf, intrinsics=None,
                             calibration=Calibration())
    save_checkpoint(tmp_path / 'a.safetensors', network, metadata)
    assert read_metadata(tmp_path / 'a.safetensors') == metadata
    assert 'Infinity' not in json.dumps(document_of(tmp_path / 'a.safetensors'))


def test_metrics_may_be_numpys_numbers_and_not_finite(tmp_path, network):
    metadata = make_metadata(network, metrics={
        'a': np.float32(0.5), 'b': np.int64(3), 'c': math.nan, 'd': (1, [np.float64('inf')])})
    save_checkpoint(tmp_path / 'a.safetensors', network, metadata)
    assert read_metadata(tmp_path / 'a.safetensors').metrics == {
        'a': 0.5, 'b': 3, 'c': None, 'd': [1, [None]]}


def test_half_weights_are_half_the_size_and_load_as_float32(tmp_path, network, metadata):
    for name, half in (('full', False), ('half', True)):
        save_checkpoint(tmp_path / name, network, metadata, half=half)
    size = {name: (tmp_path / name).stat().st_size for name in ('full', 'half')}
    assert size['half'] < 0.6 * size['full']
    loaded, _ = load_checkpoint(tmp_path / 'half')
    for name, tensor in network.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == tensor.dtype
        assert torch.allclose(found.double(), tensor.double(), rtol=1e-3, atol=1e-6), name


def test_half_weights_keep_what_float16_cannot_hold(tmp_path, network, metadata):
    with torch.no_grad():
        network.heads['depth'].norm.running_var.fill_(1e-9)
        network.heads['depth'].norm.running_mean.fill_(1e6)
        network.heads['depth'].fuse.weight.fill_(7e4)
    save_checkpoint(tmp_path / 'a.safetensors', network, metadata, half=True)
    head = load_checkpoint(tmp_path / 'a.safetensors')[0].heads['depth']
    assert torch.equal(head.norm.running_var, network.heads['depth'].norm.running_var)
    assert torch.equal(head.norm.running_mean, network.heads['depth'].norm.running_mean)
    assert torch.equal(head.fuse.weight, network.heads['depth'].fuse.weight)


def test_nothing_in_the_file_is_pickled(checkpoint, monkeypatch):
    def unpickle(*_: Any, **__: Any) -> None:
        raise AssertionError('something was unpickled')
    for owner, name in ((pickle, 'load'), (pickle, 'loads'), (pickle, 'Unpickler'),
                        (torch, 'load')):
        monkeypatch.setattr(owner, name, unpickle)
    load_checkpoint(checkpoint)
    header = checkpoint.read_bytes()[:8 + int.from_bytes(checkpoint.read_bytes()[:8], 'little')]
    assert header[8:9] == b'{'
    with pytest.raises(ValueError):
        pickletools.dis(header[8:], out=open('/dev/null', 'w'))


# -- saving -------------------------------------------------------------------------------------
def test_an_interrupted_save_leaves_the_old_file_and_no_scraps(checkpoint, network, metadata,
                                                               monkeypatch):
    before = checkpoint.read_bytes()

    def write_half(tensors: Any, path: Path, **_: Any) -> None:
        Path(path).write_bytes(before[:1000])
        raise KeyboardInterrupt
    monkeypatch.setattr(module, 'save_file', write_half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(checkpoint, network, replace(metadata, name='newer'))
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_full_disk_is_one_clear_line_and_leaves_the_old_file(checkpoint, network, metadata,
                                                               monkeypatch):
    before = checkpoint.read_bytes()

    def write(*_: Any, **__: Any) -> None:
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(module, 'save_file', write)
    one_line(checkpoint, 'No space left',
             read=lambda path: save_checkpoint(path, network, metadata))
    assert checkpoint.read_bytes() == before


def test_the_old_file_is_replaced_in_one_step_or_not_at_all(checkpoint, network, metadata,
                                                            monkeypatch):
    before = checkpoint.read_bytes()

    def refuse(*_: Any) -> None:
        raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr('emu_perception.whole_files.os.replace', refuse)
    one_line(checkpoint, 'Permission denied', read=lambda path: save_checkpoint(
        path, network, replace(metadata, name='newer')))
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_file_that_may_not_be_read_is_not_called_missing(checkpoint, monkeypatch):
    """Safetensors says 'No such file' of both, and one looks for what is there."""
    def refuse(path: Path, *_: Any) -> None:
        raise PermissionError(13, 'Permission denied', str(path))
    monkeypatch.setattr(Path, 'open', refuse)
    one_line(checkpoint, 'cannot be read (Permission denied)')


def test_a_new_file_replaces_the_old_one(checkpoint, network, metadata):
    save_checkpoint(checkpoint, network, replace(metadata, name='newer'))
    assert read_metadata(checkpoint).name == 'newer'
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


@pytest.mark.parametrize(('changes', 'field'), [
    ({'classes': ('one',)}, 'classes'), ({'palette': ((1, 2, 3),)}, 'palette'),
    ({'input_size': (100, 128)}, 'input_size'), ({'depth_min': 20.0}, 'depth_min'),
    ({'calibration': Calibration(temperature=math.nan)}, 'calibration'),
    ({'calibration': Calibration(scores={'depth_sigma': FittedThreshold(-1.0)})}, 'calibration'),
    ({'std': (0.1, 0.0, 0.1)}, 'std'), ({'provenance': {'recipe': Path('/x')}}, 'provenance')])
def test_a_document_that_could_not_be_read_back_is_refused_before_the_file_exists(
        tmp_path, network, changes, field):
    path = tmp_path / 'a.safetensors'
    one_line(path, field, read=lambda _: save_checkpoint(
        path, network, make_metadata(network, **changes)))
    assert not list(tmp_path.iterdir())


def test_a_diverged_network_does_not_replace_a_good_file(checkpoint, network, metadata):
    before = checkpoint.read_bytes()
    with torch.no_grad():
        network.heads['depth'].fuse.weight[0, 0] = math.nan
    one_line(checkpoint, 'heads.depth.fuse.weight', 'not finite',
             read=lambda path: save_checkpoint(path, network, metadata))
    assert checkpoint.read_bytes() == before


# -- files that are no checkpoint ----------------------------------------------------------------
def test_a_file_truncated_anywhere_is_one_clear_line(checkpoint, tmp_path):
    whole = checkpoint.read_bytes()
    header = 8 + int.from_bytes(whole[:8], 'little')
    lengths = {0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(whole) // 3,
               len(whole) // 2, len(whole) - 4, len(whole) - 1}
    path = tmp_path / 'cut.safetensors'
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        for read in (load_checkpoint, read_metadata):
            one_line(path, 'truncated', f'{length} bytes', read=read)


def test_a_file_with_a_tail_is_refused(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes() + b'tail')
    one_line(checkpoint)


@pytest.mark.parametrize('content', [
    b'hello\nworld\n' * 20, b'\x80\x04\x95' + b'\0' * 100, b'\xff' * 64, b'PK\x03\x04' * 30])
def test_a_file_of_another_kind_is_one_clear_line(tmp_path, content):
    (tmp_path / 'a.safetensors').write_bytes(content)
    one_line(tmp_path / 'a.safetensors', 'header')


def test_a_missing_file_or_a_folder_is_said(tmp_path):
    one_line(tmp_path / 'absent.safetensors', 'no such checkpoint')
    one_line(tmp_path, 'is a folder')
    one_line(tmp_path / ('x' * 300), 'cannot be read')
    one_line(Path('a\0b'), 'cannot be read', read=lambda _: load_checkpoint('a\0b'))


def test_safetensors_of_others_are_told_from_a_checkpoint(tmp_path):
    path = tmp_path / 'a.safetensors'
    save_file({'w': torch.zeros(2)}, path)
    one_line(path, "field 'emu_perception'", 'missing')
    save_file({'w': torch.zeros(2)}, path, metadata={'format': 'pt'})
    one_line(path, "field 'emu_perception'", 'missing')


@pytest.mark.parametrize('text', ['', '{', '[1, 2]', '5', 'null', '"x"', '[' * 100_000,
                                  '{"format_version": 1}\n{}'])
def test_a_document_that_is_no_json_object_is_one_clear_line(checkpoint, text):
    rewrite(checkpoint, text=text)
    one_line(checkpoint, 'emu_perception')


# -- checkpoints with something wrong in them ----------------------------------------------------
@pytest.mark.parametrize('version', [0, 3, '1', None, [1], 1e400])
def test_another_format_version_is_named_with_ours(checkpoint, version):
    rewrite(checkpoint, lambda document: document.update(format_version=version))
    one_line(checkpoint, 'format_version', str(version), f'reads 1 and {FORMAT_VERSION}')


def test_a_document_without_version_is_refused(checkpoint):
    rewrite(checkpoint, lambda document: document.pop('format_version') and None)
    one_line(checkpoint, 'format_version')


def test_an_unknown_field_is_named(checkpoint):
    rewrite(checkpoint, lambda document: document.update(novelty=1))
    one_line(checkpoint, "field 'novelty'", read=read_metadata)


@pytest.mark.parametrize('field', ['architecture', 'input_size'])
def test_a_missing_field_is_named(checkpoint, field):
    rewrite(checkpoint, lambda document: document.pop(field) and None)
    one_line(checkpoint, f"field '{field}'", 'missing')


@pytest.mark.slow
@pytest.mark.parametrize(('field', 'values'), [
    ('input_size', ['ab', 5, None, [96], [96, 128, 3], ['x', 'y'], [100, 128], [0, 0], [-32, 32],
                    [1e400, 96], [math.nan, 96], [10**9, 32], {}, [[96], [128]]]),
    ('classes', [5, None, 'abcde', ['one'], [], {'a': 1}, [1, 2, 3, 4, 5]]),
    ('palette', [5, None, 'ab', [[1, 2, 3]], [[1, 2]] * CLASSES, [[0, 0, 256]] * CLASSES,
                 [[0, 0, -1]] * CLASSES, [['a', 'b', 'c']] * CLASSES, [5] * CLASSES]),
    ('ignore_index', ['x', None, [], 1e400]),
    ('mean', [5, None, 'abc', [0.1, 0.2], [0.1, 0.2, 'x'], [0.1, 0.2, math.nan]]),
    ('std', [5, None, [0.1, 0.2], [0.1, 0.2, 0.0], [0.1, 0.2, -0.1], [0.1, 0.2, math.nan],
             [math.inf, 1, 1]]),
    ('depth_min', ['x', None, [], -1.0, 20.0, math.nan, math.inf]),
    ('depth_max', ['x', [], 0.0, -1.0, math.nan]),
    ('intrinsics', [5, 'x', [1, 2], {}, {'fx': 1.0}, *[
        {'width': 640, 'height': 480, 'fx': 500.0, 'fy': 500.0, 'cx': 320.0, 'cy': 240.0,
         **change} for change in ({'fx': 0.0}, {'fx': -5.0}, {'fx': 'x'}, {'fx': None},
                                  {'fx': math.nan}, {'fx': 1e400}, {'width': 0},
                                  {'width': 'wide'}, {'cx': []}, {'skew': 0.0})]]),
    ('calibration', [5, None, 'x', [1.0], {'temperature': 0.0}, {'temperature': -1.0},
                     {'temperature': 'hot'}, {'temperature': None}, {'temperature': math.nan},
                     {'variance_scale': None}, {'variance_scale': 1e400}, {'variance_scale': []},
                     {'no_such_field': 1.0}, {'risk_depth': 1.0}, {'scores': 5},
                     {'scores': {'depth_sigma': 0.4}}, {'scores': {'depth_sigma': {}}}, *[
        {'scores': {'depth_sigma': {'threshold': 0.4, **change}}} for change in (
            {'threshold': 0.0}, {'threshold': math.inf}, {'threshold': 10**400},
            {'threshold': 'x'}, {'threshold': None}, {'percentile': 101.0}, {'percentile': 0.0},
            {'fitted_on': 'val'}, {'no_such_field': 1.0})]]),
    ('statistics', [5, None, {'a': 5}, {'a': 'x'}, {'a': [0]}, {'a': [-1]}, {'a': [1.5]}]),
    ('provenance', [5, 'x', None, [['a', 1]]]),
    ('metrics', [5, 'x', None, []])])
def test_a_field_with_a_wrong_value_is_named(checkpoint, field, values):
    for value in values:
        rewrite(checkpoint, lambda document, v=value: document.update({field: v}))
        for read in (read_metadata, load_checkpoint):
            text = one_line(checkpoint, read=read)
            # The two ends of the depth range are named together.
            assert f"field '{field}'" in text or field.startswith('depth') and field in text


@pytest.mark.slow
@pytest.mark.parametrize('change', [
    {'tasks': 5}, {'tasks': None}, {'tasks': []}, {'tasks': 'depth'}, {'tasks': ['x']},
    {'tasks': [['depth']]}, {'tasks': [{}]}, {'tasks': {'depth': 1}},
    {'tasks': ['depth', 'depth']}, {'head_dim': 'x'}, {'head_dim': None}, {'head_dim': -1},
    {'head_dim': 1.5}, {'head_dim': 10**12}, {'head_dim': 10**30}, {'head_dim': []},
    {'head_dropout': 'x'}, {'head_dropout': 7}, {'head_dropout': None},
    {'num_classes': None}, {'num_classes': 'x'},
    {'num_classes': 0}, {'num_classes': 300}, {'num_classes': 5.0}, {'num_classes': [5]},
    {'context': 'aspp'}, {'context': []}, {'context': 5}, {'encoder': 5}, {'encoder': None},
    {'encoder': ''}, {'encoder': 'no_such\nencoder'}, {'encoder': 'vit_tiny_patch16_224'},
    {'encoder': 'hf-hub:someone/something'}, {'encoder': '/etc/passwd'},
    {'encoder': ['mit_b0']}, {'encoder_arguments': 5}, {'encoder_arguments': 'ab'},
    {'encoder_arguments': [1]}, {'encoder_arguments': {'pretrained': True}},
    {'encoder_arguments': {'checkpoint_path': '/etc/passwd'}},
    {'encoder_arguments': {'features_only': False}}, {'encoder_arguments': {'depths': 'x'}},
    {'encoder_arguments': {'drop_rate': 'x'}}, {'encoder_arguments': {'norm_eps': []}},
    {'encoder_arguments': {'out_indices': [0]}}, {'encoder_arguments': {'in_chans': 1}},
    {'no_such_argument': 1}],
    ids=str)
def test_a_malformed_architecture_is_one_clear_line_and_never_another_error(checkpoint, change):
    rewrite(checkpoint, lambda document: document['architecture'].update(change))
    text = one_line(checkpoint)
    assert 'architecture' in text


def test_an_architecture_of_a_later_version_is_said_so(checkpoint):
    """It was Python's: __init__() got an unexpected keyword argument."""
    rewrite(checkpoint, lambda document: document['architecture'].update(quantum=1))
    one_line(checkpoint, "field 'architecture': 'quantum' is not known here: install the version")
    rewrite(checkpoint, lambda document: document['architecture'].update(family='newer'))
    one_line(checkpoint, "field 'architecture' cannot be used: family is 'newer': give all_mlp")


@pytest.mark.parametrize('architecture', [5, None, 'x', [], {}, {'encoder': 'mit_b0'},
                                          {'tasks': ['depth']}])
def test_an_architecture_that_is_not_whole_is_one_clear_line(checkpoint, architecture):
    rewrite(checkpoint, lambda document: document.update(architecture=architecture))
    one_line(checkpoint, 'architecture')


def test_a_class_count_that_differs_from_the_names_is_named(checkpoint):
    rewrite(checkpoint, lambda document: document['architecture'].update(num_classes=CLASSES + 1))
    one_line(checkpoint, "field 'classes'", str(CLASSES), str(CLASSES + 1))


def test_a_missing_tensor_is_named(checkpoint):
    rewrite(checkpoint, tensors=lambda weights: weights.pop('heads.depth.fuse.weight'))
    one_line(checkpoint, "lacks tensor 'heads.depth.fuse.weight'")


def test_a_tensor_too_many_is_named(checkpoint):
    rewrite(checkpoint, tensors=lambda weights: weights.update(surplus=torch.zeros(3)))
    one_line(checkpoint, "has tensor 'surplus'")


def test_tensors_of_another_architecture_are_refused(checkpoint):
    rewrite(checkpoint, lambda document: document['architecture'].update(encoder='mit_b1'))
    one_line(checkpoint, "'architecture'")


@pytest.mark.parametrize('shape', [(3,), (2, 16, 1), (2, 16, 1, 2)])
def test_a_tensor_of_another_shape_is_named_with_both(checkpoint, shape):
    name = 'heads.depth.classifier.weight'
    rewrite(checkpoint, tensors=lambda weights: weights.update({name: torch.zeros(shape)}))
    one_line(checkpoint, name, str(list(shape)), '[2, 16, 1, 1]')


def test_a_tensor_of_another_kind_of_number_is_named(checkpoint):
    name = 'heads.depth.classifier.bias'
    rewrite(checkpoint, tensors=lambda weights: weights.update(
        {name: torch.zeros(2, dtype=torch.int64)}))
    one_line(checkpoint, name, 'int64', 'float32')


@pytest.mark.parametrize('bad', [torch.tensor([math.nan, 0]), torch.tensor([0, -math.inf]),
                                 torch.tensor([1e300, 0], dtype=torch.float64),
                                 torch.tensor([math.nan, 0]).to(torch.float8_e5m2)])
def test_weights_that_are_not_finite_are_named(checkpoint, bad):
    name = 'heads.depth.classifier.bias'
    rewrite(checkpoint, tensors=lambda weights: weights.update({name: bad}))
    one_line(checkpoint, name, 'not finite')


def test_a_checkpoint_never_makes_timm_fetch_or_read_anything(checkpoint, monkeypatch):
    import urllib.request

    def fetch(*_: Any, **__: Any) -> None:
        raise AssertionError('something was fetched')
    monkeypatch.setattr(urllib.request, 'urlopen', fetch)
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', fetch)
    monkeypatch.setattr(torch, 'load', fetch)
    load_checkpoint(checkpoint)


def test_the_document_covers_what_the_design_asks_for(checkpoint):
    document = document_of(checkpoint)
    assert document.keys() == {'format_version', *asdict(read_metadata(checkpoint))}
    assert document.keys() >= {
        'format_version', 'architecture', 'classes', 'palette', 'ignore_index', 'mean', 'std',
        'input_size', 'depth_min', 'depth_max', 'calibration', 'provenance', 'intrinsics',
        'metrics'}
    assert document['calibration'] == {
        'temperature': 1.3, 'variance_scale': 0.8, 'scores': {
            'segmentation_entropy': {'threshold': 0.9, 'percentile': 95.0,
                                     'fitted_on': {'data_set': 'made up'}},
            'depth_sigma': {'threshold': 0.4, 'percentile': 95.0,
                            'fitted_on': {'data_set': 'made up'}}}}


@pytest.mark.parametrize(('field', 'value', 'words'), [
    ('intrinsics', {'width': 640, 'fx': 500.0}, 'give height, fy, cx, cy too'),
    ('std', [0.1, 0.2], 'give 3 of them, each a number above 0'),
    ('mean', None, 'give a list, each a number'), ('input_size', [96, 128, 3], 'give 2 of them')])
def test_a_field_of_which_a_part_is_missing_says_what_to_give(checkpoint, field, value, words):
    """Python's own words came: 'too many values to unpack', 'Intrinsics.__init__() missing'."""
    rewrite(checkpoint, lambda document: document.update({field: value}))
    one_line(checkpoint, f"field '{field}'", words, read=read_metadata)


@pytest.mark.parametrize('recipe', ['robot', 5, ['a'], None, {'method': ['mc_dropout']}])
def test_a_recipe_that_somebody_else_wrote_down_keeps_no_network_from_running(checkpoint, recipe):
    """Provenance is for people: a name in place of the recipe ended in an AttributeError."""
    rewrite(checkpoint, lambda document: document['provenance'].update(recipe=recipe))
    assert Predictor.load(checkpoint, 'cpu', backend='eager').metadata.provenance[
        'recipe'] == recipe


# -- scores, and what they were fitted with -------------------------------------------------------
def test_a_score_of_a_newer_version_is_refused_and_not_silently_left_out(checkpoint):
    def change(document: dict[str, Any]) -> None:
        document['calibration']['scores']['mood'] = {'threshold': 1.0}
        document['provenance'] = {'versions': {'emu_perception': '9.8.7'}}
    rewrite(checkpoint, change)
    for read in (read_metadata, load_checkpoint):
        one_line(checkpoint, "field 'calibration'", "'mood'", __version__, '9.8.7', 'install',
                 read=read)
    rewrite(checkpoint, lambda document: document.update(provenance={'versions': 'x'}))
    one_line(checkpoint, "'mood'")


STATISTICS = {'familiarity.mean': np.arange(6, dtype=np.float32),
              'familiarity.axes': np.eye(3, 6, dtype=np.float32) / 3,
              'scale': np.float32(2.5).reshape(())}


def test_fitted_statistics_come_back_beside_the_weights_and_never_in_half(tmp_path, network):
    path = tmp_path / 'a.safetensors'
    for half in (False, True):
        save_checkpoint(path, network, make_metadata(network, statistics=STATISTICS), half=half)
        loaded, metadata = load_checkpoint(path)
        assert loaded.state_dict().keys() == network.state_dict().keys()
        for found in (metadata.statistics, read_metadata(path).statistics):
            assert found.keys() == STATISTICS.keys()
            for name, array in found.items():
                assert array.dtype == np.float32 and np.array_equal(array, STATISTICS[name]), name
    # What is read is written again with all that it holds.
    save_checkpoint(path, loaded, replace(metadata, name='newer'))
    assert read_metadata(path).statistics.keys() == STATISTICS.keys()


@pytest.mark.parametrize(('change', 'parts'), [
    (lambda tensors: tensors.pop('statistics.familiarity.mean'),
     ("lacks tensor 'statistics.familiarity.mean'", "field 'statistics'")),
    (lambda tensors: tensors.update({'statistics.mood': torch.zeros(2)}),
     ("has tensor 'statistics.mood'", "field 'statistics'")),
    (lambda tensors: tensors.update({'statistics.familiarity.mean': torch.zeros(5)}),
     ("'statistics.familiarity.mean'", 'float32 [5]', 'float32 [6]')),
    (lambda tensors: tensors.update({'statistics.familiarity.mean': torch.zeros(6).double()}),
     ("'statistics.familiarity.mean'", 'float64 [6]', 'float32 [6]')),
    (lambda tensors: tensors.update({'statistics.scale': torch.tensor(math.nan)}),
     ("'statistics.scale'", 'not finite'))])
def test_statistics_that_are_not_as_the_document_says_are_named(tmp_path, network, change, parts):
    path = tmp_path / 'a.safetensors'
    save_checkpoint(path, network, make_metadata(network, statistics=STATISTICS))
    rewrite(path, tensors=change)
    for read in (read_metadata, load_checkpoint):
        one_line(path, *parts, 'calibrate it again', read=read)


def test_statistics_that_are_not_finite_are_refused_before_the_file_exists(tmp_path, network):
    metadata = make_metadata(network, statistics={'scale': np.full(2, np.nan)})
    one_line(tmp_path / 'a.safetensors', "'statistics.scale'", 'not finite',
             read=lambda path: save_checkpoint(path, network, metadata))
    assert not list(tmp_path.iterdir())


# -- format 1 -----------------------------------------------------------------------------------
def to_format_1(document: dict[str, Any]) -> None:
    """Write a document as version 0.1.0 did, with thresholds of 0.9 nat and 0.4 m."""
    document.update(format_version=1, calibration={
        'temperature': 1.3, 'variance_scale': 0.8, 'risk_segmentation': 0.9, 'risk_depth': 0.4,
        'risk_percentile': 95.0})
    document['provenance']['thresholds'] = {'data_set': 'made up'}
    del document['statistics'], document['instances']


def test_the_default_model_of_version_0_1_loads_and_judges_as_it_did(tmp_path):
    """``format_1.json`` is the document of the file it shipped; the weights here are others."""
    path = tmp_path / 'emu_default.safetensors'
    document = json.loads((Path(__file__).parent / 'format_1.json').read_text())
    network = build_network(document['architecture'])
    save_checkpoint(path, network, make_metadata(
        network, classes=tuple(document['classes']),
        palette=tuple(map(tuple, document['palette']))), half=True)
    rewrite(path, lambda _: document)
    assert document_of(path)['format_version'] == 1
    network, metadata = load_checkpoint(path)
    assert metadata == read_metadata(path) and not metadata.statistics
    assert sum(weight.numel() for weight in network.parameters()) > 1e6
    origin = {'data_set': 'nyuv2', 'split': 'val'}
    assert metadata.calibration == Calibration(0.9954486765590145, 1.4606911466733377, {
        'segmentation_entropy': FittedThreshold(1.7033467786825671, 95.0, origin),
        'depth_sigma': FittedThreshold(0.8184624265831923, 95.0, origin)})
    # In metres, as it was fitted: the mean sigma of an image is judged and nothing else of depth.
    assert resolve_thresholds({}, metadata.calibration)[0] == RiskThresholds({
        'segmentation_entropy': 1.7033467786825671, 'depth_sigma': 0.8184624265831923})


def test_a_file_of_format_1_is_written_again_in_format_2_and_says_the_same(checkpoint, metadata):
    rewrite(checkpoint, to_format_1)
    network, found = load_checkpoint(checkpoint)
    assert found.calibration == metadata.calibration
    save_checkpoint(checkpoint, network, found)
    assert document_of(checkpoint)['format_version'] == 2
    assert read_metadata(checkpoint) == found


@pytest.mark.parametrize('change', [
    {'risk_depth': None}, {'risk_segmentation': None}, {'risk_percentile': None}])
def test_a_threshold_that_format_1_left_out_is_left_out(checkpoint, change):
    rewrite(checkpoint, to_format_1)
    rewrite(checkpoint, lambda document: document['calibration'].update(change))
    scores = read_metadata(checkpoint).calibration.scores
    assert ('depth_sigma' in scores, 'segmentation_entropy' in scores,
            {fitted.percentile for fitted in scores.values()} == {95.0}) == tuple(
        name not in change for name in ('risk_depth', 'risk_segmentation', 'risk_percentile'))


@pytest.mark.slow
@pytest.mark.parametrize('value', [
    5, None, 'x', [1.0], {'temperature': 0.0}, {'variance_scale': None}, {'risk_depth': 0.0},
    {'risk_segmentation': math.inf}, {'risk_segmentation': 10**400}, {'risk_percentile': 101.0},
    {'no_such_field': 1.0}, {'scores': {}}], ids=str)
def test_a_wrong_calibration_of_format_1_is_named(checkpoint, value):
    rewrite(checkpoint, to_format_1)
    rewrite(checkpoint, lambda document: document.update(calibration=value))
    for read in (read_metadata, load_checkpoint):
        one_line(checkpoint, "field 'calibration'", read=read)


def test_format_1_knows_no_fields_of_format_2(checkpoint):
    rewrite(checkpoint, to_format_1)
    rewrite(checkpoint, lambda document: document.update(statistics={}))
    one_line(checkpoint, "field 'statistics'", 'format 1')


def test_metadata_without_defaults_changed_is_valid(tmp_path):
    network = MultitaskNetwork('resnet18', ('depth',), head_dim=8)
    save_checkpoint(tmp_path / 'a.safetensors', network, CheckpointMetadata(
        architecture=network.arguments, input_size=(64, 64)))
    assert load_checkpoint(tmp_path / 'a.safetensors')[1].depth_max == math.inf


def test_tensor_names_are_those_of_checkpoints_already_written(tmp_path):
    # A renamed module would make every checkpoint of format 1 unreadable.
    network = make_network('tf_efficientnet_lite0', context='pyramid_pooling')
    save_checkpoint(tmp_path / 'a.safetensors', network, make_metadata(network))
    names = load_file(tmp_path / 'a.safetensors').keys()
    assert {name for name in names if not name.startswith('encoder.')} == {
        *(f'context.branches.{i}.{part}' for i in range(4) for part in ('weight', 'bias')),
        'context.project.weight',
        *(f'{norm}.{part}' for part in ('weight', 'bias', 'running_mean', 'running_var',
                                        'num_batches_tracked')
          for norm in ('context.norm', 'heads.segmentation.norm', 'heads.depth.norm')),
        *(f'heads.{task}.{part}' for task in ('segmentation', 'depth') for part in (
            'fuse.weight', 'classifier.weight', 'classifier.bias',
            *(f'linear.{i}.{kind}' for i in range(4) for kind in ('weight', 'bias'))))}
    assert {'encoder.model.conv_stem.weight', 'encoder.model.bn1.running_var',
            'encoder.model.blocks.1.0.conv_pw.weight'} <= names
    assert {'encoder.model.stages_0.patch_embed.proj.weight',
            'encoder.model.stages_3.blocks.1.attn.kv.weight',
            'encoder.model.stages_2.blocks.0.mlp.dwconv.bias'} <= set(make_network().state_dict())
