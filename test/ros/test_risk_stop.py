# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""examples/risk_stop.py beside a real node: it stops on risk and on silence, else it is silent."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from geometry_msgs.msg import Twist, TwistStamped
from node_bench import camera_info, rgb_image
import pytest
import rclpy
from std_msgs.msg import Bool
from test_node_process import ONE_LOAD, Process, TIMEOUT_S

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'risk_stop.py'


@pytest.fixture
def stop(domain_id: int) -> Iterator[subprocess.Popen[bytes]]:
    """Return the example's process."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), '--ros-args', '-r', 'risk:=/emu/risk', '-r',
         'cmd_vel:=/cmd_vel_risk'], env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)})
    yield process
    process.kill()
    process.wait()


class Robot:
    """Hears the commands of the example."""

    def __init__(self, bench):
        self.bench, self.twists = bench, bench.listen(Twist, '/cmd_vel_risk')

    def stopped(self):
        count = len(self.twists)
        time.sleep(0.4)
        assert all(twist == Twist() for twist in self.twists), 'it drives'
        return len(self.twists) > count


def until(condition, timeout_s=30.0, meanwhile=lambda: None):
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'not in time'
        meanwhile()


def first_command(helper, heard):
    """Return the first command that a node of the test hears, into a list."""
    until(lambda: heard, TIMEOUT_S, lambda: rclpy.spin_once(helper, timeout_sec=0.1))
    return heard[0]


def test_it_stops_on_the_flag_and_lets_the_others_drive_without_risk(make_bench, stop):
    bench = make_bench(parameters={'stale_after_s': 30.0})
    robot = Robot(bench)
    until(robot.stopped)  # no image yet: the flag is up
    sent = iter(range(1000, 100000))

    def send():
        bench.send(rgb_image(sec=next(sent)), camera_info())
    until(lambda: bench.risk() is False, meanwhile=send)
    until(lambda: not robot.stopped())
    bench.predictor.mean_entropy = 5.0
    until(robot.stopped, meanwhile=send)
    stop.send_signal(signal.SIGINT)
    assert stop.wait(TIMEOUT_S) == 0


def test_it_stops_when_the_node_is_killed(make_bench, stop, domain_id):
    bench = make_bench(name='other', active=False)  # for its helper
    robot = Robot(bench)
    until(robot.stopped)  # nothing on the flag's topic
    node = Process(ONE_LOAD, domain_id, 'clear_after:=1', 'stale_after_s:=30.0')
    sent = iter(range(1000, 100000))
    try:
        node.until_said('active: reading')
        until(lambda: not robot.stopped(),
              meanwhile=lambda: bench.send(rgb_image(sec=next(sent)), camera_info()))
        node.process.kill()
        until(robot.stopped, timeout_s=3.0)
    finally:
        node.process.kill()
        node.process.wait()


def test_two_who_send_one_flag_stop_it_whatever_they_say(ros, domain_id):
    """Two cameras remapped to one topic: the robot went between a raised and a lowered flag."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), '--ros-args', '-r', 'risk:=/flags', '-r',
         'cmd_vel:=/cmd_flags'], env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
        stderr=subprocess.PIPE, text=True)
    helper, heard = rclpy.create_node('robot_flags'), []
    other = rclpy.create_node('another_flags')
    try:
        assert process.stderr is not None
        said = ''
        for line in process.stderr:
            said += line
            if 'nobody reads' in line:
                break
        assert 'nobody reads /cmd_flags: nothing is stopped' in said
        helper.create_subscription(Twist, '/cmd_flags', heard.append, 10)
        one = helper.create_publisher(Bool, '/flags', 1)

        def goes(*flags, quiet_s=0.3):
            for publisher, raised in flags:
                publisher.publish(Bool(data=raised))
            del heard[:]
            end = time.monotonic() + quiet_s
            while not heard and time.monotonic() < end:
                rclpy.spin_once(helper, timeout_sec=0.02)
            return not heard
        until(lambda: goes((one, False)))
        twin = helper.create_publisher(Bool, '/flags', 1)  # As one that was killed is seen.
        until(lambda: not goes((twin, True), (one, False)))
        # A stop may come late on a busy machine; after a second it would be that of the silence.
        assert not any(goes((twin, True), (one, False), quiet_s=0.8) for _ in range(5))
        until(lambda: goes((one, False)))  # Its successor may lower it.
        two = other.create_publisher(Bool, '/flags', 1)
        until(lambda: not goes((one, False), (two, False)))
        assert not any(goes((one, False), (two, False), quiet_s=0.8)
                       for _ in range(5)), 'two cameras'
        said = next(line for line in process.stderr if 'send /flags' in line)
        # A name that is not known yet is said so, and again as soon as it is.
        assert '/robot_flags' in said and ('/another_flags, ' in said or 'UNKNOWN' in said)
        assert 'a flag and a risk_stop' in said
        other.destroy_publisher(two)
        until(lambda: goes((one, False)))
    finally:
        process.kill()
        process.communicate()
        helper.destroy_node()
        other.destroy_node()


FAILING = """
import runpy, sys
example = runpy.run_path(sys.argv[1])
example['RiskStop']._look = lambda self: 1 / 0
example['main']()
"""


def test_it_goes_on_stopping_after_an_error_that_nobody_foresaw(ros, domain_id):
    """Its end would be silence, on which twist_mux lets the others drive."""
    process = subprocess.Popen(
        [sys.executable, '-c', FAILING, str(EXAMPLE), '--ros-args', '-r', 'cmd_vel:=/cmd_fails'],
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)}, stderr=subprocess.PIPE, text=True)
    helper, heard = rclpy.create_node('robot_fails'), []
    try:
        assert process.stderr is not None
        said = next(line for line in process.stderr if 'goes on after' in line)
        assert 'ZeroDivisionError' in said
        helper.create_subscription(Twist, '/cmd_fails', heard.append, 1)
        first_command(helper, heard)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
        helper.destroy_node()


@pytest.mark.parametrize(('stamped', 'kind', 'other'), [
    ('true', TwistStamped, Twist), ('false', Twist, TwistStamped)])
def test_it_stops_a_robot_of_either_type_and_says_who_does_not_hear(
        stamped, kind, other, ros, domain_id):
    """A Twist connects to no TwistStamped, as Nav2 has it from Kilted on: it stopped nothing."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), '--ros-args', '-r', f'cmd_vel:=/cmd_{stamped}', '-p',
         f'stamped:={stamped}'], env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
        stderr=subprocess.PIPE, text=True)
    helper = rclpy.create_node(f'robot_{stamped}')
    apart = rclpy.Context()  # One participant takes one type of a topic.
    apart.init(domain_id=domain_id)
    deaf = rclpy.create_node(f'deaf_{stamped}', context=apart)
    heard: list[object] = []
    try:
        helper.create_subscription(kind, f'/cmd_{stamped}', heard.append, 1)
        deaf.create_subscription(other, f'/cmd_{stamped}', heard.append, 1)
        command = first_command(helper, heard)
        assert isinstance(command, kind)
        if kind is TwistStamped:
            assert command.twist == Twist() and command.header.stamp.sec > 0
        assert process.stderr is not None
        said = next(line for line in process.stderr if 'is read as' in line)
        assert f'geometry_msgs/msg/{other.__name__}, but this sends' in said
        assert 'set the parameter stamped' in said
    finally:
        process.kill()
        process.communicate()
        helper.destroy_node()
        deaf.destroy_node()
        apart.shutdown()


def test_the_black_box_outlives_an_error_that_nobody_foresaw(domain_id, recorder_interfaces):
    """What confused the robot after it was kept by nobody."""
    process = subprocess.Popen(
        [sys.executable, '-c', FAILING.replace("['RiskStop']._look", "['BlackBox']._on_timer"),
         str(EXAMPLE.parent / 'black_box/black_box.py')], stderr=subprocess.PIPE, text=True,
        env={**recorder_interfaces, 'ROS_DOMAIN_ID': str(domain_id)})
    try:
        assert process.stderr is not None
        said = [line for line, _ in zip((line for line in process.stderr if 'goes on' in line),
                                        range(2))]
        assert len(said) == 2 and 'ZeroDivisionError' in said[1]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def recorder_interfaces(tmp_path):
    """Return an environment in which rosbag2 has what is asked for a snapshot; no wheel has."""
    interfaces = tmp_path / 'rosbag2_interfaces'
    interfaces.mkdir()
    (interfaces / '__init__.py').touch()
    (interfaces / 'srv.py').write_text('from std_srvs.srv import Trigger as Snapshot\n')
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [str(tmp_path), os.environ.get('PYTHONPATH', '')])}


@pytest.mark.parametrize(('example', 'misspelt'), [
    (EXAMPLE, 'stampd'), (EXAMPLE.parent / 'black_box/black_box.py', 'after_s2')])
def test_a_misspelt_parameter_of_an_example_is_an_error(
        example, misspelt, domain_id, recorder_interfaces):
    """ROS drops it: a robot of TwistStamped would be stopped by nobody, and nothing is said."""
    process = subprocess.Popen(
        [sys.executable, str(example), '--ros-args', '-p', f'{misspelt}:=true'],
        stderr=subprocess.PIPE, text=True,
        env={**recorder_interfaces, 'ROS_DOMAIN_ID': str(domain_id)})
    try:
        said = ''
        for line in process.stderr:
            said += line
            if misspelt in line:
                break
        assert f"parameter '{misspelt}' was set, and is none of this node's" in said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_parameter_of_another_kind_is_one_line_that_says_that_nothing_is_stopped(domain_id):
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), '--ros-args', '-p', 'stamped:=1'], capture_output=True,
        text=True, timeout=TIMEOUT_S, env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == ('risk_stop.py: parameter stamped is 1: give true or '
                                            'false; NOTHING is stopped')
    assert 'Traceback' not in done.stderr
