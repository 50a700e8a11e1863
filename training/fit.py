# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Train a baseline: python -m training.fit --recipe training/recipes/NAME.yaml data=DIR.

Leaves in OUTPUT/NAME: best.safetensors and last.safetensors (self-describing checkpoints with risk
thresholds), state/last.ckpt (for --resume), recipe.yaml (as it ran), metrics.csv.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
import logging
from pathlib import Path
import platform
import subprocess
import sys
from typing import Any

import lightning
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from rich.progress import track
import timm
import torch
from torch.utils.data import DataLoader
import yaml

from emu_perception import __version__
from emu_perception.checkpoint import CheckpointMetadata, palette_or_default, save_checkpoint
from emu_perception.errors import EmuError
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, SEGMENTATION
from emu_perception.networks.pretrained import initialize
from emu_perception.predictor import Predictor
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.data.samples import EpochSampler, SampleCache, TrainingViews, WholeImages
from training.methods.baseline import Baseline
from training.recipe import load_recipe, Recipe, RecipeError
from training.risk_thresholds import risk_thresholds

LOGGER = logging.getLogger('training')


def build_network(recipe: Recipe, folder: DatasetFolder) -> tuple[MultitaskNetwork, str]:
    """Return the network with its initial weights, and the licence of those."""
    parts = recipe.network
    network = MultitaskNetwork(
        parts.encoder, parts.tasks, max(1, len(folder.classes)), parts.head_dim,
        parts.head_dropout, parts.context, parts.encoder_arguments)
    return network, initialize(network, parts.initial_weights)


def normalization(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the input that the encoder's weights expect."""
    configuration = timm.get_pretrained_cfg(encoder, allow_unregistered=False)
    return tuple(configuration.mean), tuple(configuration.std)


def check_tasks(recipe: Recipe, folder: DatasetFolder) -> None:
    """
    Check that the data set has what the tasks need.

    :raises DatasetError: if it has not.
    """
    if SEGMENTATION in recipe.network.tasks and not folder.classes:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'classes' is missing, task "
                           'segmentation needs it')
    if DEPTH in recipe.network.tasks and folder.depth is None:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'depth' is missing, task depth "
                           'needs it')


def depth_statistics(samples: SampleCache, images: int = 100) -> tuple[float, float]:
    """Return mean (m) and variance (m²) of the valid depth of evenly spaced images."""
    step = max(1, len(samples) // images)
    parts = []
    for index in range(0, len(samples), step):
        depth = samples[index].depth
        if depth is not None:
            parts.append(torch.from_numpy(depth[::8, ::8][depth[::8, ::8] > 0]))
    values = torch.cat(parts) if parts else torch.empty(0)
    if not len(values):
        raise DatasetError(f'{samples.folder.root}/depth: no valid depth in the training images; '
                           'check depth.scale, invalid, min and max in dataset.yaml')
    return float(values.mean()), float(values.var())


def metadata_of(recipe: Recipe, folder: DatasetFolder, network: MultitaskNetwork,
                licence: str, metrics: dict[str, Any]) -> CheckpointMetadata:
    """Describe the trained network."""
    mean, std = normalization(recipe.network.encoder)
    encoding = folder.depth
    return CheckpointMetadata(
        architecture=network.arguments, input_size=recipe.input_size, name=recipe.name,
        classes=folder.classes if SEGMENTATION in network.tasks else (),
        palette=(palette_or_default(folder.palette, len(folder.classes))
                 if SEGMENTATION in network.tasks else ()),
        mean=mean, std=std,  # type: ignore[arg-type]
        depth_min=encoding.min if encoding else 0.0,
        depth_max=encoding.max if encoding else float('inf'),
        intrinsics=folder.intrinsics, metrics=metrics,
        provenance={
            'data_set': folder.name, 'split': 'train', 'images': len(folder.stems('train')),
            'recipe': asdict(recipe), 'git_commit': git_commit(),
            'versions': {'emu_perception': __version__, 'torch': torch.__version__,
                         'timm': timm.__version__, 'lightning': lightning.__version__,
                         'python': platform.python_version()},
            'initial_weights_licence': licence})


def git_commit() -> str:
    """Return the commit of the working tree, '+changes' where it differs, or 'unknown'."""
    try:
        commit = subprocess.run(['git', 'rev-parse', '--short=12', 'HEAD'], check=True,
                                capture_output=True, text=True).stdout.strip()
        dirty = subprocess.run(['git', 'status', '--porcelain', '--untracked-files=no'],
                               check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit + ('+changes' if dirty else '')


def fit(recipe: Recipe, *, resume: bool = False, progress: bool = True) -> Path:
    """
    Train, and write the checkpoints.

    :param resume: continue from ``state/last.ckpt``, with the same order of the same views.
    :return: the path of ``best.safetensors``.
    :raises EmuError: if recipe or data cannot be used; before anything is trained.
    """
    lightning.seed_everything(recipe.seed, verbose=False)
    folder = DatasetFolder(recipe.data)
    check_tasks(recipe, folder)
    train = SampleCache(folder, folder.stems('train'))
    val = SampleCache(folder, folder.stems('val'))
    if len(train) < recipe.batch_size:
        raise RecipeError(f"field 'batch_size' is {recipe.batch_size}, but "
                          f'{folder.root}/train.txt has {len(train)} images: lower it')
    network, licence = build_network(recipe, folder)
    if DEPTH in network.tasks:
        network.initialize_depth(*depth_statistics(train))
    state = recipe.folder / 'state'
    last = state / 'last.ckpt'
    if resume and not last.exists():
        raise RecipeError(f'--resume: {last} does not exist; start without --resume')
    recipe.folder.mkdir(parents=True, exist_ok=True)
    (recipe.folder / 'recipe.yaml').write_text(yaml.safe_dump(_plain(asdict(recipe)),
                                                              sort_keys=False))
    views = TrainingViews(train, recipe.input_size, recipe.augmentation, recipe.seed)
    module = Baseline(network, recipe, *normalization(recipe.network.encoder))
    sampler = EpochSampler(len(views), recipe.seed, lambda: module.current_epoch)
    # A last batch that is not full is dropped: batch norm needs more than one image.
    loader = DataLoader(views, recipe.batch_size, sampler=sampler, drop_last=True,
                        num_workers=recipe.workers,
                        persistent_workers=recipe.workers > 0)
    val_loader = DataLoader(WholeImages(val, recipe.input_size), 1)
    best = ModelCheckpoint(state, filename='best', monitor='val/score', mode='max',
                           enable_version_counter=False)
    callbacks: list[lightning.Callback] = [
        best, ModelCheckpoint(state, filename='last', enable_version_counter=False)]
    if recipe.ema_decay > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema_decay))
    if progress:
        callbacks.append(RichProgressBar())
    trainer = lightning.Trainer(
        max_epochs=recipe.epochs, precision=recipe.precision, callbacks=callbacks,
        gradient_clip_val=recipe.optimizer.gradient_clip or None,
        check_val_every_n_epoch=recipe.validate_every, num_sanity_val_steps=0,
        use_distributed_sampler=False, enable_progress_bar=progress, enable_model_summary=False,
        logger=CSVLogger(recipe.folder, name='', version=''), log_every_n_steps=10)
    trainer.fit(module, loader, val_loader, ckpt_path=str(last) if resume else None,
                weights_only=False if resume else None)
    written = []
    for name, source in (('last', None), ('best', best.best_model_path)):
        if source:
            # Our own file, written minutes ago: it may hold more than tensors.
            weights = torch.load(source, map_location='cpu', weights_only=False)['state_dict']
            module.load_state_dict(weights)
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()
                   if key.startswith('val/')} if not source else {
                       'val/score': float(best.best_model_score)}
        written.append(export(recipe.folder / f'{name}.safetensors', network, recipe, folder,
                              licence, metrics, progress))
    return written[-1]


def export(path: Path, network: MultitaskNetwork, recipe: Recipe, folder: DatasetFolder,
           licence: str, metrics: dict[str, float], progress: bool = True) -> Path:
    """Write a self-describing checkpoint with risk thresholds from the validation images."""
    network = network.cpu().eval()
    metadata = metadata_of(recipe, folder, network, licence, metrics)
    predictor = Predictor(network, metadata, device='cpu')
    stems = folder.stems('val')
    calibration = risk_thresholds(
        predictor, folder,
        list(track(stems, f'{path.name}: risk thresholds', disable=not progress)),
        recipe.risk_percentile)
    save_checkpoint(path, network, replace(metadata, calibration=calibration))
    LOGGER.info('wrote %s', path)
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m training.fit', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--recipe', required=True, metavar='FILE', help='YAML, see '
                        'training/recipes; its fields are documented in training/recipe.py')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted run')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    parser.add_argument('overrides', nargs='*', metavar='field=value',
                        help='for example data=DIR epochs=10 optimizer.learning_rate=1e-4')
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    try:
        recipe = load_recipe(options.recipe, options.overrides)
        fit(recipe, resume=options.resume, progress=not options.no_progress)
    except (EmuError, FloatingPointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
