# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot gets when the package is installed."""

from __future__ import annotations

import ast
import configparser
import os
from pathlib import Path
import re
import runpy
import subprocess
import sys
from typing import Any
import xml.etree.ElementTree as ElementTree

import emu_perception
from emu_perception.commands.subcommands import SUBCOMMANDS
from emu_perception.topics import TOPICS
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = 'emu_perception'
DEMO = {f'{PACKAGE}.{part}' for part in ('benchmarking', 'ros.demo', 'ros.benchmark')}
# Not ROS packages: what they come with is checked by rosdep's keys below.
PYTHON_KEYS = {'cv2': 'python3-opencv', 'numpy': 'python3-numpy', 'sklearn': 'python3-sklearn',
               'timm': 'python3-timm-pip', 'torch': 'python3-torch', 'yaml': 'python3-yaml'}
# Come with requirements/*.txt (huggingface_hub with timm; lz4 and a zstd, whichever it is by its
# version, with rosbags): rosdep has no key for them.
PIP_ONLY = {'safetensors', 'huggingface_hub', 'skimage', 'rich', 'rosbags', 'lz4', 'zstandard',
            'backports', 'compression', 'openvino', 'transformers', 'tensorrt', 'triton', 'PIL',
            'onnxruntime'}


@pytest.fixture(scope='module')
def manifest() -> ElementTree.Element:
    """Return package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def dependencies(manifest: ElementTree.Element) -> set[str]:
    """Return the run dependencies of package.xml."""
    return {str(entry.text) for tag in ('depend', 'exec_depend') for entry in manifest.iter(tag)}


def imports() -> dict[str, Path]:
    """Return the packages that the code on the robot imports, with one file that does."""
    found: dict[str, Path] = {}
    for file in [*(ROOT / PACKAGE).rglob('*.py'), *(ROOT / 'launch').glob('*.py')]:
        for statement in ast.walk(ast.parse(file.read_text())):
            names = ([alias.name for alias in statement.names]
                     if isinstance(statement, ast.Import) else
                     [statement.module or ''] if isinstance(statement, ast.ImportFrom) else [])
            found.update({name.split('.')[0]: file for name in names})
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names}


def test_each_licence_names_the_file_that_has_it(manifest: ElementTree.Element) -> None:
    """The photographs are not the code's licence: who passes the package on reads it here."""
    of = {str(entry.text): ROOT / entry.attrib['file'] for entry in manifest.iter('license')}
    assert set(of) == {'Apache-2.0', 'CC-BY-4.0'}
    for licence, file in of.items():
        assert licence.split('-')[0] in file.read_text()


def test_everything_imported_is_declared(manifest: ElementTree.Element) -> None:
    """An import without a dependency fails on the robot, not here."""
    declared = dependencies(manifest)
    for name, file in imports().items():
        if name not in PIP_ONLY | {PACKAGE}:
            assert PYTHON_KEYS.get(name, name) in declared, f'{file} imports {name}'


def test_layers_import_downwards_only() -> None:
    """The core must load where there is no ROS and no training code."""
    for file in (ROOT / PACKAGE).rglob('*.py'):
        text = file.read_text()
        assert not re.search(r'^\s*(from|import) training\b', text, re.M), file
        if 'ros' not in file.relative_to(ROOT / PACKAGE).parts:
            assert not re.search(r'^\s*(from|import) (rclpy|\w+_msgs|emu_perception\.ros)\b', text,
                                 re.M), file


def test_one_version_everywhere(manifest: ElementTree.Element) -> None:
    """The manifest, setup.py, the module and the changelog name one version."""
    version = emu_perception.__version__
    assert manifest.findtext('version') == version
    assert f"version='{version}'" in (ROOT / 'setup.py').read_text()
    assert f'\n{version}' in (ROOT / 'CHANGELOG.rst').read_text()


def test_licence_text_and_header() -> None:
    """Every source file says whose it is and under which licence."""
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()
    for folder in (PACKAGE, 'training', 'launch', 'test', 'tools'):
        for file in (ROOT / folder).rglob('*.py'):
            if file.stat().st_size:
                assert file.read_text().startswith(
                    '# Copyright 2026 The emu_perception authors\n'
                    '# SPDX-License-Identifier: Apache-2.0\n'), file


def setup_arguments(monkeypatch: pytest.MonkeyPatch, wish: str | None) -> dict[str, Any]:
    """Return what setup.py asks setuptools for."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv('EMU_WITH_DEMO', raising=False)
    if wish is not None:
        monkeypatch.setenv('EMU_WITH_DEMO', wish)
    asked: dict[str, Any] = {}
    monkeypatch.setattr('setuptools.setup', asked.update)
    runpy.run_path('setup.py')
    return asked


@pytest.mark.parametrize(('wish', 'there'), [(None, False), ('', False), ('0', False),
                                             ('1', True)])
def test_demo_and_benchmarks_are_installed_where_they_are_asked_for(
        monkeypatch: pytest.MonkeyPatch, wish: str | None, there: bool) -> None:
    """A robot needs neither photographs nor a reference implementation."""
    asked = setup_arguments(monkeypatch, wish)
    assert (DEMO & set(asked['packages']) == DEMO) is there
    assert bool(DEMO & set(asked['packages'])) is there
    commands = {line.split(' = ')[0] for line in asked['entry_points']['console_scripts']}
    assert {'emu', 'emu_node', 'emu_multi', 'emu_run', 'replay_camera'} <= commands
    assert ('emu_demo' in commands) is ('emu_benchmark' in commands) is there


def test_what_is_always_installed_imports_nothing_of_demo_and_benchmarks() -> None:
    """Else a robot without them has a node that does not start."""
    for file in (ROOT / PACKAGE).rglob('*.py'):
        home = '.'.join(file.relative_to(ROOT).parent.parts)
        if home not in DEMO:
            for part in DEMO:
                assert not re.search(rf'(from|import) {re.escape(part)}\b', file.read_text()), file


def test_files_are_installed_where_ros_looks(installed: Path) -> None:
    """``ros2 launch``, ``ros2 run`` and the node's default model all depend on these places."""
    share = installed / 'share'
    assert (share / 'ament_index/resource_index/packages' / PACKAGE).is_file()
    for name in ('package.xml', 'launch/emu.launch.py', 'config/emu.yaml', 'config/emu.rviz',
                 'config/fastdds.xml'):
        assert (share / PACKAGE / name).is_file(), name
    for folder in ('models', 'examples/living_room'):
        for file in (ROOT / folder).glob('*'):
            assert (share / PACKAGE / folder / file.name).is_file(), file.name


def test_types_are_installed_with_the_code(installed: Path) -> None:
    """Without the marker a type checker takes every name of the package for Any."""
    marker, = installed.glob(f'lib/python*/site-packages/{PACKAGE}/py.typed')
    assert marker.is_file()


@pytest.mark.parametrize('name', ['emu', 'emu_node', 'emu_multi', 'replay_camera', 'emu_demo',
                                  'emu_run', 'emu_benchmark'])
def test_executables_are_where_ros2_run_looks(installed: Path, name: str) -> None:
    """And are executable."""
    assert os.access(installed / 'lib' / PACKAGE / name, os.X_OK)


def test_the_training_code_is_installed_under_a_name_that_is_its_own(installed: Path) -> None:
    """A package ``training`` in site-packages would be in the way of everybody's."""
    site, = installed.glob('lib/python*/site-packages')
    assert not (site / 'training').exists()
    for file in (ROOT / 'training').rglob('*'):
        if file.is_file() and '__pycache__' not in file.parts:
            assert (site / 'emu_training' / file.relative_to(ROOT / 'training')).is_file(), file


def test_the_installed_emu_trains_from_any_folder(installed: Path, tmp_path: Path) -> None:
    """Neither the repository nor a package ``training`` of the user's is what it finds."""
    (tmp_path / 'training').mkdir()
    (tmp_path / 'training/__init__.py').write_text('raise SystemExit("the user\'s own")')
    site, = installed.glob('lib/python*/site-packages')
    done = subprocess.run(
        [installed / 'lib' / PACKAGE / 'emu', 'prepare', 'synthetic', '--out', tmp_path / 'made',
         '--images', '5', '--no-progress'], cwd=tmp_path, text=True,
        capture_output=True, env={**os.environ, 'PYTHONPATH': str(site)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / 'made/dataset.yaml').is_file()


def test_every_extra_is_lists_of_requirements_and_the_robots_own_stay(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """One source: what ``make setup`` installs is what pip's extras ask for."""
    asked = setup_arguments(monkeypatch, None)
    extras = asked['extras_require']
    lines = {file.stem: {line for line in file.read_text().splitlines()
                         if line and not line.startswith(('#', '-r'))}
             for file in (ROOT / 'requirements').glob('*.txt')}
    assert {*extras['offline']} == lines['pypi'] | lines['cpu'] | lines['offline']
    assert {*extras['train']} == lines['pypi'] | lines['train'] | lines['offline']
    assert not {*asked['install_requires']} & (lines['pypi'] | lines['ros'])
    named = {row.extra for row in SUBCOMMANDS.values()}
    assert named <= extras.keys(), 'a command names an extra that pip does not know'


def test_scripts_go_to_lib() -> None:
    """Without these two settings the executables land in bin, where ``ros2 run`` finds none."""
    setup: Any = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    assert setup['install']['install_scripts'] == f'$base/lib/{PACKAGE}'
    assert setup['develop']['script_dir'] == f'$base/lib/{PACKAGE}'


def test_rviz_shows_topics_that_the_node_has() -> None:
    """A display of a topic that was renamed stays empty without a word."""
    shown = set(re.findall(r'/emu/(\S+)', (ROOT / 'config/emu.rviz').read_text()))
    assert shown == {'overlay', 'depth/image', 'segmentation_uncertainty_color',
                     'depth_uncertainty_color', 'points', 'risk_marker'}
    code = ''.join(file.read_text() for file in (ROOT / PACKAGE / 'ros').glob('*.py'))
    for topic in shown:
        assert topic in TOPICS or f"~/{topic}'" in code, topic
