# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Qualities of service, each a fresh object: rclpy writes a user's overrides into it."""

from __future__ import annotations

from typing import Any

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def newest() -> QoSProfile:
    """For subscriptions: best effort reaches publishers of both kinds; depth 1 is the newest."""
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=1,
                      reliability=QoSReliabilityPolicy.BEST_EFFORT)


def reliable(depth: int = 1) -> QoSProfile:
    """For publishers: reliable reaches subscribers of both kinds."""
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=depth,
                      reliability=QoSReliabilityPolicy.RELIABLE)


def latched() -> QoSProfile:
    """For publishers whose last message a late subscriber gets too, and for such a subscriber."""
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=1,
                      reliability=QoSReliabilityPolicy.RELIABLE,
                      durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def with_overrides() -> dict[str, Any]:
    """Return the argument that lets users override history, depth and reliability."""
    return {'qos_overriding_options': QoSOverridingOptions.with_default_policies()}
