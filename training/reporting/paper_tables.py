# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the EMUFormer paper, read from ``paper_tables.json``, to stand beside our own."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path

_DOCUMENT = json.loads(Path(__file__).with_suffix('.json').read_text(encoding='utf-8'))
NYUV2, CITYSCAPES = 'NYUv2', 'Cityscapes'


@dataclass(frozen=True)
class Source:
    """
    Where the figures are from.

    :ivar text: authors, title, year.
    :ivar arxiv: number there.
    :ivar device: of the inference times.
    """

    text: str
    arxiv: str
    device: str


@dataclass(frozen=True)
class PaperSplit:
    """The images of a data set that the figures are of."""

    split: str
    images: int


@dataclass(frozen=True)
class PaperRow:
    """
    One row; None where the paper prints a dash.

    The inference time is also None where the text copy of the table has lost it.

    :ivar group: how the uncertainty is had, one of ``GROUPS``; in Tables 9 and 10 the depth loss.
    :ivar backbone: of the Mix Transformer: B0, B2 or B5.
    :ivar rmse: metres on NYUv2; the paper does not name the unit on Cityscapes.
    :ivar time_mean_ms: inference time of one image on an A100.
    """

    table: int
    data_set: str
    backbone: str
    group: str
    model: str
    miou: float | None
    ece: float | None
    segmentation_p_accurate_given_certain: float | None
    segmentation_p_uncertain_given_inaccurate: float | None
    segmentation_pavpu: float | None
    rmse: float | None
    depth_p_accurate_given_certain: float | None
    depth_p_uncertain_given_inaccurate: float | None
    depth_pavpu: float | None
    time_mean_ms: float | None = None
    time_std_ms: float | None = None


@dataclass(frozen=True)
class PaperCost:
    """One row of Table 1: MiT-B2 on NYUv2; its "FLOPs" are multiply-accumulates at 480x640."""

    group: str
    model: str
    parameters_m: float
    flops_g: float
    fps: float


SOURCE = Source(**_DOCUMENT['source'])
SPLITS = {name: PaperSplit(**split) for name, split in _DOCUMENT['data_sets'].items()}
GROUPS: tuple[str, ...] = tuple(_DOCUMENT['groups'])
PAPER_ROWS = tuple(
    PaperRow(table['table'], table['data_set'], table['backbone'],
             **dict(zip(_DOCUMENT['columns'], row)))
    for table in _DOCUMENT['tables'] for row in table['rows'])
PAPER_COSTS = tuple(PaperCost(**dict(zip(_DOCUMENT['costs']['columns'], row)))
                    for row in _DOCUMENT['costs']['rows'])
BACKBONES = tuple(dict.fromkeys(row.backbone for row in PAPER_ROWS))


def paper_data_set(name: str) -> str | None:
    """Return the paper's name of a data set, 'NYUv2' or 'Cityscapes'; None for another."""
    plain = ''.join(character for character in name.lower() if character.isalnum())
    if plain.startswith('nyu'):
        return NYUV2
    return CITYSCAPES if plain.startswith('cityscapes') else None


def comparison_rows(data_set: str, backbone: str) -> tuple[PaperRow, ...]:
    """Return the distinct rows of Tables 2 to 7 for a data set and backbone, by group."""
    found: dict[tuple[str, str], PaperRow] = {}
    for row in PAPER_ROWS:
        if (row.data_set, row.backbone) == (data_set, backbone) and row.table <= 7:
            found.setdefault((row.group, row.model), row)
    return tuple(sorted(found.values(), key=lambda row: GROUPS.index(row.group)))


def paper_parameters_m(row: PaperRow) -> float | None:
    """Return the parameters (millions) that Table 1 gives for a row's network, where it does."""
    costs = {(cost.group, cost.model): cost.parameters_m for cost in PAPER_COSTS}
    return costs.get((row.group, row.model)) if row.backbone == 'B2' else None
