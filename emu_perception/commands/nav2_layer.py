# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Write the parameters of Nav2's semantic segmentation layer for a checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import json
from pathlib import Path
import sys

from emu_perception.checkpoint import CheckpointMetadata, read_metadata
from emu_perception.commands.nav2_layer_arguments import parser
from emu_perception.commands.output_file import check_file
from emu_perception.commands.program import program
from emu_perception.errors import EmuError, InputError
from emu_perception.foreign_files import read_text
from emu_perception.label_names import unlabelled_name
from emu_perception.model_file import default_model
from emu_perception.planning.classes import members
from emu_perception.whole_files import write_whole

_LETHAL = 254
_FIRST = '# For the checkpoint'  # A document of this command begins so.


def layer_yaml(metadata: CheckpointMetadata, ground: Sequence[str], overhead: Sequence[str],
               node: str, command: str) -> str:
    """
    Return the document.

    :param ground: names of the classes to drive on.
    :param overhead: names of the classes that are above the robot.
    :param node: the node's name with its namespace, as ``/emu``.
    :raises InputError: if a name is no class, is named twice, or no class is left to be an
        obstacle.
    """
    if not {'segmentation', 'depth'} <= set(metadata.tasks):
        raise InputError(f'the checkpoint has the tasks {", ".join(metadata.tasks)}: the layer '
                         'needs segmentation and depth')
    members(metadata.classes, ground, '--ground')
    members(metadata.classes, overhead, '--overhead')
    if twice := [name for name, count in Counter([*ground, *overhead]).items() if count > 1]:
        raise InputError(f'--ground, --overhead: {", ".join(twice)}: give a class as ground or '
                         'as overhead, once')
    rest = [name for name in dict.fromkeys(metadata.classes) if name not in (*ground, *overhead)]
    if not rest or not ground:
        raise InputError('give --ground some of the classes, and leave some to be obstacles')
    rest.append(unlabelled_name(metadata.classes))
    types = [('ground', ground, 0), ('overhead', overhead, 0), ('obstacle', rest, _LETHAL)]
    types = [one for one in types if one[1]]
    lines = [
        ' '.join(f'{_FIRST} {metadata.name}, by {command}'.split()),
        '# What is labelled ground by mistake marks nothing here: keep an obstacle layer of',
        '# ~/points/obstacles beside it, as in costmap.yaml. The last obstacle is what pixels',
        '# without a label (255, by unknown_label_entropy) are called in label_info.',
        'local_costmap:', '  local_costmap:', '    ros__parameters:',
        '      # and in your list of plugins: semantic_layer',
        '      semantic_layer:',
        '        plugin: semantic_segmentation_layer::SemanticSegmentationLayer',
        '        enabled: true',
        '        combination_method: 1           # maximum: it never clears what others have seen',
        '        # Stamps are equal; approximate pairs may be of two images.',
        '        use_approximate_time_sync: false',
        '        observation_sources: emu', '        emu:',
        f'          segmentation_topic: {node}/label',
        f'          confidence_topic: {node}/confidence',
        f'          labels_topic: {node}/label_info    # where vision_msgs is installed',
        f'          pointcloud_topic: {node}/points',
        '          expected_update_rate: 1.0     # s; silence is warned of, and stops nothing',
        '          use_cost_selection: true      # of a tile the worst class',
        '          max_obstacle_distance: 5.0', '          min_obstacle_distance: 0.3',
        '          tile_map_decay_time: 5.0      # s; obstacles are forgotten after it',
        f'          class_types: [{", ".join(name for name, _, _ in types)}]']
    for name, classes, cost in types:
        lines += [f'          {name}:', '            classes:',
                  # JSON's text is YAML's, whatever a name holds.
                  *(f'              - {json.dumps(one, ensure_ascii=False)}' for one in classes),
                  f'            base_cost: {cost}', f'            max_cost: {cost}',
                  '            mark_confidence: 0', '            samples_to_max_cost: 0',
                  f'            dominant_priority: {str(cost > 0).lower()}']
    return '\n'.join(lines) + '\n'


def _check_own(out: Path) -> None:
    """
    Refuse to replace what this command has not written, as the parameters of all of Nav2.

    :raises InputError: if it is such a file, or a folder, or cannot be written.
    """
    check_file(out, force=True)
    there = read_text(out).strip() if out.is_file() else ''
    if there and not there.startswith(_FIRST):
        raise InputError(f'--out {out}: is there already, and not of this command, which writes '
                         'all of a file; give another name, and merge')


def main(args: Sequence[str] | None = None) -> int:
    """Write or print; 1 and one line on bad input."""
    words = list(sys.argv[1:] if args is None else args)
    options = parser().options(words)
    try:
        ground, overhead = (
            [name.strip() for name in text.split(',') if name.strip()]
            for text in (options.ground, options.overhead))
        command = ' '.join(('emu nav2-layer', *(f'"{word}"' if ' ' in word else word
                                            for word in words)))
        text = layer_yaml(read_metadata(options.model or default_model()), ground, overhead,
                          f'/{options.node.strip("/")}', command)
        if options.out is None:
            print(text, end='')
        else:
            _check_own(options.out)
            write_whole(options.out, text)
    except (EmuError, OSError) as error:
        print(f'{program("emu nav2-layer")}: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
