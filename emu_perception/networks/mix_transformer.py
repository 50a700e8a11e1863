# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Mix Transformer (MiT-B0..B5), the encoder of SegFormer (arXiv 2105.15203).

``mit_registration.py`` makes it known to timm, whose ``features_only`` gives maps at strides 4, 8,
16 and 32. Each stage is one module that maps [B, C, H, W] to [B, C', H', W'], which is what timm's
feature extraction asks for.
"""

from __future__ import annotations

from emu_perception.networks.drop_path import DropPath
import torch
from torch import nn
from torch.nn import functional as F

# Published weights were trained with 1e-6 in the blocks and 1e-5 in patch embedding and spatial
# reduction; transformers runs 1e-5 everywhere. ``norm_eps`` sets one value for all.
BLOCK_EPS = 1e-6
EMBED_EPS = 1e-5


class Attention(nn.Module):
    """Self-attention whose keys and values come from a spatially reduced map (ratio R)."""

    def __init__(self, dim: int, heads: int, reduction: int, dropout: float,
                 attention_dropout: float, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.dropout = attention_dropout
        self.proj_drop = nn.Dropout(dropout)
        self.reduction = reduction
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, reduction, reduction)
            self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Map tokens [B, H·W, C] to tokens of the same shape."""
        batch, tokens, dim = x.shape
        q = self.q(x).view(batch, tokens, self.heads, dim // self.heads).transpose(1, 2)
        if self.reduction > 1:
            x = self.sr(x.transpose(1, 2).reshape(batch, dim, height, width))
            x = self.norm(x.flatten(2).transpose(1, 2))
        kv = self.kv(x).view(batch, -1, 2, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, kv[0], kv[1],
                                           dropout_p=self.dropout if self.training else 0.0)
        return self.proj_drop(self.proj(x.transpose(1, 2).reshape(batch, tokens, dim)))


class MixFeedForward(nn.Module):
    """Two linear layers with a 3x3 depth-wise convolution between: the position information."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Map tokens [B, H·W, C] to tokens of the same shape."""
        x = self.fc1(x)
        x = self.dwconv(x.transpose(1, 2).unflatten(2, (height, width)))
        x = self.drop(F.gelu(x.flatten(2).transpose(1, 2)))
        return self.drop(self.fc2(x))


class Block(nn.Module):
    """One transformer block, pre-norm."""

    def __init__(self, dim: int, heads: int, reduction: int, mlp_ratio: int, dropout: float,
                 attention_dropout: float, drop_path: float, block_eps: float,
                 embed_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=block_eps)
        self.attn = Attention(dim, heads, reduction, dropout, attention_dropout, embed_eps)
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=block_eps)
        self.mlp = MixFeedForward(dim, dim * mlp_ratio, dropout)

    def forward(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Map tokens [B, H·W, C] to tokens of the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x), height, width))
        return x + self.drop_path(self.mlp(self.norm2(x), height, width))


class PatchEmbedding(nn.Module):
    """Overlapping patch embedding: a strided convolution and a LayerNorm over channels."""

    def __init__(self, channels: int, dim: int, kernel: int, stride: int, eps: float) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int, int]:
        """Map [B, C, H, W] to tokens [B, h·w, D] with h and w."""
        x = self.proj(x)
        height, width = x.shape[-2:]
        return self.norm(x.flatten(2).transpose(1, 2)), height, width


class Stage(nn.Module):
    """Patch embedding, blocks and norm: [B, C, H, W] -> [B, D, H/s, W/s]."""

    def __init__(self, channels: int, dim: int, kernel: int, stride: int, heads: int,
                 reduction: int, mlp_ratio: int, dropout: float, attention_dropout: float,
                 drop_paths: list[float], block_eps: float, embed_eps: float) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(channels, dim, kernel, stride, embed_eps)
        self.blocks = nn.ModuleList([
            Block(dim, heads, reduction, mlp_ratio, dropout, attention_dropout, rate, block_eps,
                  embed_eps)
            for rate in drop_paths])
        self.norm = nn.LayerNorm(dim, eps=block_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a feature map to the next, coarser one."""
        x, height, width = self.patch_embed(x)
        for block in self.blocks:
            x = block(x, height, width)
        return self.norm(x).transpose(1, 2).unflatten(2, (height, width)).contiguous()


class MixTransformer(nn.Module):
    """
    The four stages, with a linear classifier for ImageNet where ``num_classes`` is not 0.

    :param embed_dims: channels of each stage.
    :param depths: blocks of each stage.
    :param drop_rate: dropout on projections and feed-forward layers.
    :param attn_drop_rate: dropout on attention weights, in training only.
    :param drop_path_rate: stochastic depth of the last block; rises linearly from 0.
    :param norm_eps: one epsilon for all LayerNorms; None = those of the published weights.
    """

    def __init__(self, embed_dims: tuple[int, ...], depths: tuple[int, ...], *,
                 num_heads: tuple[int, ...] = (1, 2, 5, 8),
                 reductions: tuple[int, ...] = (8, 4, 2, 1), mlp_ratio: int = 4,
                 in_chans: int = 3, num_classes: int = 1000, drop_rate: float = 0.0,
                 attn_drop_rate: float = 0.0, drop_path_rate: float = 0.1,
                 norm_eps: float | None = None, global_pool: str = 'avg') -> None:
        super().__init__()
        if global_pool not in ('avg', ''):
            raise ValueError(f"global_pool is '{global_pool}': MiT has 'avg' or ''")
        if norm_eps is not None and not norm_eps > 0:
            raise ValueError(f'norm_eps is {norm_eps}: give a number above 0')
        self.num_classes = num_classes
        self.global_pool = global_pool
        self.num_features = self.head_hidden_size = embed_dims[-1]
        self.feature_info = []
        rates = torch.linspace(0, drop_path_rate, sum(depths)).tolist()
        block_eps, embed_eps = (BLOCK_EPS, EMBED_EPS) if norm_eps is None else (norm_eps,) * 2
        stages = []
        channels, reduction = in_chans, 1
        for i, (dim, depth) in enumerate(zip(embed_dims, depths)):
            kernel, stride = (7, 4) if i == 0 else (3, 2)
            stages.append(Stage(channels, dim, kernel, stride, num_heads[i], reductions[i],
                                mlp_ratio, drop_rate, attn_drop_rate, rates[:depth],
                                block_eps, embed_eps))
            rates = rates[depth:]
            channels, reduction = dim, reduction * stride
            self.feature_info.append(
                {'num_chs': dim, 'reduction': reduction, 'module': f'stages.{i}'})
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes) if num_classes > 0 else nn.Identity()
        self.apply(initialize_weights)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Map images [B, 3, H, W] to the coarsest map [B, C, H/32, W/32]."""
        return self.stages(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images [B, 3, H, W] to class logits [B, num_classes]."""
        x = self.forward_features(x)
        return self.head(x.mean(dim=(2, 3)) if self.global_pool == 'avg' else x)


def initialize_weights(module: nn.Module) -> None:
    """Start a layer as the published MiT does; to be applied to every module."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, std=(2.0 / (fan_out // module.groups)) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


_WIDE = (64, 128, 320, 512)
CONFIGURATIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    'mit_b0': ((32, 64, 160, 256), (2, 2, 2, 2)),
    'mit_b1': (_WIDE, (2, 2, 2, 2)),
    'mit_b2': (_WIDE, (3, 4, 6, 3)),
    'mit_b3': (_WIDE, (3, 4, 18, 3)),
    'mit_b4': (_WIDE, (3, 8, 27, 3)),
    'mit_b5': (_WIDE, (3, 6, 40, 3)),
}
