# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A network that starts from a checkpoint of this package, of its own camera or of another."""

from __future__ import annotations

import logging
import re

from emu_perception.checkpoint import load_checkpoint, read_metadata
from emu_perception.errors import ForeignFileError
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH
import torch

from ..data.augmentation import focal_in_views
from ..data.dataset_folder import DatasetFolder
from ..data.leakage import check_leakage
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe

LOGGER = logging.getLogger('training')


def is_checkpoint(path: str) -> bool:
    """Return whether a file is a checkpoint of this package, and not weights from elsewhere."""
    try:
        read_metadata(path)
    except ForeignFileError:  # Encoder weights from elsewhere are .safetensors files too.
        return False
    return True


@torch.no_grad()
def warm_start(network: Network, path: str, recipe: Recipe, folder: DatasetFolder,
               classes: tuple[str, ...] = ()) -> str:
    """
    Copy from a checkpoint every tensor that fits; the others keep their start, which is logged.

    The depths of another camera are brought to this one's by the last layer, exactly: the mean (or
    its inverse) is a ReLU of its first channel, or a depth's logarithm is that channel. The last
    layer of a depth head that says another thing (``network.depth_output``) starts anew: a
    logarithm is no linear map of a depth.

    :return: the licence of the initial weights.
    """
    source, metadata = load_checkpoint(path)
    check_leakage(recipe.train_on, folder, metadata, 'network.initial_weights', path)
    own, given = network.state_dict(), source.state_dict()
    fits = {name: tensor for name, tensor in given.items()
            if name in own and own[name].shape == tensor.shape}
    if not any(name.startswith('encoder.') for name in fits):
        raise RecipeError(f"field 'network.initial_weights' is {path}: nothing of its encoder "
                          f"({metadata.architecture['encoder']}) fits '{recipe.network.encoder}'")
    if metadata.classes and classes and metadata.classes != classes:
        # As many classes, but others: a layer of the right shape and the wrong meaning.
        fits = {name: tensor for name, tensor in fits.items()
                if not re.match(r'(heads|decoders)\.segmentation(_\d+)?\.classifier\.', name)}
    if DEPTH in source.tasks and network.depth_form.logarithmic != source.depth_form.logarithmic:
        LOGGER.info("%s: its depth_output is '%s', this one's '%s': the last layer of the depth "
                    'starts anew', path, source.depth_form.name, network.depth_form.name)
        fits = {name: tensor for name, tensor in fits.items()
                if not re.match(r'heads\.depth(_\d+)?\.classifier\.', name)}
    classifier = None
    if DEPTH in network.tasks:
        classifier = network.depth_layer
        weight, bias = (next(name for name, own_part in network.named_parameters()
                             if own_part is part) for part in (classifier.weight, classifier.bias))
        if weight not in fits:
            # The depth layer starts anew, in this network's unit: all of it, and unscaled.
            fits.pop(bias, None)
            classifier = None
    network.load_state_dict(fits, strict=False)
    left = [name for name in own if name not in fits]
    if left:
        LOGGER.warning('%s: %d of %d tensors do not fit and start anew, the first is %s', path,
                       len(left), len(own), left[0])
    if classifier is not None:
        # In the pixels of views at scale 1, of both alike: where an image lies within its view,
        # as of another aspect, its own camera and size are a factor of 1.
        own_px, given_px = (
            None if camera is None else focal_in_views(camera, size)
            for camera, size in ((folder.intrinsics, recipe.input_size),
                                 (metadata.intrinsics, metadata.input_size)))
        scale = None if own_px is None or given_px is None else own_px / given_px
        if scale not in (None, 1.0):
            LOGGER.info('%s: depths times %.3f, the ratio of the focal lengths', path, scale)
        network.scale_depth(scale or 1.0, metadata.architecture)
    return str(metadata.provenance.get('initial_weights_licence', 'unknown'))


def view_focal(folder: DatasetFolder, whole: tuple[int, int],
               view: tuple[int, int]) -> float | None:
    """
    Return the focal length in units of a view's width at scale 1; None if not known.

    :param whole: (height, width) of a whole image at scale 1.
    :param view: of the views.
    """
    camera = folder.intrinsics
    if camera is None:
        return None
    return focal_in_views(camera, whole) / view[1]
