# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Write one HTML page that compares results, also with the paper's tables."""

from __future__ import annotations

import logging
from pathlib import Path
import sys

from emu_perception.whole_files import write_whole

from .arguments.report import parser
from .command_line import check_apart, run
from .data.dataset_folder import DatasetFolder
from .reporting import comparison
from .reporting.page import page, warnings
from .reporting.pictures import (
    checkpoint_predict,
    draw,
    missing_checkpoint,
    Pictures,
    Predict,
)
from .reporting.result_files import load_results, ReportError
from .reporting.results import featured, Result
from .reporting.tables import to_markdown

LOGGER = logging.getLogger('training')


def report(files: list[Path], out: Path, *, data: str | Path | None = None,
           title: str | None = None, images: int = 3, markdown: Path | None = None,
           predict: Predict | None = None) -> Path:
    """
    Write the page.

    :param data: data set folder of the images that are shown; None: no images.
    :param title: default: the data set and split.
    :param images: number of best and of worst images by each criterion.
    :param markdown: also write the main table there.
    :param predict: in place of running the first checkpoint of the result that is shown.
    :return: ``out``.
    :raises EmuError: if a result, the data set or a checkpoint cannot be used.
    """
    for path in filter(None, (out, markdown)):
        check_apart(path, files)
    results = load_results(files)
    for text in warnings(results):
        LOGGER.warning('%s', text)
    first = results[0].document
    title = title or f'Results on {first["data_set"]}, {first["split"]}'
    text = page(results, title, _pictures(featured(results), data, images, predict))
    _write(out, text)
    if markdown:
        _write(markdown, to_markdown(comparison.main_table(results)))
    return out


def _pictures(result: Result, data: str | Path | None, count: int,
              predict: Predict | None) -> Pictures | str:
    if count < 1:
        return 'None were asked for (--images 0).'
    if data is None:
        return 'None are shown: give the data set folder with --data.'
    missing = missing_checkpoint(result)
    if predict is None and missing is not None:
        return f'None are shown: {result.label} {missing}.'
    if not result.document.get('per_image'):
        return f'None are shown: {result.file} has no figures by image.'
    folder = DatasetFolder(data)
    return draw(result, folder, count, predict or checkpoint_predict(folder))


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise ReportError(f'{file}: cannot be written ({error.strerror})') from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)
    return run(lambda: print('wrote', report(
        options.results, options.out, data=options.data, title=options.title,
        images=options.images, markdown=options.markdown)))


if __name__ == '__main__':
    sys.exit(main())
