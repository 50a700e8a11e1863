# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Train one network: python -m training.fit --recipe NAME data=DIR."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import logging
import os
from pathlib import Path
import sys
import warnings

from emu_perception.checkpoint import save_checkpoint
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.predictor import Predictor
from emu_perception.whole_files import remove_partial, write_json, write_whole
import lightning
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.progress import track
from timm.layers import convert_sync_batchnorm
import torch
from torch.utils.data import DataLoader
import yaml

from .arguments.fit import parser
from .calibration.risk_thresholds import risk_thresholds
from .command_line import recipe_of, run
from .data.dataset_folder import DatasetFolder
from .data.device_views import views_on_device
from .data.examples import WholeImages
from .methods.ensemble import Ensemble
from .methods.module import TrainingModule
from .recipes.options import plain, RecipeError
from .recipes.recipe import Recipe
from .recipes.sections import FinetuneOptions
from .runs.added_outputs import check_kept, with_added_outputs
from .runs.building import build_network, check_tasks, load_teacher, make_module
from .runs.callbacks import (
    first_frozen_epoch,
    FreezeBN,
    ImagePanels,
    PassStopsOn,
    ProgressFile,
    StopAfter,
    StopEarly,
)
from .runs.choosing import can_choose
from .runs.feature_filling import filled_store
from .runs.folder_lock import locked
from .runs.learned_images import check_images, note_images
from .runs.loading import example_caches, loaders
from .runs.lora import merged
from .runs.progress_bar import EpochBar
from .runs.provenance import classes_of, metadata_of
from .runs.starting import check_aspect, check_batch, check_start
from .runs.state_files import (
    check_fits,
    KeptState,
    MovingAverage,
    StateFiles,
    take_weights,
    what_is_kept,
)
from .runs.stopping import speaks, Stopped
from .runs.telling import LOG_EVERY, Telling, warn_of_what_never_comes

LOGGER = logging.getLogger('training')


def fit(recipe: Recipe, *, resume: bool = False, progress: bool = True) -> Path:
    """
    Train, and write the checkpoints.

    :param resume: continue from ``state/last.ckpt``, with the same order of the same views.
    :return: the path of ``best.safetensors``.
    :raises EmuError: if recipe or data cannot be used; before anything is trained.
    """
    last = recipe.folder / 'state/last.ckpt'
    first_epoch = check_start(recipe, last, resume)
    lightning.seed_everything(recipe.seed, verbose=False)
    folder = DatasetFolder(recipe.data)
    check_tasks(recipe, folder)
    folder.check_files(('train', 'val'))
    folder.restrict(('train', 'val'))
    if resume:
        check_images(recipe, folder)
    teacher = load_teacher(recipe, folder)
    train, val = example_caches(recipe, folder)
    check_batch(recipe, folder, len(train))
    check_aspect(recipe.input_size, folder)
    chooses = can_choose(recipe, val)
    classes, palette = classes_of(folder, teacher)
    network, licence = build_network(recipe, folder, train, classes)
    if resume and recipe.finetune != FinetuneOptions():
        take_weights(network, last)
    if recipe.finetune.heads == 'epistemic':
        check_kept(network, recipe.network.initial_weights, recipe)
    if recipe.processes > 1 and torch.cuda.is_available():  # There is no such thing on CPUs.
        # timm's own: torch's would take the activations out of its norms.
        network = convert_sync_batchnorm(network)
    module = make_module(network, recipe, folder, teacher, views_on_device(
        train, recipe.view_size, recipe.input_size, recipe.augmentation, progress,
    ) if recipe.views == 'device' else None)
    if resume:
        check_fits(module, last, folder.root)
    recipe.folder.mkdir(parents=True, exist_ok=True)
    first = recipe.processes == 1 or speaks()
    with locked(recipe.folder, first=first), told(recipe):
        if first:
            # One alone: another's file would be gone before it is whole.
            for place in (recipe.folder, recipe.folder / 'state'):
                remove_partial(place)
            write_whole(recipe.folder / 'recipe.yaml',
                        yaml.safe_dump(plain(recipe), sort_keys=False))
            note_images(recipe, folder, resumed=resume)
        best = KeptState(recipe.folder / 'state', filename='best', monitor='val/score',
                         mode='max', enable_version_counter=False)
        callbacks: list[lightning.Callback] = [best] if chooses else []
        if SEGMENTATION in network.tasks or DEPTH in network.tasks:
            callbacks.append(ImagePanels(WholeImages(val, recipe.input_size), palette,
                                         len(classes)))
        telling = Telling(shown=not (progress and sys.stderr.isatty()), chooses=chooses)
        callbacks.append(telling)
        batches = len(train) // recipe.batch_size
        warn_of_what_never_comes(recipe, batches)
        (recipe.folder / 'finished.json').unlink(missing_ok=True)
        trainer = make_trainer(recipe, module, callbacks, progress,
                               min(LOG_EVERY, batches * recipe.epochs))
        store = filled_store(module, train, progress)
        trainer.fit(module, *loaders(recipe, module, train, val, first_epoch, store),
                    ckpt_path=str(last) if resume else None,
                    weights_only=False if resume else None)
        path = recipe.folder / 'best.safetensors'
        if not trainer.is_global_zero:
            return path
        finished = telling.last
        module.before_export(DataLoader(WholeImages(val, recipe.input_size)))
        done = trainer.current_epoch
        last_path = recipe.folder / 'last.safetensors'
        export(last_path, network, recipe, folder, licence, finished, teacher, progress,
               epoch=done, epochs_run=done)
        if best.best_model_path:
            # Our own file, written minutes ago: it may hold more than tensors.
            state = torch.load(best.best_model_path, map_location='cpu', weights_only=False)
            module.load_state_dict(state['state_dict'])
            module.before_export(DataLoader(WholeImages(val, recipe.input_size)))
            finished = {'val/score': float(best.best_model_score or 0.0), 'epoch': state['epoch']}
            export(path, network, recipe, folder, licence, finished, teacher, progress,
                   epoch=state['epoch'] + 1, epochs_run=done)
        else:  # The run was too short for a validation, or has nothing to choose by.
            write_whole(path, last_path.read_bytes())
            LOGGER.info('wrote %s, the same', path)
        if trainer.current_epoch >= recipe.epochs or stopped_early(trainer):
            # Not one that the clock has stopped.
            write_json(recipe.folder / 'finished.json', {'epochs': trainer.current_epoch})
        telling.say_the_end(trainer.current_epoch, recipe.epochs)
    return path


def stopped_early(trainer: lightning.Trainer) -> bool:
    """Return whether it was the score that ended a run before its last epoch."""
    return any(callback.stopped_epoch > 0 for callback in trainer.early_stopping_callbacks)


@contextmanager
def told(recipe: Recipe) -> Iterator[None]:
    """Say what is kept of a run, and how to go on, where a signal or a full disk ends it."""
    try:
        yield
    except Stopped as stop:
        raise Stopped(stop.number, what_is_kept(recipe.folder, recipe.epochs)) from None
    except OSError as error:
        place = error.filename or recipe.folder  # Of a logger, whose errors name nothing.
        raise RecipeError(f'{place}: {error.strerror or error}. Mend that; '
                          f'{what_is_kept(recipe.folder, recipe.epochs)}') from error


def make_trainer(recipe: Recipe, module: TrainingModule, callbacks: list[lightning.Callback],
                 progress: bool, log_every: int) -> lightning.Trainer:
    """Return Lightning's trainer with the run's logs, its last state and further callbacks."""
    state = recipe.folder / 'state'
    # Every epoch's end, not only those with a validation: a power cut costs one epoch at most.
    callbacks = [*callbacks, KeptState(state, filename='last', save_on_train_epoch_end=True,
                                       enable_version_counter=False),
                 ProgressFile(recipe.folder / 'progress.json'), PassStopsOn()]
    if recipe.max_minutes:
        callbacks.append(StopAfter(60.0 * recipe.max_minutes))
    if recipe.early_stopping:
        callbacks.append(StopEarly(recipe.early_stopping))
    if recipe.freeze_bn > 0:
        callbacks.append(FreezeBN(
            first_frozen_epoch(recipe.freeze_bn, recipe.epochs)))
    if recipe.ema_decay > 0:
        # Said, since the model is still in host memory when the callback is set up: the average
        # would stay there, and all weights be copied to it at every step.
        device = (f'cuda:{os.environ.get("LOCAL_RANK", 0)}' if torch.cuda.is_available()
                  else None)
        callbacks.append(MovingAverage(device=device, decay=recipe.ema_decay))
    if progress:
        callbacks.append(EpochBar())
    strategy = 'auto'
    if recipe.processes > 1:
        strategy = 'ddp_find_unused_parameters_true' if module.leaves_parameters_out else 'ddp'
    # A folder for each start: Lightning's CSV logger would delete the curve of an earlier one.
    start = len(list((recipe.folder / 'logs').glob('start_*')))
    # Steps are counted through all epochs: curves lose nothing where one has fewer than that.
    warnings.filterwarnings('ignore', message='The number of training batches')
    # Meant so: batch norms of an encoder of which nothing learns.
    warnings.filterwarnings('ignore', message=r'Found \d+ module\(s\) in eval mode')
    # Lightning's own: the torch that is installed is newer than it.
    warnings.filterwarnings('ignore', message=r'`isinstance\(treespec, LeafSpec\)`')
    return lightning.Trainer(
        max_epochs=recipe.epochs, precision=recipe.precision,  # type: ignore[arg-type]
        devices=recipe.devices, num_nodes=recipe.nodes, strategy=strategy,
        callbacks=callbacks, plugins=[StateFiles()],
        gradient_clip_val=recipe.optimizer.gradient_clip or None,
        check_val_every_n_epoch=recipe.validate_every, num_sanity_val_steps=0,
        limit_val_batches=1.0 if recipe.validates else 0,
        use_distributed_sampler=False, enable_progress_bar=progress, enable_model_summary=False,
        logger=[CSVLogger(recipe.folder / 'logs', name='', version=f'start_{start}'),
                TensorBoardLogger(recipe.folder, name='tensorboard', version='')],
        log_every_n_steps=log_every)


def export(path: Path, network: Network, recipe: Recipe, folder: DatasetFolder,
           licence: str, metrics: dict[str, float], teacher: Ensemble | None,
           progress: bool = True, *, epoch: int = 0, epochs_run: int = 0) -> None:
    """
    Write a self-describing checkpoint, with risk thresholds where one pass is the answer.

    :param epoch: of the weights, from 1; ``epochs_run`` that the run has made; 0 = not known.
    """
    network = merged(network.cpu().eval())
    metadata = metadata_of(recipe, folder, network, licence, metrics, teacher, epoch=epoch,
                           epochs_run=epochs_run)
    if recipe.finetune.heads == 'epistemic':
        metadata = with_added_outputs(network, recipe.network.initial_weights, metadata)
    elif network.num_heads == 1 and metadata.tasks != (INSTANCE,) and recipe.validates:
        # No threshold is of instances, whose clustering takes longer than all else.
        predictor = Predictor(network, replace(metadata, instances=None),
                              device='cuda' if torch.cuda.is_available() else 'cpu')
        calibration = risk_thresholds(
            predictor, folder, 'val',
            track(folder.stems('val'), f'{path.name}: risk thresholds', disable=not progress),
            recipe.risk_percentile)
        metadata = replace(metadata, calibration=calibration)
    save_checkpoint(path, network, metadata)
    LOGGER.info('wrote %s', path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)
    return run(lambda: fit(recipe_of(options), resume=options.resume,
                           progress=not options.no_progress))


if __name__ == '__main__':
    sys.exit(main())
