# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One program: every command is found, says what it lacks, and costs only what it needs."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
import os
from pathlib import Path
import re
import subprocess
import sys

from emu_perception.commands import emu, program, read_first
from emu_perception.commands.offline import offline_package
from emu_perception.commands.program import called_as, CommandParser, SubcommandParser
from emu_perception.commands.subcommands import ELSEWHERE, OFFLINE, SUBCOMMANDS
from emu_perception.dataset_fields import checked_root, DatasetError
from emu_perception.errors import EmuError
import pytest

ROOT = Path(emu.__file__).parents[2]


def test_help_lists_every_command_and_loads_nothing_that_is_slow():
    code = ('import sys; from emu_perception.commands.emu import main; main(["--help"]); '
            'print([name for name in ("torch", "numpy", "cv2", "timm", "rclpy", "lightning", '
            '"yaml") if name in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    *shown, loaded = done.stdout.splitlines()
    assert loaded == '[]', done.stderr
    for name in SUBCOMMANDS:
        first, _, second = name.partition(' ')
        line, = [line for line in shown if line.split()[:1] == [first]]
        assert not second or f' {second}' in emu.usage().replace(',', ' ')
    assert max(map(len, shown)) < 100


def test_the_help_of_no_command_imports_what_the_command_needs():
    """Torch and Lightning take seconds; what reads a command line needs neither."""
    code = """
import contextlib, io, sys
from emu_perception.commands import emu
from emu_perception.commands.offline import IN_THE_TREE, INSTALLED
before = {*sys.modules}
words = [[*name.split(), '--help'] for name in emu.SUBCOMMANDS]
words += [['prepare', name, '--help'] for name in ('bag', 'check', 'cityscapes', 'nyuv2')]
for one in words:
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        emu.main(one)
    tops = {name.split('.')[0] for name in {*sys.modules} - before}
    tops -= {*sys.stdlib_module_names, 'emu_perception', IN_THE_TREE, INSTALLED, 'numpy', 'yaml',
             '_yaml'}
    tops = sorted(top for top in tops if not top.strip('_').startswith('cython'))  # YAML's.
    text = said.getvalue()  # ``name`` is a docstring's, not a terminal's.
    print(*one, 'usage:' in text and '``' not in text, tops)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    lines = done.stdout.splitlines()
    assert len(lines) == len(SUBCOMMANDS) + 4, done.stderr
    assert [line for line in lines if not line.endswith(' --help True []')] == []


def test_what_makes_no_sense_is_said_before_the_command_is_imported(monkeypatch, capsys):
    modules = []
    monkeypatch.setattr(read_first, 'import_module', lambda module: modules.append(module) or type(
        'Module', (), {'parser': staticmethod(lambda: CommandParser('own', ''))}))
    with pytest.raises(SystemExit) as end:
        emu.main(['train', '--epoch', '3'])
    assert end.value.code == 2
    assert modules == [SUBCOMMANDS['train'].arguments.replace(OFFLINE, offline_package())]
    capsys.readouterr()


def test_a_file_that_is_not_there_is_said_before_torch_is_imported(tmp_path):
    """Seconds went by first; and ``emu calibrate`` made the folder of the misspelt name."""
    image = ROOT / 'models/emu_default_demo.jpg'
    predict = ['predict', str(image), '--out', 'out']
    lines = [['calibrate', '--checkpoint', 'no/a', '--data', 'x'],
             ['evaluate', '--checkpoint', str(image), 'no/a', '--data', 'x'],
             ['evaluate', '--checkpoint', str(image), '--data', 'no/a'],
             ['train', '--recipe', 'no/a', 'data=x'], ['train', '--recipe', 'robot', 'data=no/a'],
             # Wrong for every method but a student's: read as the command reads it.
             ['distill', '--teacher', str(image), '--recipe', 'robot', 'data=no/a',
              'emuformer.epistemic=true'],
             ['distill', '--teacher', 'no/a', '--recipe', 'robot', 'data=x'],
             ['commission', 'x', '--out', 'y', '--model', 'no/a'],
             ['nav2-layer', '--model', 'no/a'], ['export', '--out', 'a.onnx', '--model', 'no/a'],
             [*predict, '--model', 'no/a'], [*predict, '--camera-info', 'no/a'],
             ['predict', 'no/a', '--out', 'out'], ['predict', str(image), '--out', '/proc/no/a']]
    code = f"""
import sys
from emu_perception.commands.emu import main
for words in {lines}:
    print(main(words), 'torch' in sys.modules)
sys.argv, sys.orig_argv = ['-m', *{lines[0][1:]}], ['python', '-m', 'training.x', *{lines[0][1:]}]
sys.orig_argv[2] = 'training.calibrate'
for name in [name for name in sys.modules if name.split('.')[0] == 'training']:
    del sys.modules[name]
import training
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.stdout.splitlines() == ['1 False'] * len(lines), done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(lines) + 1 and all('no/a: ' in line for line in said), said
    assert said[0].startswith('emu calibrate: no/a: no such checkpoint; give')
    assert said[-1].startswith('error: no/a: no such checkpoint; give') and done.returncode == 1
    assert [*tmp_path.iterdir()] == []


def test_results_are_not_written_over_what_is_read_nor_over_one_another(tmp_path, monkeypatch,
                                                                         capsys):
    """``emu evaluate --json`` took the place of the checkpoint that it had measured."""
    monkeypatch.chdir(tmp_path)
    for name in ('a.safetensors', 'b.json'):
        Path(name).touch()
    Path('data').mkdir()
    evaluate = ['evaluate', '--checkpoint', 'a.safetensors', '--data', 'data']
    for words, said in (([*evaluate, '--json', './a.safetensors'], 'checkpoint'),
                        (['report', 'b.json', '--out', 'b.json'], 'results'),
                        (['ship', '--checkpoint', 'a.safetensors', '--metrics', 'b.json', '--out',
                          'b.json'], 'metrics'),
                        (['report', 'b.json', '--out', 'c', '--markdown', 'data/../c'], 'out')):
        assert emu.main(words) == 1
        line, = capsys.readouterr().err.splitlines()
        assert f': is the file of {said} too; give another name' in line
    # Calibrated in its place.
    options = argparse.Namespace(checkpoint=Path('a'), out=Path('a'), json=Path('b'))
    read_first.check_results(options)


def test_home_is_a_folder_in_every_option_that_is_a_path(tmp_path, monkeypatch):
    """``--out=~/runs``, of which a shell leaves the ~, made a folder called ~ where one stood."""
    monkeypatch.setenv('HOME', str(tmp_path))
    parser = SubcommandParser()
    parser.add_argument('--out', type=Path)
    group = CommandParser('one', None)
    group.add_argument_group('more').add_argument('--out', type=Path)
    for one in (parser, group):
        assert one.parse_args(['--out=~/runs']).out == tmp_path / 'runs'
        assert one.parse_args(['--out=a~/~']).out == Path('a~/~')
        assert one.parse_args(['--out=~nobody_here/a']).out == Path('~nobody_here/a')
    (tmp_path / 'data').mkdir()
    assert checked_root('~/data') == tmp_path / 'data'
    with pytest.raises(DatasetError, match='^~/no: no such data set folder'):
        checked_root('~/no')


@pytest.mark.parametrize('words', [
    ['calibrate', '--checkpoint', 'shut', '--data', 'x'], ['export', '--model', 'shut', '--out',
                                                           'a.onnx'],
    ['evaluate', '--checkpoint', 'default', '--data', 'shut'], ['train', '--recipe', 'shut'],
    ['predict', 'shut', '--out', 'out'], ['predict', '.', '--out', 'out', '--model', 'shut']])
def test_what_may_not_be_looked_at_is_one_line_of_words(monkeypatch, tmp_path, capsys, words):
    """Looked for before the command, it ended in a traceback."""
    def shut(look):
        def seen(path):
            if path.name == 'shut':
                raise PermissionError(13, 'Permission denied', str(path))
            return look(path)
        return seen
    monkeypatch.chdir(tmp_path)
    for name in ('exists', 'is_dir', 'is_file'):
        monkeypatch.setattr(Path, name, shut(getattr(Path, name)))
    assert emu.main(words) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == f'emu {words[0]}: shut: cannot be read (Permission denied)'


@pytest.mark.parametrize('row', SUBCOMMANDS.values(), ids=lambda row: row.name)
def test_every_command_is_a_function_of_a_module_that_is_there(row):
    module = row.module.replace(OFFLINE, offline_package())
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    assert f'def {row.function}(' in Path(spec.origin).read_text()
    assert row.usage or not row.ros or row.demo, 'a ROS 2 program has no --help of its own'


def test_every_command_of_training_is_one_of_emus():
    files = [*(ROOT / 'training').glob('*.py'), *(ROOT / 'training/studies').glob('*.py')]
    commands = {'.'.join([OFFLINE, *path.relative_to(ROOT / 'training').with_suffix('').parts])
                for path in files if "__name__ == '__main__'" in path.read_text()}
    assert commands | {f'{OFFLINE}.prepare.__main__'} == {
        row.module for row in SUBCOMMANDS.values() if row.module.startswith(OFFLINE)}


def test_every_name_of_elsewhere_leads_to_a_command():
    for word, name in ELSEWHERE.items():
        assert name in SUBCOMMANDS and word not in SUBCOMMANDS


@pytest.mark.parametrize(('words', 'expected'), [
    (['trian'], "no command 'trian'; did you mean 'train'?"),
    (['emu_run'], "did you mean 'predict'?"),
    (['study', 'tust'], "'study' has no 'tust': trust, uncertainty"),
    (['xyzzy'], "no command 'xyzzy': emu --help lists them")])
def test_a_near_miss_is_named(words, expected, capsys):
    assert emu.main(words) == 2
    assert expected in capsys.readouterr().err


def test_a_command_knows_the_name_that_it_was_called_by(monkeypatch, capsys):
    monkeypatch.setattr(emu, 'load', lambda row: lambda words: print(
        program.program('own'), words) or 3)
    assert emu.main(['study', 'trust', '--x', 'y']) == 3
    assert capsys.readouterr().out == "emu study trust ['--x', 'y']\n"
    assert program.program('own') == 'own'


def test_ctrl_c_is_one_line_wherever_it_comes_as_while_torch_is_imported(monkeypatch, capsys):
    def load(row):
        raise KeyboardInterrupt
    monkeypatch.setattr(emu, 'load', load)
    assert emu.main(['doctor']) == 130
    assert capsys.readouterr().err == 'emu doctor: interrupted\n'


def test_help_is_asked_for_in_either_order(capsys):
    with pytest.raises(SystemExit) as end:
        emu.main(['help', 'predict'])
    assert end.value.code == 0 and capsys.readouterr().out.startswith('usage: emu predict ')
    assert emu.main(['node', '--help']) == emu.main(['study', '--help']) == 0
    out = capsys.readouterr().out
    assert 'usage: emu node [--ros-args' in out and '  fusion' in out


@pytest.mark.parametrize(('name', 'module', 'expected'), [
    ('predict', 'cv2', "needs the Python package cv2, which is not installed: in the folder of "
     "emu_perception, pip install '.[offline]'"),
    ('train', 'lightning.pytorch', "pip install '.[train]'"),
    ('node', 'rclpy', 'needs ROS 2, rclpy is not there: . /opt/ros/jazzy/setup.bash'),
    ('replay', 'sensor_msgs', "pip install '.[ros]'"),
    ('node', 'torch', 'needs the Python package torch'),
    ('benchmark', 'emu_perception.benchmarking', 'EMU_WITH_DEMO=1 pip install'),
    ('predict', 'emu_perception.scores', 'install the package again')])
def test_what_a_command_lacks_is_one_line_with_the_extra_that_brings_it(
        monkeypatch, capsys, name, module, expected):
    def load(row):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    monkeypatch.setattr(emu, 'load', load)
    monkeypatch.setattr(emu, 'find_spec', lambda wanted: None if wanted == module else 'there')
    assert emu.main([name]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'emu {name}: ') and expected in line


def test_a_ros_program_gets_its_name_and_a_bare_word_as_its_parameter():
    row = SUBCOMMANDS['replay']
    assert emu.ros_words(row, ['my dir', '--ros-args', '-p', 'loop:=false']) == [
        'emu replay', '--ros-args', '-p', 'source:="my dir"', '--', '--ros-args', '-p',
        'loop:=false']
    assert emu.ros_words(row, ['--ros-args']) == ['emu replay', '--ros-args']


@pytest.mark.parametrize(('words', 'stray'), [
    (['node', 'photos'], 'photos'), (['node', '--model_file', 'x'], '--model_file'),
    (['node', '--ros-args', '-p', 'a:=b', '--', 'more'], 'more'),
    (['replay', 'photos', 'more'], 'more'), (['replay', 'photos', '--rate', '5'], '--rate'),
    (['multi', 'front', '-x'], '-x')])
def test_a_ros_program_is_given_no_word_that_it_would_drop(monkeypatch, capsys, words, stray):
    """ROS passes what it does not know to a program, and the program never looks."""
    monkeypatch.setattr(emu, 'load', lambda row: pytest.fail('was started'))
    assert emu.main(words) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f"emu {words[0]}: '{stray}' is none of its words: usage: ")


@pytest.mark.parametrize(('words', 'meant'), [
    (['node', '--model', 'my model.safetensors'], "model_file:='my model.safetensors'"),
    (['node', '--checkpoint=a.safetensors'], 'model_file:=a.safetensors'),
    (['node', '--model_file', 'a'], 'model_file:=a'), (['node', '--model'], 'model_file:=VALUE'),
    (['node', 'runs/a.safetensors'], 'model_file:=runs/a.safetensors'),
    (['node', '--device', 'cpu'], 'device:=cpu'), (['node', '--fallback-hfov-deg', '70'],
                                                   'fallback_hfov_deg:=70'),
    (['multi', 'front', '--backend', '--ros-args'], 'backend:=VALUE'),
    (['replay', 'photos', '--rate', '5'], 'rate_hz:=5'), (['node', '--colour', 'x'], None),
    (['replay', 'photos', 'a.safetensors'], None)])
def test_an_option_that_is_a_parameter_of_a_ros_program_is_named_as_one(
        monkeypatch, capsys, words, meant):
    """The usage alone did not say which NAME a --model is."""
    monkeypatch.setattr(emu, 'load', lambda row: pytest.fail('was started'))
    assert emu.main(words) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.endswith(f'; did you mean --ros-args -p {meant}?') if meant else (
        'did you mean' not in line)


@pytest.mark.parametrize('row', [row for row in SUBCOMMANDS.values() if row.options],
                         ids=lambda row: row.name)
def test_what_an_option_is_said_to_mean_is_a_parameter(row):
    source = ((ROOT / 'emu_perception/ros/replay_parameters.py').read_text()
              if row.name == 'replay' else (ROOT / 'config/emu.yaml').read_text())
    for option, name in row.options:
        assert option.startswith('--')
        assert re.search(rf'^ +({name}: |{name}=)', source, re.M), name


@pytest.mark.parametrize('words', [
    ['node'], ['node', '--ros-args', '-r', 'image:=/i', '--params-file', 'f'],
    ['replay', 'photos'], ['replay', 'photos', '--ros-args', '-p', 'loop:=false'],
    ['multi', 'front', 'left', '--ros-args', '-p', 'device:=cpu']])
def test_a_ros_program_is_given_what_its_usage_says(monkeypatch, words):
    monkeypatch.setattr(emu, 'find_spec', lambda module: 'there')
    monkeypatch.setattr(emu, 'find_wheels', lambda: None)
    monkeypatch.setattr(emu, 'load', lambda row: lambda given: 7)
    assert emu.main(words) == 7


def test_an_unknown_option_names_the_one_that_may_be_meant(capsys):
    with called_as('emu predict'):
        parser = CommandParser('own', '')
    parser.add_argument('--device')
    with pytest.raises(SystemExit) as end:
        parser.parse_args(['--devise', 'cpu'])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert "emu predict: error: unrecognized arguments: --devise cpu; did you mean '--device'?" \
        in error
    assert isinstance(parser, argparse.ArgumentParser)


def test_a_needed_option_that_is_misspelt_is_named_and_one_that_is_shortened_is_not(capsys):
    """That --out is required said nothing to who had typed --ouut."""
    parser = CommandParser('own', '')
    parser.add_argument('--out', required=True)
    parser.add_argument('--device')
    for words, said in ((['--ouut=x', '--dev', 'cpu'], "required: --out; '--ouut' is none of the "
                         "options; did you mean '--out'?"),
                        (['--dev', 'cpu', '-1', '--'], 'required: --out')):
        with pytest.raises(SystemExit):
            parser.parse_args(words)
        assert capsys.readouterr().err.endswith(f'{said}\n')


@pytest.mark.parametrize('name', ['predict', 'commission'])
def test_who_gives_every_file_of_a_folder_is_told_to_give_the_folder(name, capsys):
    """Of photos/*.jpg all but the first were 'unrecognized arguments'."""
    with pytest.raises(SystemExit):
        emu.main([name, 'a.jpg', 'b.jpg', '--out', 'out'])
    line = capsys.readouterr().err.splitlines()[-1]
    assert 'b.jpg; give one INPUT: of several images their folder' in line


def test_a_model_is_a_checkpoint_where_that_is_its_name(capsys):
    """``emu predict`` has --model, ``emu benchmark`` --checkpoint: it meant '--node'."""
    for there, typed in (('--model', '--checkpoint'), ('--checkpoint', '--model')):
        parser = CommandParser('own', '')
        parser.add_argument('--node')
        parser.add_argument(there)
        with pytest.raises(SystemExit):
            parser.parse_args([typed, 'file'])
        assert f"did you mean '{there}'?" in capsys.readouterr().err


def test_another_training_package_in_the_process_is_said(monkeypatch, tmp_path):
    own = tmp_path / 'training'
    own.mkdir()
    (own / '__init__.py').touch()
    for name in [name for name in sys.modules if name.split('.')[0] == 'training']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    with pytest.raises(EmuError, match="another package named 'training'"):
        if str(ROOT) not in sys.path:
            sys.path.append(str(ROOT))
        offline_package()


@pytest.mark.parametrize(('set_already', 'wheels', 'expected'), [
    ('', True, '{prefix}'), (None, True, '{prefix}'), ('/opt/ros/jazzy', True, '/opt/ros/jazzy'),
    (None, False, None)])
def test_a_ros_of_wheels_is_found_where_none_is_sourced(tmp_path, monkeypatch, set_already, wheels,
                                                        expected):
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    if set_already is not None:
        monkeypatch.setenv('AMENT_PREFIX_PATH', set_already)
    if wheels:
        (tmp_path / 'share/ament_index').mkdir(parents=True)
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    monkeypatch.setattr(emu, 'find_spec', lambda module: 'there')  # also where there is no ROS 2
    seen = []
    monkeypatch.setattr(emu, 'load', lambda row: seen.append(
        os.environ.get('AMENT_PREFIX_PATH')) or (lambda words: 0))
    assert emu.run(SUBCOMMANDS['node'], []) == 0
    assert seen == [expected and expected.format(prefix=tmp_path)]


def test_what_is_wrong_with_a_line_is_not_lost_below_a_long_usage(capsys):
    """Of ``emu predict`` the usage has thirty lines; of a short command it is shown."""
    for name, most in (('predict', 1), ('doctor', 4)):
        with pytest.raises(SystemExit):
            emu.main([name, '--nonsense'])
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) <= most and lines[-1].startswith(f'emu {name}: error: ')
        assert (lines[-1].endswith(' (emu predict --help lists the options)') if name == 'predict'
                else lines[0].startswith('usage: '))


@pytest.mark.parametrize('row', [row for row in SUBCOMMANDS.values() if '-p ' in row.usage],
                         ids=lambda row: row.name)
def test_a_parameter_that_a_usage_names_is_one(row):
    """ROS drops one that is none, and says nothing."""
    folder = (ROOT / row.module.replace('.', '/')).parent
    source = ''.join(path.read_text() for path in folder.glob(f'{row.name}*.py'))
    for name in re.findall(r'-p ([a-z_]+):=', row.usage):
        assert f"'{name}'" in source
