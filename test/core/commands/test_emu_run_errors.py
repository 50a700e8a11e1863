# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong ends in one line that says what to do, and in files that can be opened."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import signal
import subprocess
import sys
import time

from emu_perception.cameras.video import Video
from emu_perception.commands.arguments import parse
import numpy as np
import pytest
from run_bench import (
    emu_run,
    header,
    IMAGE,
    INFO,
    MAKE,
    read_bag,
    recording,
    table,
    write_bag,
    write_images,
    write_video,
)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Return a folder with an input of each kind, good and bad."""
    write_images(tmp_path / 'images', 2)
    write_bag(tmp_path / 'bag', recording(2))
    depth = MAKE.image(np.ones((96, 128), np.uint16), '16UC1', header(0))
    write_bag(tmp_path / 'depth_bag', [('/cam/depth', depth, 5), *recording(1)[1:]])
    second = [('/left/image', message, time) for _, message, time in recording(1)[:1]]
    write_bag(tmp_path / 'two_bag', recording(1) + second)
    write_bag(tmp_path / 'no_metadata', recording(1))
    (tmp_path / 'no_metadata/metadata.yaml').unlink()
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken.mp4').write_bytes(b'no video at all')
    (tmp_path / 'one.bag').touch()
    broken = tmp_path / 'all_broken'
    broken.mkdir()
    (broken / 'a.png').write_text('no image')
    (tmp_path / 'wrong.yaml').write_text('image_width: 3')
    (tmp_path / 'other.yaml').write_text(
        'intrinsics: {width: 64, height: 48, fx: 50, fy: 50, cx: 30, cy: 20}')
    (tmp_path / 'larger.yaml').write_text(
        'intrinsics: {width: 128, height: 96, fx: 360, fy: 360, cx: 256, cy: 192}')
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(('source', 'options', 'words'), [
    ('nowhere', (), ('nowhere', 'no such file or folder')),
    ('empty', (), ('empty', 'holds no image', '.png', 'metadata.yaml')),
    ('broken.mp4', (), ('broken.mp4', 'cannot be opened', 'video')),
    ('one.bag', (), ('one.bag', 'ROS 1 bag', 'rosbags-convert')),
    ('no_metadata', (), ('no_metadata', 'ros2 bag reindex')),
    ('depth_bag', (), ('no topic with colour or mono images', '/cam/depth (sensor_msgs/msg/Image',
                       f'{INFO} (sensor_msgs/msg/CameraInfo')),
    ('depth_bag', ('--image-topic', '/cam/depth'), ('/cam/depth', 'looks like a depth topic')),
    ('two_bag', (), ('--image-topic', IMAGE, '/left/image')),
    ('bag', ('--image-topic', '/nothing'), ("no topic '/nothing'", IMAGE, INFO)),
    ('bag', ('--image-topic', INFO), (INFO, 'CameraInfo', 'sensor_msgs/msg/Image')),
    ('bag', ('--camera-info-topic', '/nothing'), ("no topic '/nothing'",)),
    ('images', ('--image-topic', IMAGE), ('--image-topic', 'ROS 2 bag')),
    ('images', ('--model', '/no/model.safetensors'), ('/no/model.safetensors', 'no such')),
    ('images', ('--device', 'gpu7'), ('gpu7', 'cuda:N')),
    ('images', ('--precision', 'int2'), ('int2', 'fp32')),
    ('images', ('--backend', 'abacus'), ('abacus', 'eager')),
    ('images', ('--camera-info', '{}/wrong.yaml'), ('wrong.yaml', 'image_height', 'missing')),
    ('images', ('--camera-info', '{}/none.yaml'), ('none.yaml', 'no such file')),
    ('images', ('--camera-info', '{}/other.yaml'), ('--camera-info', '64x48', '128x96')),
    ('images', ('--camera-info', '{}/larger.yaml'), ('--camera-info', 'cx 256', '512x384')),
    ('images', ('--fx', '4'), ('--fx', 'fx 4', 'field of view')),
    ('images', ('--start', '99'), ('no image was taken', '--start')),
    ('images', ('--out', '{}/wrong.yaml'), ('wrong.yaml', 'is a file')),
    ('images', ('--out', '{}/bag'), ('/bag', 'not empty', '--force')),
    ('images', ('--out', '{}/images', '--force'), ('/images', 'input is read from')),
    ('bag', ('--out', '{}/bag/new'), ('--out', '/bag/new', 'in the folder of the recording')),
    ('images', ('--out', '{}/wrong.yaml/new'), ('wrong.yaml is a file, not a folder',)),
    ('images', ('--out', '/proc/emu'), ('/proc/emu', 'cannot be written')),
    ('all_broken', (), ('none of 1 images could be used', 'frames.csv')),
])
def test_bad_input_is_one_line(inputs, checkpoint, capsys, source, options, words):
    options = tuple(option.format(inputs) for option in options)
    assert emu_run(inputs / source, inputs / 'out', checkpoint, *options) == 1
    captured = capsys.readouterr()
    line = captured.err.splitlines()[-1]
    assert line.startswith('emu_run: ') and 'Traceback' not in captured.err
    assert 'risk raised 0.0 %' not in captured.out
    for word in words:
        assert word in line, line


def test_a_calibration_that_no_image_can_have_is_refused_before_anything_is_written(
        inputs, checkpoint, capsys):
    assert emu_run(inputs / 'images', inputs / 'out', checkpoint, '--camera-info',
                   str(inputs / 'larger.yaml')) == 1
    assert 'resolution' in capsys.readouterr().err and not (inputs / 'out').exists()


@pytest.mark.parametrize('option', [('--fx', '5'), ('--camera-info', '{}/larger.yaml')])
def test_what_is_refused_with_the_first_image_leaves_no_half_of_a_folder(
        inputs, checkpoint, capsys, option):
    option = [word.format(inputs) for word in option]
    for _ in range(2):  # The second time nothing is in the way.
        assert emu_run(inputs / 'images', inputs / 'out', checkpoint, *option) == 1
        assert option[0] in capsys.readouterr().err and not (inputs / 'out').exists()


def test_a_damaged_bag_is_one_line(inputs, checkpoint, capsys):
    path = inputs / 'bag/bag.mcap'
    path.write_bytes(path.read_bytes()[:3000])
    assert emu_run(inputs / 'bag', inputs / 'out', checkpoint) == 1
    assert 'cannot be read as a ROS 2 bag' in capsys.readouterr().err.splitlines()[-1]
    assert not (inputs / 'out').exists(), 'nothing is written before the input is known to be good'


@pytest.mark.parametrize('option', [
    ('--every', '0'), ('--fx', '-1'), ('--fx', 'nan'), ('--rate', '0'), ('--panels', 'some'),
    ('--clear-after', '0'), ('--fx', '90', '--camera-info', 'x.yaml')])
def test_a_wrong_option_ends_with_its_name(tmp_path, checkpoint, capsys, option):
    with pytest.raises(SystemExit) as end:
        emu_run(tmp_path, tmp_path / 'out', checkpoint, *option)
    assert end.value.code == 2 and option[-2] in capsys.readouterr().err.splitlines()[-1]


def test_force_replaces_our_results_and_leaves_other_files(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 3)
    every = ('--mcap', '--video', '--maps')
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, *every) == 0
    (tmp_path / 'out/note.txt').write_text('mine')
    assert emu_run(tmp_path / 'in', tmp_path / 'out', checkpoint, '--force', '--end', '0.05') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'frames.csv', 'note.txt', 'panels', 'summary.json']
    assert len(table(tmp_path / 'out')) == 1


@pytest.mark.parametrize(('where', 'option'), [
    ('recording', None), ('maps/deep', None), ('panels', '--depth-hint'),
    ('panels/a.safetensors', '--model'), ('maps/a.yaml', '--camera-info')])
def test_force_never_removes_what_the_run_reads(tmp_path, checkpoint, capsys, where, option):
    """The recording of an earlier run, read into its own folder, was gone before it was read."""
    out, images = tmp_path / 'out', tmp_path / 'images'
    write_images(images, 1)
    kept = out / where
    if kept.suffix:
        kept.parent.mkdir(parents=True)
        kept.write_bytes(checkpoint.read_bytes())
    else:
        write_images(kept, 1)
    before = sorted(out.rglob('*'))
    # A link to it is the same place.
    (tmp_path / 'link').symlink_to(out)
    place = str(tmp_path / 'link' / where)
    words = (images, out, checkpoint, option, place) if option else (place, out, checkpoint)
    assert emu_run(*words, '--force') == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f'--out {out}: {place}, which is read, is among the results' in line
    assert sorted(out.rglob('*')) == before



@pytest.mark.parametrize(('foreign', 'run_before'), [
    ('maps/floor.pgm', False), ('maps/floor.pgm', True), ('panels/mine.png', True),
    ('recording/recording_0.mcap', True), ('recording/recording.mcap', False),
    ('video.mp4', False), ('summary.json', False), ('frames.csv', False), ('maps', True),
    ('maps/000001_a.npz/deep', True)])
def test_force_removes_nothing_that_no_run_wrote(tmp_path, checkpoint, capsys, foreign,
                                                 run_before):
    """Nav2's maps/, and a robot's own recording/, were gone by their names alone."""
    write_images(tmp_path / 'in', 1)
    out = tmp_path / 'out'
    (out / foreign).parent.mkdir(parents=True)
    (out / foreign).write_text('mine')
    if run_before:
        (out / 'frames.csv').write_text('source,stamp_s\n')
    before = {path: path.read_bytes() for path in out.rglob('*') if path.is_file()}
    assert emu_run(tmp_path / 'in', out, checkpoint, '--force') == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f'--out {out}: {foreign.split("/")[0]}' in line and 'is of no run' in line
    assert {path: path.read_bytes() for path in out.rglob('*') if path.is_file()} == before


def test_force_replaces_what_a_run_that_was_killed_left(tmp_path, checkpoint):
    write_images(tmp_path / 'in', 1)
    out = tmp_path / 'out'
    (out / 'panels').mkdir(parents=True)
    for name in ('panels/000000_frame_8.png', 'panels/000001_frame.0a1b2c3d.partial',
                 'panels/.DS_Store', 'frames.csv'):
        (out / name).write_text('source,stamp_s\n')
    assert emu_run(tmp_path / 'in', out, checkpoint, '--force') == 0
    assert [path.name for path in (out / 'panels').iterdir()] == ['000000_frame_8.png']



def test_two_words_on_the_focal_length_are_refused(tmp_path, capsys):
    """--fx was taken and --hfov dropped, whatever each said."""
    with pytest.raises(SystemExit) as end:
        parse(['a.jpg', '--out', str(tmp_path / 'out'), '--fx', '400', '--hfov', '30'])
    line = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 2 and '--hfov' in line and '--fx' in line and 'give one' in line


def test_without_rosbags_images_work_and_bags_say_what_to_install(
        tmp_path, inputs, checkpoint, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr('emu_perception.commands.run.find_spec',
                        lambda name: None if name == 'rosbags' else find(name))
    for name in [name for name in sys.modules if name.split('.')[0] == 'rosbags']:
        monkeypatch.setitem(sys.modules, name, None)
    from emu_perception.commands.predict import main
    common = ['--model', str(checkpoint), '--device', 'cpu', '--no-progress', '--no-video']
    assert main([str(inputs / 'images'), '--out', str(tmp_path / 'a'), *common]) == 0
    assert 'no MCAP is written: pip install rosbags' in capsys.readouterr().err
    assert not (tmp_path / 'a/recording').exists()
    assert main([str(inputs / 'images'), '--out', str(tmp_path / 'b'), '--mcap', *common]) == 1
    assert 'pip install rosbags' in capsys.readouterr().err.splitlines()[-1]
    assert main([str(inputs / 'bag'), '--out', str(tmp_path / 'c'), *common]) == 1
    assert 'pip install rosbags' in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_leaves_files_that_open_and_a_summary(tmp_path, checkpoint):
    source = write_video(tmp_path / 'in.mp4', 2000)
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, '-m', 'emu_perception.commands.emu', 'predict', str(source), '--out',
         str(out), '--model', str(checkpoint), '--device', 'cpu', '--no-progress', '--mcap'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[3])
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (out / 'frames.csv').exists() and len(table(out)) > 5:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert 'interrupted' in output and 'Traceback' not in errors
    count = len(table(out))
    assert 5 < count < 2000
    assert len(read_bag(out / 'recording')['/emu/risk']) == count
    assert len(list(Video(out / 'video.mp4', 1.0).images())) == count
