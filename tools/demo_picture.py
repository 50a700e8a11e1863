# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The picture at the head of README: what the node answered to the demo's living room.

``make demo && python tools/demo_picture.py --demo out/demo --out models/emu_default_demo.jpg``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

ROOT = Path(__file__).resolve().parents[1]


def main(args: list[str] | None = None) -> int:
    """Read the panel that the summary names, write it as a JPEG."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--demo', type=Path, required=True,
                        help='folder of a demo that ended well')
    parser.add_argument('--kind', default='room', help='of summary.json (default: %(default)s)')
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args(args)
    sys.path.insert(0, str(ROOT))
    from emu_perception.cameras.image_files import read_image
    from pictures.photographs import write_jpeg

    kinds = json.loads((options.demo / 'summary.json').read_text())['kinds']
    if options.kind not in kinds:
        parser.error(f'--kind {options.kind}: the demo shows {", ".join(kinds)}')
    write_jpeg(read_image(options.demo / kinds[options.kind]['panel']), options.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
