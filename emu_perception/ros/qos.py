# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Qualities of service, each a fresh object: rclpy writes a user's overrides into it."""

from __future__ import annotations

from typing import Any

from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

FLAG_PROMISE_S = 1.0


def newest() -> QoSProfile:
    """For subscriptions: best effort reaches publishers of both kinds; depth 1 is the newest."""
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=1,
                      reliability=QoSReliabilityPolicy.BEST_EFFORT)


def reliable(depth: int = 1) -> QoSProfile:
    """For publishers: reliable reaches subscribers of both kinds."""
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=depth,
                      reliability=QoSReliabilityPolicy.RELIABLE)


def latched(depth: int = 1) -> QoSProfile:
    """
    For publishers whose last message a late subscriber gets too, and for such a subscriber.

    :param depth: of a subscriber, of all its publishers together.
    """
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=depth,
                      reliability=QoSReliabilityPolicy.RELIABLE,
                      durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def watched() -> QoSProfile:
    """
    For the risk flag: latched, with a promise whose breach a subscriber can be told of.

    Liveliness by topic and not automatic: with that the middleware's own threads would vouch for
    a process that hangs. A subscriber that asks for less than these seconds gets nothing. No
    lifespan: it goes by the writer's clock, and one that runs ahead would drop flags.
    """
    profile = latched()
    profile.deadline = Duration(seconds=FLAG_PROMISE_S)
    profile.liveliness = QoSLivelinessPolicy.MANUAL_BY_TOPIC
    profile.liveliness_lease_duration = Duration(seconds=FLAG_PROMISE_S)
    return profile


def with_overrides() -> dict[str, Any]:
    """Return the argument that lets users override history, depth and reliability."""
    return {'qos_overriding_options': QoSOverridingOptions.with_default_policies()}
