# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Write down what emu.launch.py says: a start, a node that dies, Ctrl-C, and what is refused.

``python tools/launch_log.py --images DIR --out FILE`` runs the installed launch file by the real
launch system (launch, launch_ros), where a ROS 2 and this package are sourced. The exit code is 1
where a launch leaves a process behind, or ends otherwise than it should.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import re
import shlex
import signal
import subprocess
import sys
import time

TIMEOUT_S = 300.0
ACTIVE = 'active: reading'
_RUN = Path(__file__).with_name('launch_file.py')


class Launch:
    """One launch, in a process group of its own."""

    def __init__(self, file: Path, words: Sequence[str], log: Path) -> None:
        """Start it."""
        self._log = log
        with log.open('wb') as stream:
            self._process = subprocess.Popen(
                [sys.executable, str(_RUN), str(file), *words], stdout=stream,
                stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def text(self) -> str:
        """Return what it has said so far."""
        return self._log.read_text(errors='replace')

    def until(self, words: str, times: int) -> None:
        """Wait until it has said something so often, or has ended."""
        end_s = time.monotonic() + TIMEOUT_S
        while (self.text.count(words) < times and self._process.poll() is None
               and time.monotonic() < end_s):
            time.sleep(0.2)

    def kill_node(self) -> None:
        """Kill the node, as the kernel does where memory runs out."""
        found = re.search(r'\[emu_node-\d+\]: process started with pid \[(\d+)\]', self.text)
        if found:
            os.kill(int(found[1]), signal.SIGKILL)

    def end(self, *, by_itself: bool) -> tuple[int, bool]:
        """Press Ctrl-C or wait; return exit code, and whether a process is left behind."""
        if not by_itself:
            os.killpg(self._process.pid, signal.SIGINT)  # as a terminal does
        try:
            code = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return code, False
        return code, True


def main(args: list[str] | None = None) -> int:
    """Launch, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', required=True, help='what the replay camera publishes')
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args(args)
    from ament_index_python.packages import get_package_share_directory
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    file = Path(get_package_share_directory('emu_perception')) / 'launch' / 'emu.launch.py'
    log = options.out.with_suffix('.part')
    parts, bad = [f'$ {shlex.join(["python", *sys.argv])}'], 0
    for words, starts, fails in (
            ([f'replay:={options.images}', 'respawn:=true'], True, False),
            (['rviz:=true', f'replay:={options.images}'], False, True),
            ([f'replay:={options.images}', 'replay_rate:=fast'], False, True),
            (['replay:=/nowhere'], False, True)):
        launch = Launch(file, words, log)
        if starts:
            launch.until(ACTIVE, 1)
            launch.kill_node()
            launch.until(ACTIVE, 2)
        code, left = launch.end(by_itself=not starts)
        bad += left or bool(code) != fails or launch.text.count(ACTIVE) < 2 * starts
        parts.append(f'$ ros2 launch emu_perception emu.launch.py {" ".join(words)}\n'
                     f'{launch.text}(exit code {code}; left behind: '
                     f'{"a process" if left else "nothing"})')
    log.unlink()
    options.out.write_text('\n\n'.join(parts) + '\n')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
