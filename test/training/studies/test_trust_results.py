# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The ruler as it was measured with the default model: each severity costs more than the last."""

from __future__ import annotations

import json
from pathlib import Path

from emu_perception.checkpoint import load_checkpoint
from emu_perception.corruptions import CORRUPTIONS, SEVERITIES
from emu_perception.model_file import default_model
from emu_perception.observer import Observer
import numpy as np
import pytest
from training.calibration.observations import observed
from training.calibration.training_pictures import border_of, changed, clean_picture
from training.data.dataset_folder import DatasetFolder

RESULT = json.loads((Path(__file__).parents[3] / 'results/trust/trust.json').read_text())


@pytest.mark.parametrize('kind', CORRUPTIONS)
def test_each_severity_cost_more_accuracy_than_the_one_before(kind):
    cells = {cell['severity']: cell for cell in RESULT['cells'] if cell['kind'] == kind}
    assert sorted(cells) == list(SEVERITIES)
    # The error that makes a picture bad, of both tasks, each by its limit.
    error = [cells[severity]['abs_rel'] / 0.3 + (1 - cells[severity]['pixel_accuracy']) / 0.55
             for severity in SEVERITIES]
    assert all(low < high for low, high in zip(error, error[1:])), error


@pytest.mark.slow
def test_it_costs_so_today(nyuv2):
    """Three images of three runs, at the ends and in the middle of the ruler."""
    folder = DatasetFolder(nyuv2)
    network, metadata = load_checkpoint(default_model())
    observer = Observer(network, metadata, 'default')
    clean = [clean_picture(folder, stem, border_of(metadata))
             for stem in folder.stems('val')[::30]]
    for kind in CORRUPTIONS:
        found = observed(observer, (changed(picture, kind, severity) for severity in (1, 3, 5)
                                    for picture in clean))
        means = [np.mean(found.badness[found.severity == severity]) for severity in (1, 3, 5)]
        assert means[0] < means[2], (kind, means)
