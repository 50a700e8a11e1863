# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Node and replay camera as installed executables, over DDS."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import subprocess
import time

import pytest

pytest.importorskip('rclpy', reason='NOT TESTED: no ROS 2 here')

from emu_perception.cameras.calibration import pinhole_info  # noqa: E402,I100
from emu_perception.cameras.calibration_files import write_calibration  # noqa: E402
from emu_perception.ros.demo.listener import Listener, MAPS  # noqa: E402
from emu_perception.ros.demo.processes import Child, executable  # noqa: E402

pytestmark = pytest.mark.system
START_S = 90.0


def alive(children: list[Child]) -> Callable[[], None]:
    """Return a check that fails with the log of a process that has ended."""
    def check() -> None:
        for child in children:
            assert child.running, f'{child.name} has ended: {child.log}'
    return check


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_every_image_is_answered_and_ctrl_c_ends_both_with_0(
        ros: None, start: Callable[..., Child], image_folder: Path, random_checkpoint: Path,
        transport: str) -> None:
    """Camera, node and listener are three processes; nothing but messages goes between them."""
    for name in ('a', 'b', 'c'):
        write_calibration(image_folder / f'{name}.yaml',
                          pinhole_info(128, 96, 100.0, 100.0, 63.5, 47.5))
    replay = start('replay_camera', source=str(image_folder), step=True, loop=False,
                   transport=transport)
    node = start('emu_node', model_file=str(random_checkpoint), device='cpu', clear_after=2,
                 transport=transport, stale_after_s=30.0, max_image_age_s=30.0)
    listener = Listener(compressed=transport == 'compressed')
    try:
        listener.wait_until_ready(START_S, alive([replay, node]))
        answers = [listener.ask(30.0) for _ in range(3)]
        assert listener.ask(30.0) is None, 'three images and no fourth'
        for answer in answers:
            assert answer is not None and answer.latency_s is not None, node.log
            assert set(MAPS) <= answer.pixels.keys()
            for name in MAPS:
                assert answer.pixels[name].shape[:2] == (96, 128), name
            assert (answer.figure('mean_segmentation_uncertainty_nat') or -1.0) > 0
        flags = [answer.status['raised'] for answer in answers if answer]
        assert flags == ['True', 'False', 'False'], 'cleared by the second certain image'
    finally:
        listener.destroy_node()
    assert node.stop() == 0, node.log
    assert replay.stop() == 0, replay.log
    for child in (node, replay):
        assert 'Traceback' not in child.log


def test_dead_camera_raises_the_flag(ros: None, start: Callable[..., Child], image_folder: Path,
                                     random_checkpoint: Path) -> None:
    """A camera process that is killed sends nothing, not even a farewell."""
    import rclpy
    replay = start('replay_camera', source=str(image_folder), step=True)
    node = start('emu_node', model_file=str(random_checkpoint), device='cpu', clear_after=1,
                 stale_after_s=2.0, max_image_age_s=30.0, fallback_hfov_deg=60.0)
    listener = Listener()
    try:
        listener.wait_until_ready(START_S, alive([replay, node]))
        answer = listener.ask(30.0)
        assert answer is not None and answer.status['raised'] == 'False'
        os.kill(replay.process.pid, signal.SIGKILL)
        end_s = time.monotonic() + 30.0
        while listener.risk_changes[-1][1] is False and time.monotonic() < end_s:
            rclpy.spin_once(listener, timeout_sec=0.1)
        assert listener.risk_changes[-1][1] is True
    finally:
        listener.destroy_node()


def test_demo_over_own_images_writes_panels_and_an_honest_summary(
        environment: dict[str, str], image_folder: Path, random_checkpoint: Path,
        tmp_path: Path) -> None:
    """The whole command, on three images."""
    out = tmp_path / 'out'
    done = subprocess.run(
        [str(executable('emu_demo')), '--images', str(image_folder), '--model',
         str(random_checkpoint), '--out', str(out)],
        env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['images_sent'] == summary['images_answered'] == 3
    assert summary['exit_codes'] == {'emu_node': 0, 'replay_camera': 0}
    assert summary['kinds']['own']['mean_entropy_nat'] > 0
    assert len(list(out.glob('*.png'))) == 3
    assert (out / summary['kinds']['own']['panel']).is_file()


def test_demo_says_in_one_line_that_the_checkpoint_is_missing(
        environment: dict[str, str], image_folder: Path, tmp_path: Path) -> None:
    """It must not wait for a node that never becomes active."""
    done = subprocess.run(
        [str(executable('emu_demo')), '--images', str(image_folder), '--model',
         str(tmp_path / 'none.safetensors'), '--out', str(tmp_path / 'out')],
        env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and 'none.safetensors' in done.stderr
