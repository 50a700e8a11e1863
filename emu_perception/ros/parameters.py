# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The parameters of the node: the one source of names, defaults, ranges, units and rules of change.

``config/emu.yaml`` and the README are held to this table by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, Field, field, fields
import math
from typing import Any

from emu_perception.errors import InputError
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

LIVE = 'applied at once, also while active'
CONFIGURE = 'applied when the node is configured; refused later (clean up first)'
SWAP = ('while configured: checked at once, then loaded beside the running model, which answers '
        'until the new one takes over; if that fails, the value goes back (diagnostics say why)')
START = 'applied when the node starts; read only'


def _parameter(default: Any, description: str, *, unit: str = '', low: float | None = None,
               high: float | None = None, choices: tuple[str, ...] = (),
               change: str = LIVE) -> Any:
    return field(default=default, metadata={
        'description': description, 'unit': unit, 'low': low, 'high': high, 'choices': choices,
        'change': change})


@dataclass(frozen=True)
class Settings:
    """Every parameter with its value; an instance has passed :func:`validate`."""

    autostart: bool = _parameter(
        True, 'Configure and activate after the start; false where a lifecycle manager does it.',
        change=START)
    model_file: str = _parameter(
        '', "Checkpoint (.safetensors); '~' and $VARIABLES are expanded; empty: the package's "
        'default model. Set again to the same path, it is loaded anew if the file has changed.',
        change=SWAP)
    device: str = _parameter(
        'auto', "Where the network runs: 'auto', 'cpu', 'cuda' or 'cuda:1'.", change=SWAP)
    precision: str = _parameter(
        'auto', "Arithmetic of the network: 'auto', 'fp32', or another the device can do.",
        change=SWAP)
    backend: str = _parameter(
        'auto', "What runs the network: 'auto' is the fastest that is installed for the device, "
        "else a name of emu_perception.backends, such as 'eager'; diagnostics say which it is.",
        change=SWAP)
    transport: str = _parameter(
        'raw', "'raw' reads sensor_msgs/Image from the image topic, 'compressed' reads "
        'sensor_msgs/CompressedImage from <image topic>/compressed.',
        choices=('raw', 'compressed'), change=CONFIGURE)
    use_camera_info: bool = _parameter(
        True, "Scale depth to the camera's focal length from camera_info. Off: depth is right "
        'only for the camera of the training data.')
    depth_encoding: str = _parameter(
        '32FC1', "Encoding of ~/depth/image: '32FC1' is metres, NaN unknown, +inf beyond range; "
        "'16UC1' is whole millimetres, 0 where unknown, beyond range or beyond 65.535 m.",
        choices=('32FC1', '16UC1'))
    output_size: str = _parameter(
        'camera', "Size of the published maps: the 'camera' image's or the 'network' grid's.",
        choices=('camera', 'network'))
    unknown_label_entropy: float = _parameter(
        0.0, 'Labels become 255 (unlabelled) where the entropy is above this; 0: off.',
        unit='nat', low=0.0, high=10.0)
    unknown_depth_sigma: float = _parameter(
        0.0, 'Depth becomes NaN (unknown) where its standard deviation is above this; 0: off.',
        unit='m', low=0.0, high=1000.0)
    risk_threshold_segmentation: float = _parameter(
        0.0, 'Mean entropy of an image above which it counts as uncertain; 0: the '
        "checkpoint's calibrated threshold.", unit='nat', low=0.0, high=10.0)
    risk_threshold_depth: float = _parameter(
        0.0, 'Mean depth standard deviation of an image above which it counts as uncertain; 0: '
        "the checkpoint's calibrated threshold.", unit='m', low=0.0, high=1000.0)
    raise_after: int = _parameter(
        1, 'Uncertain images in a row that raise the risk flag.', unit='images', low=1, high=1000)
    clear_after: int = _parameter(
        3, 'Certain images in a row that lower the risk flag.', unit='images', low=1, high=1000)
    stale_after_s: float = _parameter(
        1.0, 'Time without a processed image after which the risk flag is raised.', unit='s',
        low=0.05, high=3600.0)
    entropy_color_max: float = _parameter(
        0.0, 'Entropy shown in the top colour of ~/segmentation_uncertainty_color; 0: ln(number '
        'of classes), the largest there is.', unit='nat', low=0.0, high=10.0)
    sigma_color_max_m: float = _parameter(
        1.0, 'Depth standard deviation shown in the top colour of ~/depth_uncertainty_color.',
        unit='m', low=0.001, high=1000.0)
    overlay_alpha: float = _parameter(
        0.5, 'Weight of the label colours over the image in ~/overlay.', unit='0..1', low=0.0,
        high=1.0)


TABLE: dict[str, Field[Any]] = {entry.name: entry for entry in fields(Settings)}


def validate(values: Mapping[str, object]) -> Settings:
    """
    Return the settings made of ``values``, with defaults for what is missing.

    A whole number is taken for a float (``stale_after_s: 1`` in YAML), nothing else is converted.

    :raises InputError: one line with name, value and what is allowed.
    """
    checked: dict[str, Any] = {}
    for name, value in values.items():
        entry = TABLE[name]
        kind = type(entry.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise InputError(f'parameter {name} is {value!r}: give a {kind.__name__}')
        rules = entry.metadata
        if rules['choices'] and value not in rules['choices']:
            raise InputError(f'parameter {name} is {value!r}: give one of '
                             f'{", ".join(rules["choices"])}')
        if rules['low'] is not None:
            assert isinstance(value, (int, float))
            if not (math.isfinite(value) and rules['low'] <= value <= rules['high']):
                raise InputError(f'parameter {name} is {value}: give a value from '
                                 f'{rules["low"]} to {rules["high"]} {rules["unit"]}')
        checked[name] = value
    return Settings(**checked)


def descriptor(name: str) -> ParameterDescriptor:
    """Describe one parameter for ``ros2 param describe``: text, unit, range, rule of change."""
    entry = TABLE[name]
    rules = entry.metadata
    unit = f' [{rules["unit"]}]' if rules['unit'] else ''
    result = ParameterDescriptor(
        name=name, description=rules['description'] + unit,
        additional_constraints=rules['change'], read_only=rules['change'] == START)
    if rules['choices']:
        result.additional_constraints += f'; one of: {", ".join(rules["choices"])}'
    if isinstance(entry.default, float):
        # Static typing would refuse `1` for `1.0`; validate() checks type and range instead.
        result.dynamic_typing = True
        if rules['low'] is not None:
            result.floating_point_range = [
                FloatingPointRange(from_value=rules['low'], to_value=rules['high'], step=0.0)]
    elif rules['low'] is not None:
        result.integer_range = [
            IntegerRange(from_value=rules['low'], to_value=rules['high'], step=1)]
    return result


def declare(node: Node) -> Settings:
    """
    Declare every parameter on the node and return the values it was started with.

    :raises InputError: if a value given at the start has the wrong type or is out of range.
    """
    values = {}
    for name, entry in TABLE.items():
        try:
            values[name] = node.declare_parameter(name, entry.default, descriptor(name)).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise InputError(f'parameter {name} cannot be used: {error}') from error
    return validate(values)


def changed(settings: Settings, values: Mapping[str, object], *, configured: bool) -> Settings:
    """
    Return the settings with ``values`` applied; names that are not ours are left alone.

    :param configured: whether the node is configured, when only live parameters may change.
    :raises InputError: if a value is refused; nothing is applied then.
    """
    ours = {name: value for name, value in values.items() if name in TABLE}
    current = {name: getattr(settings, name) for name in TABLE}
    result = validate({**current, **ours})
    for name in ours:
        change = TABLE[name].metadata['change']
        frozen = change == START or (configured and change == CONFIGURE)
        if frozen and getattr(result, name) != current[name]:
            raise InputError(f'parameter {name} is {change}')
    return result
