# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Deep ensembles: the samples of several checkpoints, each by its own method.

Members of a deep ensemble are baselines trained from the same encoder weights with other seeds
(``training.ensemble``). Sub-ensembles and networks with Monte Carlo dropout are members too, so
one class is every teacher and everything that is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any

from emu_perception.checkpoint import Calibration, CheckpointMetadata, load_checkpoint
from emu_perception.errors import InputError
from emu_perception.model_file import default_model
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.networks.families import family_of
from emu_perception.networks.multitask import SEGMENTATION
from emu_perception.preprocessing import focal_scale, network_size, resized_image
from emu_perception.uncertainty import predictive_moments, PredictiveMoments
import numpy as np
import torch

from ..data.augmentation import focal_in_views
from ..recipes.registry import METHODS, TRAINED
from .registry import training_class
from .sampling import Sampled, Triple

LOGGER = logging.getLogger('training')
# In place of a path: the model that comes with the package, wherever that is.
DEFAULT = 'default'

# How a checkpoint can be sampled: as it was trained, in one pass, or by a method that draws more.
_DRAWN = tuple(name for name in TRAINED if METHODS[name].samples)
SAMPLED = ('auto', 'deterministic', *_DRAWN)


@dataclass
class Member:
    """
    A checkpoint and the way its samples are drawn.

    :ivar method: it was trained by.
    :ivar parameters: of the network as it was trained.
    """

    path: Path
    metadata: CheckpointMetadata
    sampled: Sampled
    method: str
    parameters: int

    @property
    def network(self) -> Any:
        """Return the network in the form in which it is sampled."""
        return self.sampled.network

    @property
    def normalization(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift [3, 1, 1] that map 0..255 to the network's input."""
        scale = 255.0 * torch.tensor(self.metadata.std)
        shift = -255.0 * torch.tensor(self.metadata.mean) / scale
        return (1.0 / scale)[:, None, None], shift[:, None, None]


class Ensemble:
    """
    One or more checkpoints that answer together (equation 10), streamed.

    Not a ``Module``: a student that holds one does not save, count or train it.

    :param paths: checkpoints, or folders of members (``member_*/best.safetensors``).
    :param method: how each is sampled; 'auto' = as it was trained.
    :param samples: of Monte Carlo dropout; None = as in the recipe it was trained with.
    :raises EmuError: if a file cannot be used or the members do not agree on classes.
    """

    def __init__(self, paths: Sequence[str | Path], *, method: str = 'auto',
                 samples: int | None = None, device: torch.device | str = 'cpu') -> None:
        for path in paths:
            _warn_of_absent(Path(path))
        self.members = [_member(path, method, samples) for path in expanded(paths)]
        first = self.members[0]
        for member in self.members[1:]:
            for name in ('tasks', 'classes'):
                if getattr(member.metadata, name) != getattr(first.metadata, name):
                    raise InputError(f'{member.path}: its {name} are not those of {first.path}: '
                                     'members answer together, so they must agree')
        self.tasks, self.classes = first.metadata.tasks, first.metadata.classes
        self.to(device)

    @property
    def samples(self) -> int:
        """Return T, how many samples one answer is the mean of."""
        return sum(member.sampled.count for member in self.members)

    @property
    def truth(self) -> frozenset[str]:
        """Return the kinds of truth that all networks have learned from."""
        kinds = [family_of(member.metadata.architecture).truth for member in self.members]
        return frozenset.intersection(*(frozenset(kind[task] for task in self.tasks)
                                        for kind in kinds))

    @property
    def depth_form(self) -> DepthForm:
        """
        Return what the density of a depth is: the members' own where it is one.

        Members of several forms mix as moments in metres, which are a Gaussian's.
        """
        forms = {member.network.depth_form for member in self.members}
        return forms.pop() if len(forms) == 1 else LINEAR

    @property
    def parameters(self) -> int:
        """Return how many parameters all networks have together."""
        return sum(member.parameters for member in self.members)

    def to(self, device: torch.device | str) -> Ensemble:
        """Move the networks."""
        self.device = torch.device(device)
        for member in self.members:
            member.network.to(self.device, memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def moments(self, images: torch.Tensor, size: tuple[int, int], *,
                focal: float | None = None, seed: int = 0,
                members: Sequence[int] | None = None,
                epistemic: bool = False) -> PredictiveMoments:
        """
        Return the mean softmax and the moments of the depth, of training views.

        :param images: uint8 [B, 3, H, W], for all members alike.
        :param size: (height, width) of the maps.
        :param focal: focal length in units of the views' width; depth is scaled to it from that of
            the views that each member learned from. None = not scaled.
        :param seed: of Monte Carlo dropout.
        :param members: indices of those that answer; None = all.
        :param epistemic: as ``predictive_moments``.
        """
        chosen = range(len(self.members)) if members is None else members
        focal_px = None if focal is None else focal * images.shape[-1]
        return predictive_moments((sample for i in chosen for sample in self._samples(
            self.members[i], images, size, _view_factor(self.members[i], focal_px), seed + i)),
            epistemic)

    @torch.no_grad()
    def predict(self, image: np.ndarray, *, focal: float | None = None,
                seed: int = 0, epistemic: bool = False) -> PredictiveMoments:
        """
        Return the moments of one image at its own size, each member at its network's size.

        :param image: uint8 [H, W, 3], rgb.
        :param epistemic: as ``predictive_moments``.
        """
        return predictive_moments(self.samples_of(image, focal=focal, seed=seed), epistemic)

    @torch.no_grad()
    def samples_of(self, image: np.ndarray, *, focal: float | None = None,
                   seed: int = 0) -> Iterator[Triple]:
        """Yield the samples that :meth:`predict` takes the moments of, at the image's size."""
        height, width = image.shape[:2]
        inputs: dict[tuple[int, int], torch.Tensor] = {}
        for i, member in enumerate(self.members):
            at = network_size((height, width), member.metadata.input_size)
            if at not in inputs:
                array = np.require(resized_image(image, at), requirements=('C', 'W'))
                inputs[at] = torch.from_numpy(array).permute(2, 0, 1)[None]
            factor = (None if focal is None else
                      focal_scale(member.metadata, focal * at[1], at[1], at[1]))
            yield from self._samples(member, inputs[at], (height, width), factor or 1.0, seed + i)

    def _samples(self, member: Member, images: torch.Tensor, size: tuple[int, int],
                 factor: float, seed: int) -> Iterator[Triple]:
        scale, shift = (part.to(self.device) for part in member.normalization)
        x = images.to(self.device).to(memory_format=torch.channels_last).float() * scale + shift
        calibration = (member.metadata.calibration if member.sampled.calibrated
                       else Calibration())
        for raw in member.sampled.sampler(member.network, x, seed):
            if SEGMENTATION in raw and calibration.temperature != 1.0:
                raw[SEGMENTATION] = raw[SEGMENTATION].float() / calibration.temperature
            outputs = member.network.outputs_at(raw, size, member.metadata.depth_max)
            yield (outputs.logits, None if outputs.depth is None else outputs.depth * factor,
                   None if outputs.depth_variance is None
                   else outputs.depth_variance * (calibration.variance_scale * factor * factor))
            del raw, outputs  # Freed before the next sample is computed.


def expanded(paths: Sequence[str | Path]) -> list[Path]:
    """
    Return checkpoints, folders replaced by the members in them, 'default' by the default model.

    :raises InputError: if there is none, a folder holds none, or one is given twice.
    """
    found: list[Path] = []
    for path in (default_model() if str(path) == DEFAULT else Path(path) for path in paths):
        if path.is_dir():
            members = sorted(path.glob('member_*/best.safetensors'))
            single = path / 'best.safetensors'
            if not members and not single.exists():
                raise InputError(f'{path}: holds no member_*/best.safetensors: give a folder that '
                                 'emu ensemble wrote, or checkpoints')
            found += members or [single]
        else:
            found.append(path)
    if not found:
        raise InputError('no checkpoint was given: name one or more .safetensors files')
    places = [path.resolve() for path in found]
    twice = [path for path, place in zip(found, places) if places.count(place) > 1]
    if twice:
        # It would count twice, and agree with itself: what is not known would look known.
        raise InputError(f'{twice[0]}: is given twice, by itself or by its folder: give it once')
    return found


def _warn_of_absent(folder: Path) -> None:
    """Warn of the members of a folder that have no checkpoint: an ensemble without them."""
    found = sorted(path for path in folder.glob('member_*') if path.is_dir())
    absent = [path.name for path in found if not (path / 'best.safetensors').exists()]
    if absent and len(absent) < len(found):
        LOGGER.warning('%s: %d of %d members have no best.safetensors (%s): the others answer '
                       'without them', folder, len(absent), len(found), ', '.join(absent))


def _view_factor(member: Member, focal_px: float | None) -> float:
    """Return the factor to the depths of views of this focal length; 1 where one is not known."""
    camera = member.metadata.intrinsics
    if focal_px is None or camera is None:
        return 1.0
    return focal_px / focal_in_views(camera, member.metadata.input_size)


def _member(path: Path, method: str, samples: int | None) -> Member:
    network, metadata = load_checkpoint(path)
    # Autocast keeps a half copy of every weight that could want a gradient: T of them.
    network.requires_grad_(False)
    parameters = sum(p.numel() for p in network.parameters())
    recipe: dict[str, Any] = metadata.provenance.get('recipe') or {}
    trained = str(recipe.get('method', 'baseline'))
    if method == 'auto':
        method = next((name for name in _DRAWN if training_class(name).recognises(
            network, name == trained)), 'deterministic')
    if method not in SAMPLED:
        raise InputError(f"method is '{method}': give {', '.join(SAMPLED)}")
    kind = training_class('baseline' if method == 'deterministic' else method)
    try:
        return Member(path, metadata, kind.sampled(network, recipe, samples), trained, parameters)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
