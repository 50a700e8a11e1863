# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The stamp of a message, in nanoseconds, and its age by a node's clock."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.node import Node


def nanoseconds(stamp: Time) -> int:
    """Return a stamp in nanoseconds; 0 is one that nobody set."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def stamp_age_s(node: Node, stamp: Time) -> float | None:
    """Return the age of a stamp by the node's clock; None where one of the two does not run."""
    stamp_ns, now_ns = nanoseconds(stamp), node.get_clock().now().nanoseconds
    # 0 is a simulated clock that nobody runs, which the diagnosis of the input says.
    return (now_ns - stamp_ns) / 1e9 if stamp_ns and now_ns else None
