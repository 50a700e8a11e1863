# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Why no image arrives: the most frequent question, answered from the graph."""

from __future__ import annotations

from difflib import SequenceMatcher

from rclpy.clock import Clock, ROSClock
from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile

_NAMED = 5
_COMPRESSED = '/compressed'
_IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


def compressed_advice(topic: str, type_name: str) -> str:
    """
    Say what to remap to where `image` is a compressed topic itself; '' where it is none.

    :param topic: that the node subscribes to.
    :param type_name: as what, as 'sensor_msgs/msg/Image'.
    """
    image = topic.removesuffix(_COMPRESSED) if type_name == _IMAGE_TYPES[1] else topic
    raw = image.removesuffix(_COMPRESSED)
    return '' if raw == image else (
        f'`image` is remapped to {image}, which is what the parameter transport adds: remap it to '
        f'{raw} and set transport to compressed')


def explain_silence(node: Node, topic: str, type_name: str, qos: QoSProfile) -> str:
    """
    Say in one line why nothing may come on a subscribed topic.

    :param topic: its resolved name.
    :param type_name: what the node subscribes to, as 'sensor_msgs/msg/Image'.
    :param qos: of the node's subscription.
    """
    advice = compressed_advice(topic, type_name)
    if advice:
        return advice
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return (f'no publisher on {topic}: start the camera or remap `image`'
                f'{_other_topics(node, topic)}')
    found = []
    matching = False
    for publisher in publishers:
        # During discovery these are filled with a placeholder for a moment.
        name = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
        profile = publisher.qos_profile
        text = (f'{name} ({publisher.topic_type}, {profile.reliability.name.lower()}, '
                f'{profile.durability.name.lower()})')
        if publisher.topic_type != type_name:
            text += f' has another type than ours, {type_name}'
            if publisher.topic_type in _IMAGE_TYPES:
                text += ': see the parameter transport'
        else:
            compatible, reason = qos_check_compatible(profile, qos)
            if compatible == QoSCompatibility.ERROR:
                text += f' does not match our QoS: {" ".join(str(reason).split())}'
            else:
                matching = True
                text += ' matches'
        found.append(text)
    verdict = ('a publisher matches but sends nothing: is the camera running, can the machines '
               'reach each other' if matching else 'no publisher matches')
    return f'no image on {topic}: {verdict}; publishers: {"; ".join(found)}'


def _other_topics(node: Node, topic: str) -> str:
    """Name the image topics that somebody publishes, those with the most similar names first."""
    # No output of ours, nor of another camera's node, is a camera.
    topics = dict(node.get_topic_names_and_types())
    own = tuple(name.removesuffix('risk_status') for name in topics
                if name.endswith('/risk_status') and f'{name.removesuffix("_status")}' in topics)
    others = {name: types for name, types in topics.items()
              if any(kind in _IMAGE_TYPES for kind in types) and name != topic
              and not name.startswith(own) and node.count_publishers(name)}
    raw = topic.removesuffix('/compressed')
    for name, transport in ((raw, 'raw'), (f'{raw}/compressed', 'compressed')):
        if name in others:
            return f'; {name} is there: set the parameter transport to {transport}'
    if not others:
        return ''
    similar = sorted(others, key=lambda name: (-SequenceMatcher(None, name, topic).ratio(), name))
    named = ', '.join(f'{name} ({", ".join(others[name])})' for name in similar[:_NAMED])
    more = f' and {len(others) - _NAMED} more' if len(others) > _NAMED else ''
    return f'; image topics there are: {named}{more}'


def is_simulated(clock: Clock) -> bool:
    """Tell whether a node's clock is /clock, which may not have begun (it is 0 then)."""
    return isinstance(clock, ROSClock) and clock.ros_time_is_active


def clock_problem(node: Node) -> str:
    """Return a line if the node waits for a simulated clock that nobody runs, else ''."""
    waits = (node.get_parameter('use_sim_time').value
             and node.get_clock().now().nanoseconds == 0)
    return 'use_sim_time is set but there is no /clock' if waits else ''
