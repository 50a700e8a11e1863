# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A node under test with a fake network, and a second node that talks to it over DDS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
import gc
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.checkpoint import Calibration, FittedThreshold, Promise, PromiseLevel
from emu_perception.freshness import Freshness, Verdict
from emu_perception.intrinsics import Intrinsics
from emu_perception.maps import maps_of
from emu_perception.prediction import Prediction, UNLABELLED
from emu_perception.region import Region
from emu_perception.ros import arrivals, lifecycle_node
from emu_perception.ros.image_messages import to_bytes
from emu_perception.ros.lifecycle_node import EmuNode
from emu_perception.ros.predictor_pool import PredictorPool
from emu_perception.scores import names_of
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool

TIMEOUT_S = 20.0
CLASSES = ('floor', 'wall', 'chair')
PALETTE = ((10, 20, 30), (200, 100, 50), (0, 255, 0))


def fake_calibration(segmentation: float | None = 0.8, depth: float | None = 0.5) -> Calibration:
    """Return a calibration with thresholds in nat and m; None: not judged."""
    thresholds = {'segmentation_entropy': segmentation, 'depth_sigma': depth}
    return Calibration(1.5, 2.0, {name: FittedThreshold(threshold, 95.0)
                                  for name, threshold in thresholds.items()
                                  if threshold is not None})


def fake_promises() -> Calibration:
    """Return that with promises: 2 sigma nearer, 3 farther, 1 + 2 entropy classes at 0.9."""
    return replace(fake_calibration(), promises={
        'depth_interval': Promise((PromiseLevel(0.9, (2.0, 3.0), True),
                                   PromiseLevel(0.95, (4.0, 5.0), False)), 15),
        'label_set_size': Promise((PromiseLevel(0.9, (2.0, 3.0), True),), 15)})


@dataclass(frozen=True)
class FakeMetadata:
    """The checkpoint's fields the node reads."""

    tasks: tuple[str, ...] = ('segmentation', 'depth')
    beside: tuple[str, ...] = ()
    classes: tuple[str, ...] = CLASSES
    palette: tuple[tuple[int, int, int], ...] = PALETTE
    depth_min: float = 0.1
    depth_max: float = 10.0
    pixel_variance: bool = True
    calibration: Calibration = field(default_factory=fake_calibration)
    intrinsics: Intrinsics | None = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
    input_size: tuple[int, int] = (24, 32)
    name: str = 'fake'
    statistics: tuple[str, ...] = ('familiarity.mean', 'familiarity.failure.mean')

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the tasks, and what is given beside them."""
        return (*self.tasks, *self.beside)

    @property
    def score_names(self) -> tuple[str, ...]:
        """Return the names of the scores that the predictor gives."""
        return names_of(self.tasks, self.statistics)


class FakePredictor:
    """
    A network whose answer is known: labels in columns, depth 2 m, entropy 0.5 nat, sigma 0.2 m.

    The first pixel's depth is +inf, the second's NaN. Entropy is 0.9 and sigma 0.4 in the lower
    half, while the means are what ``mean_entropy`` and ``mean_sigma`` say.
    """

    device_description = 'fake device'
    precision = 'fp32'
    backend = 'fake backend'
    backend_notes: tuple[str, ...] = ()

    def __init__(self, *, tasks: tuple[str, ...] = ('segmentation', 'depth'),
                 beside: tuple[str, ...] = (), calibration: Calibration | None = None) -> None:
        """Make a network of these tasks."""
        self.metadata = FakeMetadata(tasks=tasks, beside=beside,
                                     calibration=calibration or fake_calibration())
        self.mean_entropy, self.mean_sigma, self.relative_sigma = 0.5, 0.2, 0.1
        self.lost_scores: set[str] = set()
        self.gate = threading.Event()  # closed: the network hangs
        self.gate.set()
        self.fails: Exception | None = None
        self.calls: list[dict[str, Any]] = []
        self.entered, self.closed = threading.Event(), threading.Event()
        self.warmed_up = False

    def load(self, path: Any, *, device: str, precision: str, backend: str) -> FakePredictor:
        """Stand in for Predictor.load."""
        self.closed.clear()
        self.loaded = {'path': path, 'device': device, 'precision': precision, 'backend': backend}
        return self

    def network_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the one size there is."""
        return self.metadata.input_size

    def warm_up(self, image_size: tuple[int, int] | None = None, runs: int = 2) -> None:
        """Note that it was asked for."""
        self.warmed_up = True

    def close(self) -> None:
        """Note that it was asked for."""
        self.closed.set()

    def __call__(self, image: np.ndarray, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, unknown_label_entropy: float | None = None,
                 score_region: Region | None = None, depth_hint: np.ndarray | None = None,
                 hint_sigma: np.ndarray | float | None = None, any_hint_scale: bool = False,
                 camera_height: float | None = None, camera_pitch: float = 0.0,
                 ground_classes: Sequence[str] = ()) -> Prediction:
        """Answer, fail or dawdle."""
        assert depth_hint is None and hint_sigma is None, 'the node joins hints in by itself'
        assert camera_height is None, 'and the ground'
        self.calls.append({'image': image.copy(), 'size': size, 'fx': fx,
                           'score_region': score_region})
        self.entered.set()
        assert self.gate.wait(3 * TIMEOUT_S)
        if self.fails is not None:
            raise self.fails
        height, width = size or image.shape[:2]
        lower = np.arange(height)[:, None] >= height // 2
        depth = np.full((height, width), 2.0, np.float32)
        depth[0, :2] = np.inf, np.nan
        entropy = np.where(lower, 0.9, 0.5).astype(np.float32).repeat(width, 1)
        label = np.tile((np.arange(width) % 3).astype(np.uint8), (height, 1))
        if unknown_label_entropy is not None:
            label[entropy > unknown_label_entropy] = UNLABELLED
        variance = np.where(lower, 0.16, 0.04).astype(np.float32).repeat(width, 1)
        maps = {'label': label, 'segmentation_entropy': entropy,
                'confidence': np.full((height, width), 0.8, np.float32), 'depth': depth,
                'depth_variance': variance, 'mutual_information': entropy / 2,
                'depth_epistemic_variance': variance / 4,
                'instance': (lower * 300 + label).astype(np.uint16)}
        scores = {'segmentation_entropy': self.mean_entropy, 'depth_sigma': self.mean_sigma,
                  'relative_depth_sigma': self.relative_sigma}
        return Prediction(
            {row.name: maps[row.name] for row in maps_of(self.metadata.outputs)},
            {name: scores.get(name, 0.1) for name in self.metadata.score_names
             if name not in self.lost_scores},
            network_size=self.metadata.input_size,
            timing_ms={'preprocess': 1.0, 'network': 2.0, 'postprocess': 3.0})


class AnyTime(Freshness):
    """Finds nothing wrong with any stamp: most tests send one image again and again."""

    def observe(self, *args: Any, **options: Any) -> Verdict:
        """Answer as for an image of now."""
        return Verdict()


class Bench:
    """
    The node under test on one executor, the helper on another.

    Unless a test says otherwise the camera's field of view is known, so that metres are published
    without camera_info, and stamps are not looked at.
    """

    def __init__(self, *, predictor: Any = None, loader: Callable[..., Any] | None = None,
                 pool: PredictorPool | None = None, parameters: dict[str, Any] | None = None,
                 name: str = 'emu', namespace: str = '', cli_args: list[str] | None = None,
                 active: bool = True, diagnostics_period_s: float = 0.1,
                 clocked: bool = False) -> None:
        """
        Start the node, in a hurry with its diagnostics, and activate it if ``active``.

        :param clocked: whether the node judges images by their stamps.
        """
        gc.freeze()  # so that the collection in close() looks only at what comes from here on
        self.predictor = predictor or FakePredictor()
        lifecycle_node.DIAGNOSTICS_PERIOD_S = diagnostics_period_s
        arrivals.Freshness = Freshness if clocked else AnyTime  # type: ignore[misc]
        values = {'autostart': False, 'model_file': '/fake', 'fallback_hfov_deg': 65.0,
                  **(parameters or {})}
        self.node = EmuNode(
            name, namespace=namespace, predictor_loader=loader or self.predictor.load,
            predictor_pool=pool, cli_args=cli_args,
            parameter_overrides=[Parameter(key, value=value) for key, value in values.items()])
        self.helper = rclpy.create_node('helper', namespace=namespace)
        self.name = self.node.get_fully_qualified_name().lstrip('/')
        self.received: dict[str, list[Any]] = {}
        self._ending = threading.Event()
        self._threads = []
        self._image = self.helper.create_publisher(Image, 'image', 1)
        self._camera_info = self.helper.create_publisher(CameraInfo, 'camera_info', 1)
        self._change = self.helper.create_client(ChangeState, f'/{self.name}/change_state')
        self._state = self.helper.create_client(GetState, f'/{self.name}/get_state')
        self._set = self.helper.create_client(SetParametersAtomically,
                                              f'/{self.name}/set_parameters_atomically')
        self.listen(Bool, 'risk', latched=True)
        self.listen(DiagnosticArray, '/diagnostics')
        for node in (self.node, self.helper):
            thread = threading.Thread(target=self._spin, args=(node,), daemon=True)
            thread.start()
            self._threads.append(thread)
        for client in (self._change, self._state, self._set):
            assert client.wait_for_service(TIMEOUT_S), 'the node has no services'
        if active:
            assert self.transition('configure') and self.transition('activate')

    def close(self) -> None:
        """End both nodes."""
        self.predictor.gate.set()
        self._ending.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        self.node.destroy_node()
        self.helper.destroy_node()
        gc.collect()  # rclpy's lifecycle state machine keeps the node's handle until then
        gc.unfreeze()

    def listen(self, kind: type, topic: str, *, latched: bool = False) -> list[Any]:
        """Subscribe; return the list the messages come into."""
        durability = (QoSDurabilityPolicy.TRANSIENT_LOCAL if latched
                      else QoSDurabilityPolicy.VOLATILE)
        messages = self.received.setdefault(topic, [])
        full = topic if topic.startswith('/') else f'/{self.name}/{topic}'
        self.helper.create_subscription(kind, full, messages.append,
                                        QoSProfile(depth=50, durability=durability))
        return messages

    def transition(self, label: str) -> bool:
        """Ask for a transition over the service, as a lifecycle manager does."""
        number = getattr(Transition, f'TRANSITION_{label.upper()}')
        request = ChangeState.Request(transition=Transition(id=number))
        return bool(self._call(self._change, request).success)

    def state(self) -> str:
        """Return the label of the lifecycle state."""
        return str(self._call(self._state, GetState.Request()).current_state.label)

    def set(self, **values: Any) -> SetParametersResult:  # noqa: A003
        """Set parameters atomically over the service."""
        request = SetParametersAtomically.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()])
        return self._call(self._set, request).result

    def send(self, image: Image | None = None, camera_info: CameraInfo | None = None) -> None:
        """Publish one image (by default a good one), and before it its camera_info."""
        if camera_info is not None:
            self._camera_info.publish(camera_info)
            time.sleep(0.02)
        self._image.publish(image if image is not None else rgb_image())

    def until(self, condition: Callable[[], Any], *, send: Any = None, camera_info: Any = None,
              timeout_s: float = TIMEOUT_S) -> Any:
        """Wait for a condition and return its value; ``send`` an image again and again."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            if send is not None:
                self.send(send, camera_info)
            time.sleep(0.05)
        raise AssertionError(f'not within {timeout_s} s; last diagnostics: {self.diagnostics()}')

    def diagnostics(self) -> dict[str, dict[str, str]]:
        """Return the newest diagnostics by part: its values with 'level' and 'message'."""
        end = time.monotonic() + TIMEOUT_S
        while not (arrays := [array for array in list(self.received['/diagnostics'])
                              if array.status[0].name == f'{self.name}: input']):
            assert time.monotonic() < end, 'no diagnostics'
            time.sleep(0.02)
        return {
            status.name.split(': ')[1]: {
                'level': status.level, 'message': status.message, 'name': status.name,
                **{pair.key: pair.value for pair in status.values}}
            for status in arrays[-1].status}

    def risk(self) -> bool | None:
        """Return the last flag received."""
        flags = self.received['risk']
        return flags[-1].data if flags else None

    def hang(self, **stamp: int) -> None:
        """Close the network's gate and wait until an image is stuck behind it."""
        self.predictor.gate.clear()
        self.predictor.entered.clear()
        self.until(self.predictor.entered.is_set, send=rgb_image(**stamp))

    def clear_risk(self) -> None:
        """Send good images until the flag is lowered."""
        self.until(lambda: self.risk() is False, send=rgb_image())

    def _call(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        end = time.monotonic() + TIMEOUT_S
        while not future.done():
            assert time.monotonic() < end, f'no answer from {client.srv_name}'
            time.sleep(0.005)
        return future.result()

    def _spin(self, node: Any) -> None:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not self._ending.is_set():
            executor.spin_once(timeout_sec=0.1)
        executor.remove_node(node)


def rgb_image(width: int = 64, height: int = 48, *, frame_id: str = 'camera_optical_frame',
              sec: int = 1234, nanosec: int = 567) -> Image:
    """Make an rgb8 image with a gradient, a frame and a stamp."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    image = Image(width=width, height=height, encoding='rgb8', step=3 * width,
                  data=to_bytes(pixels))
    image.header.frame_id = frame_id
    image.header.stamp.sec, image.header.stamp.nanosec = sec, nanosec
    return image


def now_image(*, age_s: float = 0.0, frame_id: str = 'camera_optical_frame') -> Image:
    """Make a good image that is stamped now by this machine's clock, or ``age_s`` ago."""
    sec, nanosec = divmod(time.time_ns() - round(age_s * 1e9), 10**9)
    return rgb_image(sec=sec, nanosec=nanosec, frame_id=frame_id)


def camera_info(width: int = 64, height: int = 48, fx: float = 50.0, *, d: tuple[float, ...] = (),
                p_fx: float | None = None) -> CameraInfo:
    """Make a camera_info with the principal point in the middle."""
    cx, cy = (width - 1) / 2, (height - 1) / 2
    p_fx = fx if p_fx is None else p_fx
    return CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=list(d),
                      k=[fx, 0.0, cx, 0.0, fx, cy, 0.0, 0.0, 1.0],
                      r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                      p=[p_fx, 0.0, cx, 0.0, 0.0, p_fx, cy, 0.0, 0.0, 0.0, 1.0, 0.0])
