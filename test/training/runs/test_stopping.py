# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A signal that ends a command is told, with what is kept, and is the exit code."""

from __future__ import annotations

import os
import signal

import pytest
from training.command_line import run
from training.runs.stopping import kept, pass_stops_on, raise_if_stopped, Stopped, stops_raised


def stop_by(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()  # Until it has come.


@pytest.mark.parametrize(('number', 'code', 'name'), [
    (signal.SIGTERM, 143, 'SIGTERM'), (signal.SIGINT, 130, 'Ctrl-C')])
def test_a_signal_is_one_line_and_the_exit_code(capsys, number, code, name):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def command() -> None:
        with kept('all of it; go on'):
            stop_by(number)
    assert run(command) == code
    assert capsys.readouterr().err == f'stopped by {name}: all of it; go on\n'
    assert {each: signal.getsignal(each) for each in before} == before


@pytest.mark.parametrize(('variables', 'speaks'), [
    ({}, True), ({'LOCAL_RANK': '1'}, False), ({'RANK': '0', 'LOCAL_RANK': '0'}, True),
    ({'RANK': '4', 'LOCAL_RANK': '0'}, False), ({'RANK': 'x'}, True),
    ({'SLURM_PROCID': '3'}, False), ({'SLURM_PROCID': '0'}, True)])
def test_of_processes_that_train_together_the_first_one_speaks(
        capsys, monkeypatch, variables, speaks):
    for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run(lambda: stop_by(signal.SIGTERM)) == 143
    assert capsys.readouterr().err.startswith('stopped by SIGTERM') is speaks


def test_what_a_command_calls_passes_the_signal_on(capsys):
    def outer() -> None:
        raise_if_stopped(0, 'unused')
        raise_if_stopped(1, 'unused')  # An error, which is another's to tell.
        raise_if_stopped(run(lambda: stop_by(signal.SIGTERM)), 'the table so far')
    assert run(outer) == 143
    assert capsys.readouterr().err.splitlines()[-1] == 'stopped by SIGTERM: the table so far'


def test_no_handler_of_errors_takes_it_and_a_second_sigterm_does_not_cut_the_tidying():
    with pytest.raises(Stopped), stops_raised():
        try:
            stop_by(signal.SIGTERM)
        except Exception:
            pytest.fail('taken for an error')
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_librarys_handler_in_front_of_ours_is_passed_over_and_the_others_are_told(capsys):
    """As Lightning's, which fails where the other process has gone already."""
    told = []

    def command() -> None:
        ours = signal.getsignal(signal.SIGTERM)

        def library(*_: object) -> None:
            raise RuntimeError('connection closed by peer')
        signal.signal(signal.SIGTERM, library)
        pass_stops_on(ours, lambda: told.append('the other process'))
        stop_by(signal.SIGTERM)
    assert run(command) == 143
    assert capsys.readouterr().err.startswith('stopped by SIGTERM')
    assert told == ['the other process']


def test_a_handler_of_somebody_else_who_calls_the_training_stays():
    def theirs(*_: object) -> None:
        pytest.fail('not asked')
    before = signal.signal(signal.SIGTERM, theirs)
    try:
        pass_stops_on(theirs, lambda: None)
        assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, before)
