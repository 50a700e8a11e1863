# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which promised maps an image of ``emu_run`` gets, where a recording is to have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
import logging

from emu_perception.cameras.camera import Camera
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.output_folder import TABLE
from emu_perception.errors import InputError
from emu_perception.maps import MAPS
from emu_perception.promises.constants import PromiseLevel
from emu_perception.promises.holding import level_problem, promise_lines, promise_problem
from emu_perception.risk import RiskState

LOGGER = logging.getLogger('emu_perception')
LEVEL = 0.9  # As the node's promise_level.


class PromisedMaps:
    """
    Those that are asked for, of images that are believed, as the node publishes them.

    :param names: of the maps.
    :param level: that they are promised at; None: ``LEVEL``.
    :param hinted: whether a depth camera or the ground tells the scale.
    :raises InputError: if the checkpoint was not fitted for the level, or it is given for nothing.
    """

    def __init__(self, metadata: CheckpointMetadata, names: Collection[str], level: float | None,
                 *, hinted: bool) -> None:
        if level is not None and not names:
            raise InputError(f'--promise-level {level:g}: only promised maps have a level, and '
                             '--topics names none of them: add --topics depth/interval '
                             'label_set_size, or leave --promise-level out')
        self._metadata, self._names, self._hinted = metadata, tuple(names), hinted
        self._level = LEVEL if level is None else level
        self._said: set[tuple[str, str]] = set()
        self._given = False
        if not names:
            return
        problem = level_problem(metadata, self._level)
        if problem:
            raise InputError(_as_typed(problem))
        for line in promise_lines(metadata, self._level, hinted=hinted):
            LOGGER.info(line)

    def of(self, state: RiskState, camera: Camera | None) -> Mapping[str, PromiseLevel]:
        """
        Return the constants of each map that holds for an image, by the map's name.

        Why one does not is said once; that the flag is raised the recording says itself.

        :param state: of the image; what raises the flag is what a promise does not hold for.
        :param camera: of the image.
        """
        if state.raised or not state.certain:
            return {}
        focal = None if camera is None else camera.fx / camera.width
        found = {}
        for name in self._names:
            problem = promise_problem(self._metadata, name, self._level, focal=focal,
                                      fused=self._hinted)
            one = self._metadata.calibration.promises[name].at(self._level)
            if one is not None and not problem:
                found[name] = one
            elif (name, problem) not in self._said:
                self._said.add((name, problem))
                LOGGER.warning('no %s is recorded: %s', MAPS[name].topic, _as_typed(problem))
        self._given = self._given or bool(found)
        return found

    @property
    def missed(self) -> str:
        """Return in one line why none was given, where that was not said already; '' else."""
        if not self._names or self._given or self._said:
            return ''
        topics = ', '.join(MAPS[name].topic for name in self._names)
        return (f'the recording has nothing of {topics}: promises are of images that are '
                f'believed, while the flag is lowered, and there is none; {TABLE} says why')


def _as_typed(problem: str) -> str:
    """Return what a node would say of its parameter with the option that is typed here."""
    return problem.replace('promise_level', '--promise-level', 1)
