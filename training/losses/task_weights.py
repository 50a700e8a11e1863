# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights of the terms of a loss: equal, fixed, or learned from each task's noise.

Learned: Kendall, Gal and Cipolla (arXiv 1705.07115). With s = log of a task's noise, one number a
term, a term L becomes (equations 7 and 10)

    Gaussian regression  ½ exp(-s) L + ½ s    L the mean squared error, exp(s) the variance
    half-squared         exp(-s) L + ½ s      huber, whose L is ½ e² already
    classification       exp(-s) L + ½ s      CE, KL, Lovasz; exp(s) squares a temperature
    Laplace              exp(-s) L + s        absolute errors and roots, exp(s) the scale

The minimum over s is at the noise that the errors have, so the total may well be negative. gnll
and beta_nll are likelihoods with a noise for every pixel, and may be negative themselves: a second
noise on top would make the total unbounded below, so their weight stays 1. A term whose w is 0 is
switched off and stays so. instance_l1 adds the errors of two axes: its exp(s) is the sum of both
axes' Laplace scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

import torch
from torch import nn

from ..recipes.options import RecipeError
from ..recipes.sections import LARGEST_S, LossWeightsOptions

LIKELIHOODS = ('gnll', 'beta_nll')
LAPLACE = ('rmsle', 'depth_mean', 'mutual_information', 'depth_epistemic', 'inverse_l1',
           'instance_l1')
GAUSSIAN = ('mse', 'inverse_mse')
SOFTENED = ('ce', 'kl', 'lovasz', 'huber')  # Classifications, and a square that has its half.
# By term: a, b. A term that stands nowhere has no noise that anybody thought of: a KeyError.
_FORMS = {**dict.fromkeys(LAPLACE, (1.0, 1.0)), **dict.fromkeys(GAUSSIAN, (0.5, 0.5)),
          **dict.fromkeys(SOFTENED, (1.0, 0.5))}


def noise_form(term: str) -> tuple[float, float]:
    """Return the factors (a, b) of a term's form a · exp(-s) L + b · s."""
    return _FORMS[term]


class TaskWeights(nn.Module):
    """
    Weighs the terms of a loss; a submodule, so that s is trained and saved with the rest.

    :param given: w by term, in the order of the terms of this run.
    :raises RecipeError: if the options name a term that this run does not have, or no number.
    """

    def __init__(self, options: LossWeightsOptions, given: Mapping[str, float]) -> None:
        super().__init__()
        self.options = options
        terms = tuple(given)
        if options.mode != 'fixed' and options.fixed:
            raise RecipeError(f"field 'loss_weights.fixed' is {options.fixed}, but "
                              f"'loss_weights.mode' is '{options.mode}': give mode fixed, or "
                              'leave the weights out')
        if options.mode == 'fixed' and not options.fixed:
            raise RecipeError("field 'loss_weights.fixed' is empty: give a weight by term, of "
                              + ', '.join(terms))
        if options.mode != 'learned' and options.initial:
            raise RecipeError(f"field 'loss_weights.initial' is {options.initial}, but "
                              f"'loss_weights.mode' is '{options.mode}': give mode learned, or "
                              'leave the start out')
        initial = options.initial if isinstance(options.initial, dict) else {}
        fixed = _numbers('fixed', options.fixed, terms, 0.0, math.inf)
        start = _numbers('initial', initial, terms, -LARGEST_S, LARGEST_S)
        self.given = {**given, **fixed} if options.mode == 'fixed' else dict(given)
        everywhere = 0.0 if isinstance(options.initial, dict) else options.initial
        learned = [term for term in terms if term not in LIKELIHOODS and self.given[term] != 0]
        self.s = nn.ParameterDict({
            term: nn.Parameter(torch.tensor(start.get(term, everywhere)))
            for term in (learned if options.mode == 'learned' else ())})

    @property
    def learned(self) -> bool:
        """Return whether the weights are learned."""
        return self.options.mode == 'learned'

    def forward(self, losses: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Return the weighted terms, whose sum is the loss.

        :param losses: the bare terms, scalars. A term that is exactly 0 had no truth in this
            batch: it says nothing of the noise, which without it would sink for ever. A term
            whose w is 0 is off in every mode, with no noise to learn: 0.
        """
        if not self.learned:
            return {term: self.given[term] * loss for term, loss in losses.items()}
        weighted = {}
        for term, loss in losses.items():
            if term not in self.s:
                weighted[term] = loss if self.given[term] else 0 * loss
                continue
            (a, b), s = noise_form(term), self.s[term]
            value = a * torch.exp(-s) * loss + b * s
            weighted[term] = torch.where(loss == 0, torch.zeros_like(value), value)
        return weighted

    @torch.no_grad()
    def curves(self) -> dict[str, torch.Tensor]:
        """Return s, the noise exp(s) and the weight a · exp(-s) of each learned term."""
        found = {}
        for term, s in self.s.items():
            found.update({f's/{term}': s.detach().clone(), f'noise/{term}': s.exp(),
                          f'weight/{term}': noise_form(term)[0] * (-s).exp()})
        return found

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """Return the optimiser's group of s: no decay, which would pull the noise to 1."""
        if not self.learned or not len(self.s):
            return []
        return [{'params': list(self.s.values()), 'weight_decay': 0.0,
                 'lr': learning_rate * self.options.learning_rate_factor}]

    def description(self) -> str:
        """Return one line for the log."""
        if not self.learned:
            return ', '.join(f'{term} {weight:g}' for term, weight in self.given.items())
        dropped = [f'{term} {weight:g}' for term, weight in self.given.items()
                   if weight not in (0.0, 1.0)]
        kept = [term for term, weight in self.given.items() if term not in self.s and weight]
        off = [term for term, weight in self.given.items() if not weight]
        return (f'learned from the noise of {", ".join(self.s) or "no term"}'
                + (f'; {", ".join(kept)} is a likelihood with a noise for every pixel and keeps '
                   'weight 1' if kept else '')
                + (f'; not applied: {", ".join(dropped)}' if dropped else '')
                + (f'; off: {", ".join(off)}' if off else ''))


def _numbers(name: str, values: Mapping[str, Any], terms: Sequence[str], low: float,
             high: float) -> dict[str, float]:
    found = {}
    for term, value in values.items():
        if term not in terms:
            raise RecipeError(f"field 'loss_weights.{name}' names '{term}'; the terms of this run "
                              f'are {", ".join(terms)}')
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or not low <= value <= high or not math.isfinite(value):
            raise RecipeError(f"field 'loss_weights.{name}.{term}' is {value!r}: give a number "
                              + (f'of {low:g} to {high:g}' if math.isfinite(high)
                                 else f'of {low:g} or more'))
        found[term] = float(value)
    return found
