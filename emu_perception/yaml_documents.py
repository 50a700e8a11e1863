# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""YAML as people write it: a field that stands there twice is said; PyYAML drops the first."""

from __future__ import annotations

from typing import Any

import yaml


class _EachOnce(yaml.SafeLoader):
    """PyYAML's safe loader, which takes each key of a mapping once, as YAML has it."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._flattened: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what ``<<`` brings in into a mapping; that may be said again."""
        if id(node) in self._flattened:  # What it brought in stands beside its own now.
            return
        self._flattened.add(id(node))
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != 'tag:yaml.org,2002:merge':
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"field '{key.value}' stands there twice", key.start_mark)
                seen.add(key.value)
        super().flatten_mapping(node)


def load_yaml(text: str) -> Any:
    """
    Read a YAML document.

    :raises yaml.YAMLError: if it is none; of a field that stands there twice with its line.
    """
    return yaml.load(text, _EachOnce)  # A safe loader.
