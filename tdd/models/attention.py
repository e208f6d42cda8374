"""Multi-head self-attention, as ViViT and the predictor use it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Pre-norm multi-head self-attention with scaled dot products, without bias on query, key and value.

    Shape: x (N, L, dim) -> (N, L, dim); the residual is the caller's.
    """

    def __init__(self, dim: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * heads * head_size, bias=False)
        self.out = nn.Linear(heads * head_size, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; shapes as in the class."""
        qkv = self.qkv(self.norm(x)).unflatten(2, (3, self.heads, -1))  # (N, L, 3, heads, head_size)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.out(attended.transpose(1, 2).flatten(2))
