# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A cv_bridge that is good, and a place to install a fake one in."""

from __future__ import annotations

from pathlib import Path
import sys

from emu_perception.ros.image_messages import image_to_rgb
import pytest

GOOD_PACKAGE = """
from emu_perception.ros.image_messages import image_to_rgb
class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        return image_to_rgb(message)
"""


class GoodBridge:
    """As ROS 2's: right for all it knows, and it does not know NV12."""

    def imgmsg_to_cv2(self, message, encoding):
        if message.encoding.startswith('nv'):
            raise RuntimeError('unknown encoding')
        assert encoding == 'rgb8'
        return image_to_rgb(message)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Write a package cv_bridge that Python finds first; returns its one file."""
    package = folder / 'cv_bridge'
    package.mkdir()
    (package / '__init__.py').write_text(body)
    monkeypatch.syspath_prepend(str(folder))
    # Set first, so that the import of this fake is undone with the test.
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    monkeypatch.delitem(sys.modules, 'cv_bridge')
    return package / '__init__.py'
