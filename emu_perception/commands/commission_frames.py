# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a recording as commissioning sees them: rectified, with their depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import sys

from emu_perception.cameras import png_bytes
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.depth_decoding import metres_of
from emu_perception.cameras.image_decoding import DamagedImage
from emu_perception.cameras.opening import is_bag
from emu_perception.cameras.rectified_depth import depth_in_view
from emu_perception.cameras.source import InputImage, Source
from emu_perception.commands.camera_choice import CameraChoice
from emu_perception.commands.hints import open_hints
from emu_perception.commissioning import Recording
from emu_perception.commissioning_depth import compare_frame, FrameDepth
from emu_perception.commissioning_ground import GroundCheck
from emu_perception.delivery_check import DeliveryCheck
from emu_perception.errors import InputError
from emu_perception.observer import Observer, Seen
from emu_perception.pictures import check_image
import numpy as np

# Metres as an image's camera sees them, 0 or not finite where there are none; None: it has none.
Depths = Callable[[InputImage, Camera], np.ndarray | None]


@contextmanager
def open_depths(given: str | None, source: Path) -> Iterator[Depths | None]:
    """
    Open what ``--depth`` names: a topic of the bag ``source``, or a folder; None is none.

    :raises InputError: if there is no such topic.
    """
    if given is None:
        yield None
    elif is_bag(source):
        with open_hints(given, source) as hints:
            assert hints is not None, 'a topic is named'
            found = hints

            def of_bag(image: InputImage, camera: Camera) -> np.ndarray | None:
                hint = found.of(image, camera)
                return None if hint is None else hint.depth
            yield of_bag
    else:
        folder = Path(given)
        if not folder.is_dir():
            raise InputError(f'--depth is {given}: give a topic of a bag, or, beside images, the '
                             'folder of PNGs of the same names (16 bits, millimetres)')

        def of_folder(image: InputImage, camera: Camera) -> np.ndarray | None:
            if image.apart_from_maps:
                raise InputError(image.apart_from_maps)
            return depth_in_view(sensor_depth(folder, image.name, (camera.height, camera.width)),
                                 camera, rectified=None)
        yield of_folder


def observed(observer: Observer, source: Source, cameras: CameraChoice, depths: Depths | None,
             most: int, *, as_hint: bool, delivery: DeliveryCheck,
             ground: GroundCheck | None = None) -> tuple[Recording, list[FrameDepth]]:
    """
    Return what the network gives for frames spread over a recording, and their depth's errors.

    :param most: so many frames at most.
    :param as_hint: as :func:`compare_frame`.
    :param delivery: is shown some of the frames, and ``ground`` all of them.
    :raises InputError: if no frame can be read, or one of a depth camera has no focal length.
    """
    every = max(1, -(-(source.total or 0) // most))
    delivery_every = max(1, min(most, source.total or 3 * DeliveryCheck.PICTURES)
                         // DeliveryCheck.PICTURES)
    times: list[float] = []
    statistics, frames = [], []
    scores: dict[str, list[float]] = {}
    left_out = _LeftOut()
    for image in _spread(source, every):
        try:
            rgb = image.read()
            check_image(rgb)  # The node shows no other to the network.
        except InputError as error:
            left_out.say('left out', image.name, str(error))
            continue
        height, width = rgb.shape[:2]
        camera = cameras.camera_of(image, width, height)
        if camera is None and (depths is not None or ground is not None):
            raise InputError(f'{"--camera-height" if depths is None else "--depth"} needs --fx or '
                             'a camera_info: without the focal length there are no metres to '
                             f'compare; {cameras.problem}')
        view = rgb if camera is None else camera.rectified(rgb)
        seen = observer(view, None if camera is None else camera.fx / width)
        odd = _not_finite(seen)
        if odd:  # In the node it raises the flag; here it would be the thresholds of all frames.
            left_out.say('left out', image.name,
                         f'{odd} is not finite: the network gives no usable answer for it')
            continue
        # Twice as many are enough, of a video that does not say how long it is.
        if (len(times) % delivery_every == 0
                and len(times) < 2 * DeliveryCheck.PICTURES * delivery_every):
            delivery.see(view, seen)
        times.append(image.header.stamp_ns / 1e9)
        statistics.append(seen.statistics)
        for name, value in seen.scores.items():
            scores.setdefault(name, []).append(value)
        if ground is not None and camera is not None:
            ground.see(seen.maps, camera)
        if depths is None or camera is None or seen.maps.depth is None \
                or seen.maps.depth_variance is None:
            continue
        try:
            sensor = depths(image, camera)
        except DamagedImage as error:  # Others may be whole; what is of another kind ends it.
            left_out.say('depth left out', image.name, str(error))
            continue
        frame = None if sensor is None else compare_frame(
            seen.maps.depth.cpu().numpy(), seen.maps.depth_variance.cpu().numpy(), sensor,
            as_hint=as_hint)
        frames += [] if frame is None else [frame]
    left_out.end()
    if not times:
        raise InputError('no image of the recording can be read')
    order = np.argsort(times, kind='stable')
    return Recording(np.array(times)[order], np.stack(statistics)[order], {
        name: np.array(values)[order] for name, values in scores.items()}), frames


class _LeftOut:
    """Says the first few images that are left out, with why, and how many more there were."""

    _SAID = 5

    def __init__(self) -> None:
        """Begin."""
        self._counts: Counter[str] = Counter()

    def say(self, what: str, name: str, why: str) -> None:
        """Count an image."""
        self._counts[what] += 1
        if self._counts[what] <= self._SAID:
            print(f'{what}: {name}: {" ".join(why.split())}', file=sys.stderr)

    def end(self) -> None:
        """Say how many there were besides."""
        for what, count in self._counts.items():
            if count > self._SAID:
                print(f'{what}: {count - self._SAID} more', file=sys.stderr)


def _not_finite(seen: Seen) -> str:
    """Return in words what of an answer is no finite number; '' where all is."""
    odd = [f'its score {name}, {value},' for name, value in seen.scores.items()
           if not np.isfinite(value)]
    if not np.isfinite(seen.statistics).all():
        odd.append('a statistic of its picture')
    return odd[0] if odd else ''


def _spread(source: Source, every: int) -> Iterator[InputImage]:
    for index, image in enumerate(source.images()):
        if index % every == 0:
            yield image


def sensor_depth(folder: Path, name: str, size: tuple[int, int]) -> np.ndarray:
    """
    Read a depth camera's image in metres, 0 where there is none.

    :param size: (height, width) of the colour image, which it has to be aligned to.
    :raises InputError: if it is missing, no 16-bit image of one channel, or of another size;
        DamagedImage where it is cut off.
    """
    path = folder / f'{Path(name).stem}.png'
    data = path.read_bytes() if path.is_file() else b''
    raw = png_bytes.stored_values(data, palette=False)
    if raw is None and path.is_file() and not png_bytes.is_whole(data):
        raise DamagedImage(f'{path}: a PNG without end')
    if raw is None or raw.dtype != np.uint16:
        raise InputError(f'{path}: no 16-bit PNG of one channel, in millimetres, is there')
    if raw.shape != size:
        raise InputError(f'{path}: is {raw.shape[1]}x{raw.shape[0]}, the image is '
                         f'{size[1]}x{size[0]}: give the depth that is aligned to the image')
    return metres_of(raw)
