# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The pages are a site: every one is in it, and mkdocs finds nothing wrong with them."""

from __future__ import annotations

from importlib.util import find_spec
import os
from pathlib import Path
import re
import subprocess
import sys

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_every_page_of_docs_is_in_the_navigation():
    text = (ROOT / 'mkdocs.yml').read_text()
    listed = set(re.findall(r'(\w+\.md)', str(yaml.safe_load(text)['nav'])))
    pages = {path.name for path in (ROOT / 'docs').glob('*.md')}
    assert listed == {*pages, 'index.md', 'contributing.md'}


@pytest.mark.slow
@pytest.mark.parametrize('missing', [name for name in ('mkdocs', 'mkdocstrings')
                                     if find_spec(name) is None][:1] or [''])
def test_the_site_is_built_without_a_warning(tmp_path, missing):
    if missing:
        pytest.skip(f'NOT TESTED: {missing} is not installed: pip install -r '
                    'docs/requirements.txt; .github/workflows/ci.yml builds the site')
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'})
    assert done.returncode == 0, done.stderr
    assert 'class="doc' in (tmp_path / 'api/index.html').read_text()
    # README's and the pages' pictures came along.
    for page in tmp_path.rglob('index.html'):
        for source in re.findall(r'<img[^>]*src="([^":]+)"', page.read_text()):
            assert (page.parent / source).resolve().is_file(), f'{page}: {source}'
