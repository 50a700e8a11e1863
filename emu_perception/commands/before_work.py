# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the files of a line of ``emu_run``, found before torch is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path

from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.cameras.opening import check_there
from emu_perception.commands import output_folder
from emu_perception.commands.read_first import check_checkpoints
from emu_perception.foreign_files import reading


def checked(options: argparse.Namespace) -> CameraInfo | None:
    """
    Check the files that a line names; nothing is changed.

    :return: the calibration that the user gives, or None.
    :raises EmuError: if one is not there, cannot be read, or would be replaced.
    """
    with reading():
        output_folder.check_folder(options.out, options.force)
        output_folder.check_apart(options.input, options.out)
        hint = None if options.depth_hint is None else Path(options.depth_hint)
        read = options.input, options.model, options.camera_info, hint
        output_folder.check_kept((path for path in read if path is not None), options.out)
        if options.force:
            output_folder.check_own(options.out)
        check_there(str(options.input))
        check_checkpoints(options)
        return read_calibration(options.camera_info) if options.camera_info else None
