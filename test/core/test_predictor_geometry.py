# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The network's size follows the image's aspect, and metric depth follows the focal length."""

from __future__ import annotations

from dataclasses import replace
import math
import re
from typing import Any

from core_bench import constant_depth, INPUT_SIZE, make_metadata, Stub
import cv2
from emu_perception.checkpoint import CheckpointMetadata, Intrinsics
from emu_perception.errors import InputError
from emu_perception.networks.multitask import DEPTH
from emu_perception.predictor import Predictor
from emu_perception.preprocessing import network_size
import numpy as np
import pytest
import torch

TRAINED = Intrinsics(width=640, height=480, fx=500.0, fy=500.0, cx=320.0, cy=240.0)
BAR_WIDTH_M = 0.8


def predictor_of(raw: Any, **changes: Any) -> Predictor:
    """Return a predictor of a depth-only stub, trained on the camera above."""
    stub = Stub(raw, (DEPTH,))
    metadata = make_metadata(stub, intrinsics=TRAINED, **{'depth_max': 1000.0, **changes})
    return Predictor(stub, metadata, device='cpu')


# -- the network's size --------------------------------------------------------------------------
@pytest.mark.parametrize('trained', [(288, 384), (480, 640), (768, 768), (512, 1024)])
@pytest.mark.parametrize('image', [(480, 640), (720, 1280), (1080, 1920), (376, 1241), (640, 480),
                                   (1200, 1920), (512, 512), (1024, 2048), (100, 600)])
def test_the_network_runs_at_the_images_aspect_with_as_many_pixels_as_in_training(trained, image):
    height, width = predictor_of(constant_depth(1.0), input_size=trained).network_size(image)
    assert height % 32 == width % 32 == 0 and min(height, width) > 0
    assert (width / height) / (image[1] / image[0]) == pytest.approx(1.0, abs=0.05)
    assert height * width == pytest.approx(trained[0] * trained[1], rel=0.15)


@pytest.mark.parametrize('image', [(480, 640), (960, 1280), (96, 128), (240, 320)])
def test_an_image_of_the_training_aspect_runs_at_the_training_size(image):
    assert predictor_of(constant_depth(1.0)).network_size(image) == INPUT_SIZE


# -- focal length, end to end: a network that knows a bar's width --------------------------------
def bar_image(width: int, height: int, fx: float, depth_m: float, top: int = 0) -> np.ndarray:
    """Show a bar of ``BAR_WIDTH_M`` at a depth to a pinhole camera, drawn at 8 times the size."""
    half = 0.5 * BAR_WIDTH_M * fx / depth_m
    columns = np.abs((np.arange(8 * width) + 0.5) / 8 - width / 2) < half
    row = 255.0 * columns.reshape(width, 8).mean(1)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).round().astype(np.uint8)


def bar_depth(metadata: CheckpointMetadata) -> Any:
    """Return raw maps: the depth at which the training camera would see the bar that wide."""
    trained_fx = TRAINED.fx * metadata.input_size[1] / TRAINED.width

    def raw(images: torch.Tensor) -> dict[str, torch.Tensor]:
        grey = images[0, 0] * metadata.std[0] + metadata.mean[0]
        apparent = float(grey.mean()) * images.shape[-1]  # pixels of the network
        return constant_depth(trained_fx * BAR_WIDTH_M / apparent)(images)
    return raw


@pytest.fixture
def ruler() -> Predictor:
    """Return a predictor that measures by the bar."""
    stub = Stub(constant_depth(0.0), (DEPTH,))
    metadata = make_metadata(stub, intrinsics=TRAINED, input_size=(288, 384), depth_max=1000.0)
    return Predictor(Stub(bar_depth(metadata), (DEPTH,)), metadata, device='cpu')


@pytest.mark.parametrize(('width', 'height', 'fx'), [
    (640, 480, 500.0),      # the training camera
    (1280, 960, 1000.0),    # the same with more pixels
    (320, 240, 250.0),      # and with fewer
    (640, 480, 800.0),      # a longer lens
    (640, 480, 250.0),      # a wide one
    (1280, 720, 900.0),     # another aspect: another size of the network
    (1241, 376, 721.0), (480, 640, 500.0), (1920, 1080, 1400.0)])
@pytest.mark.parametrize('depth_m', [1.5, 3.0])
def test_depth_is_metric_for_every_camera(ruler, width, height, fx, depth_m):
    image = bar_image(width, height, fx, depth_m)
    depth = ruler(image, fx=fx).depth
    assert depth.shape == (height, width)
    assert float(depth[0, 0]) == pytest.approx(depth_m, rel=0.01)


@pytest.mark.parametrize('factor', [0.5, 1.5, 2.0])
def test_resizing_an_image_with_its_focal_length_leaves_depth_unchanged(ruler, factor):
    image = bar_image(640, 480, 500.0, 2.0)
    resized = cv2.resize(image, None, fx=factor, fy=factor,
                         interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    before, after = ruler(image, fx=500.0), ruler(resized, fx=500.0 * factor)
    assert float(after.depth[0, 0]) == pytest.approx(float(before.depth[0, 0]), rel=0.005)
    assert after.scores['depth_sigma'] == pytest.approx(before.scores['depth_sigma'], rel=0.005)


@pytest.mark.parametrize(('left', 'right', 'top', 'bottom'), [
    (80, 80, 60, 60), (0, 0, 60, 60), (120, 120, 0, 0), (100, 20, 0, 300)])
def test_cropping_an_image_of_the_same_focal_length_leaves_depth_unchanged(
        ruler, left, right, top, bottom):
    image = bar_image(640, 480, 500.0, 2.0)
    crop = image[top:480 - bottom, left:640 - right]
    assert float(ruler(crop, fx=500.0).depth[0, 0]) == pytest.approx(2.0, rel=0.01)


def test_without_the_focal_length_another_lens_is_wrong_by_its_ratio(ruler):
    # Else the tests above would pass without any scaling.
    depth = ruler(bar_image(640, 480, 800.0, 3.0)).depth
    assert float(depth[0, 0]) == pytest.approx(3.0 * 500 / 800, rel=0.01)


# -- the law itself ------------------------------------------------------------------------------
@pytest.mark.parametrize(('width', 'height', 'fx'), [
    (640, 480, 500.0), (320, 240, 250.0), (400, 300, 500.0), (1280, 720, 900.0),
    (480, 640, 500.0), (640, 360, 500.0)])
def test_depth_and_sigma_are_scaled_by_fx_at_network_pixels(width, height, fx):
    predictor = predictor_of(constant_depth(2.0))
    image = np.zeros((height, width, 3), np.uint8)
    network_width = predictor.network_size((height, width))[1]
    expected = (fx * network_width / width) / (TRAINED.fx * INPUT_SIZE[1] / TRAINED.width)
    plain, scaled = predictor(image), predictor(image, fx=fx)
    assert np.allclose(plain.depth, 2.0)
    assert np.allclose(scaled.depth, 2.0 * expected)
    assert np.allclose(scaled.depth_sigma, plain.depth_sigma * expected)
    assert scaled.scores['depth_sigma'] == pytest.approx(plain.scores['depth_sigma'] * expected)


def test_intrinsics_of_images_larger_than_the_training_size_are_scaled_to_it():
    large = replace(TRAINED, width=1280, height=960, fx=1000.0, fy=1000.0)
    image = np.zeros((480, 640, 3), np.uint8)
    for intrinsics in (TRAINED, large):
        predictor = predictor_of(constant_depth(2.0), calibration=make_metadata(
            Stub(constant_depth(1.0), (DEPTH,))).calibration)
        predictor.metadata = replace(predictor.metadata, intrinsics=intrinsics)
        assert np.allclose(predictor(image, fx=500.0).depth, 2.0)


def test_the_range_is_that_of_the_training_camera():
    # A network that saw depths up to 10 m says 8 m; a lens of twice the length makes 16 m of it.
    predictor = predictor_of(constant_depth(8.0), depth_max=10.0)
    image = np.zeros((480, 640, 3), np.uint8)
    assert np.allclose(predictor(image, fx=1000.0).depth, 16.0)
    beyond = predictor_of(constant_depth(10.5), depth_max=10.0)(image, fx=250.0)
    assert np.isposinf(beyond.depth).all()


@pytest.mark.parametrize('trained', [(32, 32), (64, 96), (96, 128), (64, 224), (352, 480)])
@pytest.mark.parametrize('image', [(480, 640), (720, 1280), (640, 480), (512, 512), (1080, 1440)])
def test_a_size_that_is_asked_to_have_the_aspect_has_it(image, trained):
    """Of small multiples of 32 few have: a size that is proposed must not be refused again."""
    height, width = network_size(image, trained, 0.08)
    assert abs(width * image[0] / (height * image[1]) - 1) <= 0.08
    assert height % 32 == width % 32 == 0


# -- a focal length that is missing or wrong -----------------------------------------------------
def warnings_in(log: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about depth that is not scaled."""
    return [record.message for record in log.records
            if record.levelname == 'WARNING' and 'NOT scaled' in record.message]


def test_a_missing_focal_length_is_said_once_and_not_on_each_image(log):
    predictor = predictor_of(constant_depth(2.0))
    image = np.zeros((480, 640, 3), np.uint8)
    predictor(image, fx=500.0)
    assert not warnings_in(log)
    for _ in range(5):
        predictor(image)
    assert len(warnings_in(log)) == 1 and 'no focal length' in warnings_in(log)[0]


def test_a_checkpoint_without_intrinsics_is_said_once_whatever_is_given(log):
    predictor = predictor_of(constant_depth(2.0))
    predictor.metadata = replace(predictor.metadata, intrinsics=None)
    image = np.zeros((480, 640, 3), np.uint8)
    for fx in (500.0, None, 900.0):
        assert np.allclose(predictor(image, fx=fx).depth, 2.0)
    assert len(warnings_in(log)) == 1 and 'no training intrinsics' in warnings_in(log)[0]


def test_a_network_without_depth_needs_no_focal_length(log):
    stub = Stub(lambda x: {'segmentation': torch.zeros(1, 5, x.shape[-2] // 4, x.shape[-1] // 4)},
                ('segmentation',))
    Predictor(stub, make_metadata(stub), device='cpu')(np.zeros((480, 640, 3), np.uint8))
    assert not warnings_in(log)


@pytest.mark.parametrize('fx', [0.0, -500.0, math.nan, math.inf, True, np.True_, '500', 10**400])
@pytest.mark.parametrize('intrinsics', [TRAINED, None])
def test_a_focal_length_that_cannot_be_is_one_clear_line(fx, intrinsics):
    predictor = predictor_of(constant_depth(2.0))
    predictor.metadata = replace(predictor.metadata, intrinsics=intrinsics)
    with pytest.raises(InputError, match=re.escape(f'fx is {fx!r}')):
        predictor(np.zeros((480, 640, 3), np.uint8), fx=fx)


@pytest.mark.parametrize('several', [np.array([500.0, 500.0]), torch.ones(2), [1.0]])
def test_several_numbers_are_no_focal_length_and_no_limit(several):
    """Of a limit they ended in NumPy's words on truth."""
    predictor, image = predictor_of(constant_depth(2.0)), np.zeros((480, 640, 3), np.uint8)
    with pytest.raises(InputError, match='fx is .*: give the focal length'):
        predictor(image, fx=several)
    with pytest.raises(InputError, match='unknown_label_entropy is .*: give nats, or None'):
        predictor(image, fx=500.0, unknown_label_entropy=several)
