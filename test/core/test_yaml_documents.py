# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A field that stands twice in a file is not dropped without a word."""

from __future__ import annotations

from emu_perception.yaml_documents import load_yaml
import pytest
import yaml


@pytest.mark.parametrize('text', ['loss: {depth: gnll}\nepochs: 3\nloss: {beta: 0.3}\n',
                                  'a:\n  loss: 1\n  loss: 1\n', '{loss: 1, loss: 2}'])
def test_a_field_that_stands_there_twice_is_named_with_its_line(text):
    with pytest.raises(yaml.YAMLError, match="field 'loss' stands there twice") as error:
        load_yaml(text)
    assert f'line {text[:text.rindex("loss")].count(chr(10)) + 1}' in str(error.value)


def test_all_else_is_read_as_before():
    text = 'a: &base {x: 1, y: 2}\nb: {<<: *base, y: 3}\nc: [1, 1]\n? [p, q]\n: no\n'
    with pytest.raises(yaml.YAMLError):  # A list is no key of Python's, as before.
        load_yaml(text)
    text = text.partition('?')[0]
    assert load_yaml(text) == yaml.safe_load(text) == {
        'a': {'x': 1, 'y': 2}, 'b': {'x': 1, 'y': 3}, 'c': [1, 1]}
    with pytest.raises(yaml.YAMLError):
        load_yaml('!!python/object/apply:os.getcwd []')


def test_what_a_merge_of_a_merge_brings_in_is_said_once():
    """PyYAML writes merges into the mapping that is named, maybe before that is made itself."""
    text = 'a: {b: {base: &base {x: 1, y: 1}, mid: &mid {<<: *base, x: 2}}}\ntop: {<<: *mid, y: 3}'
    assert load_yaml(text) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError, match="field 'x' stands there twice"):
        load_yaml(text.replace('x: 2', 'x: 2, x: 2'))
