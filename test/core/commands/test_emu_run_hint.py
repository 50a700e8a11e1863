# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A recording with a depth camera: joined in as by the node, with what that is worth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from run_bench import (
    emu_run,
    FX,
    header,
    HEIGHT,
    MAKE,
    pixels,
    read_bag,
    recording,
    table,
    WIDTH,
    write_bag,
    write_images,
)

DEPTH = '/cam/aligned_depth'
SENSOR_MM = 2500
COUNT = 4


def sensor(width: int = WIDTH) -> np.ndarray:
    """Return what a depth camera sees: 2.5 m in the left half."""
    seen = np.zeros((HEIGHT, width), np.uint16)
    seen[:, :width // 2] = SENSOR_MM
    return seen


def with_depth(path: Path, *, lost: tuple[int, ...] = (), off_ns: int = 0, width: int = WIDTH
               ) -> Path:
    """Write a bag whose depth camera has lost some of its images."""
    depths = []
    for index in range(COUNT):
        at = header(index)
        stamp = type(at)(at.stamp_ns + off_ns, at.frame_id)
        if index not in lost:
            # Recorded well after its image, as a slower sensor's is.
            depths.append((DEPTH, MAKE.image(sensor(width), '16UC1', stamp),
                           at.stamp_ns + 80_000_000))
    return write_bag(path, sorted([*recording(COUNT), *depths], key=lambda one: one[2]))


@pytest.mark.slow
def test_a_bag_with_depth_gives_fused_maps_and_what_the_network_is_worth(tmp_path, checkpoint):
    bag, out = with_depth(tmp_path / 'bag', lost=(2,), off_ns=10_000_000), tmp_path / 'out'
    assert emu_run(bag, out, checkpoint, '--mcap', '--maps', '--depth-hint', DEPTH) == 0
    found = read_bag(out / 'recording')
    sources = [pixels(message) for _, message in found['/emu/depth/source']]
    depths = [pixels(message) for _, message in found['/emu/depth/image']]
    assert len(sources) == len(found['/emu/scale_sigma']) == COUNT
    for index, (source, depth) in enumerate(zip(sources, depths)):
        left = slice(None), slice(0, WIDTH // 2)
        if index == 2:
            assert not (source == 2).any()
        else:
            assert (source[left] == 2).all() and (source == 2).mean() == 0.5
            assert depth[left] == pytest.approx(SENSOR_MM / 1000)
    sigma = [message.data for _, message in found['/emu/scale_sigma']]
    assert sigma[2] > sigma[1]
    rows = table(out)
    assert [float(row['sensor_holes_share']) for row in rows] == [0.5, 0.5, 1.0, 0.5]
    assert rows[2]['network_abs_rel_to_sensor'] == '' != rows[1]['network_abs_rel_to_sensor']
    assert all(float(row['scale_factor']) > 0 for row in rows)
    said = json.loads((out / 'summary.json').read_text())['depth_hint']
    assert (said['images'], said['with_hint'], said['holes']) == (COUNT, 3, 0.5)
    maps = np.load(next((out / 'maps').glob('000000_*.npz')))
    assert np.array_equal(maps['depth_source'], sources[0])


@pytest.mark.slow
def test_a_folder_of_depths_is_joined_to_images_of_the_same_names(tmp_path, checkpoint, capsys):
    paths = write_images(tmp_path / 'images', 2)
    (tmp_path / 'depth').mkdir()
    cv2.imwrite(str(tmp_path / 'depth' / f'{paths[0].stem}.png'), sensor())
    assert emu_run(tmp_path / 'images', tmp_path / 'out', checkpoint, '--depth-hint',
                   str(tmp_path / 'depth'), '--fx', str(FX), '--panels', '1') == 0
    assert 'depth hint: in 1 of 2 images, 50 % of their pixels are holes' in (
        capsys.readouterr().out)
    assert len(list((tmp_path / 'out/panels').glob('*.png'))) == 1


def test_depth_of_another_size_is_left_out_and_said(tmp_path, checkpoint, capsys):
    bag = with_depth(tmp_path / 'bag', width=WIDTH // 2)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--depth-hint', DEPTH, '--panels', '0') == 0
    said = capsys.readouterr()
    assert f"depth hint is left out: topic '{DEPTH}': depth_hint is 64x96" in said.err
    assert 'none of 4 images has one' in said.out


@pytest.mark.parametrize(('given', 'words'), [('/no/topic', "topic '/no/topic'"),
                                              ('/cam/camera_info', "topic '/cam/camera_info'")])
def test_a_topic_that_holds_no_depth_is_refused(tmp_path, checkpoint, capsys, given, words):
    bag = write_bag(tmp_path / 'bag', recording(1))
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--depth-hint', given) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_beside_images_a_hint_is_a_folder(tmp_path, checkpoint, capsys):
    write_images(tmp_path / 'images', 1)
    assert emu_run(tmp_path / 'images', tmp_path / 'out', checkpoint, '--depth-hint', '/d') == 1
    assert '--depth-hint is /d: give a topic of a bag' in capsys.readouterr().err
