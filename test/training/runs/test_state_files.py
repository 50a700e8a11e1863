# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A run is never lost: killed, stopped or out of disk, it says what is kept, and goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import pytest
from synthetic_data import FIELDS
import torch
from training import ensemble
from training.fit import main
from training.runs import members
from training.runs.callbacks import ProgressFile
from training.runs.run_folder import epochs_done
from training.runs.state_files import StateFiles, what_is_kept
import yaml


def recipe_file(synthetic: Path, tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'name': 'run', 'data': str(synthetic),
                                    'output': str(tmp_path), **changes}))
    return path


def test_the_state_of_before_is_kept_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / 'last.ckpt'
    states = StateFiles()
    states.save_checkpoint({'epoch': 1, 'weights': torch.ones(1000)}, path)

    def cut(*_: object) -> None:
        raise Cut

    class Cut(BaseException):
        """A power cut."""
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr('emu_perception.whole_files.os.fsync', cut)
        states.save_checkpoint({'epoch': 2, 'weights': torch.ones(1000)}, path)
    assert states.load_checkpoint(path)['epoch'] == 1
    states.save_checkpoint({'epoch': 2, 'weights': torch.ones(1000)}, path)
    assert states.load_checkpoint(path)['epoch'] == 2
    assert what_is_kept(tmp_path, 3).startswith(f'{tmp_path} has no epoch yet')


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_says_what_is_kept_and_goes_on(
        synthetic, tmp_path, monkeypatch, capsys, number, code):
    command = ['--recipe', str(recipe_file(synthetic, tmp_path)), '--no-progress', 'epochs=4',
               'validate_every=2']
    with monkeypatch.context() as patch:
        write = ProgressFile.on_train_epoch_end

        def stopping(self, trainer, module):
            write(self, trainer, module)
            if trainer.current_epoch == 1:
                os.kill(os.getpid(), number)
                time.sleep(1)
        patch.setattr(ProgressFile, 'on_train_epoch_end', stopping)
        assert main(command) == code
    last = capsys.readouterr().err.splitlines()[-1]
    name = 'SIGTERM' if number == signal.SIGTERM else 'Ctrl-C'
    assert last == (f'stopped by {name}: 2 of 4 epochs are kept in {tmp_path}/run/state/last.ckpt;'
                    ' the same command with --resume goes on from there')
    assert main([*command, '--resume']) == 0
    assert epochs_done(tmp_path / 'run') == 4 and (tmp_path / 'run/finished.json').exists()
    # Killed after the last epoch but before the checkpoints, there is only their writing left.
    (tmp_path / 'run/best.safetensors').unlink()
    (tmp_path / 'run/finished.json').unlink()
    (tmp_path / 'run/state/last.ckpt.12345678.partial').touch()
    assert main([*command, '--resume']) == 0
    assert (tmp_path / 'run/best.safetensors').exists()
    assert (tmp_path / 'run/finished.json').exists()
    assert not list((tmp_path / 'run/state').glob('*.partial'))


@pytest.mark.slow
def test_a_full_disk_names_the_state_and_keeps_that_of_before(synthetic, tmp_path, monkeypatch,
                                                              capsys):
    """From the second state on; what is small still finds room."""
    command = ['--recipe', str(recipe_file(synthetic, tmp_path)), '--no-progress', 'epochs=3',
               'validate_every=3']
    write, synced = ProgressFile.on_train_epoch_end, os.fsync

    def full(number: int) -> None:
        if os.fstat(number).st_size > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(number)

    with monkeypatch.context() as patch:
        def filling(self, trainer, module):
            write(self, trainer, module)
            patch.setattr('emu_perception.whole_files.os.fsync', full)
        patch.setattr(ProgressFile, 'on_train_epoch_end', filling)
        assert main(command) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f'error: {tmp_path}/run/state/last.ckpt: .*the file of before is kept', line)
    assert '1 of 3 epochs are kept' in line and '--resume' in line, line
    assert main([*command, '--resume']) == 0


def test_an_ensemble_passes_the_signal_to_its_members_and_on(synthetic, tmp_path, monkeypatch,
                                                             capsys):
    """The member is a process that waits for the signal, and tells what it was."""
    def start(recipe, slot):
        recipe.folder.mkdir(parents=True)
        log = (recipe.folder / 'log.txt').open('wb')
        process = subprocess.Popen([sys.executable, '-c', (
            'import os, signal\n'
            'signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n'
            f'os.kill({os.getpid()}, signal.SIGTERM)\n'
            'print(int(signal.sigwait([signal.SIGTERM])))\n')], stdout=log)
        return members.MemberRun(slot, recipe, process, log)
    monkeypatch.setattr(members, '_start', start)
    path = recipe_file(synthetic, tmp_path)
    assert ensemble.main(['--recipe', str(path), '--members', '1', '--no-progress']) == 143
    assert capsys.readouterr().err.splitlines()[-1] == (
        f'stopped by SIGTERM: what the members in {tmp_path}/run have done is kept; the same '
        'command goes on')
    assert (tmp_path / 'run/member_00/log.txt').read_text() == f'{int(signal.SIGTERM)}\n'


@pytest.mark.slow
def test_a_gradient_that_is_none_is_blamed_on_its_own_batch(synthetic, tmp_path, monkeypatch,
                                                            capsys):
    """The loss of its batch is finite, and that of the next one would not be."""
    from training.methods.baseline import Baseline
    terms = Baseline.terms
    seen = []

    def spoiled(self, batch):
        losses = terms(self, batch)
        seen.append(batch['index'].tolist())
        if len(seen) == 2:  # The root of 0: finite, with an infinite gradient; times 0: NaN.
            weight = next(self.network.parameters())
            losses['ce'] = losses['ce'] + (weight * 0.0).sum().sqrt()
        return losses
    monkeypatch.setattr(Baseline, 'terms', spoiled)
    path = recipe_file(synthetic, tmp_path, batch_size=2)
    assert main(['--recipe', str(path), '--no-progress', 'epochs=3']) == 1
    message = capsys.readouterr().err
    assert 'the loss is finite but the gradient' in message, message
    assert f'samples {seen[1]} of train' in message and len(seen) == 2, message
