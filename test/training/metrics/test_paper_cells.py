# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What the tables of EMUFormer say about how it counted.

Three published figures give the four cells as shares of the pixels. From those: the column
"p(inacc/unc)" is p(uncertain|inaccurate), and void pixels of segmentation count as inaccurate.
"""

from __future__ import annotations

import pytest
import torch
from training.metrics.certainty_cells import CertaintyCells

# Tables 2 to 7: p(accurate|certain), p(uncertain|inaccurate), PAvPU of segmentation, of depth.
# Rows that a later table repeats stand once.
CITYSCAPES = """
SegFormer             .882 .395 .797   -    -    -
DepthFormer            -    -    -    .749 .476 .766
SegDepthFormer        .913 .592 .826  .745 .472 .762
SegFormer-MCD20       .883 .424 .780   -    -    -
DepthFormer-MCD20      -    -    -    .749 .555 .739
SegDepthFormer-MCD20  .911 .592 .803  .761 .523 .757
SegFormer-MCD50       .883 .485 .760   -    -    -
DepthFormer-MCD50      -    -    -    .181 .366 .431
SegDepthFormer-MCD50  .906 .616 .782  .733 .558 .723
SegFormer-DSE         .890 .456 .797   -    -    -
DepthFormer-DSE        -    -    -    .762 .467 .772
SegDepthFormer-DSE    .931 .696 .844  .751 .463 .766
SegFormer-DE          .887 .416 .798   -    -    -
DepthFormer-DE         -    -    -    .759 .486 .771
SegDepthFormer-DE     .917 .609 .828  .763 .493 .773
EMUFormer             .923 .658 .811  .772 .491 .783
SegFormer-B0-DE       .888 .486 .779   -    -    -
DepthFormer-B0-DE      -    -    -    .692 .414 .719
SegDepthFormer-B0-DE  .912 .634 .803  .692 .425 .718
EMUFormer-B0          .924 .714 .791  .717 .473 .732
SegFormer-B5-DE       .896 .435 .819   -    -    -
DepthFormer-B5-DE      -    -    -    .782 .487 .791
SegDepthFormer-B5-DE  .928 .657 .852  .785 .502 .792
EMUFormer-B5          .934 .703 .845  .804 .536 .799
"""
NYUV2 = """
SegFormer             .768 .651 .734   -    -    -
DepthFormer            -    -    -    .786 .449 .610
SegDepthFormer        .769 .659 .733  .776 .446 .594
SegFormer-MCD20       .767 .706 .724   -    -    -
DepthFormer-MCD20      -    -    -    .741 .478 .568
SegDepthFormer-MCD20  .771 .710 .725  .731 .450 .560
SegFormer-MCD50       .705 .722 .713   -    -    -
DepthFormer-MCD50      -    -    -    .516 .492 .526
SegDepthFormer-MCD50  .702 .721 .711  .576 .473 .525
SegFormer-DSE         .776 .681 .726   -    -    -
DepthFormer-DSE        -    -    -    .782 .423 .596
SegDepthFormer-DSE    .776 .692 .723  .738 .403 .573
SegFormer-DE          .782 .675 .734   -    -    -
DepthFormer-DE         -    -    -    .808 .475 .613
SegDepthFormer-DE     .783 .682 .733  .785 .453 .590
EMUFormer             .787 .692 .737  .810 .440 .633
SegFormer-B0-DE       .743 .701 .718   -    -    -
DepthFormer-B0-DE      -    -    -    .720 .476 .566
SegDepthFormer-B0-DE  .744 .703 .718  .693 .466 .553
EMUFormer-B0          .743 .713 .720  .705 .498 .558
SegFormer-B5-DE       .792 .653 .744   -    -    -
DepthFormer-B5-DE      -    -    -    .852 .505 .647
SegDepthFormer-B5-DE  .794 .665 .743  .838 .478 .619
EMUFormer-B5          .798 .688 .744  .846 .467 .647
"""
Figures = tuple[float, float, float]


def rows(table: str, task: str) -> dict[str, Figures]:
    found = {}
    for line in table.split('\n')[1:-1]:
        model, *words = line.split()
        words = words[:3] if task == 'segmentation' else words[3:]
        if '-' not in words:
            found[model] = (float(words[0]), float(words[1]), float(words[2]))
    return found


ROWS = [pytest.param(figures, id=f'{data}-{task}-{model}')
        for data, table in (('cityscapes', CITYSCAPES), ('nyuv2', NYUV2))
        for task in ('segmentation', 'depth') for model, figures in rows(table, task).items()]


def solve(x: float, y: float, z: float) -> tuple[float, float, float, float]:
    """Return the shares ac, au, ic, iu with x = ac/(ac+ic), y = iu/(ic+iu), z = ac+iu."""
    certain = z / (x + y * (1.0 - x) / (1.0 - y))
    ac, ic = x * certain, (1.0 - x) * certain
    iu = y / (1.0 - y) * ic
    return ac, 1.0 - ac - ic - iu, ic, iu


def solve_other(x: float, y: float, z: float) -> tuple[float, float, float, float]:
    """Return the shares if the second figure were p(inaccurate|uncertain) = iu/(au+iu)."""
    certain = (z - y) / (x - y)
    return x * certain, (1.0 - y) * (1.0 - certain), (1.0 - x) * certain, y * (1.0 - certain)


def test_all_rows_were_read():
    assert len(ROWS) == 2 * 2 * 17


@pytest.mark.parametrize('row', ROWS)
def test_every_row_has_possible_cells_and_the_metric_gives_its_figures_back(row):
    cells = solve(*row)
    assert all(0.0 < cell < 1.0 for cell in cells)
    pixels = 100_000
    ac, au, ic, iu = (round(pixels * cell) for cell in cells)
    accurate = torch.tensor([True, True, False, False]).repeat_interleave(
        torch.tensor([ac, au, ic, iu]))
    uncertainty = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat_interleave(
        torch.tensor([ac, au, ic, iu]))
    metric = CertaintyCells()
    metric.update(accurate, uncertainty, torch.ones_like(accurate))
    result = metric.compute()
    assert [round(float(result[name]), 3) for name in (
        'p_accurate_given_certain', 'p_uncertain_given_inaccurate', 'pavpu')] == list(row)


def test_pixel_accuracy_on_cityscapes_is_that_of_void_counted_as_inaccurate():
    found = {model: sum(solve(*row)[:2])
             for model, row in rows(CITYSCAPES, 'segmentation').items()}
    # On labelled pixels alone models of an mIoU of 0.63 to 0.81 are right more often than this.
    assert all(0.81 < accuracy < 0.85 for accuracy in found.values())
    # All but the smallest student (0.811) and two at 0.819.
    assert sorted(model for model, accuracy in found.items() if accuracy < 0.82) == [
        'EMUFormer-B0', 'SegDepthFormer-B0-DE', 'SegDepthFormer-MCD50']


def test_pixel_accuracy_of_b2_on_nyuv2():
    found = rows(NYUV2, 'segmentation')
    for model in ('SegFormer', 'SegDepthFormer', 'EMUFormer'):
        assert sum(solve(*found[model])[:2]) == pytest.approx(0.59, abs=0.01)


def test_depth_accuracy_on_nyuv2_is_delta1_of_all_pixels():
    found = rows(NYUV2, 'depth')
    for model in ('DepthFormer', 'SegDepthFormer', 'EMUFormer'):
        assert 0.74 < sum(solve(*found[model])[:2]) < 0.78


def test_the_other_reading_of_the_header_gives_negative_counts():
    found = rows(CITYSCAPES, 'depth')
    negative = [model for model, row in found.items() if min(solve_other(*row)) < -0.01]
    assert len(negative) >= 11 and 'EMUFormer' in negative


def test_the_other_reading_makes_models_of_one_miou_differ_by_15_points_of_accuracy():
    found = rows(CITYSCAPES, 'segmentation')
    accuracy = {model: sum(solve_other(*row)[:2]) for model, row in found.items()}
    # Their mIoU is 0.772 and 0.752.
    assert accuracy['SegFormer'] - accuracy['EMUFormer'] > 0.15
