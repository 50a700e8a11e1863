# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""CutMix: every pixel keeps its own truth, and teacher and student see the same mixture."""

from __future__ import annotations

import pytest
from small_models import CLASSES, SIZE, small_batch, small_network, small_recipe
import torch
from training.losses.terms import cross_entropy
from training.methods.cutmix import cutmix
from training.methods.emuformer import EMUFormer
from training.methods.ensemble import Ensemble
from training.methods.parts import Parts

HEIGHT, WIDTH = 24, 32


def numbered(count: int) -> dict[str, torch.Tensor]:
    """Return views whose maps all say which view they are, with a padded column each."""
    number = torch.arange(count)[:, None, None].expand(count, HEIGHT, WIDTH)
    label, depth = number.to(torch.uint8), number + 1.0
    image = number[:, None].expand(count, 3, HEIGHT, WIDTH).to(torch.uint8).clone()
    label[:, :, 0], depth[:, :, 0], image[:, :, :, 0] = 255, 0.0, 200
    return {'image': image, 'label': label, 'depth': depth, 'index': torch.arange(count)}


def test_each_view_is_itself_and_one_rectangle_of_one_other_in_all_maps():
    torch.manual_seed(0)
    views = numbered(40)
    before = {name: part.clone() for name, part in views.items()}
    mixed = cutmix(views, 1.0)
    assert all(torch.equal(views[name], before[name]) for name in views), 'the batch was changed'
    label, depth = mixed['label'], mixed['depth']
    # One view's colour, label and depth in each pixel; what was padding is padding.
    assert torch.equal(label[:, :, 1:].float() + 1, depth[:, :, 1:])
    assert torch.equal(mixed['image'][:, 0, :, 1:], label[:, :, 1:])
    assert (label[:, :, 0] == 255).all() and not depth[:, :, 0].any()
    assert (mixed['image'][:, :, :, 0] == 200).all()
    shares = []
    for number, view in enumerate(label[:, :, 1:]):
        other = view != number
        shares.append(float(other.float().mean()))
        assert len(view[other].unique()) <= 1
        rectangle = other.any(1)[:, None] & other.any(0)[None]
        assert torch.equal(rectangle, other)
    # Areas uniform in 0..1, of which the edge cuts a part off.
    assert sum(share > 0 for share in shares) > 35 and max(shares) > 0.4


def test_the_probability_is_of_a_view_and_the_seed_says_all():
    views = numbered(200)

    def changed(probability: float) -> int:
        torch.manual_seed(3)
        mixed = cutmix(views, probability)
        return int((mixed['label'] != views['label']).flatten(1).any(1).sum())
    assert changed(0.0) == 0
    assert 60 < changed(0.5) < 120 and changed(1.0) > 170
    assert changed(0.5) == changed(0.5)
    assert torch.equal(cutmix(numbered(1), 1.0)['label'], numbered(1)['label'])


@pytest.mark.parametrize('mix', ['none', 'cutmix'])
def test_teacher_student_and_truth_are_of_the_same_mixture(saved, monkeypatch, mix):
    teacher, batch = Ensemble([saved('a', 1)]), small_batch()
    module = EMUFormer(
        small_network(9), small_recipe(method='emuformer', emuformer={
            'jitter': [0, 0, 0, 0], 'mix': mix, 'mix_probability': 1.0}),
        Parts((0.5,) * 3, (0.25,) * 3, teacher=teacher, classes=CLASSES)).eval()
    monkeypatch.setattr(EMUFormer, 'global_step', 0)
    seen = []
    moments = teacher.moments
    monkeypatch.setattr(teacher, 'moments', lambda images, *args, **kw: seen.append(images)
                        or moments(images, *args, **kw))
    torch.manual_seed(0)
    losses = module.losses(batch)
    torch.manual_seed(0)
    mixed = cutmix(batch, 1.0) if mix == 'cutmix' else batch
    assert torch.equal(seen[0], batch['image']) == (mix == 'none')
    assert torch.equal(seen[0], mixed['image'])
    raw = module.network(module.normalized(mixed['image']))['segmentation']
    logits = torch.nn.functional.interpolate(raw, size=SIZE, mode='bilinear')
    assert torch.allclose(losses['ce'], cross_entropy(logits, mixed['label']), atol=1e-5)
