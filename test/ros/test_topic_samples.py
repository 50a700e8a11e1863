# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The samples of every topic, and the README's table of them, are those of a live node."""

from __future__ import annotations

from pathlib import Path
import re

from emu_perception.outputs import EPISTEMIC
from emu_perception.topics import TOPICS
import pytest
from topic_samples import FILE, samples, sections

README = Path(__file__).resolve().parents[2] / 'README.md'


@pytest.fixture(scope='module')
def live(ros):
    """Return the samples of a node that runs now."""
    return samples()


def structure(section: str) -> str:
    """Return a section without what is another moment's: stamps, figures and their texts."""
    section = re.sub(r'sec: \d{9,}\n( +)nanosec: \d+', r'sec: NOW\n\1nanosec: NOW', section)
    if not section.startswith('## /diagnostics'):
        return section
    return re.sub(r'(value|message): .*', r'\1: ...', section)


def test_written_samples_are_what_the_node_sends(live):
    written = sections(FILE.read_text())
    assert set(written) - {'~/label_info'} == set(live) - {'~/label_info'}
    for topic, section in live.items():
        assert structure(section) == structure(written[topic]), (
            f'{topic}: run PYTHONPATH=. python test/ros/topic_samples.py')


def test_written_samples_hold_the_latched_label_info():
    # From where vision_msgs is installed; elsewhere the node has no such topic.
    section = sections(FILE.read_text())['~/label_info']
    assert 'vision_msgs/msg/LabelInfo, reliable, transient_local' in section
    assert 'class_name: floor' in section


def test_readme_names_every_topic_with_its_type():
    written = sections(FILE.read_text())
    documented = {}
    for line in README.read_text().splitlines():
        cells = [cell.strip() for cell in line.split('|')]
        topics = re.findall(r'`((?:~|/diag)[^`]*)`', cells[1]) if len(cells) > 4 else []
        documented.update(dict.fromkeys(topics, cells[2] if topics else ''))
    # ~/instance is a three-task model's; the epistemic parts the model of the samples lacks.
    parts = {f'~/{topic.name}' for topic in TOPICS.values() if topic.task in EPISTEMIC.values()}
    documented = {topic: text for topic, text in documented.items() if topic not in parts}
    assert set(written) - {'~/instance'} <= set(documented) <= set(written)
    for topic, text in documented.items():
        kind = written[topic].split('\n')[1].split(',')[0].rpartition('/')[2]
        assert kind in text, f'{topic} is a {kind}, README says {text}'
        if kind == 'Image' and topic != '~/depth/image':
            (encoding,) = re.findall('^encoding: (.*)', written[topic], re.M)
            assert encoding in text or '32FC1' in text, topic
