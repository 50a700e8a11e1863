# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Several samples as a predictor: the same moments, split by where the uncertainty is from."""

from __future__ import annotations

import emu_perception
from emu_perception.errors import EmuError
import numpy as np
import pytest
from synthetic_data import members
from training.data.dataset_folder import DatasetFolder
from training.methods.ensemble import Ensemble

FX = 110.0


@pytest.fixture(scope='module')
def image(trained):
    """Return an image of the data set that the members were trained on."""
    return DatasetFolder(trained / 'data').image('000')


def test_it_says_what_the_ensemble_says_and_its_parts_sum_to_it(trained, image):
    ensemble = Ensemble(members(trained))
    predictor = emu_perception.EnsemblePredictor.load(str(trained / 'synthetic'), 'cpu')
    prediction = predictor(image, fx=FX)
    moments = ensemble.predict(image, focal=FX / image.shape[1])
    assert prediction.samples == 2
    assert np.array_equal(prediction.label, moments.probabilities[0].argmax(0).numpy())
    known = np.isfinite(prediction.depth)
    assert np.array_equal(prediction.depth[known], moments.depth[0].numpy()[known])
    parts = prediction.parts
    # Sums and roots of float32 numbers: relative errors of a few 2**-24.
    assert np.allclose(parts.segmentation_epistemic + parts.segmentation_aleatoric,
                       prediction.segmentation_entropy, rtol=1e-5, atol=1e-6)
    assert np.allclose(parts.depth_epistemic ** 2 + parts.depth_aleatoric ** 2,
                       prediction.depth_variance, rtol=1e-5)
    assert parts.depth_epistemic.max() > 0 and parts.segmentation_epistemic.max() > 0


def test_one_network_does_not_say_that_it_knows_everything(trained, image, caplog):
    """Its epistemic parts were zeros, as of an ensemble that is sure."""
    predictor = emu_perception.EnsemblePredictor.load([str(members(trained)[0])], 'cpu')
    line, = [text for text in caplog.messages if 'answers once' in text]
    assert line.startswith(str(members(trained)[0])) and 'sub-ensemble' in line
    parts = predictor(image, fx=FX, size=(24, 32)).parts
    assert parts.segmentation_epistemic is None and parts.depth_epistemic is None
    assert parts.depth_aleatoric.shape == parts.segmentation_aleatoric.shape == (24, 32)


@pytest.mark.parametrize('fx', ['500', 0, -1.0, float('nan')])
def test_what_is_no_focal_length_is_one_line(trained, image, fx):
    predictor = emu_perception.EnsemblePredictor.load(str(trained / 'synthetic'), 'cpu')
    with pytest.raises(EmuError, match='give the focal length in pixels'):
        predictor(image, fx=fx)


def test_its_flag_is_up_because_nobody_has_set_its_thresholds(trained, image):
    prediction, = emu_perception.EnsemblePredictor.load(str(trained / 'synthetic'), 'cpu')(
        [image], fx=FX)
    assert prediction.risk.raised and 'not judged' in prediction.risk.detail
    assert prediction.plot().dtype == np.uint8 and prediction.names


def test_training_from_python_is_the_command(synthetic, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr('training.fit.fit', lambda recipe, **options: asked.update(
        options, recipe=recipe) or tmp_path)
    found = emu_perception.train(data=synthetic, recipe='paper', epochs=3, resume=True,
                                 **{'optimizer.learning_rate': 1e-4})
    recipe = asked['recipe']
    assert found == tmp_path and asked['resume'] and recipe.data == str(synthetic)
    assert (recipe.epochs, recipe.optimizer.learning_rate) == (3, 1e-4)
    with pytest.raises(EmuError, match="did you mean 'epochs'"):
        emu_perception.train(data=synthetic, recipe='paper', epoch=3)
