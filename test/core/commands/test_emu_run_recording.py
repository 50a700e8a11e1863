# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Bags go in, an MCAP with the node's topics comes out and reads back by its own definitions."""

from __future__ import annotations

from dataclasses import replace
import json
import re

from core_bench import make_metadata, make_network
from emu_perception.checkpoint import load_checkpoint, save_checkpoint
from emu_perception.cloud_layout import POINT
from emu_perception.commands.recorded_topics import NAMES, RecordedTopics
from emu_perception.label_names import label_names
from emu_perception.maps import MAPS as MAPS_OF_TABLE
from emu_perception.outputs import EPISTEMIC
from emu_perception.predictor import Predictor
from emu_perception.scores import scores_of
from emu_perception.topics import topics_of
import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin
from run_bench import (
    emu_run,
    FX,
    header,
    HEIGHT,
    IMAGE,
    INFO,
    MAKE,
    pixels,
    read_bag,
    recording,
    scene,
    stamp_ns,
    table,
    WIDTH,
    write_bag,
    write_images,
)

MAPS = {'label': 'mono8', 'label_color': 'rgb8', 'overlay': 'rgb8', 'confidence': 'mono8',
        'depth/image': '32FC1', 'segmentation_uncertainty': '32FC1',
        'depth_uncertainty': '32FC1', 'segmentation_uncertainty_color': 'rgb8',
        'depth_uncertainty_color': 'rgb8'}
# No statistics are fitted in the checkpoint.
JUDGED = scores_of(('segmentation', 'depth'))
OTHERS = {'camera_info', 'depth/camera_info', 'risk', 'risk_status',
          *(row.topic for row in JUDGED)}


@pytest.mark.slow
@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize('compressed', [False, True])
def test_a_bag_becomes_the_nodes_topics_with_its_stamps(tmp_path, checkpoint, plugin, compressed):
    bag = write_bag(tmp_path / 'bag', recording(4, compressed=compressed), plugin)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--mcap') == 0
    found = read_bag(tmp_path / 'out/recording')
    topic = f'{IMAGE}/compressed' if compressed else IMAGE
    assert set(found) == {topic, INFO} | {f'/emu/{name}' for name in (*MAPS, *OTHERS)}
    predictor = Predictor.load(checkpoint, 'cpu')
    source = read_bag(bag)
    for index in range(4):
        at = header(index)
        expected = predictor(scene(index), fx=FX + index)
        values = {'label': expected.label, 'depth/image': expected.depth,
                  'segmentation_uncertainty': expected.segmentation_entropy,
                  'depth_uncertainty': expected.depth_sigma,
                  'confidence': np.rint(expected.confidence * 255)}
        for name, encoding in MAPS.items():
            time_ns, message = found[f'/emu/{name}'][index]
            assert time_ns == stamp_ns(message) == at.stamp_ns, name
            assert message.header.frame_id == at.frame_id and message.encoding == encoding
            if name in values:
                np.testing.assert_array_equal(pixels(message), values[name], name)
        for name in ('camera_info', 'depth/camera_info'):
            message = found[f'/emu/{name}'][index][1]
            assert message.k[0] == FX + index, 'camera_info of another image'
            assert (message.width, message.height) == (WIDTH, HEIGHT)
            assert stamp_ns(message) == at.stamp_ns
        np.testing.assert_array_equal(found[topic][index][1].data, source[topic][index][1].data)
        for row in JUDGED:
            message = found[f'/emu/{row.topic}'][index][1]
            assert message.data == np.float32(expected.scores[row.name])
    rows = table(tmp_path / 'out')
    assert [str(int(message.data)) for _, message in found['/emu/risk']] == [
        row['risk'] for row in rows]
    for (_, message), row in zip(found['/emu/risk_status'], rows):
        fields = {entry.key: entry.value for entry in message.status[0].values}
        assert fields['reason'] == row['reason'] and fields['threshold_depth_m'] == '0.4'
        assert message.status[0].name == 'emu: risk'
    assert [float(row['fx_px']) for row in rows] == [FX + index for index in range(4)]
    assert rows[1]['stamp_s'] == '1700000000.100000123'


def test_every_type_is_defined_inside_and_the_flag_is_latched(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 2)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--mcap', '--fx', '90') == 0
    with Reader(tmp_path / 'out/recording') as reader:
        assert reader.message_count == 2 * (len(MAPS) + len(OTHERS) + 2)
        for connection in reader.connections:
            assert connection.msgdef.data and connection.digest.startswith('RIHS01_')
            durability = connection.ext.offered_qos_profiles[0].durability.name
            latched = connection.topic == '/emu/risk'
            assert durability == ('TRANSIENT_LOCAL' if latched else 'VOLATILE')
    data = (tmp_path / 'out/recording/recording.mcap').read_bytes()
    assert data.startswith(b'\x89MCAP0\r\n') and data.endswith(b'\x89MCAP0\r\n')


@pytest.mark.slow
def test_topics_are_chosen_and_the_size_of_an_image_is_said_before_and_after(
        tmp_path, checkpoint, capsys):
    write_images(tmp_path / 'in', 3)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--fx', '90', '--mcap',
                   '--topics', 'points', 'depth/image', 'label_info') == 0
    found = read_bag(tmp_path / 'out/recording')
    assert set(found) == {f'/emu/{name}' for name in (
        'points', 'depth/image', 'label_info', 'risk', 'risk_status',
        *(row.topic for row in JUDGED))}
    (_, names), = found['/emu/label_info']
    metadata = load_checkpoint(checkpoint)[1]
    assert [(one.class_id, one.class_name) for one in names.class_map] == label_names(
        metadata.classes)
    expected = Predictor.load(checkpoint, 'cpu')(scene(1), fx=90.0)
    cloud = found['/emu/points'][1][1]
    assert (cloud.width, cloud.height, cloud.point_step) == (WIDTH, HEIGHT, POINT.itemsize)
    points = cloud.data.view(POINT).reshape(HEIGHT, WIDTH)
    depth = np.where(np.isfinite(expected.depth), expected.depth, np.nan)
    np.testing.assert_array_equal(points['z'], depth)
    np.testing.assert_array_equal(points['label'], expected.label)
    np.testing.assert_array_equal(points['sigma'], expected.depth_sigma)
    np.testing.assert_array_equal(points['rgb'] >> 16, scene(1)[..., 0])
    x = (np.arange(WIDTH) - (WIDTH - 1) / 2) / 90.0
    np.testing.assert_allclose(points['x'], depth * x, rtol=1e-6, atol=1e-12)
    said = capsys.readouterr()
    # Of each pixel 24 bytes of its point and 4 of its depth, and some of the headers.
    least = WIDTH * HEIGHT * 28
    each = float(re.search(r'recording: ([\d.]+) MB an image', said.err)[1])
    assert least <= each * 1e6 + 5e3 and each * 1e6 < least + 12e3
    assert re.search(r'\(/emu/points 0\.\d\d, .* up to 1 MB for 3 images, of [\d.]+ GB free',
                     said.err)
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    size = sum(path.stat().st_size for path in (tmp_path / 'out/recording').iterdir())
    assert summary['recording_mb'] == size / 3 / 1e6
    assert f"the recording has {summary['recording_mb']:.2f} MB an image" in said.out
    # For programs: a key with a number of frames in it is not found.
    assert [*summary['files']] == ['panels', 'recording', 'table'] and 'words' not in summary
    assert summary['files']['recording'] == str(tmp_path / 'out/recording')


@pytest.mark.parametrize('words, advice', [
    (['--topics', 'label', '--no-mcap'], '--no-mcap leaves out'),
    (['--mcap', '--topics', 'instance'], '--topics instance: there is none of a network of '),
    (['--mcap', '--topics', 'depth/source'], 'without --depth-hint')])
def test_topics_that_there_cannot_be_are_refused_before_anything_is_written(
        tmp_path, checkpoint, capsys, words, advice):
    write_images(tmp_path / 'in', 1)
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--fx', '90', *words) == 1
    said = capsys.readouterr().err
    assert advice in said and not (tmp_path / 'out').exists()


def test_all_topics_are_those_of_the_node_but_for_the_planners():
    for hinted in (False, True):
        everything = RecordedTopics.of(['all'], ('segmentation', 'depth'), hinted=hinted)
        assert everything.maps == topics_of(('segmentation', 'depth'), hinted=hinted)
        assert everything.input and everything.label_info
    tasks, promises = ('segmentation', 'depth', 'instance', *EPISTEMIC.values()), [
        name for name, row in MAPS_OF_TABLE.items() if row.made]
    assert set(NAMES) - {'all', 'input', 'label_info'} == {
        topic.name for hinted in (False, True)
        for topic in topics_of(tasks, hinted=hinted, promises=promises)}
    everything = RecordedTopics.of(['all'], tasks, hinted=False, promises=promises)
    assert set(everything.promised) == {*promises}
    default = RecordedTopics.of((), ('depth',), hinted=False, promises=promises)
    assert 'points' not in {topic.name for topic in default.maps} and default.input
    assert not default.promised, 'what is not asked for is not made'


@pytest.mark.slow
def test_the_results_of_files_can_be_run_again_and_give_the_same(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 3)
    assert emu_run(tmp_path / 'in', tmp_path / 'one', checkpoint, '--mcap', '--fx', '90') == 0
    assert emu_run(tmp_path / 'one/recording/recording.mcap', tmp_path / 'two', checkpoint,
                   '--mcap', '--image-topic', '/camera/image/compressed') == 0
    one, two = (table(tmp_path / name) for name in ('one', 'two'))
    for first, second in zip(one, two, strict=True):
        for column in ('stamp_s', 'mean_entropy_nat', 'mean_sigma_m', 'risk', 'fx_px'):
            assert first[column] == second[column]
    assert {topic: len(messages) for topic, messages in read_bag(
        tmp_path / 'one/recording').items()} == {
        topic: len(messages) for topic, messages in read_bag(tmp_path / 'two/recording').items()}


def test_without_camera_info_there_is_none_and_it_is_said(tmp_path, checkpoint, capsys):
    bag = write_bag(tmp_path / 'bag', recording(2, info=False))
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--mcap') == 0
    found = read_bag(tmp_path / 'out/recording')
    assert not {topic for topic in found if 'info' in topic}
    assert not {topic for topic in found if '/emu/depth' in topic or 'mean_depth' in topic}
    assert len(found['/emu/label']) == len(found['/emu/mean_segmentation_uncertainty']) == 2
    assert all(message.data for _, message in found['/emu/risk'])
    assert {row['reason'] for row in table(tmp_path / 'out')} == {'no_calibration'}
    assert 'mean_depth_uncertainty_m' in {entry.key for entry in found[
        '/emu/risk_status'][0][1].status[0].values if entry.value == 'n/a'}
    captured = capsys.readouterr()
    assert captured.err.count("no camera_info at '/cam/camera_info' (--camera-info-topic)") == 1
    assert captured.err.count('warning: ') == captured.err.count('--hfov') == 1
    assert 'depth is to scale in 0 of 2 images' in captured.out
    assert '--hfov' not in captured.out


@pytest.mark.slow
def test_a_checkpoint_of_an_unknown_camera_records_no_metres_and_raises(
        tmp_path, checkpoint, capsys):
    network, metadata = load_checkpoint(checkpoint)
    lost = tmp_path / 'lost.safetensors'
    save_checkpoint(lost, network, replace(metadata, intrinsics=None))
    bag = write_bag(tmp_path / 'bag', recording(2))
    assert emu_run(bag, tmp_path / 'out', lost, '--mcap') == 0
    found = read_bag(tmp_path / 'out/recording')
    assert not {topic for topic in found if '/emu/depth' in topic or 'mean_depth' in topic}
    assert len(found['/emu/label']) == 2 and all(flag.data for _, flag in found['/emu/risk'])
    assert {row['reason'] for row in table(tmp_path / 'out')} == {'no_calibration'}
    captured = capsys.readouterr()
    assert 'depth is to scale in 0 of 2 images' in captured.out
    assert captured.err.count('the checkpoint holds no training intrinsics') == 1


@pytest.mark.slow
def test_a_field_of_view_serves_where_there_is_no_calibration(tmp_path, checkpoint, capsys):
    bag = write_bag(tmp_path / 'bag', recording(4, info=False))
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--mcap', '--hfov', '90',
                   '--risk-threshold-segmentation', '9', '--risk-threshold-depth', '900') == 0
    rows, found = table(tmp_path / 'out'), read_bag(tmp_path / 'out/recording')
    assert [float(row['fx_px']) for row in rows] == [pytest.approx(WIDTH / 2)] * 4
    assert rows[-1]['reason'] == 'none' and len(found['/emu/depth/image']) == 4
    assert capsys.readouterr().err.count('--hfov 90 is used') == 1
    bag = write_bag(tmp_path / 'bag2', recording(1))
    assert emu_run(bag, tmp_path / 'out2', checkpoint, '--hfov', '90') == 0
    assert float(table(tmp_path / 'out2')[0]['fx_px']) == FX, 'a calibration goes before it'


def test_a_missing_focal_length_is_said_once_with_what_to_give(tmp_path, checkpoint, capsys):
    """The network said it once more, without a remedy."""
    bag = write_bag(tmp_path / 'bag', recording(3, info=False))
    assert emu_run(bag, tmp_path / 'out', checkpoint) == 0
    line, = [line for line in capsys.readouterr().err.splitlines() if 'NOT scaled' in line]
    assert 'give --fx, --camera-info or --hfov' in line


def test_a_network_without_depth_needs_no_focal_length(tmp_path, capsys):
    network = make_network(tasks=('segmentation',))
    save_checkpoint(tmp_path / 'model.safetensors', network, make_metadata(network))
    bag = write_bag(tmp_path / 'bag', recording(4, info=False))
    assert emu_run(bag, tmp_path / 'out', tmp_path / 'model.safetensors',
                   '--risk-threshold-segmentation', '9') == 0
    assert table(tmp_path / 'out')[-1]['reason'] == 'none'
    assert 'NOT scaled' not in capsys.readouterr().err


@pytest.mark.parametrize(('change', 'fx', 'words'), [
    ({'k': (4 * FX, 0, 256, 0, 4 * FX, 192, 0, 0, 1)}, '', 'another resolution'),
    ({'k': (1, 0, 0, 0, 1, 0, 0, 0, 1)}, f'{FX:.6f}', 'the identity for K'),
    ({'width': 4 * WIDTH, 'height': 4 * HEIGHT, 'binning_x': 4, 'binning_y': 4}, f'{FX:.6f}',
     'says binning 4x4'),
    ({'p': (4 * FX, 0, 256, 0, 0, 4 * FX, 192, 0, 0, 0, 1, 0)}, f'{FX:.6f}',
     f'fx {FX:g} in K and {4 * FX:g} in P'),
])
def test_a_camera_info_is_judged_as_the_node_judges_it(
        tmp_path, checkpoint, capsys, change, fx, words):
    messages = recording(1)
    for name, value in change.items():
        setattr(messages[1][1], name, np.array(value, float) if name in 'kp' else value)
    assert emu_run(write_bag(tmp_path / 'bag', messages), tmp_path / 'out', checkpoint) == 0
    assert table(tmp_path / 'out')[0]['fx_px'] == fx
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_gap_in_a_recording_goes_stale_when_the_node_would_have(tmp_path, checkpoint):
    calm = ('--mcap', '--risk-threshold-segmentation', '9', '--risk-threshold-depth', '900',
            '--clear-after', '1')
    messages = [entry for index, entry in enumerate(recording(60)) if not 20 <= index < 80]
    bag = write_bag(tmp_path / 'bag', messages)
    assert emu_run(bag, tmp_path / 'out', checkpoint, *calm) == 0
    found = read_bag(tmp_path / 'out/recording')
    stale_ns = header(9).stamp_ns + 10**9
    assert [(time_ns, message.data) for time_ns, message in found['/emu/risk']][9:12] == [
        (header(9).stamp_ns, False), (stale_ns, True), (header(40).stamp_ns, False)]
    status = next(message.status[0] for time_ns, message in found['/emu/risk_status']
                  if time_ns == stale_ns)
    assert status.level == 2 and 'no image for 3.1 s' in status.message
    shares = json.loads((tmp_path / 'out/summary.json').read_text())['risk_share']
    assert shares == pytest.approx({'none': 3.9 / 6, 'stale': 2.1 / 6})


def test_a_damaged_message_is_a_row_and_the_rest_goes_on(tmp_path, checkpoint):
    messages = recording(3)
    messages[2][1].data = messages[2][1].data[:99]
    assert emu_run(write_bag(tmp_path / 'bag', messages), tmp_path / 'out', checkpoint,
                   '--mcap') == 0
    rows = table(tmp_path / 'out')
    assert 'truncated: 99 bytes' in rows[1]['detail'] and rows[2]['mean_entropy_nat']
    found = read_bag(tmp_path / 'out/recording')
    assert len(found['/emu/label']) == 2 and len(found['/emu/risk']) == 3


def test_depth_topics_are_not_taken_for_the_camera(tmp_path, checkpoint):
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    more = [('/cam/depth/image', MAKE.image(depth, '32FC1', header(0)), header(0).stamp_ns)]
    both = recording(2) + recording(2, compressed=True, info=False)
    assert emu_run(write_bag(tmp_path / 'bag', more + both), tmp_path / 'out', checkpoint) == 0
    assert len(table(tmp_path / 'out')) == 2


def test_a_stamp_that_was_not_set_is_the_time_of_recording(tmp_path, checkpoint):
    message = MAKE.image(scene(0), 'rgb8', header(0))
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    bag = write_bag(tmp_path / 'bag', [(IMAGE, message, 7_000_000_005)])
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--mcap') == 0
    assert table(tmp_path / 'out')[0]['stamp_s'] == '7.000000005'


def test_a_clock_that_jumps_back_loses_no_image(tmp_path, checkpoint):
    messages = recording(6, info=False)
    bag = write_bag(tmp_path / 'bag', [
        (topic, message, index) for index, (topic, message, _) in enumerate(
            messages[3:] + messages[:3])])
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--mcap') == 0
    assert [row['stamp_s'][9:12] for row in table(tmp_path / 'out')] == [
        '0.3', '0.4', '0.5', '0.0', '0.1', '0.2']
    found = read_bag(tmp_path / 'out/recording')
    assert len(found['/emu/label']) == 6
