# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations in files: what is written is read, and a wrong one is one line with its field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.calibration_files import (
    find_calibration,
    read_calibration,
    read_mapping,
    write_calibration,
)
from emu_perception.dataset_fields import read_fields
from emu_perception.errors import InputError
import pytest
import yaml

INTRINSICS = 'intrinsics: {width: 64, height: 48, fx: 50, fy: 51, cx: 30, cy: 20}'


def test_what_is_written_is_read_again(tmp_path):
    info = replace(pinhole_info(64, 48, 50.0, 51.0, 30.0, 20.0), d=(0.1, -0.2, 0.0, 0.0),
                   distortion_model='equidistant', r=(0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    write_calibration(tmp_path / 'left.yaml', info)
    assert read_calibration(tmp_path / 'left.yaml') == info


def test_intrinsics_of_a_data_set_are_a_calibration(tmp_path):
    (tmp_path / 'dataset.yaml').write_text(INTRINSICS)
    (tmp_path / 'image').mkdir()
    (tmp_path / 'other').mkdir()
    expected = pinhole_info(64, 48, 50.0, 51.0, 30.0, 20.0)
    assert read_calibration(tmp_path / 'dataset.yaml') == expected
    assert find_calibration(tmp_path) == find_calibration(tmp_path / 'image') == expected
    assert find_calibration(tmp_path / 'other') is None, 'of a folder beside the data set'
    (tmp_path / 'dataset.yaml').write_text('name: x')
    assert find_calibration(tmp_path) is None


def _ros(path: Path, **changes: str) -> None:
    write_calibration(path, pinhole_info(64, 48, 50.0))
    text = path.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)


@pytest.mark.parametrize(('change', 'words'), [
    ({'image_height': 'height'}, "field 'image_height' is missing"),
    ({'camera_matrix': 'matrix'}, "field 'camera_matrix' is missing"),
    ({'- 50.0': '- fifty'}, 'not a ROS camera_calibration file'),
    ({'- 50.0': '- .nan'}, 'camera_matrix has a number that is not finite'),
    ({'image_width: 64': 'image_width: .inf'}, 'not a ROS camera_calibration file'),
    ({'image_width: 64': ': ['}, 'cannot be read as YAML'),
    # The first was dropped: of another resolution's sides or matrix, one half held.
    ({'image_width: 64': 'image_width: 64\nimage_width: 640'},
     "field 'image_width' stands there twice in"),
])
def test_a_wrong_ros_file_is_one_line_with_file_and_field(tmp_path, change, words):
    _ros(tmp_path / 'a.yaml', **change)
    with pytest.raises(InputError) as error:
        read_calibration(tmp_path / 'a.yaml')
    assert str(error.value).startswith(f'{tmp_path}/a.yaml: ') and words in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(('field', 'value', 'words'), [
    ('image_width', 'wide', ("'image_width' is 'wide'", 'give a number')),
    ('image_width', 640.7, ("'image_width' is 640.7", 'give a whole number')),
    ('image_width', True, ("'image_width' is True", 'give a number')),
    ('image_height', None, ("'image_height' is None", 'give a number')),
    ('image_height', -480, ("'image_height' is -480", 'at least 0')),
    ('camera_matrix', [1.0] * 9, ("'camera_matrix' is [1.0", 'give rows, cols and data')),
    ('camera_matrix', {'data': 'a' * 9}, ("'camera_matrix' is {'data'", 'a list of numbers')),
    ('projection_matrix', {'dat': [1.0] * 12}, ("'projection_matrix' is {'dat'", 'data')),
    ('rectification_matrix', {'data': [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
     ("'rectification_matrix.data' is [[1", 'give a number, in each place')),
    ('distortion_coefficients', {'data': '00000'}, ("'distortion_coefficients'", "'00000'")),
    ('distortion_coefficients', {'data': [0, None]}, ("'distortion_coefficients.data'", 'None'))])
def test_a_wrong_field_of_a_ros_file_is_named_with_its_value(tmp_path, field, value, words):
    """Python's own words came, of no field; text of digits and 640.7 pixels were taken."""
    _ros(tmp_path / 'a.yaml')
    content = {**read_mapping(tmp_path / 'a.yaml'), field: value}
    (tmp_path / 'a.yaml').write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as error:
        read_calibration(tmp_path / 'a.yaml')
    line = str(error.value)
    assert line.startswith(f'{tmp_path}/a.yaml: ') and '\n' not in line and len(line) < 300
    assert all(word in line for word in words)


def test_numbers_may_be_written_as_people_write_them(tmp_path):
    """YAML takes 5e1, without a dot, and what is in quotes for text."""
    _ros(tmp_path / 'a.yaml', **{'image_width: 64': "image_width: '64'", '- 50.0': '- 5e1',
                                 'image_height: 48': 'image_height: 48.0'})
    assert read_calibration(tmp_path / 'a.yaml') == pinhole_info(64, 48, 50.0)


@pytest.mark.parametrize(('name', 'words'), [
    ('none.yaml', 'no such file'), ('.', 'is a folder'), ('none/none.yaml', 'no such file'),
    ('file/none.yaml', 'cannot be read (Not a directory)')])
def test_a_calibration_that_is_not_there_is_not_called_bad_yaml(tmp_path, name, words):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError) as error:
        read_calibration(tmp_path / name)
    assert str(error.value).startswith(f'{tmp_path / name}: {words}')
    assert 'YAML' not in str(error.value) and 'Errno' not in str(error.value)


@pytest.mark.parametrize(('text', 'words'), [
    (INTRINSICS.replace(', cy: 20', ''), ("'intrinsics'", "'cx': 30", 'give cy too')),
    (INTRINSICS.replace('50', 'fifty'), ("'intrinsics.fx'", "'fifty'", 'give a number above 0')),
    (INTRINSICS.replace('50', '.inf'), ("'intrinsics.fx'", 'inf', 'give a number above 0')),
    (INTRINSICS.replace('50', '0'), ("'intrinsics.fx'", '0', 'give a number above 0')),
    (INTRINSICS.replace('cx: 30', 'cx: .nan'), ("'intrinsics.cx'", 'nan', 'give a number')),
    (INTRINSICS.replace('width: 64', 'width: .inf'), ("'intrinsics.width'", 'inf', 'whole')),
    (INTRINSICS.replace('width: 64', 'width: 64.5'), ("'intrinsics.width'", '64.5', 'whole')),
    ('intrinsics: 3', ("'intrinsics' is 3",)),
])
def test_wrong_intrinsics_are_one_line_with_file_field_and_value(tmp_path, text, words):
    """The same line, whether a camera or a data set is read."""
    file = tmp_path / 'dataset.yaml'
    file.write_text(text)
    lines = set()
    for read in (lambda: find_calibration(tmp_path), lambda: read_calibration(file),
                 lambda: read_fields(read_mapping(file), file)):
        with pytest.raises(InputError) as error:
            read()
        lines.add(str(error.value))
    line, = lines
    assert line.startswith(f'{file}: field ') and all(word in line for word in words)


def test_what_is_no_mapping_is_no_calibration(tmp_path):
    (tmp_path / 'dataset.yaml').write_text('[1, 2]')
    for read in (lambda: find_calibration(tmp_path),
                 lambda: read_calibration(tmp_path / 'dataset.yaml')):
        with pytest.raises(InputError, match='dataset.yaml: is no YAML mapping'):
            read()


def test_intrinsics_with_fields_of_somebody_else_are_a_calibration_and_no_data_set(tmp_path):
    file = tmp_path / 'dataset.yaml'
    file.write_text(INTRINSICS.replace('fx: 50', 'fx: 5e1, skew: 0'))
    assert read_calibration(file) == pinhole_info(64, 48, 50.0, 51.0, 30.0, 20.0)
    with pytest.raises(InputError, match="field 'intrinsics'.*'skew' is none of its fields"):
        read_fields(read_mapping(file), file)
