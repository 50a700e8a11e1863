# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The model card: everything in it comes from the checkpoint's own document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata, FittedThreshold
from emu_perception.scores import Score, SCORES

# What is known of the terms of data sets; a card must say so even where it is little.
DATA_TERMS = {
    'nyuv2': 'NYU Depth V2 (Silberman et al., ECCV 2012) is published for research without an '
             "explicit licence; weights trained on it inherit that doubt. Ask the data set's "
             'authors before any commercial use. Its images show private indoor rooms in the USA, '
             'recorded with one Kinect, and were taken by people, not by robots.',
}


def model_card(metadata: CheckpointMetadata, path: Path) -> str:
    """Return the card of a checkpoint as Markdown."""
    provenance, metrics = metadata.provenance, metadata.metrics
    architecture, calibration = metadata.architecture, metadata.calibration
    recipe: dict[str, Any] = provenance.get('recipe', {})
    height, width = metadata.input_size
    lines = [
        f'# {metadata.name}', '',
        f'`{path.name}`, {path.stat().st_size / 1e6:.1f} MB, weights stored as '
        f'{provenance.get("weights_stored_as", "float32")}.', '',
        f'One pass gives {" and ".join(metadata.tasks)}{_uncertainty(architecture)}. Network: '
        f'{architecture["encoder"]}, {_heads(architecture)}, input {height}x{width}.', '',
        '## Training', '',
        f'- data: {provenance.get("data_set")}, {provenance.get("images")} images of split '
        f'`{provenance.get("split")}` (stems outside it were not read for training)',
        f'- recipe: `{recipe.get("name")}`: {recipe.get("epochs")} epochs, batch '
        f'{recipe.get("batch_size")}, seed {recipe.get("seed")}; the whole recipe is in the '
        "file's metadata",
        f'- command: `{provenance.get("command")}`',
        f'- teacher: {_teacher(provenance)}',
        f'- code: commit {provenance.get("git_commit")}; '
        + ', '.join(f'{k} {v}' for k, v in provenance.get('versions', {}).items()),
        f'- initial weights: {provenance.get("initial_weights_licence")}', '',
        f'## Results on {metrics.get("data_set")}, split `{metrics.get("split")}` '
        f'({metrics.get("images")} images, full size, pooled pixels)', '',
        *_results(metrics), '',
        _standing(provenance, metrics), '',
        '## Calibration and risk thresholds', '',
        *_calibration(metadata), '',
        'An image is uncertain where one of its scores is above:' if calibration.scores
        else 'No thresholds.',
        *(_threshold(SCORES[name], fitted) for name, fitted in calibration.scores.items())]
    lines += ['', '## Limits and terms', '',
              f'- {DATA_TERMS.get(str(provenance.get("data_set")), "See the data set terms.")}',
              *_limits(metadata), '']
    return '\n'.join(lines)


def _threshold(row: Score, fitted: FittedThreshold) -> str:
    of = fitted.fitted_on
    images = f'{of["images"]} ' if 'images' in of else ''
    return (f'- {row.text(fitted.threshold)}'
            + (f': percentile {fitted.percentile:g}' if fitted.percentile else '')
            + (f' of {images}images of split `{of.get("split")}` of {of.get("data_set")}'
               if fitted.percentile and of else ''))


def _standing(provenance: dict[str, Any], metrics: dict[str, Any]) -> str:
    if 'of_twin' in metrics:
        return (f'Measured on its twin `{metrics["of_twin"]}`, the same recipe trained without '
                'these images: this network has learned from them.')
    if metrics.get('data_set') == provenance.get('data_set') and metrics.get('split') == 'val':
        return 'The best epoch was chosen on this split, so these figures lean to the good side.'
    return 'Nothing was chosen on this split.'


def _uncertainty(architecture: dict[str, Any]) -> str:
    if architecture.get('family') != 'deeplab':
        return ' with the uncertainty of each'
    parts = {'segmentation': 'the entropy of each pixel', 'depth': 'one noise for all depths'}
    found = [text for task, text in parts.items() if task in architecture['tasks']]
    return f', with {" and ".join(found)}' if found else ''


def _heads(architecture: dict[str, Any]) -> str:
    if architecture.get('family') == 'deeplab':
        return (f'output stride {architecture["output_stride"]}, ASPP of width '
                f'{architecture["aspp_dim"]}, decoders of width {architecture["decoder_dim"]}')
    return (f'all-MLP heads of width {architecture["head_dim"]}, context '
            f'{architecture["context"] or "none"}')


def _teacher(provenance: dict[str, Any]) -> str:
    members = provenance.get('teacher')
    if not members:
        return 'none: a single network, not distilled'
    samples = sum(member['samples'] for member in members)
    names = ', '.join(f'`{member["name"]}`' for member in members)
    return f'{len(members)} checkpoints with {samples} samples ({names}), EMUFormer'


def _calibration(metadata: CheckpointMetadata) -> list[str]:
    done = metadata.provenance.get('calibration')
    if not done:
        return ['Temperature and variance scale were not fitted.']
    calibration = metadata.calibration
    twin = f', for its twin `{done["twin"]}`, the same recipe without them' \
        if 'twin' in done else ''
    return [f'Fitted on {done["images"]} images of split `{done["split"]}` of '
            f'{done["data_set"]}{twin}: temperature {calibration.temperature:.4f}, variance scale '
            f'{calibration.variance_scale:.4f}.']


def _results(metrics: dict[str, Any]) -> list[str]:
    trivial = metrics.get('trivial', {})
    rows = ['| | this model | trivial baseline |', '|---|---|---|']
    for task, names in (
            ('segmentation', ('miou', 'pixel_accuracy', 'ece', 'nll', *_CERTAINTY)),
            ('instance', ('mean_error', 'ap', 'ap50')),
            ('depth', ('rmse', 'abs_rel', 'delta1', 'delta2', 'delta3', 'nll', 'coverage_90',
                       *_CERTAINTY)),
            ('inverse_depth', ('mean_error',))):
        for name in names:
            if metrics.get(task, {}).get(name) is not None:
                other = trivial.get(task, {}).get(name)
                rows.append(f'| {_TITLES[name].format(task)} | {metrics[task][name]:.3f} | '
                            f'{"" if other is None else f"{other:.3f}"} |')
    if trivial:
        rows += ['', f'Trivial baselines: the label "{trivial.get("majority_class")}" everywhere; '
                 'the mean depth map of the training images.']
    return rows


_CERTAINTY = ('p_accurate_given_certain', 'p_uncertain_given_inaccurate', 'pavpu', 'auroc')
_TITLES = {'miou': 'mIoU', 'pixel_accuracy': 'pixel accuracy', 'rmse': 'RMSE, m',
           'abs_rel': 'mean absolute relative error', 'delta1': 'delta1 (within 1.25x)',
           'delta2': 'delta2', 'delta3': 'delta3', 'ece': 'ECE (15 bins)', 'nll': 'NLL of {}',
           'coverage_90': 'coverage of 90 % intervals',
           'p_accurate_given_certain': '{}: p(accurate given certain)',
           'p_uncertain_given_inaccurate': '{}: p(uncertain given inaccurate)',
           'pavpu': '{}: PAvPU', 'auroc': '{}: AUROC of errors',
           'mean_error': '{}: mean error (vectors and disparity px, inverse depth 1/m)',
           'ap': '{}: AP at 0.5..0.95', 'ap50': '{}: AP at 0.5'}


def _limits(metadata: CheckpointMetadata) -> list[str]:
    lines = []
    if metadata.intrinsics is not None and 'depth' in metadata.tasks:
        camera = metadata.intrinsics
        lines.append(f'- depth is metric for a camera of fx {camera.fx:.1f} px at '
                     f'{camera.width}x{camera.height}; for another, camera_info must say its fx')
        lines.append(f'- depth of the training data ends at {metadata.depth_max:g} m')
    if 'depth' in metadata.tasks and metadata.architecture.get('family') == 'deeplab':
        lines.append('- the variance of depth comes from one noise for the whole task: it grows '
                     'with the depth alone and does not know a hard pixel from an easy one')
    elif 'depth' in metadata.tasks:
        lines.append('- the variance is what one network learned from its data (aleatoric): it '
                     'does not know what it has never seen' if not metadata.provenance.get(
                         'teacher') else '- the variance was learned from a teacher on views of '
                     'the training data: far from them it is a guess')
    return lines
