# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings open in the oldest rosbag2 that is in use: Humble's."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.recordings.messages import Header
from emu_perception.recordings.writer import RecordingWriter
import numpy as np
import pytest
import yaml

pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')


def test_metadata_is_of_a_version_and_form_that_humble_reads(tmp_path):
    writer = RecordingWriter(tmp_path / 'bag')
    writer.write('/risk', writer.make.flag(True), 5, latched=True)
    writer.close()
    found = yaml.safe_load((tmp_path / 'bag/metadata.yaml').read_text())
    information = found['rosbag2_bagfile_information']
    assert information['version'] <= 8 and information['storage_identifier'] == 'mcap'
    # From version 9 on they are a list, at which Humble's rosbag2 throws.
    qos = information['topics_with_message_count'][0]['topic_metadata']['offered_qos_profiles']
    assert isinstance(qos, str)
    (profile,) = yaml.safe_load(qos)
    assert all(isinstance(profile[name], int) for name in ('history', 'reliability', 'durability'))
    assert profile['durability'] == 1 and profile['reliability'] == 1  # latched, reliable


@pytest.mark.parametrize('stamp_ns', [2**31 * 10**9, -1 - 2**31 * 10**9])
def test_a_stamp_that_fits_into_no_message_is_one_line(tmp_path, stamp_ns):
    writer = RecordingWriter(tmp_path / 'bag')
    with pytest.raises(InputError, match='a stamp of .* s fits into no message'):
        writer.make.image(np.zeros((2, 2), np.uint8), 'mono8', Header(stamp_ns, ''))
    writer.close()
