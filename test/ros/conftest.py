# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Every test module has a ROS domain of its own, on this machine only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
from typing import Any
import zlib

import pytest

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ['ROS_LOCALHOST_ONLY'] = '1'


@pytest.fixture(scope='module')
def domain_id(request: pytest.FixtureRequest) -> int:
    """Return a domain id that other modules, and other people's runs, hardly have."""
    return 1 + (zlib.crc32(request.module.__name__.encode()) + os.getpid()) % 100


@pytest.fixture(scope='module')
def ros(domain_id: int) -> Iterator[None]:
    """Initialise rclpy for the module."""
    import rclpy
    rclpy.init(domain_id=domain_id)
    yield
    rclpy.try_shutdown()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is remembered of cv_bridge be this test's own."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr('emu_perception.ros.bridge_probe._known', {})


@pytest.fixture
def make_bench(ros: None) -> Iterator[Callable[..., Any]]:
    """Return a function that starts a node beside a helper node; all end with the test."""
    from node_bench import Bench
    benches = []

    def make(**arguments: Any) -> Bench:
        benches.append(Bench(**arguments))
        return benches[-1]
    yield make
    for bench in benches:
        bench.close()
