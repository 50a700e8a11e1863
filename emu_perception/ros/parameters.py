# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The parameters of the node: the one source of names, defaults, ranges, units and rules of change.

``config/emu.yaml`` and the README are held to this table by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from emu_perception.cameras.topics import RECTIFY
from emu_perception.errors import InputError
from emu_perception.fusion.contradiction import POLICIES
from emu_perception.region import Region
from emu_perception.ros.gate import GATES
from emu_perception.ros.parameter_rows import CONFIGURE, Entry, LIVE, START, SWAP
from emu_perception.ros.parameter_rows import list_parameter as _list_parameter
from emu_perception.ros.parameter_rows import parameter as _parameter
from emu_perception.ros.planner.settings import PlannerSettings
from emu_perception.rules import ListRule, Rule
from emu_perception.scores import Score, SCORES
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node


@dataclass(frozen=True)
class Settings(PlannerSettings):
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
        True, "Take the camera's focal length, to which depth is scaled, from camera_info. Off: "
        'fallback_hfov_deg is needed, or no metres are published and the risk flag stays raised.')
    fallback_hfov_deg: float = _parameter(
        0.0, 'Horizontal field of view of the images, where there is no plausible camera_info; 0: '
        'not known, then no metres are published and the risk flag is raised.', unit='degrees',
        low=0.0, high=150.0)
    rectify: str = _parameter(
        'auto', "Take the lens's distortion, as camera_info tells it, out of the images before "
        "the network: 'auto' where the topic is not named image_rect* (where only a folder is "
        "named so there are no metres), 'always', 'never'. What is published describes the "
        'rectified image then.', choices=RECTIFY)
    depth_hint: bool = _parameter(
        False, 'Join a depth camera in, from the topic depth_hint (16UC1 or 32FC1, aligned to the '
        'colour image); ~/depth/source and ~/scale_sigma are there then.', change=CONFIGURE)
    depth_hint_wait_s: float = _parameter(
        0.03, 'From the arrival of an image, so long is waited at most for its depth hint.',
        unit='s', low=0.0, high=0.03)
    depth_hint_slop_s: float = _parameter(
        0.015, "By so much the stamp of a depth hint may differ from its image's; more than half "
        "a period would take the next one's.", unit='s', low=0.0, high=0.5)
    depth_hint_prior: float = _parameter(
        0.4, "What is known of the network's scale on this camera before any hint, as standard "
        'deviation of its logarithm: 0.4 for a camera of which only the focal length is known; 0 '
        'for the one the network was trained on, which leaves 0.13 an image. A lost hint returns '
        'to it.', low=0.0, high=2.0)
    depth_hint_contradicted: str = _parameter(
        'off', "What becomes of the depth camera's pixels that network and neighbours contradict "
        "(seen through glass, flying at edges): 'off' looks for none, 'count' says how many, "
        "'nan' makes them unknown, 'nearer' takes what is nearer; never what is farther.",
        choices=POLICIES)
    calibration_watch: bool = _parameter(
        False, 'With a depth hint: raise the risk flag, reason miscalibrated, while the '
        "network's own metres or intervals do not hold against it; for a camera that the network "
        'was trained or fine-tuned on.')
    adaptive_sigma: bool = _parameter(
        False, "With a depth hint: widen the network's depth sigma until its 90 % intervals hold "
        "90 % of the sensor's depths; never below what it is.")
    ground_scale: bool = _parameter(
        False, 'Take the scale of all depths from the ground, where no depth hint tells it: what '
        'is of ground_classes lies as far away as scan_camera_height_m and scan_camera_pitch_deg '
        'say. For level ground and a camera that neither rolls nor tilts; ~/depth/source and '
        '~/scale_sigma are there then.', change=CONFIGURE)
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
    promise_level: float = _parameter(
        0.9, 'Share of the pixels for which ~/depth/interval and ~/label_set_size hold in new '
        'rooms of the same camera, one of those that the checkpoint was fitted for. They go out '
        'only for images that are believed, while the flag is lowered.', low=0.01, high=0.999)
    # By name of the score, those above 0 alone; each has a parameter of its own.
    risk_thresholds: Mapping[str, float] = field(default_factory=dict)
    risk_scores: tuple[str, ...] = _list_parameter(
        'Scores that raise the risk flag, such as [segmentation_entropy, relative_depth_sigma], '
        'the mean uncertainties alone; empty: all that have a threshold. One that the checkpoint '
        'does not give, or that has no threshold, keeps the flag raised.',
        Rule(str, choices=tuple(SCORES)))
    raise_after: int = _parameter(
        1, 'Uncertain images in a row that raise the risk flag.', unit='images', low=1, high=1000)
    clear_after: int = _parameter(
        3, 'Certain images in a row that lower the risk flag.', unit='images', low=1, high=1000)
    clear_below: float = _parameter(
        0.9, 'Share of its threshold that no score of such a certain image exceeds; between this '
        'and the threshold the flag holds what it is.', low=0.05, high=1.0)
    stale_after_s: float = _parameter(
        1.0, 'Time without a processed image after which the risk flag is raised.', unit='s',
        low=0.05, high=3600.0)
    max_image_age_s: float = _parameter(
        1.0, 'Age by its stamp, on arrival or when the network has answered, from which on an '
        "image raises the risk flag; where stamps are of another clock than the node's, how far "
        'it may lag behind the quickest.', unit='s', low=0.01, high=3600.0)
    frozen_after_s: float = _parameter(
        0.0, 'Time with the same pixels in every image after which the risk flag is raised; 0: '
        'off (a warning tells of it). Not under use_sim_time.', unit='s', low=0.0, high=3600.0)
    risk_region: tuple[float, ...] = _list_parameter(
        'Part of the image whose mean uncertainties are judged: top, bottom, left, right, such as '
        '[0.5, 1.0, 0.0, 1.0] for the lower half; empty: all of it, which is what the '
        "checkpoint's thresholds are for.", Rule(float, 0.0, 1.0))
    gate: tuple[str, ...] = _list_parameter(
        'What is withheld unless the image itself is below all thresholds (whatever raise_after '
        "says) and the flag is lowered: 'points' (~/points, ~/points/..., ~/scan), 'depth' "
        '(~/depth/image, ~/depth/camera_info, ~/depth_uncertainty and its picture).',
        Rule(str, choices=GATES))
    points_sigma_margin: float = _parameter(
        0.0, '~/points, ~/points/obstacles, ~/points/ground and ~/scan are at depth - this * '
        'sigma, never below 0, so that what may be near stops a robot; 0: at the depth, as '
        '~/points/filtered always is.', low=0.0, high=10.0)
    consumer_timeout_s: float = _parameter(
        1.0, 'After so long without a flag or a cloud consumers stop the robot; diagnostics warn '
        'where the time from an image to its flag (95th percentile) is above half of it.',
        unit='s', low=0.05, high=3600.0)
    entropy_color_max: float = _parameter(
        0.0, 'Entropy shown in the top colour of ~/segmentation_uncertainty_color; 0: ln(number '
        'of classes), the largest there is.', unit='nat', low=0.0, high=10.0)
    sigma_color_max_m: float = _parameter(
        1.0, 'Depth standard deviation shown in the top colour of ~/depth_uncertainty_color.',
        unit='m', low=0.001, high=1000.0)
    overlay_alpha: float = _parameter(
        0.5, 'Weight of the label colours over the image in ~/overlay.', unit='0..1', low=0.0,
        high=1.0)

    @property
    def rescaled(self) -> bool:
        """Tell whether depths take their scale from elsewhere: a depth camera, the ground."""
        return self.depth_hint or self.ground_scale


def _threshold(row: Score) -> Entry:
    return Entry(0.0, f'{row.words[0].upper()}{row.words[1:]} of an image above which it counts '
                 "as uncertain; 0: the checkpoint's calibrated threshold.",
                 Rule(float, 0.0, row.highest, unit=row.unit.removeprefix('1')), LIVE)


def _table() -> dict[str, Entry]:
    table: dict[str, Entry] = {}
    for entry in fields(Settings):
        table.update({row.parameter: _threshold(row) for row in SCORES.values()}
                     if entry.name == 'risk_thresholds' else
                     {entry.name: entry.metadata['entry']})
    return table


TABLE: dict[str, Entry] = _table()
_SCORE_OF = {row.parameter: name for name, row in SCORES.items()}


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a parameter."""
    if name in _SCORE_OF:
        return settings.risk_thresholds.get(_SCORE_OF[name], 0.0)
    return getattr(settings, name)


def validate(values: Mapping[str, object]) -> Settings:
    """
    Return the settings made of ``values``, with defaults for what is missing.

    A whole number is taken for a float (``stale_after_s: 1`` in YAML), nothing else is converted.

    :raises InputError: one line with name, value and what is allowed.
    """
    checked: dict[str, Any] = {}
    good: Any
    thresholds: dict[str, float] = {}
    for name, value in values.items():
        try:
            good = TABLE[name].rule.checked(value)
        except ValueError as error:
            raise InputError(_refusal(name, value, error)) from error
        if name not in _SCORE_OF:
            checked[name] = good
        elif good:
            thresholds[_SCORE_OF[name]] = good
    settings = Settings(**checked, risk_thresholds=thresholds)
    try:
        Region.of(settings.risk_region)
    except InputError as error:
        raise InputError(f'parameter {error}') from error
    settings.check_heights()
    return settings


def _refusal(name: str, value: object, error: Exception) -> str:
    # YAML makes false of off, and a number of 0.
    text = isinstance(TABLE[name].default, str) and not isinstance(value, str)
    quoted = ', in quotes' if text else ''
    return f'parameter {name} is {value!r}: {error}{quoted}'


def descriptor(name: str) -> ParameterDescriptor:
    """Describe one parameter for ``ros2 param describe``: text, unit, range, rule of change."""
    entry = TABLE[name]
    rule = entry.rule
    unit = f' [{rule.unit}]' if rule.unit else ''
    result = ParameterDescriptor(
        name=name, description=entry.description + unit,
        additional_constraints=entry.change, read_only=entry.change == START)
    if isinstance(rule, ListRule):
        # rclpy takes an empty list for one of bytes, and YAML's [] for no value at all.
        result.dynamic_typing = True
        result.additional_constraints += f'; each: {rule.each.wanted}'
        return result
    if rule.choices:
        result.additional_constraints += f'; one of: {", ".join(rule.choices)}'
    bounds = {'from_value': rule.low, 'to_value': rule.high}
    if rule.kind is float:
        # Static typing would refuse `1` for `1.0`; validate() checks type and range instead.
        result.dynamic_typing = True
        result.floating_point_range = [FloatingPointRange(**bounds, step=0.0)]
    elif rule.kind is int:
        result.integer_range = [IntegerRange(**bounds, step=1)]
    return result


def declare(node: Node) -> Settings:
    """
    Declare every parameter on the node and return the values it was started with.

    :raises InputError: if a value given at the start has the wrong type or is out of range.
    """
    values, given = {}, getattr(node, '_parameter_overrides', {})
    for name, entry in TABLE.items():
        try:
            value = node.declare_parameter(name, entry.default, descriptor(name)).value
            values[name] = entry.default if value is None else value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            if name in given:  # rclpy names types, and not what to give.
                validate({name: given[name].value})
            raise InputError(f'parameter {name} cannot be used: {error}') from error
    return validate(values)


def changed(settings: Settings, values: Mapping[str, object], *, configured: bool) -> Settings:
    """
    Return the settings with ``values`` applied; names that are not ours are left alone.

    :param configured: whether the node is configured, when only live parameters may change.
    :raises InputError: if a value is refused; nothing is applied then.
    """
    ours = {name: value for name, value in values.items() if name in TABLE}
    current = {name: value_of(settings, name) for name in TABLE}
    result = validate({**current, **ours})
    for name in ours:
        change = TABLE[name].change
        frozen = change == START or (configured and change == CONFIGURE)
        if frozen and value_of(result, name) != current[name]:
            raise InputError(f'parameter {name} is {change}')
    return result
