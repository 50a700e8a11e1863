# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The network's depth and a depth camera's in one: the sensor's scale, and no holes."""

from emu_perception.fusion.belief import ScaleBelief
from emu_perception.fusion.constants import FITTED, FusionConstants
from emu_perception.fusion.factor import FactorReading
from emu_perception.fusion.ground import Ground, GroundWord, heard, read_ground
from emu_perception.fusion.hint import checked_hint, DepthHint, unaligned
from emu_perception.fusion.hint_stream import HintStream, refusal
from emu_perception.fusion.joining import (
    correct,
    CORRECTED,
    fuse,
    Fused,
    NETWORK,
    SENSOR,
    UNKNOWN,
)
from emu_perception.fusion.predictions import fused_prediction
from emu_perception.fusion.watch import CalibrationWatch

__all__ = [
    'CalibrationWatch', 'checked_hint', 'correct', 'CORRECTED', 'DepthHint', 'FactorReading',
    'FITTED', 'fuse', 'Fused', 'fused_prediction', 'FusionConstants', 'Ground', 'GroundWord',
    'heard', 'HintStream', 'NETWORK', 'read_ground', 'refusal', 'ScaleBelief',
    'SENSOR', 'unaligned', 'UNKNOWN']
