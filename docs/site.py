# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What mkdocs does not do by itself: README and CONTRIBUTING as pages, links out of docs/ to files.

They stay where everybody looks for them; the site has them without a second copy.
"""

from __future__ import annotations

import os
from pathlib import Path
import re
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
# What stands at the root, and as what the site has it.
PAGES = {'README.md': 'index.md', 'CONTRIBUTING.md': 'contributing.md'}
_LINK = re.compile(r'(\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)')


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root, and the pictures that they and others show."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=relinked(
            (ROOT / source).read_text(encoding='utf-8'), ROOT, config.repo_url)))
    for picture in sorted({*(ROOT / 'models').glob('*.jpg'), *(ROOT / 'results').rglob('*.png')}):
        files.append(File.generated(config, f'_files/{picture.relative_to(ROOT).as_posix()}',
                                    abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return a page of docs/ with its links as the site has them."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return relinked(markdown, ROOT / 'docs', config.repo_url)


def relinked(markdown: str, folder: Path, repository: str | None) -> str:
    """
    Return a page with links to pages as the site has them, to pictures as its own, to other files.

    :param folder: that the page's links are relative to.
    :param repository: address of the sources; None: such links keep their text alone.
    """
    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        path, anchor = target.relative_to(ROOT).as_posix(), link[3] or ''
        if path in PAGES:
            return f'{link[1]}{PAGES[path]}{anchor})'
        if path.startswith('docs/'):
            return f'{link[1]}{path.removeprefix("docs/")}{anchor})'
        if target.suffix in ('.jpg', '.png'):
            return f'{link[1]}_files/{path})'
        return (f'{link[1]}{repository.rstrip("/")}/blob/main/{path}{anchor})' if repository
                else f'{link[1]}#)')
    return _LINK.sub(moved, markdown)
