# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Imports point only down, within a layer too; a file at the top of training/ is a command.

What stands under ``TYPE_CHECKING`` counts as an import: who reads the one file needs the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'emu_perception'
CORE = [path for path in sorted(PACKAGE.rglob('*.py')) if PACKAGE / 'ros' not in path.parents]
ROS = sorted((PACKAGE / 'ros').rglob('*.py'))
TRAINING = sorted((ROOT / 'training').rglob('*.py'))

# safetensors is the checkpoint's format, which the design asks for by name.
CORE_THIRD_PARTY = {'torch', 'timm', 'numpy', 'cv2', 'safetensors'}
# Where a function asks for what not every user has, and says so in one line where it is missing.
CORE_OPTIONAL = {
    'huggingface_hub': 'networks/pretrained.py', 'openvino': 'backends/openvino_conversion.py',
    'transformers': 'benchmarking/reference.py', 'rosbags': 'recordings',
    'rich': ('commands', 'benchmarking'),
    'yaml': ('cameras/calibration_files.py', 'recordings/salvage.py', 'yaml_documents.py'),
    'sklearn': 'instances.py',
    'PIL': 'pictures.py', 'onnxruntime': 'exporting',
    # What rosbags brings, by its version and Python's.
    **dict.fromkeys(('lz4', 'backports', 'compression', 'zstandard'),
                    'recordings/compression.py'),
    'tensorrt': 'backends', 'triton': 'kernels/triton_kernels.py'}
# Whole files, which are themselves imported where a function asks for them.
LAZY_FILES = {PACKAGE / 'kernels/triton_kernels.py', PACKAGE / 'yaml_documents.py'}
ROS_NAMES = re.compile(r'rclpy|rcl_interfaces|.*_msgs|cv_bridge|ament_.*|launch(_ros)?|rosbag2_py|'
                       r'builtin_interfaces|rosidl_.*|message_filters|tf2_.*|std_srvs|'
                       r'diagnostic_.*')
# Folders of training/ from the bottom up: each may import those before it, and its own files.
OFFLINE_LAYERS = ('recipes', 'arguments', 'metrics', 'data', 'losses', 'methods', 'evaluation',
                  'calibration', 'runs', 'speed', 'reporting')
# Commands themselves, which may import all of these.
OFFLINE_COMMANDS = ('studies', 'prepare')
OFFLINE_NAMES = {'training', 'lightning', 'pytorch_lightning', 'torchmetrics'}


def module_name(path: Path) -> str:
    """Return the dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(source: str, path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported name in full, wherever it stands, and whether in a function."""
    tree = ast.parse(source)
    lazy = {id(node) for function in ast.walk(tree)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
            for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in lazy
        elif isinstance(node, ast.ImportFrom):
            name = module_name(path)
            package = name if path.name == '__init__.py' else name.rpartition('.')[0]
            base = node.module or ''
            if node.level:
                parents = package.split('.')[:len(package.split('.')) - node.level + 1]
                base = '.'.join([*parents, base] if base else parents)
            for alias in node.names:
                yield f'{base}.{alias.name}', id(node) in lazy


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Return the imports of a file."""
    return list(imports(path.read_text(), path))


def in_layer(name: str, layer: str) -> bool:
    """Tell whether a dotted name is a package or inside it."""
    return name == layer or name.startswith(f'{layer}.')


def test_the_check_sees_every_kind_of_import():
    source = ('import a.b, c\nfrom d import e\nfrom . import f\nfrom ..g import h\n'
              'def k():\n    import rclpy\nif True:\n    from emu_perception import ros\n')
    found = dict(imports(source, PACKAGE / 'networks' / 'x.py'))
    assert found == {'a.b': False, 'c': False, 'd.e': False, 'emu_perception.networks.f': False,
                     'emu_perception.g.h': False, 'rclpy': True, 'emu_perception.ros': False}


def test_there_is_something_to_check_in_every_layer():
    assert len(CORE) > 12 and len(ROS) > 5 and len(TRAINING) > 5


@pytest.mark.parametrize('path', CORE, ids=module_name)
def test_the_core_imports_nothing_but_its_few_packages(path):
    for name, lazy in imports_of(path):
        top = name.split('.')[0]
        if top == 'emu_perception' or top in sys.stdlib_module_names or top in CORE_THIRD_PARTY:
            assert not in_layer(name, 'emu_perception.ros'), f'{path} imports {name}'
            continue
        homes = CORE_OPTIONAL.get(top, ())
        assert homes and (lazy or path in LAZY_FILES), f'{path} imports {name}'
        homes = (homes,) if isinstance(homes, str) else homes
        assert {PACKAGE / home for home in homes} & {path, *path.parents}, f'{path} imports {name}'


@pytest.mark.parametrize('path', TRAINING, ids=module_name)
def test_training_knows_nothing_of_ros(path):
    for name, _ in imports_of(path):
        assert not ROS_NAMES.fullmatch(name.split('.')[0]), f'{path} imports {name}'
        assert not in_layer(name, 'emu_perception.ros'), f'{path} imports {name}'


@pytest.mark.parametrize('path', TRAINING, ids=module_name)
def test_training_does_not_call_itself_by_name(path):
    """Installed, it is called emu_training: an absolute import would find nothing, or another."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module)]
        assert not any(in_layer(name, 'training') for name in names), f'{path} imports {names}'


@pytest.mark.parametrize('path', ROS, ids=module_name)
def test_the_robot_knows_nothing_of_training(path):
    for name, _ in imports_of(path):
        assert name.split('.')[0] not in OFFLINE_NAMES, f'{path} imports {name}'


def modules_imported(path: Path, modules: dict[str, Path]) -> set[str]:
    """Return the names of the modules that a file imports, its packages left out."""
    wanted: set[str] = set()
    for imported, _ in imports_of(path):
        # 'from package.module import name' and 'from package import module' alike.
        wanted |= {imported, imported.rpartition('.')[0]} & modules.keys()
    # A package's __init__ that imports its own modules is no cycle of theirs.
    return {other for other in wanted if not in_layer(module_name(path), other)}


@pytest.mark.slow
def test_no_two_files_import_each_other_nor_in_a_circle():
    modules = {module_name(path): path for path in (*CORE, *ROS, *TRAINING)}
    graph = {name: modules_imported(path, modules) for name, path in modules.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index('emu_perception.networks.multitask') < order.index(
        'emu_perception.checkpoint') < order.index('emu_perception.predictor')


def test_no_folder_of_training_imports_one_above_it():
    folders = {path.name for path in (ROOT / 'training').iterdir() if path.is_dir()
               and any(path.glob('*.py'))}
    assert folders == {*OFFLINE_LAYERS, *OFFLINE_COMMANDS}
    commands = {path.stem for path in (ROOT / 'training').glob('*.py')} - {'command_line'}
    for path in TRAINING:
        parts = path.relative_to(ROOT / 'training').parts
        if len(parts) == 1:
            continue
        below = {*OFFLINE_LAYERS, parts[0]} if parts[0] in OFFLINE_COMMANDS else {
            *OFFLINE_LAYERS[:OFFLINE_LAYERS.index(parts[0]) + 1]}
        for name, _ in imports_of(path):
            layer, _, rest = name.partition('.')
            if layer == 'training':
                other = rest.split('.')[0]
                assert other not in commands, f'{path} imports {name}, a command'
                assert other in below | {'command_line'}, f'{path} imports {name}'
                assert other != 'command_line' or parts[0] in OFFLINE_COMMANDS, path


def test_a_file_at_the_top_of_training_is_a_command():
    for path in (ROOT / 'training').glob('*.py'):
        body = ast.parse(path.read_text()).body
        runs = any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
                   for node in body)
        main = any(isinstance(node, ast.FunctionDef) and node.name == 'main' for node in body)
        assert (main and runs) != (path.name in ('__init__.py', 'command_line.py')), path


@pytest.mark.parametrize('code', [
    "from training.recipes.recipe import load_recipe; load_recipe('{yaml}', ['data=x'])",
    "from training.data.dataset_folder import DatasetFolder; DatasetFolder('{data}')"])
def test_reading_a_recipe_or_a_data_set_imports_nothing_that_trains(code, tmp_path):
    """Neither is a network's business; and a command that only reads answers at once."""
    (tmp_path / 'dataset.yaml').write_text('classes: [wall]')
    code = code.format(yaml=ROOT / 'training/recipes/paper.yaml', data=tmp_path)
    code += ("; import sys; print([name for name in ('torch', 'torchvision', 'timm', 'lightning', "
             "'torchmetrics') if name in sys.modules])")
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, '[]'), done.stdout + done.stderr
