# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu``: one program, a subcommand for each thing there is to do."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
import os
from pathlib import Path
import shlex
import signal
import sys
import textwrap

from emu_perception import __version__
from emu_perception.commands.offline import IN_THE_TREE, INSTALLED, offline_package
from emu_perception.commands.program import called_as, program
from emu_perception.commands.read_first import read_first
from emu_perception.commands.reader_leaves import reader_may_leave
from emu_perception.commands.subcommands import ELSEWHERE, OFFLINE, Subcommand, SUBCOMMANDS
from emu_perception.errors import EmuError
from emu_perception.rules import meant

_OWN = ('emu_perception', IN_THE_TREE, INSTALLED)
_WIDTH = 14


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that the arguments name; returns its exit code, 2 where there is none."""
    with reader_may_leave():
        return answer([*(sys.argv[1:] if arguments is None else arguments)])


def answer(words: list[str]) -> int:
    """Answer a line, as ``main`` does."""
    if words[:1] == ['help']:
        words = [*words[1:], '--help']
    if not words or words[0] in ('-h', '--help'):
        print(usage())
        return 0 if words else 2
    if words[0] in ('-V', '--version'):
        print(f'emu_perception {__version__} ({Path(__file__).resolve().parents[1]})')
        return 0
    if _is_a_family(words[0]) and words[1:2] in ([], ['-h'], ['--help']):
        print(usage(words[0]))
        return 0 if words[1:] else 2
    row, rest = found(words)
    if row is None:
        print(f'emu: {unknown(words)}', file=sys.stderr)
        return 2
    return called(f'emu {row.name}', row, rest)


def called(name: str, row: Subcommand, arguments: list[str]) -> int:
    """Run a subcommand by a name; returns its exit code."""
    with called_as(name):
        try:
            return run(row, arguments)
        except EmuError as error:
            print(f'{name}: {error}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:  # Of a command that has no way of its own to end.
            print(f'{name}: interrupted', file=sys.stderr)
            return 128 + signal.SIGINT


def found(words: list[str]) -> tuple[Subcommand | None, list[str]]:
    """Return the subcommand that the first one or two words name, and the words after it."""
    for count in (2, 1):
        row = SUBCOMMANDS.get(' '.join(words[:count]))
        if row is not None:
            return row, words[count:]
    return None, words


def unknown(words: list[str]) -> str:
    """Return what is wrong with words that name no subcommand, in one line."""
    word = words[0]
    if _is_a_family(word):
        names = _seconds(word)
        return f"'{word}' has no '{words[1]}': {', '.join(names)}{meant(words[1], names)}"
    if word in ELSEWHERE:
        return f"no command '{word}'; did you mean '{ELSEWHERE[word]}'?"
    names = sorted({name.split()[0] for name in SUBCOMMANDS})
    return f"no command '{word}'{meant(word, names) or ':'} emu --help lists them"


def run(row: Subcommand, arguments: list[str]) -> int:
    """
    Run a subcommand.

    :raises EmuError: in one line, if something is not installed that it needs.
    """
    if row.usage and {'-h', '--help'} & {*arguments}:  # A ROS 2 program has none of its own.
        print(f'usage: {_own_name(row)} {row.usage}\n\n{row.help}')
        return 0
    stray = stray_word(row, arguments) if row.usage else ''
    if stray:
        raise EmuError(f"'{stray}' is none of its words: usage: {_own_name(row)} {row.usage}"
                       f'{parameter_meant(row, stray, arguments)}')
    if row.usage and find_spec('rclpy') is None:  # The node knows only how to mend a sourced one.
        raise EmuError(lacking(row, 'rclpy'))
    if row.ros:
        find_wheels()
    try:
        command = load(row)
        return command(ros_words(row, arguments) if row.usage else arguments)
    except ModuleNotFoundError as error:
        raise EmuError(lacking(row, str(error.name or error))) from error


def find_wheels() -> None:
    """Let a ROS 2 of pip's wheels find itself, as a sourced one's setup.bash does."""
    if not os.environ.get('AMENT_PREFIX_PATH') and Path(
            sys.prefix, 'share', 'ament_index').is_dir():
        os.environ['AMENT_PREFIX_PATH'] = sys.prefix


def stray_word(row: Subcommand, arguments: list[str]) -> str:
    """Return a word that a ROS 2 program would drop and say nothing; '' where there is none."""
    own, to_ros = [], False
    for word in arguments:  # From --ros-args up to -- they are ROS's.
        if word in ('--ros-args', '--'):
            to_ros = word == '--ros-args'
        elif not to_ros:
            own.append(word)
    taken = len(own) if row.many_words else 1 if row.parameter else 0
    return next((word for index, word in enumerate(own)
                 if index >= taken or word.startswith('-')), '')


def parameter_meant(row: Subcommand, stray: str, arguments: list[str]) -> str:
    """Return the words of ROS that say what a stray word means; '' where it is no such option."""
    option, given, value = stray.partition('=')
    known = {**{f'--{name.replace("_", "-")}': name for _, name in row.options},
             **dict(row.options)}
    name = known.get(option.replace('_', '-'))
    if name is None and stray.endswith('.safetensors'):
        name, given, value = known.get('--model'), '=', stray
    if name is None:
        return ''
    if not given:
        following = arguments[arguments.index(stray) + 1:][:1]
        value = following[0] if following and not following[0].startswith('-') else 'VALUE'
    return f'; did you mean --ros-args -p {name}:={shlex.quote(value)}?'


def ros_words(row: Subcommand, arguments: list[str]) -> list[str]:
    """Return the arguments of a ROS 2 program: its name first, a bare word as its parameter."""
    words = [_own_name(row), *arguments]
    if row.parameter and arguments and not arguments[0].startswith('-'):
        # Quoted: a folder named 0001 is no number.
        words[1:2] = ['--ros-args', '-p', f'{row.parameter}:="{arguments[0]}"', '--']
    return words


def load(row: Subcommand) -> Callable[[list[str]], int]:
    """Return a subcommand's function, which reads its words before it imports what it needs."""
    def command(arguments: list[str]) -> int:
        if row.arguments:
            read_first(module_name(row.arguments), arguments)
        code: int = getattr(import_module(module_name(row.module)), row.function)(arguments)
        return code
    return command


def module_name(module: str) -> str:
    """Return the name of a module of the table, as it can be imported here."""
    return (module.replace(OFFLINE, offline_package()) if module.startswith(OFFLINE)
            else module)


def lacking(row: Subcommand, module: str) -> str:
    """Return in one line what brings a module that a subcommand could not import."""
    top = module.split('.')[0]
    if top in _OWN and row.demo:
        return ('is installed only where it is asked for: EMU_WITH_DEMO=1 pip install '
                f"'.[{row.extra}]', or EMU_WITH_DEMO=1 colcon build")
    if top in _OWN:
        return f'{module} is missing from this installation: install the package again'
    if row.ros and (top.startswith(('rclpy', 'rcl_', 'ament_')) or top.endswith('_msgs')):
        return (f'needs ROS 2, {top} is not there: . /opt/ros/jazzy/setup.bash, or, for its '
                "wheels, pip install '.[ros]' in the folder of emu_perception")
    return (f'needs the Python package {top}, which is not installed: in the folder of '
            f"emu_perception, pip install '.[{row.extra}]'")


def usage(family: str = '') -> str:
    """Return the list of subcommands: of all, a family on one line, or of one family."""
    lines = [f'usage: emu {f"{family} " if family else ""}COMMAND ...']
    group = ''
    for first, rows in groupby(SUBCOMMANDS.values(), lambda row: row.name.split()[0]):
        members = [*rows]
        if family and first != family:
            continue
        if members[0].group != group:
            group = members[0].group
            lines += ['', f'{group}:']
        if ' ' in members[0].name and not family:
            lines += textwrap.wrap(', '.join(_seconds(first)), 96, break_on_hyphens=False,
                                   initial_indent=f'  {first:<{_WIDTH}}',
                                   subsequent_indent=' ' * (_WIDTH + 2))
            continue
        lines += [f'  {row.name.split()[-1]:<{_WIDTH}}{row.help}' for row in members]
    return '\n'.join([*lines, '', f'emu {f"{family} " if family else ""}COMMAND --help says more; '
                      'emu --version'])


def _own_name(row: Subcommand) -> str:
    return program(f'emu {row.name}')


def _is_a_family(word: str) -> bool:
    return bool(_seconds(word))


def _seconds(first: str) -> list[str]:
    """Return the second words of a family, none where a word is no family's."""
    return [name.split()[1] for name in SUBCOMMANDS if name.startswith(f'{first} ')]


if __name__ == '__main__':
    sys.exit(main())
