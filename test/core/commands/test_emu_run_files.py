# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images and videos give what Predictor and RiskMonitor give, in tables, maps, panels and MP4."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from core_bench import make_metadata, make_network
import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.calibration_files import write_calibration
from emu_perception.cameras.video import Video
from emu_perception.checkpoint import save_checkpoint
from emu_perception.predictor import Predictor
from emu_perception.region import Region
from emu_perception.risk import RiskMonitor, RiskThresholds
import numpy as np
import pytest
from run_bench import (
    emu_run,
    FX,
    HEIGHT,
    IMAGE,
    recording,
    scene,
    table,
    WIDTH,
    write_bag,
    write_images,
    write_video,
)

LAST_DIGIT = 1e-6  # frames.csv and summary.json have six.


def test_maps_and_means_of_a_folder_are_the_predictors(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 3)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--maps', '--fx', str(FX)) == 0
    predictor = Predictor.load(checkpoint, 'cpu')
    rows = table(tmp_path / 'out')
    assert [row['source'] for row in rows] == ['frame_8.png', 'frame_9.png', 'frame_10.png']
    for index, row in enumerate(rows):
        expected = predictor(scene(index), fx=FX)
        name = f'{index:06d}_{Path(row["source"]).stem}.npz'
        with np.load(tmp_path / 'out/maps' / name) as maps:
            for field in ('label', 'depth', 'segmentation_entropy', 'confidence', 'depth_sigma'):
                np.testing.assert_array_equal(maps[field], getattr(expected, field), field)
        assert float(row['mean_entropy_nat']) == pytest.approx(
            expected.scores['segmentation_entropy'], abs=LAST_DIGIT)
        assert float(row['mean_sigma_m']) == pytest.approx(
            expected.scores['depth_sigma'], abs=LAST_DIGIT)
        assert float(row['fx_px']) == FX and float(row['stamp_s']) == pytest.approx(index / 10)
        assert float(row['unknown_depth_share']) == pytest.approx(
            1 - np.isfinite(expected.depth).mean(), abs=LAST_DIGIT)
        assert all(float(row[f'{stage}_ms']) > 0
                   for stage in ('preprocess', 'network', 'postprocess'))


@pytest.mark.slow
def test_risk_is_the_monitors_on_the_same_sequence(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 12)
    predictor = Predictor.load(checkpoint, 'cpu')
    means = [predictor(scene(index), fx=FX) for index in range(12)]
    limit = float(np.median([mean.scores['segmentation_entropy'] for mean in means]))
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--raise-after', '2',
                   '--clear-after', '2', '--risk-threshold-segmentation', str(limit),
                   '--risk-threshold-depth', '900', '--clear-below', '0.99', '--judge',
                   'stream', '--fx', str(FX)) == 0
    limits = RiskThresholds({'segmentation_entropy': limit, 'depth_sigma': 900.0})
    monitor = RiskMonitor(limits, raise_after=2, clear_after=2, clear_below=0.99)
    monitor.activate()
    rows = table(tmp_path / 'out')
    states = [monitor.observe(mean.scores, 0.0)
              for mean in means]
    assert [(row['risk'], row['reason'], row['detail']) for row in rows] == [
        (str(int(state.raised)), state.reason.value, state.detail) for state in states]
    assert len({row['reason'] for row in rows}) > 1, 'the sequence tests nothing'
    shares = json.loads((tmp_path / 'out/summary.json').read_text())['risk_share']
    for reason in {row['reason'] for row in rows}:
        count = sum(row['reason'] == reason for row in rows)
        assert shares[reason] == pytest.approx(count / 12)
    flags = [state.raised for state in states]
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert summary['judged'] == 'stream'
    assert summary['raises'] == sum(b > a for a, b in zip(flags, flags[1:]))
    assert summary['raises_per_minute'] == pytest.approx(summary['raises'] / (1.2 / 60))


@pytest.mark.slow
def test_stills_are_each_judged_by_themselves_a_good_one_is_clear(tmp_path, checkpoint, capsys):
    paths = write_images(tmp_path / 'in', 8)
    predictor = Predictor.load(checkpoint, 'cpu')
    entropies = [predictor(scene(index)).scores['segmentation_entropy'] for index in range(8)]
    limit = float(np.median(entropies))
    options = ('--risk-threshold-segmentation', str(limit), '--risk-threshold-depth', '900',
               '--raise-after', '3', '--fx', '90')
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, *options) == 0
    found = [(row['risk'], row['reason']) for row in table(tmp_path / 'out')]
    assert found == [('1', 'uncertain') if value > limit else ('0', 'none')
                     for value in entropies]
    assert 0 < sum(value > limit for value in entropies) < 8
    said = capsys.readouterr().out
    assert '% of the images, each judged by itself' in said and 'went up' not in said
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert (summary['judged'], summary['raises_per_minute']) == ('each', None)
    good = paths[int(np.argmin(entropies))]
    assert emu_run(good, tmp_path / 'one', checkpoint, *options) == 0
    (row,) = table(tmp_path / 'one')
    assert (row['risk'], row['reason'], row['detail']) == ('0', 'none', 'certain')


def test_scores_are_of_the_region_that_is_asked_for(tmp_path, checkpoint, capsys):
    path = write_images(tmp_path / 'in', 1)[0]
    region = ('--risk-region', '0.5', '1', '0', '1')
    assert emu_run(path, tmp_path / 'out', checkpoint, *region) == 0
    (row,) = table(tmp_path / 'out')
    expected = Predictor.load(checkpoint, 'cpu')(
        scene(0), score_region=Region(0.5, 1.0, 0.0, 1.0)).scores['segmentation_entropy']
    assert float(row['mean_entropy_nat']) == pytest.approx(expected, abs=1e-6)
    assert emu_run(path, tmp_path / 'no', checkpoint, '--risk-region', '1', '0.5', '0', '1') == 1
    assert 'risk_region is 1, 0.5, 0, 1: give top' in capsys.readouterr().err
    assert not (tmp_path / 'no').exists()


def test_thresholds_are_the_checkpoints_by_default(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 1)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint) == 0
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert (summary['threshold_entropy_nat'], summary['threshold_sigma_m']) == (0.9, 0.4)


def test_one_image_makes_a_panel(tmp_path, checkpoint):
    path = write_images(tmp_path / 'in', 1, '.jpg')[0]
    assert emu_run(path, tmp_path / 'out', checkpoint, '--video') == 0
    assert not (tmp_path / 'out/video.mp4').exists(), 'a video of one frame'
    panel = cv2.imread(str(tmp_path / 'out/panels/000000_frame_8.png'))
    assert panel.shape == (2 * (360 + 26), 3 * 480, 3)
    banner = panel[30, 960 - 10]  # The right end of the strip across the labels, bgr.
    assert banner[2] > 150 > banner[1], 'this image is uncertain: red'


def test_an_image_of_the_longest_name_there_is_gets_its_files(tmp_path, checkpoint):
    path, = write_images(tmp_path / 'in', 1)
    path.rename(path.with_name('ä' * 125 + '.png'))
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--maps', '--fx', str(FX)) == 0
    for folder, suffix in (('maps', '.npz'), ('panels', '.png')):
        found, = (tmp_path / 'out' / folder).iterdir()
        assert found.name.startswith('000000_ää') and found.suffix == suffix
    assert table(tmp_path / 'out')[0]['source'] == 'ä' * 125 + '.png'


def test_a_video_gives_a_row_a_frame_and_an_mp4_of_its_rate(tmp_path, checkpoint):
    path = write_video(tmp_path / 'in.mp4', 7, 25.0)
    assert emu_run(path, tmp_path / 'out', checkpoint, '--video', '--panels', '2') == 0
    rows = table(tmp_path / 'out')
    assert [row['source'] for row in rows] == [f'{index:06d}' for index in range(7)]
    assert [float(row['stamp_s']) for row in rows] == pytest.approx(
        [index / 25 for index in range(7)], abs=1e-3)
    result = Video(tmp_path / 'out/video.mp4', 1.0)
    assert result.rate_hz == 25.0
    frames = [image.read() for image in result.images()]
    assert len(frames) == 7 and frames[0].shape == (772, 1440, 3)
    assert len(list((tmp_path / 'out/panels').iterdir())) == 2
    first = next(Video(path, 1.0).images()).read()
    expected = Predictor.load(checkpoint, 'cpu')(first)
    assert float(rows[0]['mean_entropy_nat']) == pytest.approx(
        expected.scores['segmentation_entropy'], abs=LAST_DIGIT)


def test_a_connected_camera_is_run_until_it_gives_nothing(tmp_path, checkpoint, monkeypatch):
    frames = iter(range(3))
    camera = SimpleNamespace(
        isOpened=lambda: True, get=lambda _: 0.0, release=lambda: None,
        grab=lambda: next(frames, None) is not None, retrieve=lambda: (True, scene(0)))
    monkeypatch.setattr('emu_perception.cameras.video.cv2.VideoCapture', lambda device: camera)
    assert emu_run(Path('/dev/null'), tmp_path / 'out', checkpoint, '--fx', '90') == 0
    rows = table(tmp_path / 'out')
    assert [row['source'] for row in rows] == ['000000', '000001', '000002']
    assert all(float(row['stamp_s']) > 1e9 for row in rows), "this machine's clock"


def test_every_start_and_end_choose_images(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 12)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--video', '--every', '3',
                   '--start', '0.2', '--end', '1.0', '--rate', '10') == 0
    assert [row['source'] for row in table(tmp_path / 'out')] == [
        'frame_10.png', 'frame_13.png', 'frame_16.png']
    # The video keeps the pace of the input.
    assert Video(tmp_path / 'out/video.mp4', 1.0).rate_hz == pytest.approx(10 / 3, rel=1e-3)


def test_left_out_frames_make_nothing_stale(tmp_path, checkpoint):
    path = write_video(tmp_path / 'in.mp4', 12, 5.0)
    assert emu_run(path, tmp_path / 'out', checkpoint, '--every', '6', '--hfov', '60') == 0
    assert {row['reason'] for row in table(tmp_path / 'out')} <= {'no_image', 'uncertain'}


def test_an_unreadable_image_is_a_row_a_warning_and_a_raised_flag(tmp_path, checkpoint, capsys):
    paths = write_images(tmp_path / 'in', 3)
    paths[1].write_bytes(paths[1].read_bytes()[:300])
    (tmp_path / 'in/frame_99.jpg').write_text('no image')
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--risk-threshold-segmentation',
                   '9', '--risk-threshold-depth', '900', '--judge', 'stream',
                   '--fx', str(FX)) == 0
    rows = table(tmp_path / 'out')
    assert [row['reason'] == 'unusable_input' for row in rows] == [False, True, True, True]
    assert 'truncated' in rows[1]['detail'] and rows[1]['mean_entropy_nat'] == ''
    assert 'no image that OpenCV' in rows[3]['detail'] and rows[1]['risk'] == '1'
    captured = capsys.readouterr()
    assert captured.err.count('warning: frame_9.png') == 1 and 'frame_99' not in captured.err
    assert '4 images, 2 of them unusable' in captured.out
    named = [line for line in captured.out.splitlines() if line.startswith('unusable: ')]
    assert [line.split(': ')[1] for line in named] == ['frame_9.png', 'frame_99.jpg']
    assert 'truncated' in named[0] and 'no image that OpenCV' in named[1]


def test_a_folder_of_bad_files_ends_in_a_few_lines_that_name_the_first(tmp_path, checkpoint,
                                                                       capsys):
    paths = write_images(tmp_path / 'in', 10)
    for index, path in enumerate(paths[1:]):
        path.write_bytes(path.read_bytes()[:100 + 9 * (index // 2)])
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--panels', 'none',
                   '--fx', str(FX)) == 0
    named = [line for line in capsys.readouterr().out.splitlines()
             if line.startswith('unusable: ')]
    assert named[0].startswith('unusable: frame_9.png and 1 more: compressed image of 100 bytes')
    assert len(named) == 4 and named[-1] == 'unusable: 3 more: see frames.csv'


def test_two_views_in_turn_of_a_stream_are_warned_of_once(tmp_path, checkpoint, capsys):
    messages = recording(24)
    for index, (topic, message, _) in enumerate(messages):
        if topic == IMAGE:
            rgb = np.kron(scene(index // 2 % 2, 8, 6), np.ones((16, 16, 1), np.uint8))
            message.data = np.ascontiguousarray(rgb).ravel()
    bag = write_bag(tmp_path / 'bag', messages)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--panels', 'none') == 0
    assert capsys.readouterr().err.count('between two views') == 1
    assert 'unusable_input' not in {row['reason'] for row in table(tmp_path / 'out')}


def test_two_cameras_in_one_topic_raise_the_flag_as_in_the_node_and_are_said_once(
        tmp_path, checkpoint, capsys):
    messages = recording(8)
    for index, (topic, message, _) in enumerate(messages):
        if topic == IMAGE and index >= 8:  # From the fifth on in turn.
            message.header.frame_id = f'eye{index // 2 % 2}'
    bag = write_bag(tmp_path / 'bag', messages)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--panels', 'none') == 0
    rows = table(tmp_path / 'out')
    assert [row['reason'] == 'unusable_input' for row in rows] == [False] * 4 + [True] * 4
    assert all('do two cameras send there?' in row['detail'] for row in rows[4:])
    captured = capsys.readouterr()
    assert captured.err.count('do two cameras') == 1
    assert 'unusable: ' in captured.out and "the one before of 'eye" in captured.out


def test_a_calibration_scales_depth_and_one_of_another_size_does_not(tmp_path, checkpoint, capsys):
    write_images(tmp_path / 'in/image', 2)
    (tmp_path / 'in/dataset.yaml').write_text(
        f'intrinsics: {{width: {WIDTH}, height: {HEIGHT}, fx: {FX}, fy: 91, cx: 60, cy: 50}}')
    large = cv2.cvtColor(scene(5, 2 * WIDTH, 2 * HEIGHT), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / 'in/image/frame_99.png'), large)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--maps') == 0
    assert [row['fx_px'] for row in table(tmp_path / 'out')] == [f'{FX:.6f}', f'{FX:.6f}', '']
    captured = capsys.readouterr()
    assert 'frame_99.png: its calibration is for 128x96, the image is 256x192' in captured.err
    assert 'depth is to scale in 2 of 3 images' in captured.out
    expected = Predictor.load(checkpoint, 'cpu')(scene(0), fx=FX)
    with np.load(tmp_path / 'out/maps/000000_frame_8.npz') as maps:
        np.testing.assert_array_equal(maps['depth'], expected.depth)


def test_a_calibration_beside_an_image_is_that_images(tmp_path, checkpoint, capsys):
    write_images(tmp_path / 'in', 3)
    write_calibration(tmp_path / 'in/frame_9.yaml', pinhole_info(WIDTH, HEIGHT, 95.0))
    (tmp_path / 'in/frame_10.yaml').write_text('image_width: 3')
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint) == 0
    assert [row['fx_px'] for row in table(tmp_path / 'out')] == ['', '95.000000', '']
    assert "frame_10.yaml: field 'image_height' is missing" in capsys.readouterr().err


def test_a_ros_calibration_file_gives_the_focal_length(tmp_path, checkpoint):
    path = write_images(tmp_path / 'in', 1)[0]
    matrix = '{{rows: 3, cols: 3, data: [{}]}}'
    (tmp_path / 'camera.yaml').write_text('\n'.join([
        f'image_width: {WIDTH}', f'image_height: {HEIGHT}',
        'camera_matrix: ' + matrix.format('95, 0, 60, 0, 95, 50, 0, 0, 1'),
        'distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}',
        'rectification_matrix: ' + matrix.format('1, 0, 0, 0, 1, 0, 0, 0, 1'),
        'projection_matrix: ' + matrix.format('93, 0, 60, 0, 0, 93, 50, 0, 0, 0, 1, 0')]))
    assert emu_run(path, tmp_path / 'out', checkpoint, '--camera-info',
                   str(tmp_path / 'camera.yaml')) == 0
    assert float(table(tmp_path / 'out')[0]['fx_px']) == 93, 'P is of the rectified image'


def test_maps_at_the_networks_size_and_unknown_pixels(tmp_path, checkpoint):
    path = tmp_path / 'large.png'
    cv2.imwrite(str(path), cv2.cvtColor(scene(1, 320, 240), cv2.COLOR_RGB2BGR))
    predictor = Predictor.load(checkpoint, 'cpu')
    expected = predictor(scene(1, 320, 240), size=(96, 128))
    limit = float(np.median(expected.depth_sigma))
    assert emu_run(path, tmp_path / 'out', checkpoint, '--maps', '--output-size', 'network',
                   '--unknown-depth-sigma', str(limit)) == 0
    with np.load(tmp_path / 'out/maps/000000_large.npz') as maps:
        assert maps['depth'].shape == (96, 128)
        unknown = (expected.depth_sigma > limit) | np.isnan(expected.depth)
        np.testing.assert_array_equal(np.isnan(maps['depth']), unknown)
    share = float(table(tmp_path / 'out')[0]['unknown_depth_share'])
    assert share == pytest.approx(unknown.mean(), abs=LAST_DIGIT) and .45 < share < .65


@pytest.mark.parametrize('task', ['segmentation', 'depth'])
def test_a_single_task_leaves_the_other_out(tmp_path, task):
    network = make_network(tasks=(task,))
    save_checkpoint(tmp_path / 'model.safetensors', network, make_metadata(network))
    write_images(tmp_path / 'in', 2)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', tmp_path / 'model.safetensors', '--maps',
                   '--mcap', '--video') == 0
    row = table(tmp_path / 'out')[0]
    assert bool(row['mean_entropy_nat']) == (task == 'segmentation')
    assert bool(row['mean_sigma_m']) == bool(row['unknown_depth_share']) == (task == 'depth')


@pytest.mark.slow
def test_panels_are_as_many_as_asked_and_spread(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 10)
    for option, count in (('4', 4), ('all', 10), ('none', 0)):
        assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--panels', option,
                       '--force') == 0
        names = sorted(path.name for path in (tmp_path / 'out').glob('panels/*'))
        assert len(names) == count
        assert option != '4' or names[-1] > '000005'
