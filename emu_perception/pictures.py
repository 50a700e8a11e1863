# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What people have of an image (a path, a PIL image, a tensor, an array) as uint8 rgb."""

from __future__ import annotations

from collections.abc import Iterator
import operator
import os
from typing import Any, Protocol, TypeAlias

from emu_perception.cameras.image_files import read_image
from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded
import numpy as np
import torch


class PILImage(Protocol):
    """What is used of PIL's images; the package is not needed."""

    @property
    def mode(self) -> str:
        """Return the kind of its pixels."""

    def convert(self, mode: str, /) -> Any:
        """Return it with pixels of another kind."""


Picture: TypeAlias = 'np.ndarray | str | os.PathLike[str] | torch.Tensor | PILImage'
Pictures: TypeAlias = 'list[Picture] | tuple[Picture, ...]'
MIN_SIDE = 32
MAX_ASPECT = 6.0
MAX_SIDE = 16384
_WANTED = ('give an array uint8 [height, width, 3] rgb, a path, a PIL image, a uint8 tensor '
           '[3, height, width], or a list of these')
# Of grey, RGB with opacity, palettes and the like; 16 bits and floats have no white.
_PIL_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr', 'HSV', 'LAB')


def batch_of(image: object) -> Iterator[Any] | None:
    """Return the pictures of a list or of a tensor [B, 3, H, W]; None where it is one picture."""
    if isinstance(image, (list, tuple)) or isinstance(image, torch.Tensor) and image.ndim == 4:
        return iter(image)
    return None


def rgb_picture(image: object) -> np.ndarray:
    """
    Return a picture as uint8 [H, W, 3], rgb, upright.

    An array is returned as it is, whatever it holds: the predictor says what it is not.

    :raises InputError: if it is none, or cannot be read.
    """
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, (str, os.PathLike)):
        path = expanded(image)
        try:
            return read_image(path)
        except InputError as error:
            raise InputError(f'{path}: {error}') from error
    if isinstance(image, torch.Tensor):
        return _of_tensor(image)
    if hasattr(image, 'convert') and hasattr(image, 'mode'):
        return _of_pil(image)
    raise InputError(f'image is {type(image).__name__}: {_WANTED}')


def _of_tensor(image: torch.Tensor) -> np.ndarray:
    if image.dtype != torch.uint8 or image.ndim != 3 or 3 not in (image.shape[0], image.shape[2]):
        raise InputError(f'image is a Tensor {image.dtype} {list(image.shape)}: give uint8 '
                         '[3, height, width] or [height, width, 3], rgb, 0 to 255')
    rgb = image if image.shape[2] == 3 and image.shape[0] != 3 else image.permute(1, 2, 0)
    return np.ascontiguousarray(rgb.detach().cpu().numpy())


def _of_pil(image: Any) -> np.ndarray:
    if image.mode not in _PIL_MODES:
        raise InputError(f"image is a PIL image of mode '{image.mode}': give mode RGB or L, 8 "
                         'bits')
    from PIL import ImageOps
    upright = ImageOps.exif_transpose(image)
    return np.asarray(upright.convert('RGB'))


def check_image(image: np.ndarray) -> None:
    """
    Check that an array is an image the network can use.

    :raises InputError: if it is not uint8 [H, W, 3], a side is below 32 pixels, or one side is
        more than 6 times the other.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 \
            or image.shape[2] != 3:
        kind = (f'{image.dtype} {list(image.shape)}' if isinstance(image, np.ndarray)
                else type(image).__name__)
        raise InputError(f'image is {kind}: give uint8 [height, width, 3], rgb')
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise InputError(f'image is {width}x{height}: both sides must be at least {MIN_SIDE} '
                         'pixels')
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise InputError(f'image is {width}x{height}: one side is more than {MAX_ASPECT:g} times '
                         'the other; crop it')


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """
    Return the (height, width) that maps are asked for at.

    :raises InputError: if it is none, or too large.
    """
    try:
        height, width = (operator.index(side) for side in size)
    except (TypeError, ValueError) as error:
        raise InputError(f'size is {size}: give (height, width) in pixels') from error
    if min(height, width) < 1 or max(height, width) > MAX_SIDE:
        raise InputError(f'size is {size}: give (height, width), 1 to {MAX_SIDE} pixels each')
    return height, width
