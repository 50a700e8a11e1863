# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of what the node makes for planners: part of the node's table of parameters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from emu_perception.errors import InputError
from emu_perception.planning.classes import members
from emu_perception.ros.parameter_rows import list_parameter, parameter
from emu_perception.rules import Rule

CLASS_PARAMETERS = ('ground_classes', 'mask_classes', 'filtered_classes')


@dataclass(frozen=True)
class PlannerSettings:
    """What the topics for planners are made by; all live."""

    points_stride: int = parameter(
        4, 'Of so many pixels either way ~/points/filtered, ~/points/ground and '
        '~/points/obstacles have one point, of obstacles the nearest.', unit='pixels',
        low=1, high=64)
    max_unknown_share: float = parameter(
        0.3, 'Share of the pixels whose depth may be unknown to ~/points/ground, '
        '~/points/obstacles and ~/scan (of the last two also in one direction); above it the '
        'message is withheld, for what is left out looks free.', low=0.0, high=1.0)
    max_filtered_share: float = parameter(
        0.7, 'Share of the pixels that may be lost to ~/points/filtered, not known or not '
        'believed; above it the message is withheld.', low=0.0, high=1.0)
    filtered_voxel_m: float = parameter(
        0.0, 'Side of the cubes of which ~/points/filtered has at most one point each; 0: off.',
        unit='m', low=0.0, high=10.0)
    filtered_max_range_m: float = parameter(
        0.0, '~/points/filtered ends so far from the camera; 0: where the network ends.',
        unit='m', low=0.0, high=1000.0)
    filtered_max_sigma_m: float = parameter(
        0.0, 'A point of ~/points/filtered has at most this depth sigma; 0: any. Filters delete '
        'obstacles: for mapping only.', unit='m', low=0.0, high=1000.0)
    filtered_max_relative_sigma: float = parameter(
        0.0, 'A point of ~/points/filtered has at most this depth sigma / depth; 0: any.',
        low=0.0, high=10.0)
    filtered_max_entropy: float = parameter(
        0.0, 'A point of ~/points/filtered has at most this entropy of its label; 0: any.',
        unit='nat', low=0.0, high=10.0)
    filtered_classes: tuple[str, ...] = list_parameter(
        'Names of the classes of which ~/points/filtered is made; empty: all, unlabelled too.',
        Rule(str))
    ground_classes: tuple[str, ...] = list_parameter(
        'Names of the classes that are ground, such as [floor]: ~/points/ground is of them, '
        '~/points/obstacles and ~/scan of all else, unlabelled included; empty: none is ground.',
        Rule(str))
    ground_max_height_m: float = parameter(
        0.2, 'A point of a ground class that is by more than this above or below the ground is '
        'no ground but an obstacle, where scan_camera_height_m is given; raise it where the way '
        'climbs.', unit='m', low=0.01, high=100.0)
    ground_min_confidence: float = parameter(
        0.0, 'A pixel is ground only where the probability of its class is at least this; 0: any. '
        'emu calibrate says from where on at most a tenth of what is called floor is something '
        'else.', low=0.0, high=1.01)
    mask_classes: tuple[str, ...] = list_parameter(
        'Names of the classes where ~/mask is 255, such as [person]; empty: there is no mask.',
        Rule(str))
    scan_frame: str = parameter(
        '', 'Frame of ~/scan, which your TF has at the camera, level: x the way the optical axis '
        'points, z up; of each camera its own; empty: there is no scan.')
    scan_camera_height_m: float = parameter(
        0.0, "The camera's height above the ground; 0: not known, and there is no ~/scan, and "
        'what is labelled ground by mistake is missing among the obstacles.', unit='m', low=0.0,
        high=100.0)
    scan_camera_pitch_deg: float = parameter(
        0.0, "By so much the camera's optical axis points below the horizon. A roll is not known "
        'of: mount it without.', unit='degrees', low=-80.0, high=80.0)
    scan_min_height_m: float = parameter(
        0.1, 'Lowest height above the ground of what ~/scan takes for an obstacle.', unit='m',
        low=-100.0, high=100.0)
    scan_max_height_m: float = parameter(
        1.5, "Highest height above the ground of what ~/scan takes for an obstacle: the robot's.",
        unit='m', low=-100.0, high=100.0)
    scan_increment_deg: float = parameter(
        0.5, 'Between two directions of ~/scan; never finer than a pixel.', unit='degrees',
        low=0.1, high=10.0)
    max_rate_hz: float = parameter(
        0.0, 'Maps of at most so many images a second are made and published; 0: of all. The risk '
        'flag is of every image whatever this is.', unit='Hz', low=0.0, high=1000.0)
    on_request: bool = parameter(
        False, 'Maps are made and published only for the image after a call of ~/publish_next. '
        'The risk flag is of every image whatever this is.')

    def check_heights(self) -> None:
        """
        Refuse a band of heights that holds nothing.

        :raises InputError: one line.
        """
        if self.scan_min_height_m >= self.scan_max_height_m:
            raise InputError(
                f'parameter scan_min_height_m is {self.scan_min_height_m:g}: give a number below '
                f'scan_max_height_m, {self.scan_max_height_m:g}')

    def check_classes(self, classes: Sequence[str],
                      parameters: Collection[str] = CLASS_PARAMETERS) -> None:
        """
        Refuse names that are no classes of a checkpoint.

        :param parameters: of which; others than those of classes are left alone.
        :raises InputError: one line with parameter, name and what there is.
        """
        for name in CLASS_PARAMETERS:
            if name in parameters:
                members(classes, getattr(self, name), name)

    def unfit(self, classes: Sequence[str]) -> list[str]:
        """Return the parameters that name what is no class of a checkpoint."""
        return [name for name in CLASS_PARAMETERS if not {*getattr(self, name)} <= {*classes}]
