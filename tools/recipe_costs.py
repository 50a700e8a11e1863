# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what the networks of some recipes cost on the robot, with random weights.

PYTHONPATH=. python tools/recipe_costs.py [--recipes dinov2_small,dinov3_small] [--rounds 20]
    [--no-time] [--json results/speed/cpu_vit.json] [--page docs/speed.md]

Parameters, multiply-accumulates and peak memory in PyTorch hang on no other program; images a
second do: without --no-time run it on a machine that does nothing else. ``emu benchmark`` measures
each recipe's encoder and heads at the recipe's size, from a uint8 image to all maps. --page
replaces the table between the page's two comments ``recipe costs``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
import platform
import shlex
import sys
from typing import Any

from emu_perception.benchmarking.arguments import parser as benchmark_parser
from emu_perception.benchmarking.result import processor
from emu_perception.errors import EmuError, InputError
from emu_perception.whole_files import write_json, write_whole
from training.recipes.recipe import load_recipe

BEGIN = '<!-- recipe costs: tools/recipe_costs.py writes this -->'
END = '<!-- recipe costs end -->'


def costs(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """
    Return the figures of a recipe's network.

    :raises EmuError: if there is no such recipe.
    """
    from emu_perception.backends import is_installed  # --help does not wait for torch.
    from emu_perception.benchmarking.command import benchmark, memory, subject
    from emu_perception.benchmarking.measure import gmac
    import torch
    recipe = load_recipe(name, ['data=made up'])
    words = ['--encoder', recipe.network.encoder, '--head-dim', str(recipe.network.head_dim),
             '--size', 'x'.join(map(str, recipe.input_size)), '--device', 'cpu', '--backend',
             'eager', '--against', 'openvino' if is_installed('openvino') else '',
             '--rounds', str(options.rounds), '--no-progress']
    asked = benchmark_parser().options(words)
    asked.arguments, asked.against = words, [one for one in asked.against.split(',') if one]
    about = {'encoder': recipe.network.encoder, 'head_dim': recipe.network.head_dim,
             'size': list(recipe.input_size)}
    if not options.no_time:
        found = benchmark(asked)
        rows = {'eager' if kind == 'ours' else kind: row for kind, row in found['rows'].items()}
        return {**about, 'parameters_m': found['parameters_m'], 'gmac': rows['eager']['gmac'],
                'gmac_with_attention': found['gmac_with_attention'],
                'peak_memory_mb': {kind: row['peak_memory_mb'] for kind, row in rows.items()},
                'images_per_s': {kind: 1e3 / row['median_ms'] for kind, row in rows.items()}}
    network, metadata, _ = subject(asked)
    cpu, folded = torch.device('cpu'), network.folded()
    return {**about, 'parameters_m': sum(p.numel() for p in network.parameters()) / 1e6,
            'gmac': gmac(folded, metadata.input_size, cpu),
            'gmac_with_attention': gmac(folded, metadata.input_size, cpu, attention=True),
            'peak_memory_mb': {kind: memory('ours' if kind == 'eager' else kind, asked, cpu)
                               for kind in ('eager', *asked.against)},
            'images_per_s': {}}


def table(result: Mapping[str, Any]) -> str:
    """Return the figures as a table of Markdown, a row a recipe."""
    kinds = {'eager': 'PyTorch', 'openvino': 'OpenVINO'}
    here = [kind for kind in kinds
            if any(kind in row['peak_memory_mb'] for row in result['recipes'].values())]
    lines = ['| recipe, network size | parameters | GMAC, with the products of attention | '
             + ' | '.join(f'{kinds[kind]}: peak memory, images/s' for kind in here) + ' |',
             '|---' * (3 + len(here)) + '|']
    for name, row in result['recipes'].items():
        cells = []
        for kind in here:
            peak, rate = row['peak_memory_mb'].get(kind), row['images_per_s'].get(kind)
            cells.append(', '.join(('-' if peak is None else f'{peak / 1e3:.2f} GB',
                                    'not taken yet' if rate is None else f'{rate:.2f}')))
        lines.append(f'| `{name}`, {"x".join(map(str, row["size"]))} | '
                     f'{row["parameters_m"]:.1f} M | {row["gmac"]:.1f}, '
                     f'{row["gmac_with_attention"]:.1f} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def with_table(page: str, result: Mapping[str, Any]) -> str:
    """
    Return a page with the table in its place.

    :raises InputError: if it has no place for one.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"--page: it has no lines '{BEGIN}' and '{END}': add them")
    return f'{before}{BEGIN}\n{table(result)}\n{END}{after}'


def main() -> int:
    """Measure, print the table and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--recipes', default='dinov2_small,dinov3_small', metavar='A,B')
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--no-time', action='store_true', help='no images/s: the machine is busy')
    parser.add_argument('--json', type=Path, metavar='OUT')
    parser.add_argument('--page', type=Path, metavar='FILE')
    options = parser.parse_args()
    import torch
    try:
        page = options.page.read_text() if options.page else None
        result: dict[str, Any] = {
            'command': shlex.join(['tools/recipe_costs.py', *sys.argv[1:]]),
            'processor': processor(), 'threads': torch.get_num_threads(),
            'versions': {'torch': torch.__version__, 'python': platform.python_version()},
            'recipes': {name: costs(name, options) for name in options.recipes.split(',')}}
        print(table(result))
        if options.json:
            write_json(options.json, result)
        if page is not None:
            write_whole(options.page, with_table(page, result))
    except (EmuError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
