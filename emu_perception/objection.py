# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What speaks against an image whatever the network says of it: node and ``emu_run`` ask alike."""

from __future__ import annotations

from emu_perception.risk import RiskReason


def objection(withheld: str, stale: str = '', miscalibrated: str = '') -> tuple[RiskReason, str]:
    """
    Return the reason that counts most, and in one line what it is; ``NONE`` and '' for none.

    :param withheld: why there are no metres of the image; '' where there are, or none are made.
    :param stale: why it does not show the present.
    :param miscalibrated: why the network's metres are not believed beside a depth camera's.
    """
    if withheld:
        return RiskReason.NO_CALIBRATION, f'{withheld}; {stale}' if stale else withheld
    if stale:
        return RiskReason.STALE, stale
    if miscalibrated:
        return RiskReason.MISCALIBRATED, miscalibrated
    return RiskReason.NONE, ''
