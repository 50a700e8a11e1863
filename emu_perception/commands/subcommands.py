# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The subcommands of ``emu``: one row each, of names only, so that the table imports nothing."""

from __future__ import annotations

from dataclasses import dataclass

# Stands in a row's module for the training package, whose name depends on where it is.
OFFLINE = '<offline>'
NEW, ROBOT, TRAIN, CHECK = ('look at images', 'on a robot', 'train, on your own data or the '
                            "paper's", 'check and measure')


@dataclass(frozen=True)
class Subcommand:
    """
    A row.

    :ivar name: one word, or two: 'study trust'.
    :ivar group: under which ``emu --help`` lists it.
    :ivar help: one line.
    :ivar module: imported when the command is called.
    :ivar arguments: a module that imports little, whose ``parser()`` reads the command line before
        ``module`` is imported; '' where that imports little itself.
    :ivar extra: of pip, that brings what the module imports.
    :ivar function: of the module: takes the arguments, returns the exit code.
    :ivar ros: whether it needs a ROS 2.
    :ivar usage: of a ROS 2 program, which has no help of its own and takes its name first.
    :ivar parameter: of a ROS 2 program, what a bare word is the value of.
    :ivar options: of a ROS 2 program, as others have them, and the parameter that is meant.
    :ivar many_words: of a ROS 2 program, whether it takes any number of bare words.
    :ivar demo: whether its code is only installed where EMU_WITH_DEMO=1 asks for it.
    """

    name: str
    group: str
    help: str  # noqa: A003
    module: str
    extra: str
    arguments: str = ''
    function: str = 'main'
    ros: bool = False
    usage: str = ''
    parameter: str = ''
    options: tuple[tuple[str, str], ...] = ()
    many_words: bool = False
    demo: bool = False


_OF_NODE = (('--model', 'model_file'), ('--checkpoint', 'model_file'), ('--device', 'device'),
            ('--precision', 'precision'), ('--backend', 'backend'), ('--rectify', 'rectify'),
            ('--hfov', 'fallback_hfov_deg'), ('--transport', 'transport'))
_OF_REPLAY = (('--rate', 'rate_hz'), ('--image-topic', 'image_topic'),
              ('--camera-info', 'camera_info_file'), ('--loop', 'loop'),
              ('--transport', 'transport'))


def _offline(name: str, text: str, module: str, *, group: str = TRAIN,
             demo: bool = False) -> Subcommand:
    """Return the row of a module of the training package; its options are in ``arguments``."""
    return Subcommand(name, group, text, f'{OFFLINE}.{module}', 'train', demo=demo,
                      arguments=f'{OFFLINE}.arguments.{module.removesuffix(".__main__")}')


_ROWS = (
    Subcommand('predict', NEW, 'maps, panels and the flag of images, a video, a bag or a camera',
               'emu_perception.commands.predict', 'offline'),
    Subcommand('demo', NEW, 'the node over real photographs, panels and a summary',
               'emu_perception.ros.demo.command', 'demo', ros=True, demo=True,
               arguments='emu_perception.ros.demo.demo_arguments'),
    Subcommand('node', ROBOT, 'the ROS 2 node; config/emu.yaml lists its parameters',
               'emu_perception.ros.node', 'ros', ros=True, options=_OF_NODE,
               usage='[--ros-args -r image:=TOPIC -r camera_info:=TOPIC -p NAME:=VALUE '
               '--params-file FILE]'),
    Subcommand('multi', ROBOT, 'a node for each of several cameras, one network in memory',
               'emu_perception.ros.node', 'ros', function='main_multi', ros=True,
               many_words=True, options=_OF_NODE,
               usage='CAMERA [CAMERA ...] [--ros-args ...]'),
    Subcommand('replay', ROBOT, 'a camera of files: images, a video or a bag, as topics',
               'emu_perception.ros.replay_camera', 'ros', ros=True, parameter='source',
               options=_OF_REPLAY,
               usage='DIR|FILE|BAG|/dev/video0 [--ros-args -p rate_hz:=HZ -p loop:=false ...]'),
    Subcommand('commission', ROBOT, "make the flag this robot's own: a minute of driving",
               'emu_perception.commands.commission', 'offline',
               'emu_perception.commands.commission_arguments'),
    Subcommand('nav2-layer', ROBOT, "the YAML of Nav2's semantic layer, for a checkpoint",
               'emu_perception.commands.nav2_layer', 'offline',
               'emu_perception.commands.nav2_layer_arguments'),
    _offline('prepare', 'make and check data set folders: bag, check, nyuv2, cityscapes, ...',
             'prepare.__main__'),
    _offline('train', 'one network: --recipe robot data=DIR', 'fit'),
    _offline('ensemble', 'the members of a deep ensemble', 'ensemble'),
    _offline('distill', 'a student of a teacher (EMUFormer)', 'distill'),
    _offline('average', 'the average of networks of one start', 'average'),
    _offline('balance', 'let rare classes speak up: a part of their prior taken out', 'balance'),
    _offline('density', 'do depths err like a Gaussian or a log-normal; say which', 'density'),
    _offline('calibrate', 'temperature, variance, thresholds of the flag', 'calibrate'),
    _offline('evaluate', 'all metrics of checkpoints on a split', 'evaluate'),
    _offline('ship', 'float16 weights, metrics inside, a model card beside it', 'export'),
    Subcommand('export', TRAIN, 'ONNX, OpenVINO or torch.export, proven equal to the Predictor',
               'emu_perception.commands.export', 'export'),
    _offline('compare', 'all methods with one recipe, as a table', 'compare'),
    _offline('report', "an HTML page of results beside the paper's", 'report'),
    Subcommand('doctor', CHECK, 'is all here that the node needs? faults with their remedies',
               'emu_perception.ros.doctor.command', 'offline'),
    Subcommand('benchmark', CHECK, 'the speed of a checkpoint here',
               'emu_perception.benchmarking.command', 'demo',
               'emu_perception.benchmarking.arguments', demo=True),
    *(_offline(f'study {name}', text, module, group=CHECK, demo=demo)
      for name, text, module, demo in (
          ('trust', 'what the flag is worth, by kind of trouble', 'studies.trust', False),
          ('uncertainty', 'what the uncertainty sees', 'studies.uncertainty', False),
          ('teacher', 'do the members of a teacher differ', 'studies.teacher', False),
          ('epistemic', 'what a student says that it does not know', 'studies.epistemic', False),
          ('fusion', 'what a depth camera joined in is worth', 'studies.fusion', False),
          ('ways', 'what each way to metres is worth, and the watch', 'studies.fusion_stream',
           False),
          ('lens', 'what a lens costs that is rectified', 'studies.rectification', False),
          ('time', 'what a depth camera joined in takes, and rectifying',
           'studies.fusion_time', False),
          ('delivery', 'are pictures known to be upright, in their colours', 'studies.delivery',
           False),
          ('cameras', 'what metres are worth through other lenses', 'studies.cameras', False),
          ('prior', 'how far metres may be off on a camera that is not known',
           'studies.camera_prior', False),
          ('ground', "what the ground tells where the camera's height is known", 'studies.ground',
           False),
          ('weights', 'what learned weights of the losses are worth', 'studies.weights', False),
          ('precision', 'what bf16 and fp16 cost', 'precision', False),
          ('speed', 'what training steps and ensembles take', 'benchmark', True))),
)
SUBCOMMANDS: dict[str, Subcommand] = {row.name: row for row in _ROWS}
# What the same commands are called elsewhere: on ros2 run, and as python -m training.NAME.
ELSEWHERE = {'run': 'predict', 'emu_run': 'predict', 'emu_node': 'node', 'emu_multi': 'multi',
             'replay_camera': 'replay', 'fit': 'train', 'emu_benchmark': 'benchmark',
             'emu_demo': 'demo', 'studies': 'study trust', 'precision': 'study precision'}
