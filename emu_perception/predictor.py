# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and device become a function: uint8 image in, Prediction out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
import logging
from pathlib import Path
from typing import overload

from emu_perception.backends import (
    Backend,
    BackendOptions,
    cuda_memory,
    host_memory,
    make_backend,
    Request,
)
from emu_perception.backends.agreement import rounds_to_tf32
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.checkpoint import CheckpointMetadata, load_answering
from emu_perception.devices import in_words, resolved_device
from emu_perception.errors import InputError
from emu_perception.familiarity.of_network import fitted_scores_of
from emu_perception.fusion import checked_hint, Ground
from emu_perception.fusion.one_image import joined_alone
from emu_perception.instances import need_clustering
from emu_perception.intrinsics import scale_problem
from emu_perception.model_file import default_model
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.families import check_answers, Network
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.pictures import (
    batch_of,
    check_image,
    checked_size,
    Picture,
    Pictures,
    rgb_picture,
)
from emu_perception.planning.classes import members
from emu_perception.planning.mounting import GROUND_CLASSES, Mounting
from emu_perception.precisions import DTYPES
from emu_perception.prediction import Prediction
from emu_perception.preprocessing import focal_scale, network_size
from emu_perception.presenting import Presenter
from emu_perception.region import Region
import numpy as np

LOGGER = logging.getLogger('emu_perception')


class Predictor:
    """
    A loaded network on a device, called with one image at a time.

    :param network: the trained network, of any family; what can be folded is, for inference.
    :param metadata: the document of its checkpoint.
    :param device: 'auto' (CUDA where there is one, said in the log), 'cpu', 'cuda', 'cuda:1'.
    :param precision: 'fp32', 'bf16' or 'fp16' of the network; depth moments, entropy and means
        are float32 always. 'auto' is fp32: the calibration was measured with it.
    :param backend: what runs it: 'auto' (the fastest that is installed, said in the log), or a
        name of ``emu_perception.backends``.
    :param unknown_label_entropy: nats; labels become 255 where the entropy is above. None = off.
    :ivar says_unscaled: whether the next depth without a focal length is said in the log, once;
        False for who says so himself, as node and ``emu predict`` do with the remedy.
    :raises InputError: if the device, precision or backend is not to be had, scikit-learn is
        missing that the checkpoint's instances need, or it has no task but their vectors.
    :raises CheckpointError: if its fitted scores are not of this network.
    """

    def __init__(self, network: Network, metadata: CheckpointMetadata, *,
                 device: str = 'auto', precision: str = 'auto', backend: str = 'auto',
                 unknown_label_entropy: float | None = None) -> None:
        self.metadata = metadata
        self.device = resolved_device(device)
        self.precision = 'fp32' if precision == 'auto' else precision
        if self.precision not in DTYPES:
            raise InputError(f"precision is '{precision}': give auto, {', '.join(DTYPES)}")
        self.unknown_label_entropy = unknown_label_entropy
        check_answers(network)
        _say_tasks(metadata)
        inference = network.folded()
        self._fitted = fitted_scores_of(metadata, inference)
        self._options = BackendOptions(
            self.device, self.precision, metadata.mean, metadata.std,
            temperature=metadata.calibration.temperature,
            variance_scale=metadata.calibration.variance_scale, depth_max=metadata.depth_max,
            statistics=self._fitted is not None, instances=metadata.instances)
        self._backend: Backend | None = make_backend(
            backend, inference, metadata.input_size, self._options)
        self.backend = self._backend.name
        host_memory.free_unused()  # What the proof has taken.
        self.says_unscaled = True
        LOGGER.info('using %s, %s, %s', self.device_description, self.precision_description,
                    self.backend)

    @classmethod
    def load(cls, path: str | Path | None = None, device: str = 'auto', precision: str = 'auto', *,
             backend: str = 'auto', unknown_label_entropy: float | None = None) -> Predictor:
        """
        Load a checkpoint.

        :param path: of the checkpoint; None = the default model that comes with the package.
        :raises CheckpointError: if the file cannot be used.
        :raises InputError: if the device or precision is not to be had, or the default model.
        """
        # Before the file is read: the quicker of the two answers comes first.
        found = str(resolved_device(device))
        path = default_model() if path is None else path
        LOGGER.info('loading %s', path)
        network, metadata = load_answering(path)
        recipe = metadata.provenance.get('recipe')  # Somebody else's may be a name alone.
        if isinstance(recipe, dict) and recipe.get('method') == 'mc_dropout':
            LOGGER.warning('%s: was trained with Monte Carlo dropout and runs as one '
                           'deterministic pass, whose uncertainty is not that of its samples: '
                           'distil it (emu distill), or take EnsemblePredictor', path)
        return cls(network, metadata, device=found, precision=precision, backend=backend,
                   unknown_label_entropy=unknown_label_entropy)

    @property
    def device_description(self) -> str:
        """Return the device really used, in words."""
        found = in_words(self.device)
        return f'{self.device} ({found})' if self.device.type == 'cuda' else found

    @property
    def precision_description(self) -> str:
        """Return the precision in words: NVIDIA GPUs from Ampere on round fp32 convolutions."""
        return ('fp32 (convolutions in TF32)' if rounds_to_tf32(self._options)
                else self.precision)

    @property
    def backend_notes(self) -> tuple[str, ...]:
        """Return which backends were refused and why, one line each; they may become more."""
        backend = self._backend
        return () if backend is None else tuple(backend.notes)

    def network_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """
        Return the (height, width) the network runs at for images of ``image_size``.

        Multiples of 32 with about as many pixels as in training and the aspect nearest to the
        image's; nothing is padded.
        """
        return network_size(image_size, self.metadata.input_size)

    @overload
    def __call__(self, image: Picture, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, unknown_label_entropy: float | None = None,
                 score_region: Region | None = None, depth_hint: np.ndarray | None = None,
                 hint_sigma: np.ndarray | float | None = None, any_hint_scale: bool = False,
                 camera_height: float | None = None, camera_pitch: float = 0.0,
                 ground_classes: Sequence[str] = GROUND_CLASSES) -> Prediction: ...

    @overload
    def __call__(self, image: Pictures, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, unknown_label_entropy: float | None = None,
                 score_region: Region | None = None) -> list[Prediction]: ...

    def __call__(self, image: Picture | Pictures, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, unknown_label_entropy: float | None = None,
                 score_region: Region | None = None, depth_hint: np.ndarray | None = None,
                 hint_sigma: np.ndarray | float | None = None, any_hint_scale: bool = False,
                 camera_height: float | None = None, camera_pitch: float = 0.0,
                 ground_classes: Sequence[str] = GROUND_CLASSES) -> Prediction | list[Prediction]:
        """
        Run the network once, or for each image of a list.

        :param image: uint8 [H, W, 3], rgb; or a path, a PIL image, a uint8 tensor [3, H, W]; a
            list of these, or a tensor [B, 3, H, W], gives a list: on PyTorch on a GPU some at a
            time, else one after the other (OpenVINO gains nothing: tools/batch_gain.py).
        :param size: (height, width) of the maps; default the image's.
        :param fx: focal length in pixels at the image's size. With it, depth and sigma are
            scaled from the training camera to this one; without it they are right only for a
            camera of the training camera's field of view, which is said once.
        :param unknown_label_entropy: nats; labels become 255 where the entropy is above. None =
            as the constructor was told.
        :param score_region: part of the image that the scores are the means over; None = all.
        :param depth_hint: what a depth camera saw of this image, aligned to it: float metres or
            uint16 millimetres [H, W], 0, 65535, masked or not finite where it saw nothing. Depth
            is then the sensor's where it sees and the network's, corrected by it, where it does
            not; with ``depth_source`` and ``scale``. By this image alone;
            ``emu_perception.fusion`` has what remembers. The scores stay the network's own.
        :param hint_sigma: its standard deviation, metres; None = a stereo depth camera's.
        :param any_hint_scale: take a hint too whose metres are no camera's of which the network
            says these: mostly they are of other units.
        :param camera_height: metres above level ground: where no depth hint does, the ground that
            is seen tells the scale of all depths (docs/fusion.md). It is refused where it tells
            far nearer metres than any camera's. ``scale`` says what is known, ground or none.
        :param camera_pitch: by so many degrees the optical axis points below the horizon.
        :param ground_classes: names of the network's classes that are ground.
        :raises InputError: if the image, size, fx, depth_hint or camera_height cannot be used.
        """
        backend = self._backend  # Taken once: another thread may close the predictor meanwhile.
        if unknown_label_entropy is None:
            unknown_label_entropy = self.unknown_label_entropy
        if backend is None:
            raise InputError('the predictor is closed: load it again')
        if not isinstance(image, np.ndarray):
            several = batch_of(image)
            if several is not None:
                for name, value in (('depth_hint', depth_hint), ('camera_height', camera_height)):
                    if value is not None:
                        raise InputError(f'{name} is of one image: give a list without it')
                return self._several(backend, several, size, fx, unknown_label_entropy,
                                     score_region)
            image = rgb_picture(image)
        check_image(image)
        hint = None
        if depth_hint is not None:
            self._check_scale('depth_hint', fx)
            hint = checked_hint(depth_hint, hint_sigma, image.shape[:2])
        mounting = None
        if camera_height is not None:
            self._check_scale('camera_height', fx)
            ground_classes = self._ground_names(ground_classes)
            mounting = Mounting.of(camera_height, camera_pitch)
        prediction = self._judged(backend.predict(image, self._request(
            image, size, fx, unknown_label_entropy, score_region)))
        if hint is not None or mounting is not None:
            assert fx is not None  # Asked for with both.
            ground = None
            if mounting is not None:
                height, width = image.shape[:2]
                camera = judge(pinhole_info(width, height, fx), width, height, rectified=True,
                               what='fx').needed()
                ground = Ground.of(prediction, camera, mounting, self.metadata.classes,
                                   ground_classes)
            prediction = joined_alone(prediction, image, hint, ground, fx=fx,
                                      any_scale=any_hint_scale)
        return replace(prediction, presenter=Presenter(self.metadata, image, fx))

    def _request(self, image: np.ndarray, size: tuple[int, int] | None, fx: float | None,
                 unknown_label_entropy: float | None, score_region: Region | None) -> Request:
        height, width = image.shape[:2]
        size = (height, width) if size is None else checked_size(size)
        input_size = self.network_size((height, width))
        return Request(input_size, size, self._focal_scale(fx, width, input_size[1]),
                       unknown_label_entropy, score_region)

    def _several(self, backend: Backend, images: Iterator[Picture],
                 size: tuple[int, int] | None, fx: float | None,
                 unknown_label_entropy: float | None, score_region: Region | None,
                 ) -> list[Prediction]:
        """Answer a list; no more images are held at once than the backend answers together."""
        found: list[Prediction] = []
        while some := [rgb_picture(image) for image in islice(images, backend.batch)]:
            for image in some:
                check_image(image)
            answers = backend.predict_several(some, [
                self._request(image, size, fx, unknown_label_entropy, score_region)
                for image in some])
            found += [replace(self._judged(answer), presenter=Presenter(self.metadata, image, fx))
                      for image, answer in zip(some, answers, strict=True)]
        return found

    def warm_up(self, image_size: tuple[int, int] | None = None, runs: int = 2) -> None:
        """Run on a grey image, so that the first real one does not pay for initialisation."""
        height, width = image_size or self.metadata.input_size
        if self._backend is not None:
            self._backend.compile(self.network_size((height, width)))
        says, self.says_unscaled = self.says_unscaled, False
        for _ in range(runs):
            self(np.full((height, width, 3), 127, np.uint8))
        self.says_unscaled = says

    def close(self) -> None:
        """Free the network and give its memory back; a later call raises InputError."""
        # A call that is under way in another thread has its own reference and finishes.
        self._backend = None
        host_memory.free_unused()
        if self.device.type == 'cuda':
            cuda_memory.free_unused()

    def _judged(self, prediction: Prediction) -> Prediction:
        """Return a prediction with the fitted scores; without statistics it lacks them."""
        if self._fitted is None or prediction.statistics is None:
            return prediction
        found = self._fitted.measure(prediction.statistics, prediction.scores)
        return replace(prediction, scores={**prediction.scores, **found})

    def _check_scale(self, given: str, fx: float | None) -> None:
        """Check that there are metres whose scale something may tell."""
        if DEPTH not in self.metadata.tasks:
            raise InputError(f'{given} is given, but the checkpoint has no task depth')
        if fx is None:
            raise InputError(f'{given} is given without fx: without a focal length the network '
                             'has no metres to join; give the camera_info of the colour image')
        problem = scale_problem(self.metadata)
        if problem:
            raise InputError(f'{given} is given, but {problem}')

    def _ground_names(self, names: Iterable[str]) -> tuple[str, ...]:
        if SEGMENTATION not in self.metadata.tasks:
            raise InputError('camera_height is given, but the checkpoint has no task segmentation '
                             'to find the ground by')
        # Read once: of what can be read once only, nothing would be ground the second time.
        several = isinstance(names, Iterable) and not isinstance(names, (str, bytes))
        found = tuple(names) if several else ()
        if not found:
            raise InputError(f'ground_classes is {names!r}: give a list of names')
        members(self.metadata.classes, found, 'ground_classes')
        return found

    def _focal_scale(self, fx: float | None, width: int, network_width: int) -> float:
        scale = None if fx is None else focal_scale(self.metadata, fx, width, network_width)
        if DEPTH not in self.metadata.tasks:
            return 1.0
        if scale is None and self.says_unscaled:
            self.says_unscaled = False
            LOGGER.warning(
                'depth is NOT scaled to this camera, because %s; it is metric only for a '
                "camera of the training camera's field of view",
                'no focal length (fx) was given' if self.metadata.intrinsics is not None
                else 'the checkpoint holds no training intrinsics')
        return 1.0 if scale is None else scale


def _say_tasks(metadata: CheckpointMetadata) -> None:
    """Say what the tasks of a checkpoint do not give."""
    if metadata.finds_instances:
        need_clustering()
    elif INSTANCE in metadata.tasks:
        LOGGER.warning('no instances: they need the labels of things, and the checkpoint has no '
                       'task segmentation')
    if DEPTH in metadata.tasks and not metadata.pixel_variance:
        LOGGER.info("depth uncertainty is the task's noise, the same for every pixel of one "
                    'depth')
