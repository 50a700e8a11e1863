# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A video is of the best codec that has proven itself here, and says which."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import cv2
from emu_perception.commands import video_file
from emu_perception.commands.video_file import best_codec, CODECS, VideoError, VideoFile
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def untried():
    """Forget what has been tried."""
    best_codec.cache_clear()
    yield
    best_codec.cache_clear()


@pytest.mark.parametrize(('answer', 'codec'), [
    (0, 'avc1'), (1, 'mp4v'), (-11, 'mp4v'), (subprocess.TimeoutExpired('x', 1), 'mp4v'),
    (OSError(), 'mp4v')])
def test_an_encoder_that_fails_crashes_or_hangs_is_not_taken(monkeypatch, answer, codec):
    def run(*arguments, **options):
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(returncode=answer)
    monkeypatch.setattr(subprocess, 'run', run)
    assert best_codec() == codec


def test_frames_of_all_sizes_are_in_the_file_and_the_codec_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(video_file, 'best_codec', lambda: 'mp4v')
    video = VideoFile(tmp_path / 'a.mp4', 5.0)
    for size in ((49, 65), (30, 40), (200, 300)):
        video.add(np.full((*size, 3), 200, np.uint8))
    video.close()
    assert (video.frames, video.codec) == (3, CODECS['mp4v'])
    capture = cv2.VideoCapture(str(tmp_path / 'a.mp4'))
    found = [image.shape for good, image in iter(capture.read, (False, None)) if good]
    assert found == [(48, 64, 3)] * 3


def test_what_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(video_file, 'best_codec', lambda: 'mp4v')
    with pytest.raises(VideoError, match='give --no-video'):
        VideoFile(tmp_path / 'none/a.mp4', 5.0).add(np.zeros((48, 64, 3), np.uint8))
