# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a user sets in vain is said: some of it are thresholds that a robot's safety hangs on."""

from __future__ import annotations

from pathlib import Path

from emu_perception.ros.parameter_files import (
    files_of,
    keys_in_vain,
    said_twice,
    unknown_parameters,
)
from emu_perception.ros.parameters import TABLE
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_name_that_is_no_parameter_is_said_with_what_it_may_be_meant_to_be():
    (line,) = unknown_parameters(['risk_treshold_depth', 'device', 'use_sim_time',
                                  'qos_overrides./image.subscription.depth'], TABLE)
    assert "'risk_treshold_depth'" in line and "did you mean 'risk_threshold_depth'" in line
    assert 'did you mean' not in unknown_parameters(['xyzzy'], TABLE)[0]


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / 'params.yaml'
    path.write_text(text)
    return path


@pytest.mark.parametrize('key', ['emu', '/emu', '/**', '/*', '/**/emu', 'front/emu:\n  x',
                                 'other:\n  ros__parameters: {max_speed: 1.0}\nemu'])
def test_keys_that_match_or_are_somebody_elses_are_left_alone(tmp_path, key):
    nodes = ['/front/emu/x'] if 'front' in key else ['/emu']
    indent = '    ' if 'x' == key[-1] else '  '
    path = file(tmp_path, f'{key}:\n{indent}ros__parameters: {{raise_after: 2}}\n')
    assert keys_in_vain(path, nodes, TABLE) == []


def test_key_that_matches_no_node_here_is_said(tmp_path):
    path = file(tmp_path, '/emu_front:\n  ros__parameters: {risk_threshold_depth: 0.4}\n')
    (line,) = keys_in_vain(path, ['/front/emu'], TABLE)
    assert "'/emu_front' is no node here (there is /front/emu)" in line and str(path) in line


def test_of_several_cameras_each_key_counts_and_of_one_a_key_of_another_process_does_not(tmp_path):
    text = ''.join(f'/{name}/emu:\n  ros__parameters: {{raise_after: 2}}\n'
                   for name in ('front', 'lfet'))
    path = file(tmp_path, text)
    (line,) = keys_in_vain(path, ['/front/emu', '/left/emu'], TABLE)
    assert "'/lfet/emu'" in line
    assert keys_in_vain(path, ['/front/emu'], TABLE) == []


@pytest.mark.parametrize('text', ['', '- 1', 'emu: [', 'emu: 3', '/emu:\n  ros__parameters: 3'])
def test_file_that_is_no_parameter_file_is_rcls_affair(tmp_path, text):
    assert keys_in_vain(file(tmp_path, text), ['/emu'], TABLE) == []
    assert keys_in_vain(tmp_path / 'none.yaml', ['/emu'], TABLE) == []


def test_a_parameter_that_a_file_says_twice_is_named_with_its_line(tmp_path):
    """ROS takes the last: a threshold that somebody has set above it holds no more."""
    path = file(tmp_path, '/**:\n  ros__parameters:\n    risk_threshold_depth: 0.4\n'
                '    risk_threshold_depth: 4.0\n')
    (line,) = said_twice(path)
    assert line.startswith(f"{path}: field 'risk_threshold_depth' stands there twice")
    assert 'line 4' in line and 'ROS takes the last' in line and '\n' not in line
    for text in ('emu: [', '', '/**:\n  ros__parameters: {raise_after: 2}\n'):
        assert said_twice(file(tmp_path, text)) == []
    assert said_twice(tmp_path / 'none.yaml') == said_twice(ROOT / 'config/emu.yaml') == []


def test_packages_own_file_has_nothing_in_vain():
    assert keys_in_vain(ROOT / 'config/emu.yaml', ['/emu'], TABLE) == []
    assert files_of(['emu_node', '--ros-args', '--params-file', 'a', '-p', 'b:=1',
                     '--params-file', 'c', '--params-file']) == [Path('a'), Path('c')]


def test_node_warns_of_an_unknown_parameter(make_bench, monkeypatch):
    from emu_perception.ros.logs import QuietLog
    said: list[str] = []
    monkeypatch.setattr(QuietLog, 'warning', lambda log, text: said.append(text))
    make_bench(parameters={'risk_treshold_depth': 0.4}, active=False)
    assert len(said) == 1 and "did you mean 'risk_threshold_depth'" in said[0]


def test_a_quality_of_service_of_no_topic_is_said_once_the_topics_are_there(
        make_bench, monkeypatch):
    """A camera's images stay best effort where its topic is misspelt, or remapped and not said."""
    from emu_perception.ros.logs import QuietLog
    said: list[str] = []
    monkeypatch.setattr(QuietLog, 'warning', lambda log, text: said.append(text))
    monkeypatch.setattr(QuietLog, 'once',
                        lambda log, key, text, warning=True: said.append(text))
    make_bench(parameters={f'qos_overrides.{name}': 'reliable' for name in (
        '/image.subscription.reliability', '/imgae.subscription.reliability',
        '/emu/risk.publisher.deadline', '/clock.subscription.reliability')})
    lines = [line for line in said if 'qos_overrides' in line]
    assert len(lines) == 2
    assert "'qos_overrides./emu/risk.publisher.deadline' was set, and changes nothing" in lines[0]
    assert "did you mean 'qos_overrides./image.subscription.reliability'?" in lines[1]
