# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""cv_bridge is believed only where it proved itself, and asked once for a set of versions."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess

from bridge_bench import GOOD_PACKAGE, GoodBridge, install
from emu_perception.ros import bridge_probe
from emu_perception.ros.image_messages import ENCODINGS, image_to_rgb
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('own_cache')


class StepIgnoringBridge:
    """As PyPI's (ROS 1's): reads the rows as if they were not padded."""

    def imgmsg_to_cv2(self, message, encoding):
        unpadded = type(message)(
            header=message.header, width=message.width, height=message.height,
            encoding=message.encoding, data=message.data,
            step=message.step - 10 if message.step > message.width else message.step)
        return image_to_rgb(unpadded)


class SwappedBridge:
    """Takes bgr for rgb."""

    def imgmsg_to_cv2(self, message, encoding):
        return image_to_rgb(message)[..., ::-1]


def test_good_bridge_is_proven_for_what_it_knows():
    assert bridge_probe.proven_encodings(GoodBridge()) == {e for e in ENCODINGS if e[:2] != 'nv'}


@pytest.mark.parametrize('bad', [StepIgnoringBridge, SwappedBridge])
def test_bridge_that_ignores_padding_or_swaps_colours_is_rejected(bad):
    assert not bridge_probe.proven_encodings(bad()) & {'rgb8', 'bgr8'}


def test_bridge_that_raises_on_everything_is_rejected():
    assert not bridge_probe.proven_encodings(object())


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands of the processes that are started; they do run."""
    commands: list[list[str]] = []
    run = subprocess.run

    def counted(command, **arguments):
        commands.append(command)
        return run(command, **arguments)
    monkeypatch.setattr(bridge_probe.subprocess, 'run', counted)
    return commands


def kept() -> Path:
    """Return the one file that is remembered."""
    file, = bridge_probe.cache_folder('cv_bridge').iterdir()
    return file


def restart() -> None:
    """Forget what only this process knows."""
    bridge_probe._known.clear()


@pytest.mark.parametrize('body', [GOOD_PACKAGE, 'import os\nos.abort()'], ids=['good', 'crash'])
def test_the_second_configure_and_the_next_start_ask_nobody(tmp_path, monkeypatch, started, body):
    install(tmp_path, monkeypatch, body)
    first = bridge_probe.probe()
    assert len(started) == 1
    assert bridge_probe.probe() == first
    restart()
    again = bridge_probe.probe()
    assert again.proven == first.proven and first.problem in again.problem
    assert len(started) == 1


def test_a_remembered_crash_names_the_file_that_remembers_it(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, 'import os\nos.abort()')
    bridge_probe.probe()
    restart()
    assert bridge_probe.probe().problem == (
        f'its probe ended with code -6, as {kept()} remembers')


@pytest.mark.slow
def test_a_crash_is_believed_of_its_own_versions_alone(tmp_path, monkeypatch, started):
    package = install(tmp_path, monkeypatch, 'import os\nos.abort()')
    assert not bridge_probe.probe().proven
    package.write_text(GOOD_PACKAGE)  # As an update that was built against this NumPy.
    assert bridge_probe.probe().proven >= bridge_probe.MUST_HAVE
    monkeypatch.setattr(np, '__version__', '0.9')
    bridge_probe.probe()
    assert len(started) == 3


@pytest.mark.parametrize('change', [
    lambda patch, file: patch.setattr(bridge_probe.cv2, '__version__', '0.1'),
    lambda patch, file: patch.setattr(bridge_probe.sys, 'version', '2.7'),
    lambda patch, file: patch.setattr(bridge_probe, 'version', lambda name: '9.9'),
    lambda patch, file: os.utime(file, ns=(1, 1)),
    lambda patch, file: file.write_text(GOOD_PACKAGE + '\n'),
    lambda patch, file: file.with_name('part.so').write_text('')],
    ids=['opencv', 'python', 'version', 'time', 'size', 'another file'])
def test_whatever_the_result_depends_on_changes_the_key(tmp_path, monkeypatch, change):
    file = install(tmp_path, monkeypatch, GOOD_PACKAGE)
    before = bridge_probe.versions_key()
    assert bridge_probe.versions_key() == before
    change(monkeypatch, file)
    assert bridge_probe.versions_key() != before


@pytest.mark.slow
@pytest.mark.parametrize('damage', [
    lambda content: b'', lambda content: content[:-2], lambda content: b'{"proven": ["rgb8"]}',
    lambda content: content.replace(b'rgb8', b'yuyv', 1)])
def test_a_damaged_or_foreign_file_is_made_again(tmp_path, monkeypatch, started, damage, caplog):
    install(tmp_path, monkeypatch, GOOD_PACKAGE)
    first = bridge_probe.probe()
    whole = kept().read_bytes()
    kept().write_bytes(damage(whole))
    restart()
    assert bridge_probe.probe() == first
    assert len(started) == 2 and kept().read_bytes() == whole
    assert 'probed again' in caplog.text and str(kept()) in caplog.text


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path, monkeypatch, started, caplog):
    install(tmp_path, monkeypatch, GOOD_PACKAGE)
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    for _ in range(2):
        assert bridge_probe.probe().proven >= bridge_probe.MUST_HAVE
    assert len(started) == 1, 'this process still knows'
    assert 'cannot be written' in caplog.text


def fail_to_start(command, **_):
    raise OSError(12, 'Cannot allocate memory')


def never_end(command, timeout, **_):
    raise subprocess.TimeoutExpired(command, timeout)


def be_killed(command, **_):
    return subprocess.CompletedProcess(command, -signal.SIGKILL, '', '')


@pytest.mark.parametrize(('run', 'said'), [
    (fail_to_start, 'cannot be started (Cannot allocate memory)'),
    (never_end, 'did not end within 30 s'), (be_killed, 'code -9')])
def test_a_probe_that_could_not_run_is_tried_again(tmp_path, monkeypatch, run, said):
    install(tmp_path, monkeypatch, GOOD_PACKAGE)
    with monkeypatch.context() as patch:
        patch.setattr(bridge_probe.subprocess, 'run', run)
        result = bridge_probe.probe()
    assert said in result.problem and not result.proven
    assert bridge_probe.probe().proven >= bridge_probe.MUST_HAVE
