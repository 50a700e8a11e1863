# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Features of a frozen encoder, made before the training that reads them, within a budget."""

from __future__ import annotations

from collections.abc import Sequence
import copy
import hashlib
import json
import logging
from pathlib import Path
import shutil

from emu_perception import __version__
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.whole_files import remove_partial, write_json
from rich.progress import track
import timm
import torch

from ..data.examples import ExampleCache
from ..data.feature_store import FeatureStore, fixed_view, flips_of
from ..methods.batch_norms import freeze_bn_statistics
from ..methods.module import TrainingModule
from ..methods.optimization import autocast
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from .folder_lock import alone

LOGGER = logging.getLogger('training')
_FORMAT = 1
FOLDER = 'feature_cache'


def filled_store(module: TrainingModule, examples: ExampleCache,
                 progress: bool = True) -> FeatureStore | None:
    """
    Return the features of all training views, made where they are not there; None = not asked for.

    :raises RecipeError: if they do not fit, or are not the same each time.
    :raises OSError: names the file that cannot be written.
    """
    recipe, network = module.recipe, module.network
    if recipe.cache_features == 'none':
        return None
    store = FeatureStore(Path(recipe.output) / FOLDER / encoder_key(module),
                         getattr(torch, recipe.cache_features))
    maker = _Maker(module)
    views = [(index, flip) for index in range(len(examples))
             for flip in flips_of(recipe.augmentation)]

    def view(index: int, flip: bool) -> torch.Tensor:
        return fixed_view(examples[index], recipe.input_size, recipe.augmentation, flip)
    first = view(*views[0])
    maker.check_repeats(first)
    content = store.content(maker.maps([first])[0])
    store.folder.mkdir(parents=True, exist_ok=True)
    with alone(store.folder.parent, 'another training makes features there: waiting'):
        remove_partial(store.folder)
        left = [(path, one) for path, one in (
            (store.path(view(*one)), one)
            for one in track(views, 'features: images', disable=not progress))
            if not store.holds(path, len(content))]
        _check_room(recipe, store, len(views), len(left), len(content))
        write_json(store.folder / 'about.json', {
            'encoder': network.encoder.name, 'arguments': network.arguments['encoder_arguments'],
            'dtype': recipe.cache_features, 'precision': recipe.precision})
        # As many at once as a step has: sums are then rounded alike.
        size = recipe.batch_size
        for start in track(range(0, len(left), size), 'features', disable=not progress):
            part = left[start:start + size]
            for (path, _), maps in zip(part, maker.maps([view(*one) for _, one in part])):
                store.write(path, store.content(maps))
    return store


def encoder_key(module: TrainingModule) -> str:
    """Return the hash of all that decides what the encoder makes of a view's pixels."""
    network, recipe = module.network, module.recipe
    digest = hashlib.blake2b(digest_size=16)
    about = [_FORMAT, __version__, torch.__version__, timm.__version__, recipe.precision,
             recipe.cache_features, network.encoder.name, network.arguments['encoder_arguments'],
             *(module.get_buffer(name).flatten().tolist() for name in ('scale', 'shift'))]
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    for name, tensor in network.encoder.model.state_dict().items():
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


class _Maker:
    """A copy of a module's encoder, on the device that trains."""

    def __init__(self, module: TrainingModule) -> None:
        assert isinstance(module.network, MultitaskNetwork)  # No other family has 'finetune'.
        self._module = module
        self._device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self._encoder = copy.deepcopy(module.network.encoder).to(self._device).eval()

    @torch.no_grad()
    def maps(self, views: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
        """Return the encoder's maps [C, h, w] of each view, uint8 [3, H, W]."""
        count = self._module.recipe.batch_size
        # Always a whole batch: the last one is filled up.
        images = torch.stack([*views, *[views[-1]] * (count - len(views))])
        x = self._module.normalized(images).to(self._device)
        with autocast(self._module.recipe.precision, self._device):
            maps = self._encoder.backbone(x)
        return [[x[i].cpu() for x in maps] for i in range(len(views))]

    def check_repeats(self, view: torch.Tensor) -> None:
        """
        Check that the encoder gives in training what it gives outside of it.

        :raises RecipeError: if something in it is drawn at random, which no field of the recipe
            need have asked for.
        """
        named = [name for name, part in self._encoder.model.named_modules()
                 if 'Drop' in type(part).__name__
                 and any(getattr(part, rate, 0.0) for rate in ('drop_prob', 'p', 'prob'))]
        outside = self.maps([view])[0]
        with torch.random.fork_rng():
            self._encoder.train()
            freeze_bn_statistics(self._encoder)
            inside = self.maps([view])[0]
            self._encoder.eval()
        if named or not all(torch.equal(a, b) for a, b in zip(outside, inside)):
            name = named[0] if named else 'a part of it'
            raise RecipeError(f"field 'network.encoder' is '{self._encoder.name}', in whose "
                              f"training {name} is drawn at random, and 'cache_features' is "
                              f"'{self._module.recipe.cache_features}': set its rate to 0 in "
                              'network.encoder_arguments, or give cache_features=none')


def _check_room(recipe: Recipe, store: FeatureStore, views: int, left: int, length: int) -> None:
    """
    Say what the features need, before they are made.

    :param views: in all, of which ``left`` are to be made.
    :param length: of the file of one, bytes.
    :raises RecipeError: if that is more than the budget, or than the disk has.
    """
    root, needed = store.folder.parent, left * length
    there = sum(path.stat().st_size for path in root.rglob('*') if path.is_file())
    free = shutil.disk_usage(root).free
    LOGGER.info('features of the frozen encoder: %d views of %.3g MB in %s, %.3g GB in %s; %d are '
                'there, %.3g GB are to be written', views, length / 1e6, recipe.cache_features,
                views * length / 1e9, store.folder, views - left, needed / 1e9)
    if there + needed > recipe.cache_features_gb * 1e9:
        raise RecipeError(f"field 'cache_features_gb' is {recipe.cache_features_gb:g}, but {root} "
                          f'holds {there / 1e9:.3g} GB and {needed / 1e9:.3g} GB would be added: '
                          'remove the folders in it that no training reads, give more, or '
                          'cache_features=none')
    if needed > free:
        raise RecipeError(f"field 'cache_features' is '{recipe.cache_features}', which needs "
                          f'{needed / 1e9:.3g} GB more in {root}, where {free / 1e9:.3g} GB are '
                          'free: make room, give output=DIR on another disk, or '
                          'cache_features=none')
