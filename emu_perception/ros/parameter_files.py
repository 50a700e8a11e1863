# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a user has set in vain: no parameters, no nodes, and what a file says twice.

ROS drops all without a word, and some of them are thresholds that a robot's safety hangs on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
import re
from typing import Any

from emu_perception.errors import text_of
from emu_perception.rules import meant

# Of every rclpy node, declared by itself or only where the distribution has it.
_OF_ROS = ('use_sim_time', 'start_type_description_service')
_QOS = 'qos_overrides.'
_TOPICS_OF_ROS = ('/clock', '/parameter_events', '/rosout')


def unknown_parameters(given: Collection[str], declared: Collection[str]) -> list[str]:
    """
    Return a line for each name that was set from outside and is no parameter.

    :param given: the names in files and on the command line that reached the node.
    :param declared: the node's own.
    """
    lines = []
    for name in sorted(set(given) - {*declared, *_OF_ROS}):
        if name.startswith(_QOS):  # Declared with its topic: see unknown_overrides.
            continue
        lines.append(f"parameter '{name}' was set, and is none of this node's"
                     f'{meant(name, declared)}')
    return lines


def unknown_overrides(node: Any) -> list[str]:
    """
    Return a line for each QoS that was set from outside for what is no topic or policy here.

    :param node: an active one: each topic has declared its own by then.
    """
    # rclpy's own, since it tells nobody.
    given, declared = getattr(node, '_parameter_overrides', {}), getattr(node, '_parameters', {})
    lines = []
    for name in sorted({*given} - {*declared}):
        if not name.startswith(_QOS) or name.split('.')[1] in _TOPICS_OF_ROS:
            continue
        near = meant(name, [one for one in declared if one.startswith(_QOS)], 0.85)
        lines.append(f"parameter '{name}' was set, and changes nothing: there is no such topic or "
                     f'policy, by its resolved name{near}')
    return lines


def files_of(words: Sequence[str]) -> list[Path]:
    """Return the parameter files of a command line."""
    return [Path(after) for word, after in zip(words, words[1:]) if word == '--params-file']


def keys_in_vain(path: Path, nodes: Collection[str], parameters: Collection[str]) -> list[str]:
    """
    Return a line for each key of a parameter file that was meant for us and matches no node.

    A file may hold parameters of other nodes: a key counts as meant for us where its parameters
    are ours, and, since another process may have that node, no other key of the file matches one
    of the nodes here, or there are several nodes here.

    :param nodes: full names of the nodes of this process.
    :param parameters: of each of them.
    """
    keys = dict(_keys(_read(path)))
    named = {key: values for key, values in keys.items() if '*' not in key}
    missed = [key for key, values in named.items()
              if not any(_matches(key, node) for node in nodes) and set(values) & set(parameters)]
    if len(nodes) == 1 and len(missed) < len(named):
        return []
    return [f"{path}: '{key}' is no node here (there {'is' if len(nodes) == 1 else 'are'} "
            f'{", ".join(sorted(nodes))}): its parameters change nothing' for key in missed]


def said_twice(path: Path) -> list[str]:
    """Return a line for a parameter file in which something stands twice: the first is named."""
    from emu_perception.yaml_documents import load_yaml
    import yaml
    if _read(path) is None:  # Not YAML at all, whose reader tells one fault alone.
        return []
    try:
        load_yaml(path.read_text())
    except yaml.YAMLError as error:
        return [f'{path}: {text_of(error)}: where they differ ROS takes the last']
    return []


def _read(path: Path) -> object:
    import yaml
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # rcl says what is wrong with it


def _keys(document: object, above: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(document, Mapping):
        return
    for name, value in document.items():
        if name == 'ros__parameters' and isinstance(value, Mapping):
            yield above or '/', value
        else:
            yield from _keys(value, f'{above}/{str(name).strip("/")}')


def _matches(key: str, node: str) -> bool:
    parts = (re.escape(part).replace(r'\*\*', '.*').replace(r'\*', '[^/]*')
             for part in key.strip('/').split('/'))
    return re.fullmatch('/'.join(parts), node.strip('/')) is not None
