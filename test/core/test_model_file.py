# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The default model is found however the package came here, by the node and by every command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from emu_perception import model_file
from emu_perception.errors import InputError
import pytest

NAME = model_file.DEFAULT_MODEL
SHARE = Path('share/emu_perception/models')


@pytest.fixture
def code_at(tmp_path, monkeypatch):
    """Return a function: the package's folder lies there, and nothing is known but what is."""
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)

    def not_installed(name):
        raise model_file.PackageNotFoundError(name)
    monkeypatch.setattr(model_file, 'distribution', not_installed)

    def at(folder: str) -> None:
        place = tmp_path / folder / 'emu_perception'
        place.mkdir(parents=True)
        monkeypatch.setattr(model_file, '__file__', str(place / 'model_file.py'))
    return at


def put(folder: Path) -> Path:
    """Lay a model into a folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(b'')
    return folder / NAME


@pytest.mark.parametrize(('code', 'models'), [
    ('source', 'source/models'),
    ('install/emu_perception/lib/python3.12/site-packages', f'install/emu_perception/{SHARE}'),
    ('venv/lib/python3.12/site-packages', f'venv/{SHARE}'),
    ('home/.local/lib/python3.10/site-packages', f'home/.local/{SHARE}'),
    ('target', f'target/{SHARE}'),
])
def test_default_model_is_found_from_where_the_code_lies(tmp_path, code_at, code, models):
    code_at(code)
    path = put(tmp_path / models)
    assert model_file.default_model() == model_file.resolve_model_file('') == path


def test_default_model_is_found_through_ament(tmp_path, code_at, monkeypatch):
    code_at('elsewhere')
    path = put(tmp_path / 'overlay' / SHARE)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/other:{tmp_path}/overlay')
    assert model_file.default_model() == path


def test_default_model_is_found_in_the_record_of_pip(tmp_path, code_at, monkeypatch):
    class File:
        name = NAME

        def locate(self) -> Path:
            return tmp_path / 'dist-packages/../odd' / SHARE / NAME
    code_at('dist-packages')
    path = put(tmp_path / 'odd' / SHARE)
    record = SimpleNamespace(files=[File()])
    monkeypatch.setattr(model_file, 'distribution', lambda name: record)
    assert model_file.default_model() == path


def test_the_model_of_the_running_code_comes_before_one_that_is_installed(
        tmp_path, code_at, monkeypatch):
    """Code of one version with weights of another would be measured for neither."""
    code_at('source')
    path = put(tmp_path / 'source/models')
    put(tmp_path / 'installed' / SHARE)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/installed')
    assert model_file.default_model() == path


def test_folders_that_are_called_models_further_up_are_somebody_elses(tmp_path, code_at):
    code_at('a/b/source')
    put(tmp_path / 'a/models')
    with pytest.raises(InputError, match=f'{NAME} is not in .*a/b/source/models.*--model'):
        model_file.default_model()


def test_path_expands_home_and_variables(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('MODELS', '/models')
    assert model_file.resolve_model_file('~/a.safetensors') == tmp_path / 'a.safetensors'
    assert str(model_file.resolve_model_file('$MODELS/b')) == '/models/b'


def test_a_default_model_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setattr(model_file, 'DEFAULT_MODEL', 'no_such.safetensors')
    with pytest.raises(InputError, match='no_such.safetensors is not in .*models.*model_file'):
        model_file.resolve_model_file('')
