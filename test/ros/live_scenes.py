# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What takes more than one message: sizes, stamps, clocks and camera_info that change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time
from typing import Any

from emu_perception.cameras.one_camera import APART_S
from emu_perception.freshness import Freshness
from emu_perception.ros import arrivals
from live_node import HEIGHT, Live, WIDTH
from node_bench import AnyTime, camera_info, rgb_image
import numpy as np
from sensor_msgs.msg import CameraInfo

_SAID_WITHIN_S = 20.0  # No promise but a limit to the waiting, as on a busy machine.


@contextmanager
def _by_stamps(live: Live) -> Iterator[None]:
    """Have the node judge images by their stamps."""
    arrivals.Freshness = Freshness  # type: ignore[misc]
    live.restart()
    try:
        yield
    finally:
        arrivals.Freshness = AnyTime  # type: ignore[misc]
        live.restart()


@contextmanager
def _without_fallback(live: Live) -> Iterator[None]:
    """Leave the node without a field of view beside camera_info."""
    assert live.bench.set(fallback_hfov_deg=0.0).successful
    try:
        yield
    finally:
        assert live.bench.set(fallback_hfov_deg=65.0).successful


def _raised_for(live: Live, reason: str) -> bool:
    risk = live.bench.diagnostics()['risk']
    return risk['raised'] == 'True' and risk['reason'] == reason


def size_changes(live: Live) -> str:
    """64x48, then 96x64, then 33x40."""
    for size in ((64, 48), (96, 64), (33, 40)):
        found = live.good(*size)
        assert (found.width, found.height) == size
    return 'each map has the size of its image'


def sizes_alternate(live: Live) -> str:
    """Two cameras remapped onto one topic: 64x48 and 80x40 in turn, 20 images."""
    for index in range(20):
        size = ((64, 48), (80, 40))[index % 2]
        live.give(rgb_image(*size))
    live.until(lambda: 'come in turn' in live.bench.diagnostics()['inference']['last_error'], None)
    assert live.bench.risk() is True
    time.sleep(APART_S)
    live.good()
    return ('after the first few dropped (unusable_input), risk raised; "images of 64x48 rgb8 and '
            'of 80x40 rgb8 come in turn: do two cameras send there?"; 5 s later one by itself is '
            'processed')


def stamp_zero(live: Live) -> str:
    """Stamp 0."""
    with _by_stamps(live):
        del live.maps[:]
        seen = live.give(rgb_image(WIDTH, HEIGHT, sec=0, nanosec=0))
        assert (seen.processed, seen.dropped) == (seen.received, 0)
        live.until(lambda: live.maps, None)
        assert live.maps[-1].header.stamp.sec == live.maps[-1].header.stamp.nanosec == 0
        live.until(lambda: 'stamp 0' in live.bench.diagnostics()['input']['warnings'], None)
        live.until(lambda: live.bench.risk() is False, None)
    live.good()
    return 'processed with a warning; the maps keep stamp 0'


def stamp_jumps_back(live: Live) -> str:
    """Stamps 500, 501, 10, 11: a bag that starts over."""
    with _by_stamps(live):
        for sec in (500, 501, 10, 11):
            del live.maps[:]
            seen = live.give(rgb_image(WIDTH, HEIGHT, sec=sec))
            assert (seen.processed, seen.dropped) == (seen.received, 0)
            live.until(lambda: live.maps, None)
            assert live.maps[-1].header.stamp.sec == sec
            if sec < 500:
                live.until(lambda: _raised_for(live, 'stale'), None)
    live.good()
    return ('all processed; the maps keep the stamps they came with; risk raised (stale) until '
            'they have gone on from there for some seconds')


def simulated_clock_missing(live: Live) -> str:
    """use_sim_time switched on without a /clock."""
    bench, words = live.bench, 'use_sim_time is set but there is no /clock'
    with _by_stamps(live):
        assert bench.set(use_sim_time=True).successful
        try:
            bench.until(lambda: words in bench.diagnostics()['input']['message'])
            seen = live.give(live.stamped(rgb_image(WIDTH, HEIGHT, sec=0, nanosec=0)))
            assert (seen.processed, seen.dropped) == (seen.received, 0)
            live.until(lambda: _raised_for(live, 'stale'), None)
        finally:
            assert bench.set(use_sim_time=False).successful
        bench.until(lambda: words not in bench.diagnostics()['input']['message'])
    return (f'"{words}", risk raised (stale), since the age of images is not known; they are '
            'processed all the same')


def camera_info_missing(live: Live) -> str:
    """Images alone."""
    live.restart()
    infos = live.bench.listen(CameraInfo, 'camera_info')
    with _without_fallback(live):
        del live.maps[:]
        text = _camera_says(live, 'no camera_info on /camera_info')
        live.until(lambda: _raised_for(live, 'no_calibration'), None)
        assert not infos and not live.maps
    live.good()
    return ('labels processed; metres withheld, no camera_info, risk raised (no_calibration) '
            f'unless fallback_hfov_deg is set; "{text}"')


def camera_info_late(live: Live) -> str:
    """Three images, then the first camera_info."""
    live.restart()
    with _without_fallback(live):
        for _ in range(3):
            _camera_says(live, 'no camera_info')
        _camera_says(live, 'used', camera_info(WIDTH, HEIGHT))
        live.until(lambda: live.bench.risk() is False, None)
    return 'processed without it, risk raised; used from the next image on, and the flag lowered'


def _info(**changes: Any) -> CameraInfo:
    info = camera_info(WIDTH, HEIGHT)
    for name, value in changes.items():
        setattr(info, name, value)
    return info


def _k(**at: float) -> list[float]:
    k = list(camera_info(WIDTH, HEIGHT).k)
    for name, value in at.items():
        k[{'fx': 0, 'cx': 2, 'fy': 4, 'cy': 5}[name]] = value
    return k


def _p(**at: float) -> list[float]:
    p = list(camera_info(WIDTH, HEIGHT).p)
    for name, value in at.items():
        p[{'fx': 0, 'cx': 2, 'fy': 5, 'cy': 6}[name]] = value
    return p


_NAN, _INF = float('nan'), float('inf')
CAMERA_INFOS: dict[str, tuple[CameraInfo, str]] = {
    'of another size': (camera_info(32, 24), 'is for 32x24, the image is 64x48'),
    'with all-zero K and P': (_info(k=[0.0] * 9, p=[0.0] * 12), 'not calibrated'),
    'with all NaN': (_info(k=[_NAN] * 9, p=[_NAN] * 12), 'not calibrated'),
    'with fx NaN in K alone': (_info(k=_k(fx=_NAN), p=[0.0] * 12), 'not calibrated'),
    'with cx NaN': (_info(k=_k(cx=_NAN)), 'not calibrated'),
    'with fy inf': (_info(k=_k(fy=_INF)), 'not calibrated'),
    'with fx negative': (_info(k=_k(fx=-50.0), p=[0.0] * 12), 'not calibrated'),
    'with fx of a millionth of a pixel': (_info(k=_k(fx=1e-6, fy=1e-6)), 'not'),
    'with fx 1e300': (_info(k=_k(fx=1e300, fy=1e300)), 'not'),
    'of 0x0': (_info(width=0, height=0), 'not calibrated'),
    'with binning 4294967295': (_info(binning_x=2**32 - 1, binning_y=2**32 - 1), 'is for 0x0'),
    'with NaN in D alone': (_info(d=[_NAN] * 5), 'not'),
    'with NaN in P alone': (_info(p=_p(fx=_NAN, cx=_NAN)), 'not'),
    'with K of an image four times as large': (
        _info(k=_k(fx=200.0, fy=200.0, cx=127.5, cy=95.5)), '256x192'),
    'with K of an image half as large': (
        _info(k=_k(fx=25.0, fy=25.0, cx=15.5, cy=11.5)), '32x24'),
    'with fx and fy that differ': (_info(k=_k(fy=30.0)), 'fx 50 and fy 30'),
    'with a field of view of 5 degrees': (_info(k=_k(fx=700.0, fy=700.0)), 'field of view'),
    'with a distortion of an unknown model': (
        _info(d=[0.1] * 5, distortion_model='omnidirectional'), "the model 'omnidirectional'"),
    'with three distortion coefficients': (_info(d=[0.1] * 3), '3 coefficients'),
    'with distortion coefficients of 1e300': (_info(d=[1e300] * 5), 'cannot be taken out'),
    'with a distortion that turns back': (
        _info(d=[-30.0, 0.0, 0.0, 0.0, 0.0]), 'turns back inside the image'),
    'in order again': (camera_info(WIDTH, HEIGHT), 'used'),
}


def odd_camera_info(live: Live, name: str) -> str:
    """Send one odd camera_info before each image; what is published must hold no NaN."""
    info, words = CAMERA_INFOS[name]
    published = live.bench.listen(CameraInfo, 'camera_info')
    del published[:]
    with _without_fallback(live):
        text = _camera_says(live, words, info)
        if words == 'used':
            live.until(lambda: live.bench.diagnostics()['risk']['raised'] == 'False', None)
        else:
            live.until(lambda: _raised_for(live, 'no_calibration'), None)
    if 'cannot be taken out' in text:  # Nor is a field of view used until it can.
        _camera_says(live, 'used', camera_info(WIDTH, HEIGHT))
    live.good()
    for message in [one for one in published if one.header.stamp.sec == live.last_sec]:
        assert np.isfinite([*message.k, *message.p, *message.d]).all(), 'publishes NaN'
    if words == 'used':
        return 'processed with it'
    return f'processed without it: metres withheld, risk raised; "{short(text)}"'


def short(text: str, limit: int = 110) -> str:
    """Cut a long text."""
    return text if len(text) <= limit else f'{text[:limit]}...'


def _camera_says(live: Live, words: str, info: CameraInfo | None = None) -> str:
    """Send images, each after its camera_info, until the diagnosis has these words."""
    end = time.monotonic() + _SAID_WITHIN_S
    while time.monotonic() < end:
        image = live.stamped(rgb_image(WIDTH, HEIGHT, sec=0, nanosec=0))
        if info is not None:
            info.header = image.header
            live.bench._camera_info.publish(info)
            time.sleep(0.02)
        seen = live.give(image)
        assert seen.dropped == 0, seen.error
        text = live.bench.diagnostics()['input']['camera_info']
        if words in text:
            return str(text)
    raise AssertionError(f'{words!r} is not said; camera_info: {text!r}')


SCENES: dict[str, Callable[[Live], str]] = {
    function.__name__.replace('_', ' '): function for function in (
        size_changes, sizes_alternate, stamp_zero, stamp_jumps_back, simulated_clock_missing,
        camera_info_missing, camera_info_late)}
SCENES.update({f'camera_info {name}': lambda live, name=name: odd_camera_info(live, name)
               for name in CAMERA_INFOS})
