# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Why no image (or no camera_info, or no depth) arrives: answered from the graph."""

from __future__ import annotations

from difflib import SequenceMatcher

from rclpy.clock import Clock, ROSClock
from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

_NAMED = 5
_COMPRESSED = '/compressed'
_IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
# What is called as the topics that may be remapped are, and is of other types than `image`.
_SENDERS = {'image': 'the camera', 'camera_info': "the camera's driver",
            'depth_hint': 'the depth camera'}


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


def sender_name(publisher: TopicEndpointInfo) -> str:
    """Return the node that publishes; during discovery a placeholder for a moment."""
    return f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'


def explain_silence(node: Node, topic: str, type_name: str, qos: QoSProfile,
                    name: str = 'image') -> str:
    """
    Say in one line why nothing may come on a subscribed topic.

    :param topic: its resolved name.
    :param type_name: what the node subscribes to, as 'sensor_msgs/msg/Image'.
    :param qos: of the node's subscription.
    :param name: as it is remapped by: 'image', 'camera_info' or 'depth_hint'.
    """
    advice = compressed_advice(topic, type_name) if name == 'image' else ''
    if advice:
        return advice
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return (f'no publisher on {topic}: start {_SENDERS[name]} or remap `{name}`'
                f'{_other_topics(node, topic, type_name, name)}')
    found = []
    matching = False
    for publisher in publishers:
        profile = publisher.qos_profile
        text = (f'{sender_name(publisher)} ({publisher.topic_type}, '
                f'{profile.reliability.name.lower()}, {profile.durability.name.lower()})')
        if publisher.topic_type != type_name:
            text += f' has another type than ours, {type_name}'
            if publisher.topic_type in _IMAGE_TYPES:
                text += {'image': ': see the parameter transport', 'depth_hint': ': have it sent '
                         'raw (ros2 run image_transport republish)'}.get(name, '')
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
    return f'no {name} on {topic}: {verdict}; publishers: {"; ".join(found)}'


def _other_topics(node: Node, topic: str, type_name: str, name: str) -> str:
    """Name the topics that somebody publishes and may be meant, the most similar names first."""
    kinds = _IMAGE_TYPES if type_name in _IMAGE_TYPES else (type_name,)
    # No output of ours, nor of another camera's node, is a camera.
    topics = dict(node.get_topic_names_and_types())
    own = tuple(name.removesuffix('risk_status') for name in topics
                if name.endswith('/risk_status') and f'{name.removesuffix("_status")}' in topics)
    others = {other: types for other, types in topics.items()
              if any(kind in kinds for kind in types) and other != topic
              and not other.startswith(own) and node.count_publishers(other)}
    raw = topic.removesuffix('/compressed')
    for other, transport in ((raw, 'raw'), (f'{raw}/compressed', 'compressed')):
        if other in others and name == 'image':
            return f'; {other} is there: set the parameter transport to {transport}'
    if not others:
        return ''
    similar = sorted(others, key=lambda one: (-SequenceMatcher(None, one, topic).ratio(), one))
    named = ', '.join(f'{one} ({", ".join(others[one])})' for one in similar[:_NAMED])
    more = f' and {len(others) - _NAMED} more' if len(others) > _NAMED else ''
    what = 'camera_info' if name == 'camera_info' else 'image'
    return f'; {what} topics there are: {named}{more}'


def is_simulated(clock: Clock) -> bool:
    """Tell whether a node's clock is /clock, which may not have begun (it is 0 then)."""
    return isinstance(clock, ROSClock) and clock.ros_time_is_active


def clock_problem(node: Node) -> str:
    """Return a line if the node waits for a simulated clock that nobody runs, else ''."""
    waits = (node.get_parameter('use_sim_time').value
             and node.get_clock().now().nanoseconds == 0)
    return 'use_sim_time is set but there is no /clock' if waits else ''
