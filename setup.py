# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Build description for colcon (ament_python) and pip."""

from glob import glob
import os
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'emu_perception'
# Not for a robot that does not ask: EMU_WITH_DEMO=1 colcon build, EMU_WITH_DEMO=1 pip install.
WITH_DEMO = os.environ.get('EMU_WITH_DEMO', '') not in ('', '0')
DEMO = (f'{PACKAGE}.benchmarking', f'{PACKAGE}.ros.benchmark', f'{PACKAGE}.ros.demo')
HERE = Path(__file__).resolve().parent
# Installed under a name of its own: `training` may be anybody's. Its files import each other
# relatively, so that both names work.
OFFLINE = ['emu_training', *(f'emu_training.{name}' for name in find_packages('training'))]
# What each extra of pip brings: lists of requirements/. A robot that names none keeps its own
# torch, OpenCV and NumPy.
EXTRAS = {'offline': ('pypi', 'cpu', 'offline'), 'train': ('pypi', 'train'),
          'export': ('pypi', 'export'), 'demo': ('pypi', 'ros', 'demo'), 'pypi': ('pypi',),
          'cpu': ('cpu',), 'ros': ('ros',), 'test': ('test',)}


def requirements(name: str) -> list[str]:
    """Read requirements/<name>.txt: the one place where a dependency is listed."""
    found = []
    for line in (HERE / 'requirements' / f'{name}.txt').read_text().splitlines():
        if line.startswith('-r '):  # pip's include, which extras_require does not know
            found += requirements(Path(line[3:].strip()).stem)
        elif line.strip() and not line.startswith('#'):
            found.append(line.strip())
    return found


setup(
    name=PACKAGE,
    version='0.2.0',
    packages=[*find_packages(include=[PACKAGE, f'{PACKAGE}.*'],
                             exclude=[] if WITH_DEMO else DEMO), *OFFLINE],
    package_dir={'emu_training': 'training'},
    # Whoever type-checks code that uses this package gets its types.
    package_data={PACKAGE: ['py.typed'], 'emu_training.recipes': ['*.yaml'],
                  'emu_training.reporting': ['*.json', 'templates/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', glob('launch/*.launch.py')),
        (f'share/{PACKAGE}/config', glob('config/*')),
        (f'share/{PACKAGE}/models', glob('models/*')),
        *((f'share/{PACKAGE}/{folder}', [path for path in glob(f'{folder}/*')
                                         if os.path.isfile(path)])
          for folder in ('examples', 'examples/black_box', 'examples/living_room', 'examples/nav2',
                         'examples/nvblox')),
    ],
    python_requires='>=3.10',
    # torch, OpenCV and NumPy are the robot's own (apt, Jetson): never replaced by an install.
    install_requires=['setuptools', *requirements('robot')],
    extras_require={extra: [line for name in names for line in requirements(name)]
                    for extra, names in EXTRAS.items()},
    zip_safe=False,
    maintainer='The emu_perception authors',
    maintainer_email='emu_perception@users.noreply.github.com',
    description='Labels, metric depth and the uncertainty of both from one camera image.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            f'emu = {PACKAGE}.commands.emu:main',
            f'emu_node = {PACKAGE}.commands.scripts:emu_node',
            f'emu_multi = {PACKAGE}.commands.scripts:emu_multi',
            f'replay_camera = {PACKAGE}.commands.scripts:replay_camera',
            f'wait_for_frame = {PACKAGE}.ros.wait_for_frame:main',
            f'emu_run = {PACKAGE}.commands.scripts:emu_run',
            *([f'emu_demo = {PACKAGE}.commands.scripts:emu_demo',
               f'emu_benchmark = {PACKAGE}.commands.scripts:emu_benchmark'] if WITH_DEMO else []),
        ],
    },
)
