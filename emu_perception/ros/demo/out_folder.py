# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's folder: of a demo before it is cleared; of anybody else nothing is touched."""

from __future__ import annotations

from pathlib import Path
import shutil

from emu_perception.errors import InputError

FRAMES, LOG, SUMMARY = 'frames', 'log', 'summary.json'
PROCESSES = ('replay_camera', 'emu_node')


def clear(out: Path) -> None:
    """
    Make the folder, and remove what an earlier demo left in it.

    :raises InputError: if it is no folder, holds anything that no demo wrote, or cannot be
        written.
    """
    try:
        if out.exists() and not out.is_dir():
            raise InputError(f'--out {out}: is a file; give a folder')
        if foreign := _not_of_a_demo(out):
            raise InputError(f'--out {out}: holds what no demo wrote ({foreign}); give a folder '
                             'of its own')
        for panel in out.glob('*.png'):
            panel.unlink()
        shutil.rmtree(out / FRAMES, ignore_errors=True)
        (out / SUMMARY).unlink(missing_ok=True)
        (out / LOG).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'--out {out}: cannot be written ({error.strerror or error})') from error


def _not_of_a_demo(out: Path) -> str:
    """Return the name of something in the folder that no demo wrote; '' where there is none."""
    if not out.is_dir():
        return ''
    frames, log = out / FRAMES, out / LOG
    shown = {path.stem for path in frames.iterdir()} if frames.is_dir() else set()
    for path in sorted(out.iterdir()):
        panel = path.suffix == '.png' and path.stem in shown
        if not panel and path.name not in (FRAMES, LOG, SUMMARY):
            return path.name
    logs = {path.name for path in log.iterdir()} if log.is_dir() else set()
    if logs - {f'{name}.txt' for name in PROCESSES}:
        return LOG
    # A demo has its processes' logs as soon as it has frames that were shown.
    return FRAMES if shown and not log.is_dir() else ''
