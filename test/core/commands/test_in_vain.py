# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An option that nothing reads is said, not dropped."""

from __future__ import annotations

from emu_perception.commands.arguments import OF_GROUND, OF_HINTS, OF_PRIOR, OF_STREAMS, parse
from emu_perception.commands.in_vain import in_vain
import pytest


def said(*words: str, each: bool) -> list[str]:
    return list(in_vain(parse(['in', '--out', 'out', *words]), each=each))


@pytest.mark.parametrize('option', ['--raise-after', '--clear-after', '--clear-below',
                                    '--stale-after'])
def test_what_only_a_stream_is_judged_by_is_said_of_stills(option):
    value = '0.5' if option in ('--clear-below', '--stale-after') else '7'
    line, = said(option, value, each=True)
    assert line.startswith(f'{option}: not read') and '--judge stream' in line
    assert said(option, value, each=False) == []


def test_a_hints_options_are_said_where_there_is_no_hint():
    line, = said('--depth-hint-prior', '0', '--depth-hint-any-scale', each=False)
    assert line.startswith('--depth-hint-prior, --depth-hint-any-scale: not read')
    assert said('--depth-hint-prior', '0', '--depth-hint', 'depth', each=False) == []


def test_who_gives_none_hears_nothing():
    assert said(each=True) == said(each=False) == []


def test_the_defaults_are_those_of_the_command_line():
    options = vars(parse(['in', '--out', 'out']))
    read = {**OF_STREAMS, **OF_PRIOR, **OF_HINTS, **OF_GROUND}
    assert {name: options[name] for name in read} == read


def test_what_is_of_the_ground_is_said_where_the_cameras_height_is_not_known():
    line, = said('--camera-pitch', '20', '--ground-classes', 'floor', 'road', each=False)
    assert line.startswith('--camera-pitch, --ground-classes: not read')
    assert said('--camera-height', '0.3', '--camera-pitch', '20', '--depth-hint-prior', '0',
                each=False) == []
    line, = said('--camera-height', '0.3', '--depth-hint-any-scale', each=False)
    assert line.startswith('--depth-hint-any-scale: not read')
