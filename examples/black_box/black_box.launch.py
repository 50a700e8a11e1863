# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A recorder that keeps the last seconds of topics.yaml in memory, and who has them written."""

from pathlib import Path
import re
import sys

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration
import yaml

HERE = Path(__file__).resolve().parent
ARGUMENTS = [
    DeclareLaunchArgument('topics', default_value=str(HERE / 'topics.yaml'),
                          description='YAML with the list of topics to keep.'),
    DeclareLaunchArgument('out', default_value='black_box',
                          description='Folder of the bag, which must not exist.'),
    DeclareLaunchArgument('cache_mb', default_value='100',
                          description='Memory of the last seconds, MB; twice of it at worst.'),
    DeclareLaunchArgument('risk', default_value='/emu/risk', description='The flag.'),
    DeclareLaunchArgument('at_most_every_s', default_value='60.0',
                          description='Seconds from one snapshot to the next at least.'),
]


def regex(topics):
    """Return what matches these topics alone: an option of every distribution's recorder."""
    return '^(' + '|'.join(re.escape(topic) for topic in topics) + ')$'


def listed(file):
    """Return the topics that a file lists; what the recorder would keep nothing of is refused."""
    if not file.is_file():
        raise RuntimeError(f"launch argument topics is '{file}': no such file")
    try:
        document = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RuntimeError(f'{file}: cannot be read as YAML: {" ".join(str(error).split())}'
                           ) from None
    topics = document.get('topics') if isinstance(document, dict) else None
    if not topics:
        raise RuntimeError(f"{file}: field 'topics' is missing: give the list of topics to keep")
    if not isinstance(topics, list):  # Text is a list of its letters.
        raise RuntimeError(f"{file}: field 'topics' is {topics!r}: give a list of topics to keep")
    for topic in topics:
        if not (isinstance(topic, str) and topic.startswith('/')):
            raise RuntimeError(f"{file}: field 'topics' has {topic!r}: give resolved names, which "
                               'begin with /')
    return topics


def processes(context):
    """Return recorder and black box."""
    def given(name):
        return LaunchConfiguration(name).perform(context)

    def number(name, kind, least):
        try:
            value = kind(given(name))
        except ValueError:
            value = None
        if value is None or not least <= value < float('inf'):
            raise RuntimeError(f"launch argument {name} is '{given(name)}': give a number of at "
                               f'least {least}')
        return value

    topics = listed(Path(given('topics')))
    return [
        ExecuteProcess(output='screen', cmd=[
            'ros2', 'bag', 'record', '--snapshot-mode', '--storage', 'mcap', '--max-cache-size',
            str(number('cache_mb', int, 1) << 20), '--output', given('out'), '--regex',
            regex(topics)]),
        ExecuteProcess(output='screen', cmd=[
            sys.executable, str(HERE / 'black_box.py'), '--ros-args', '-r',
            f'risk:={given("risk")}', '-p',
            f'at_most_every_s:={number("at_most_every_s", float, 0)}'])]


def generate_launch_description():
    """Return the arguments and what they start."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=processes)])
