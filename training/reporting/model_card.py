# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The model card: everything in it comes from the checkpoint's own document."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import re
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.networks.depth_forms import LINEAR
from emu_perception.networks.families import family_of
from emu_perception.networks.multitask import DEPTH
from emu_perception.scores import SCORES

from ..data.steps import steps_of
from ..metrics.certainty_cells import CERTAINTY
from ..runs.ancestry import terms_in_words
from .rendering import render

# What is known of the terms of data sets; a card must say so even where it is little.
DATA_TERMS = {
    'nyuv2': 'NYU Depth V2 (Silberman et al., ECCV 2012) is published for research without an '
             "explicit licence; weights trained on it inherit that doubt. Ask the data set's "
             'authors before any commercial use. Its images show private indoor rooms in the USA, '
             'recorded with one Kinect, and were taken by people, not by robots.',
}
_CERTAINTY = dict(zip((*CERTAINTY, 'auroc'), (
    '{}: p(accurate given certain)', '{}: p(uncertain given inaccurate)', '{}: PAvPU',
    '{}: AUROC of errors')))
_NLL = {'nll': 'NLL of {}'}
_MEAN_ERROR = {'mean_error': '{}: mean error (vectors and disparity px, inverse depth 1/m)'}
_ROWS = {
    'segmentation': {'miou': 'mIoU', 'pixel_accuracy': 'pixel accuracy', 'ece': 'ECE (15 bins)',
                     **_NLL, **_CERTAINTY},
    'instance': {**_MEAN_ERROR, 'ap': '{}: AP at 0.5..0.95', 'ap50': '{}: AP at 0.5'},
    'depth': {'rmse': 'RMSE, m', 'abs_rel': 'mean absolute relative error',
              'delta1': 'delta1 (within 1.25x)', 'delta2': 'delta2', 'delta3': 'delta3', **_NLL,
              'coverage_90': 'coverage of 90 % intervals', **_CERTAINTY},
    'inverse_depth': _MEAN_ERROR}


def model_card(metadata: CheckpointMetadata, path: Path) -> str:
    """Return the card of a checkpoint as Markdown."""
    provenance, metrics = metadata.provenance, metadata.metrics
    trivial = metrics.get('trivial', {})
    return render('model_card.md', {
        'metadata': metadata, 'file': path, 'provenance': provenance, 'metrics': metrics,
        'calibration': metadata.calibration, 'scores': SCORES, 'joint': _joint(metadata),
        'recipe': provenance.get('recipe', {}),
        'uncertainty': _uncertainty(metadata), 'steps': steps_of(metadata),
        'log_normal': DEPTH in metadata.tasks and metadata.depth_form.name != LINEAR.name,
        'heads': family_of(metadata.architecture).description(metadata.architecture),
        'rows': [(title.format(task), metrics[task][name], trivial.get(task, {}).get(name))
                 for task, titles in _ROWS.items() for name, title in titles.items()
                 if metrics.get(task, {}).get(name) is not None],
        'terms': DATA_TERMS.get(str(provenance.get('data_set'))) or _said_terms(provenance),
        'inherited': inherited(provenance)})


def is_card(text: str) -> bool:
    """Tell by its first lines whether a text is a card; one that is empty is nobody's."""
    return not text.strip() or bool(re.match(r'# .*\s+`.*`, [\d.]+ MB, weights stored as ', text))


def inherited(provenance: Mapping[str, Any]) -> list[str]:
    """Return the terms of each ancestor, for people."""
    lines = []
    for ancestor in provenance.get('ancestors') or ():
        known = DATA_TERMS.get(str(ancestor.get('data_set')))
        lines.append(terms_in_words(ancestor) + (f'. {known}' if known and known != DATA_TERMS.get(
            str(provenance.get('data_set'))) else ''))
    return list(dict.fromkeys(lines))


def _said_terms(provenance: Mapping[str, Any]) -> str:
    said = [str(provenance[name]) for name in ('data_source', 'data_licence')
            if provenance.get(name)]
    return f"data: {'; '.join(said)}" if said else 'See the data set terms.'


def _joint(metadata: CheckpointMetadata) -> float | None:
    """Return the percentile that the thresholds keep together; None where each has its own."""
    fitted = [threshold.percentile for name, threshold in metadata.calibration.scores.items()
              if SCORES[name].fitted]
    return fitted[0] if fitted else None


def _uncertainty(metadata: CheckpointMetadata) -> str:
    if metadata.pixel_variance:
        return ' with the uncertainty of each'
    parts = {'segmentation': 'the entropy of each pixel', 'depth': 'one noise for all depths'}
    found = [text for task, text in parts.items() if task in metadata.tasks]
    return f', with {" and ".join(found)}' if found else ''
