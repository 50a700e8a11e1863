# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The tables of the EMUFormer paper (arXiv 2402.10580), row by row, to stand beside our own.

The paper heads the second uncertainty column "p(inacc/unc)"; its figures are those of
p(uncertain|inaccurate): the other reading gives negative pixel counts.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

SOURCE = ('S. Landgraf, M. Hillemann, T. Kapler, M. Ulrich: Efficient Multi-task Uncertainties '
          'for Joint Semantic Segmentation and Monocular Depth Estimation, 2024')
LINK = 'https://arxiv.org/abs/2402.10580'
DEVICE = 'NVIDIA A100'
NYUV2, CITYSCAPES = 'NYUv2', 'Cityscapes'
SPLITS = {NYUV2: ('test', 654), CITYSCAPES: ('val', 500)}
GROUPS = ('Baseline', 'MCD (20%)', 'MCD (50%)', 'DSE', 'DE', 'EMUFormer')
BACKBONES = ('B2', 'B0', 'B5')


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
    group: str
    model: str
    backbone: str
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


# Each line: group, model, then the cells as the paper prints them, '-' for none and '?' for an
# inference time that the text copy has lost.
_TABLE_2 = """
Baseline   SegFormer      .772 .033 .882 .395 .797 - - - -             17.90 0.47
Baseline   DepthFormer    - - - - -                7.452 .749 .476 .766 17.59 0.82
Baseline   SegDepthFormer .738 .028 .913 .592 .826 7.536 .745 .472 .762 22.04 0.27
MCD_(20%)  SegFormer      .759 .007 .883 .424 .780 - - - -             177.13 0.64
MCD_(20%)  DepthFormer    - - - - -                7.956 .749 .555 .739 139.32 0.78
MCD_(20%)  SegDepthFormer .738 .020 .911 .592 .803 7.370 .761 .523 .757 202.23 0.39
MCD_(50%)  SegFormer      .662 .028 .883 .485 .760 - - - -             176.98 0.53
MCD_(50%)  DepthFormer    - - - - -               21.602 .181 .366 .431 139.81 1.20
MCD_(50%)  SegDepthFormer .640 .021 .906 .616 .782 8.316 .733 .558 .723 203.82 0.81
DSE        SegFormer      .772 .037 .890 .456 .797 - - - -             132.30 3.16
DSE        DepthFormer    - - - - -                7.036 .762 .467 .772 91.82 2.01
DSE        SegDepthFormer .749 .009 .931 .696 .844 7.441 .751 .463 .766 212.11 8.44
DE         SegFormer      .784 .033 .887 .416 .798 - - - -             667.51 2.89
DE         DepthFormer    - - - - -                7.222 .759 .486 .771 626.79 2.05
DE         SegDepthFormer .755 .015 .917 .609 .828 7.156 .763 .493 .773 743.23 32.95
"""
_TABLE_3 = """
Baseline   SegFormer      .470 .159 .768 .651 .734 - - - -             18.09 0.41
Baseline   DepthFormer    - - - - -                 .554 .786 .449 .610 17.51 0.87
Baseline   SegDepthFormer .466 .151 .769 .659 .733  .558 .776 .446 .594 22.31 0.23
MCD_(20%)  SegFormer      .422 .102 .767 .706 .724 - - - -             222.67 0.61
MCD_(20%)  DepthFormer    - - - - -                 .605 .741 .478 .568 139.58 0.52
MCD_(20%)  SegDepthFormer .433 .093 .771 .710 .725  .610 .731 .450 .560 251.25 0.81
MCD_(50%)  SegFormer      .273 .083 .705 .722 .713 - - - -             223.25 0.82
MCD_(50%)  DepthFormer    - - - - -                 .978 .516 .492 .526 139.27 0.69
MCD_(50%)  SegDepthFormer .272 .084 .702 .721 .711  .837 .576 .473 .525 251.98 0.60
DSE        SegFormer      .469 .092 .776 .681 .726 - - - -             180.42 3.93
DSE        DepthFormer    - - - - -                 .547 .782 .423 .596 91.66 0.26
DSE        SegDepthFormer .461 .077 .776 .692 .723  .584 .738 .403 .573 261.69 5.10
DE         SegFormer      .486 .125 .782 .675 .734 - - - -             715.97 7.55
DE         DepthFormer    - - - - -                 .524 .808 .475 .613 624.30 2.07
DE         SegDepthFormer .481 .122 .783 .682 .733  .552 .785 .453 .590 788.76 2.00
"""
_TABLE_4 = """
Baseline   SegDepthFormer .738 .028 .913 .592 .826 7.536 .745 .472 .762 22.04 0.27
DE         SegDepthFormer .755 .015 .917 .609 .828 7.156 .763 .493 .773 743.23 32.95
EMUFormer  EMUFormer      .752 .012 .923 .658 .811 6.983 .772 .491 .783 22.04 0.27
"""
_TABLE_5 = """
Baseline   SegDepthFormer .466 .151 .769 .659 .733  .558 .776 .446 .594 22.31 0.23
DE         SegDepthFormer .481 .122 .783 .682 .733  .552 .785 .453 .590 788.76 2.00
EMUFormer  EMUFormer      .475 .129 .787 .692 .737  .514 .810 .440 .633 22.31 0.23
"""
# The text of Table 6 prints the depth RMSE of B5 as "6588".
_TABLE_6_B0 = """
DE         SegFormer      .689 .037 .888 .486 .779 - - - -             273.20 1.38
DE         DepthFormer    - - - - -                8.452 .692 .414 .719 ? ?
DE         SegDepthFormer .651 .045 .912 .634 .803 8.495 .692 .425 .718 ? ?
EMUFormer  EMUFormer      .630 .023 .924 .714 .791 8.086 .717 .473 .732 ? ?
"""
_TABLE_6_B5 = """
DE         SegFormer      .809 .032 .896 .435 .819 - - - -             1931.01 12.77
DE         DepthFormer    - - - - -                6.588 .782 .487 .791 ? ?
DE         SegDepthFormer .789 .037 .928 .657 .852 6.664 .785 .502 .792 ? ?
EMUFormer  EMUFormer      .771 .014 .934 .703 .845 6.157 .804 .536 .799 ? ?
"""
_TABLE_7_B0 = """
DE         SegFormer      .376 .105 .743 .701 .718 - - - -             315.42 2.41
DE         DepthFormer    - - - - -                 .642 .720 .476 .566 ? ?
DE         SegDepthFormer .375 .097 .744 .703 .718  .678 .693 .466 .553 ? ?
EMUFormer  EMUFormer      .363 .090 .743 .713 .720  .674 .705 .498 .558 ? ?
"""
_TABLE_7_B5 = """
DE         SegFormer      .534 .138 .792 .653 .744 - - - -             1958.46 36.71
DE         DepthFormer    - - - - -                 .468 .852 .505 .647 ? ?
DE         SegDepthFormer .526 .133 .794 .665 .743  .451 .838 .478 .619 ? ?
EMUFormer  EMUFormer      .520 .134 .798 .688 .744  .476 .846 .467 .647 ? ?
"""
_TABLE_9 = """
MSE        EMUFormer      .749 .014 .922 .659 .810 7.217 .742 .446 .761 ? ?
Huber      EMUFormer      .748 .013 .923 .657 .809 7.340 .743 .446 .760 ? ?
GNLL       EMUFormer      .752 .012 .923 .658 .811 6.983 .772 .491 .783 ? ?
"""
_TABLE_10 = """
MSE        EMUFormer      .481 .127 .788 .690 .737  .527 .788 .431 .587 ? ?
Huber      EMUFormer      .481 .127 .788 .689 .737  .533 .786 .431 .587 ? ?
GNLL       EMUFormer      .475 .129 .787 .692 .737  .514 .810 .440 .633 ? ?
"""


def _rows(table: int, data_set: str, text: str, backbone: str = 'B2') -> tuple[PaperRow, ...]:
    lines = [line.split() for line in text.strip().splitlines()]
    return tuple(PaperRow(table, data_set, line[0].replace('_', ' '), line[1], backbone,
                          *(None if cell in '-?' else float(cell) for cell in line[2:]))
                 for line in lines)


PAPER_ROWS: tuple[PaperRow, ...] = (
    *_rows(2, CITYSCAPES, _TABLE_2), *_rows(3, NYUV2, _TABLE_3),
    *_rows(4, CITYSCAPES, _TABLE_4), *_rows(5, NYUV2, _TABLE_5),
    *_rows(6, CITYSCAPES, _TABLE_6_B0, 'B0'), *_rows(6, CITYSCAPES, _TABLE_6_B5, 'B5'),
    *_rows(7, NYUV2, _TABLE_7_B0, 'B0'), *_rows(7, NYUV2, _TABLE_7_B5, 'B5'),
    *_rows(9, CITYSCAPES, _TABLE_9), *_rows(10, NYUV2, _TABLE_10))

PAPER_COSTS: tuple[PaperCost, ...] = (
    PaperCost('Baseline', 'SegFormer', 27.3, 72.6, 55.3),
    PaperCost('Baseline', 'DepthFormer', 27.3, 72.1, 57.1),
    PaperCost('Baseline', 'SegDepthFormer', 30.5, 120.1, 44.8),
    PaperCost('DE', 'SegFormer', 273.6, 726.4, 5.6),
    PaperCost('DE', 'DepthFormer', 273.5, 720.8, 7.2),
    PaperCost('DE', 'SegDepthFormer', 305.1, 1201.1, 4.9),
    PaperCost('EMUFormer', 'EMUFormer', 30.5, 120.1, 44.8))


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


def four_cells(p_accurate_given_certain: float, p_uncertain_given_inaccurate: float,
               pavpu: float) -> dict[str, float]:
    """
    Return the shares of the pixels that three published figures imply.

    With x = p(accurate|certain), y = p(uncertain|inaccurate) and z = PAvPU, the certain share is
    c = z / (x + y (1 - x) / (1 - y)).

    :return: shares by ``accurate_certain``, ``inaccurate_certain``, ``inaccurate_uncertain``,
        ``accurate_uncertain``; figures that contradict one another leave 0..1 or are NaN.
    """
    x, y = p_accurate_given_certain, p_uncertain_given_inaccurate
    if y >= 1.0:
        return dict.fromkeys(('accurate_certain', 'inaccurate_certain', 'inaccurate_uncertain',
                              'accurate_uncertain'), math.nan)
    certain = pavpu / (x + y * (1.0 - x) / (1.0 - y))
    inaccurate_certain = (1.0 - x) * certain
    inaccurate_uncertain = y / (1.0 - y) * inaccurate_certain
    return {'accurate_certain': x * certain, 'inaccurate_certain': inaccurate_certain,
            'inaccurate_uncertain': inaccurate_uncertain,
            'accurate_uncertain': 1.0 - certain - inaccurate_uncertain}
