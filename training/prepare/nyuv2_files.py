# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The files of NYU Depth v2 as they are published: the labelled .mat, the splits, the mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from ..data.dataset_folder import DatasetError, IGNORE

# What h5py raises of what is damaged inside.
_DAMAGED = (KeyError, OSError, RuntimeError)


class LabeledImages:
    """
    ``nyu_depth_v2_labeled.mat``, an HDF5 file (MATLAB v7.3), read image by image.

    MATLAB stores column-major, so h5py sees its H x W x 3 x N as [N, 3, W, H].

    :param depth_field: 'depths' (in-filled) or 'rawDepths' (0 where the Kinect saw nothing).
    :raises DatasetError: if the file, or a field of it, cannot be used.
    """

    def __init__(self, path: Path, depth_field: str = 'depths') -> None:
        self.path, self._depth_field = path, depth_field
        if not path.is_file():
            raise DatasetError(f'{path}: {_no_file(path)}; it is the labelled part of NYU Depth '
                               'v2')
        try:
            self._file = h5py.File(path, 'r')
        except OSError as error:
            raise DatasetError(f'{path}: not a whole HDF5 file (MATLAB v7.3): '
                               f'{_line(error)}') from error
        images = self._field('images')
        if images.ndim != 4 or images.shape[1] != 3:
            raise DatasetError(f"{path}: field 'images' has the shape {images.shape}, "
                               '(N, 3, width, height) is expected')
        self.count, _, self.width, self.height = images.shape
        for name in (depth_field, 'labels'):
            if self._field(name).shape != (self.count, self.width, self.height):
                raise DatasetError(f"{path}: field '{name}' has the shape "
                                   f"{self._field(name).shape}, 'images' has {images.shape}")
        for name, dtype, words in (('images', np.uint8, 'uint8'),
                                   (depth_field, np.floating, 'metres in float32'),
                                   ('labels', np.unsignedinteger, 'uint16')):
            # Depths in millimetres, or colours of 0..1, would be written as something else.
            if not np.issubdtype(self._field(name).dtype, dtype):
                raise DatasetError(f"{path}: field '{name}' is of {self._field(name).dtype}, "
                                   f'published it is {words}: give the file as it was published')

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def image(self, index: int) -> np.ndarray:
        """Return an image, rgb uint8 [H, W, 3]; indices are 0-based here and below."""
        return np.ascontiguousarray(self._read('images', index).transpose(2, 1, 0))

    def depth(self, index: int) -> np.ndarray:
        """Return depth, float32 [H, W], metres."""
        return np.ascontiguousarray(self._read(self._depth_field, index).T)

    def label(self, index: int) -> np.ndarray:
        """Return the original labels, uint16 [H, W]: 1..894, 0 = unlabelled."""
        return np.ascontiguousarray(self._read('labels', index).T)

    def scenes(self) -> list[str]:
        """Return the name of each image's scene, such as 'kitchen_0004a'."""
        references = np.asarray(self._field('scenes')).ravel()
        try:
            names = [''.join(map(chr, np.asarray(self._file[reference]).ravel()))
                     for reference in references]
        except (*_DAMAGED, TypeError, ValueError, OverflowError) as error:
            raise DatasetError(f"{self.path}: field 'scenes' is no cell array of names "
                               f'({_line(error)})') from error
        if len(names) != self.count:
            raise DatasetError(f"{self.path}: field 'scenes' has {len(names)} names for "
                               f'{self.count} images')
        return names

    def _field(self, name: str) -> h5py.Dataset:
        try:
            if name not in self._file:
                raise DatasetError(f"{self.path}: field '{name}' is missing, it has "
                                   f'{", ".join(sorted(self._file)) or "none"}')
            field = self._file[name]
        except _DAMAGED as error:  # Its name is there, what it points to is not.
            raise DatasetError(f"{self.path}: field '{name}' cannot be read ({_line(error)}): is "
                               'the download whole?') from error
        if not isinstance(field, h5py.Dataset):
            raise DatasetError(f"{self.path}: field '{name}' is a group, no array")
        return field

    def _read(self, name: str, index: int) -> np.ndarray:
        try:
            return self._field(name)[index]
        except _DAMAGED as error:
            raise DatasetError(f"{self.path}: field '{name}' of image {index + 1} cannot be read "
                               f'({_line(error)}): is the download whole?') from error


def _no_file(path: Path) -> str:
    return 'is a folder, not a file' if path.is_dir() else 'no such file'


def _line(error: Exception) -> str:
    return ' '.join(str(error.args[0] if isinstance(error, KeyError) else error).split())


def read_mat(path: Path) -> dict[str, Any]:
    """
    Read a small MATLAB v5 file; structs become dicts.

    :raises DatasetError: if it is missing or no such file.
    """
    if not path.is_file():
        raise DatasetError(f'{path}: {_no_file(path)}')
    try:
        return loadmat(path, simplify_cells=True, appendmat=False)
    except Exception as error:  # SciPy raises many kinds; all mean the same here.
        raise DatasetError(f'{path}: not a MATLAB v5 file ({_line(error)})') from error


def read_splits(path: Path, count: int) -> tuple[list[int], list[int]]:
    """
    Return the official train and test images, 1-based and in order, from ``splits.mat``.

    :param count: how many images there are.
    :raises DatasetError: if there are none, or one is not of 1..count, or is in both.
    """
    values = read_mat(path)
    parts = []
    for field in ('trainNdxs', 'testNdxs'):
        if field not in values:
            raise DatasetError(f"{path}: field '{field}' is missing")
        numbers = np.atleast_1d(values[field]).ravel()
        if not len(numbers) or numbers.dtype.kind not in 'uif':
            raise DatasetError(f"{path}: field '{field}' has no numbers of images: give the "
                               'splits.mat of the official split')
        # So that NaN is wrong too.
        wrong = numbers[~((numbers >= 1) & (numbers <= count) & (numbers % 1 == 0))]
        if len(wrong):
            raise DatasetError(f"{path}: field '{field}' holds {wrong[0]:g}, there are {count} "
                               'images (counted from 1)')
        parts.append(sorted(set(numbers.astype(np.int64).tolist())))
    both = set(parts[0]) & set(parts[1])
    if both:
        raise DatasetError(f'{path}: image {min(both)} is in trainNdxs and in testNdxs')
    return parts[0], parts[1]


def read_mapping(path: Path, entries: int, names: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """
    Return a class mapping and the names of its classes.

    ``classMapping40.mat`` has ``mapClass`` and ``className``; ``class13Mapping.mat`` has a struct
    ``classMapping13`` of ``labels13`` and ``classNames`` (so named in the file that is around,
    ``labels1to13`` and ``className`` elsewhere): the fields are known by their shape.

    :param entries: how many classes are mapped (894 or 40).
    :param names: how many classes they are mapped to.
    :return: int [entries + 1], of original label 0.. to class 0..names (0 = unlabelled).
    :raises DatasetError: if there is no such mapping in the file.
    """
    fields: dict[str, Any] = {}
    for name, value in read_mat(path).items():
        fields.update(value if isinstance(value, dict) else {name: value})
    found_names = found_map = None
    for name, value in fields.items():
        array = np.atleast_1d(value)
        if name.startswith('__') or array.ndim != 1:
            continue
        if len(array) == names and all(isinstance(item, str) for item in array):
            found_names = tuple(str(item).strip() for item in array)
        elif (array.dtype.kind in 'uif' and len(array) == entries
              and array.min() >= 0 and array.max() == names and not (array % 1).any()):
            found_map = array.astype(np.int64)
    if found_map is None or found_names is None:
        raise DatasetError(f'{path}: no mapping of {entries} classes to {names} with their '
                           f'names; it has {", ".join(k for k in fields if k[0] != "_")}')
    return np.concatenate([[0], found_map]), found_names


def map_labels(label: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """
    Return class indices, uint8: mapped class - 1, 255 where unlabelled.

    :raises ValueError: naming the label that the mapping does not have.
    """
    if label.max(initial=0) >= len(mapping):
        raise ValueError(f'label {int(label.max())}, the mapping has {len(mapping) - 1}')
    table = np.where(mapping == 0, IGNORE, mapping - 1).astype(np.uint8)
    return table[label]
