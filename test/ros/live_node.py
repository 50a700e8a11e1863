# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A live node with a small real network, and what each message sent to it over DDS has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    Intrinsics,
    save_checkpoint,
)
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.ros.image_messages import to_bytes
from emu_perception.visualization import default_palette
from node_bench import Bench, rgb_image
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
import torch

WIDTH, HEIGHT = 64, 48
_RESEND_S = 5.0  # a bad one: longer than a busy machine takes to count it
_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Observed:
    """What one message did: differences of the node's counts, and what it said."""

    received: int
    processed: int
    dropped: int
    error: str
    picture: np.ndarray | None = field(repr=False)
    risk_reason: str
    input_error: str


class Recording(Predictor):
    """The real Predictor, with the last picture it saw."""

    picture: np.ndarray | None = None

    def __call__(self, image: np.ndarray, **options: Any) -> Any:
        """Note the picture."""
        self.picture = image.copy()
        return super().__call__(image, **options)


class Live:
    """A node with a small real network, its counts, and a stream of stamps."""

    def __init__(self, folder: Path) -> None:
        """Write the checkpoint and start the node."""
        path = folder / 'tiny.safetensors'
        torch.manual_seed(0)
        network = MultitaskNetwork('mobilenetv3_small_050', num_classes=5, head_dim=16)
        save_checkpoint(path, network, CheckpointMetadata(
            architecture=network.arguments, input_size=(HEIGHT // 32 * 32 + 32, WIDTH),
            name='tiny', classes=tuple('abcde'), palette=tuple(default_palette(5)),
            depth_max=10.0, intrinsics=Intrinsics(WIDTH, HEIGHT, 50.0, 50.0, 31.5, 23.5),
            calibration=Calibration(scores={
                'segmentation_entropy': FittedThreshold(5.0, 95.0),
                'depth_sigma': FittedThreshold(1e6, 95.0)})))
        # Here and not within the bench's timeouts: what is slow only the first time.
        Recording.load(path, 'cpu').warm_up()
        self.predictor: Recording | None = None
        self.transport = 'raw'
        self.last_sec = 1000
        self.bench = Bench(loader=self._load, diagnostics_period_s=0.05, parameters={
            'model_file': str(path), 'device': 'cpu', 'clear_after': 1, 'stale_after_s': 600.0})
        self.compressed = self.bench.helper.create_publisher(
            CompressedImage, 'image/compressed', 1)
        self.maps = self.bench.listen(Image, 'depth/image')
        self.statuses = self.bench.listen(DiagnosticArray, 'risk_status')
        self.good()

    def close(self) -> None:
        """End the node."""
        self.bench.close()

    def restart(self, transport: str = 'raw') -> None:
        """Configure anew: another transport, and no camera_info known."""
        for transition in ('deactivate', 'cleanup'):
            assert self.bench.transition(transition)
        assert self.bench.set(transport=transport).successful
        self.transport = transport
        for transition in ('configure', 'activate'):
            assert self.bench.transition(transition)

    def read(self, transport: str) -> None:
        """Have the node read this transport."""
        if transport != self.transport:
            self.restart(transport)
            self.good()

    def stamped(self, message: Any) -> Any:
        """Give a message a stamp of its own, unless it has one."""
        if not message.header.stamp.sec and not message.header.stamp.nanosec:
            self.last_sec += 1
            message.header.stamp.sec = self.last_sec
        return message

    def good(self, width: int = WIDTH, height: int = HEIGHT) -> Image:
        """Send a good image; return its depth map once it is there and the flag is lowered."""
        image = self.stamped(rgb_image(width, height, sec=0, nanosec=0))
        if self.transport == 'compressed':
            pixels = np.frombuffer(image.data, np.uint8).reshape(height, width, 3)
            image = CompressedImage(header=image.header, format='png',
                                    data=to_bytes(cv2.imencode('.png', pixels)[1]))
        del self.maps[:]
        counted = self._counter()

        def map_of_image() -> Image | None:
            found = next((one for one in self.maps if one.header == image.header), None)
            return found if counted() else None
        found: Image = self.until(map_of_image, image, resend_s=1.0)
        self.until(lambda: self.bench.diagnostics()['risk']['raised'] == 'False', None)
        return found

    def give(self, message: Image | CompressedImage) -> Observed:
        """Send one message and wait until the node has counted it, well or not."""
        before, counted = self._counts(), self._counter()
        arrays = self.bench.received['/diagnostics']
        del arrays[:-1]  # what is looked at is looked through each time
        del self.statuses[:]
        if self.predictor is not None:
            self.predictor.picture = None
        self.until(counted, message)
        received, processed, dropped = (
            now - then for now, then in zip(self._counts(), before))

        def reasons() -> list[str]:
            # 'none' is the repetition of the lowered flag, from before the image's turn came.
            return [pair.value for array in list(self.statuses) for status in array.status
                    for pair in status.values if pair.key == 'reason' and pair.value != 'none']
        if dropped:
            self.until(reasons, None)
        inputs = [status.message for array_ in arrays[1:]
                  for status in array_.status
                  if status.name.endswith(': input') and status.level == b'\x02']
        return Observed(
            received, processed, dropped, self.bench.diagnostics()['inference']['last_error'],
            self.predictor.picture if self.predictor else None, next(iter(reasons()), ''),
            inputs[0] if inputs else '')

    def _counts(self) -> tuple[int, int, int]:
        parts = self.bench.diagnostics()
        inference = parts['inference']
        return (int(parts['input']['received']), int(inference['processed']),
                sum(int(value) for key, value in inference.items() if key.startswith('dropped')))

    def _counter(self) -> Callable[[], bool]:
        """Return a function: whether an image has come since and none is in work."""
        before = self._counts()[0]

        def counted() -> bool:
            received, processed, dropped = self._counts()
            return received > before and received == processed + dropped
        return counted

    def _load(self, path: Any, **options: Any) -> Recording:
        loaded = Recording.load(path, **options)
        assert isinstance(loaded, Recording)
        self.predictor = loaded
        return loaded

    def until(self, condition: Callable[[], Any], message: Any,
              resend_s: float = _RESEND_S) -> Any:
        """Send once, and again only if best effort has lost it."""
        end, resend, sent = time.monotonic() + _TIMEOUT_S, 0.0, 0
        while time.monotonic() < end:
            if message is not None and time.monotonic() > resend:
                (self.compressed if isinstance(message, CompressedImage)
                 else self.bench._image).publish(message)
                resend, sent = time.monotonic() + resend_s, sent + 1
            value = condition()
            if value:
                if sent > 1:
                    time.sleep(1.0)  # the second may have been slow and not lost
                return value
            time.sleep(0.01)
        raise AssertionError(f'nothing came of it; last diagnostics: {self.bench.diagnostics()}')
