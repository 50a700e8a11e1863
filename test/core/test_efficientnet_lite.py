# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Our EfficientNet-Lite is timm's, to the bit: weights and trainings go from one to the other."""

from __future__ import annotations

import subprocess
import sys

from emu_perception import networks
from emu_perception.errors import InputError
from emu_perception.model_file import default_model
from emu_perception.networks.efficientnet_lite import (
    CONFIGURATIONS,
    efficientnet_lite,
    EfficientNetLite,
)
from emu_perception.networks.encoder import features_model
import pytest
import timm
import torch


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGURATIONS)
@pytest.mark.parametrize('training', [False, True])
def test_it_says_what_timms_says_and_learns_what_it_learns(name, training):
    ours = efficientnet_lite(name, 0.2).train(training)
    theirs = timm.create_model(name, features_only=True, drop_path_rate=0.2).train(training)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    for attribute in ('channels', 'reduction', 'module_name'):
        assert (getattr(ours.feature_info, attribute)()
                == getattr(theirs.feature_info, attribute)())
    # An odd size, and one whose halves are odd: what TensorFlow pads hangs on the parity.
    for size in ((64, 96), (75, 101)):
        x = torch.randn(2, 3, *size)
        answers, gradients = [], []
        for model in (ours, theirs):
            torch.manual_seed(0)  # of what is dropped
            answers.append(model(x))
            gradients.append(torch.autograd.grad(
                sum(y.square().mean() for y in answers[-1]), list(model.parameters())))
        for one, two in (*zip(*answers, strict=True), *zip(*gradients, strict=True)):
            assert torch.equal(one, two)
    for key, values in ours.state_dict().items():  # running means too
        assert torch.equal(values, theirs.state_dict()[key]), key


def test_random_weights_are_as_wide_as_timms():
    ours = efficientnet_lite('tf_efficientnet_lite0').state_dict()
    theirs = timm.create_model('tf_efficientnet_lite0', features_only=True).state_dict()
    for name, values in ours.items():
        if values.ndim == 4 and values.numel() > 10_000:
            # The ratio of two estimates of one width varies by 1 / sqrt(n); five times that.
            near = 5.0 / values.numel() ** 0.5
            assert float(values.std() / theirs[name].std()) == pytest.approx(1.0, abs=near), name
        elif values.ndim < 4:
            assert torch.equal(values, theirs[name]), name


def test_what_ours_cannot_do_timm_does():
    assert isinstance(features_model('tf_efficientnet_lite0', {}), EfficientNetLite)
    for arguments, settings in (({'drop_rate': 0.1}, {}), ({}, {'output_stride': 16})):
        found = features_model('tf_efficientnet_lite0', arguments, **settings)
        assert type(found).__module__.startswith('timm.')
    assert type(features_model('efficientnet_lite0', {})).__module__.startswith('timm.')


def test_an_encoder_of_timms_says_that_timm_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'emu_perception.networks.mit_registration', None)
    monkeypatch.delattr(networks, 'mit_registration', raising=False)
    assert features_model('tf_efficientnet_lite0', {})
    with pytest.raises(InputError, match="encoder 'mit_b0' needs timm .* pip install -r"):
        features_model('mit_b0', {})


@pytest.mark.slow
def test_the_default_model_runs_without_timm_torchvision_or_a_compiler():
    """They would be a fifth of a node's memory, and half of its start."""
    code = ('import sys, numpy as np\n'
            'from emu_perception import Predictor\n'
            'import emu_perception.ros.lifecycle_node\n'
            f'Predictor.load({str(default_model())!r}, "cpu")(np.zeros((96, 128, 3), np.uint8))\n'
            'print([name for name in ("timm", "torchvision", "torch._dynamo", "sympy", "triton",'
            ' "huggingface_hub", "lightning") if name in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]', done.stdout + done.stderr
