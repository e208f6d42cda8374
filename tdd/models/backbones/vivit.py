"""ViViT with factorised self-attention: each block attends within a frame, then over time, then applies an MLP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdd.errors import TddError
from tdd.models.attention import SelfAttention
from tdd.models.contract import Backbone, require_positive, require_video


class FactorisedBlock(nn.Module):
    """Attention among the patches of a frame, attention of each patch over time, MLP; each with a residual.

    Shape: x (B, T, P, dim) -> (B, T, P, dim).
    """

    def __init__(self, dim: int, heads: int, head_size: int, mlp: int) -> None:
        super().__init__()
        self.spatial = SelfAttention(dim, heads, head_size)
        self.temporal = SelfAttention(dim, heads, head_size)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, mlp), nn.GELU(), nn.Linear(mlp, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; shapes as in the class."""
        batch = len(x)
        x = x + self.spatial(x.flatten(0, 1)).unflatten(0, (batch, -1))
        x = x.transpose(1, 2)  # (B, P, T, dim)
        x = x + self.temporal(x.flatten(0, 1)).unflatten(0, (batch, -1))
        x = x + self.mlp(x)
        return x.transpose(1, 2)


class Vivit(Backbone):
    """ViViT "model 3", factorised self-attention (Arnab et al., ICCV 2021, arXiv 2103.15691).

    Sizes as in the code released with Kim et al., IEIE Summer Conference 2024: tubelets of one frame by 28x28 pixels;
    the mean over a frame's patches is its feature. The released network counts 2,481,188 parameters with a
    classifier (layer norm and Linear 512 -> 500, 257,524 parameters) that its features never pass; this one leaves
    the classifier out and has 2,223,664.

    Shape: video (B, 3, T, input_size, input_size) -> features (B, dim, T), any T.

    Args:
        input_size: height and width of a frame, in pixels; a multiple of `patch`.
        patch: height and width of a patch, in pixels.
        frames: length of the learned position embedding; a clip of another length gets it resampled linearly.
        dim: channels of the tokens and of the features.
        depth: number of blocks.
        heads: attention heads, of `head_size` channels each.
        head_size: channels of a head.
        mlp: hidden units of each block's MLP.

    Raises:
        TddError: an argument is not positive, or `input_size` is not a multiple of `patch`.
    """

    def __init__(
        self,
        input_size: int = 112,
        patch: int = 28,
        frames: int = 25,
        dim: int = 512,
        depth: int = 6,
        heads: int = 10,
        head_size: int = 3,  # no slip: the released code has 3, and 8 below
        mlp: int = 8,
    ) -> None:
        super().__init__()
        require_positive("vivit", input_size=input_size, patch=patch, frames=frames, dim=dim, depth=depth)
        require_positive("vivit", heads=heads, head_size=head_size, mlp=mlp)
        if input_size % patch:
            raise TddError(f"vivit: input_size must be a multiple of patch; got {input_size} and {patch}.")
        self.input_size = input_size
        self.patch = patch
        self.out_channels = dim
        self.embed = nn.Linear(3 * patch * patch, dim)
        self.position = nn.Parameter(torch.randn(frames, (input_size // patch) ** 2, dim))
        self.blocks = nn.ModuleList(FactorisedBlock(dim, heads, head_size, mlp) for _ in range(depth))

    def forward(self, video: Tensor) -> Tensor:
        """Video (B, 3, T, H, W) -> features (B, dim, T); another shape raises TddError."""
        require_video("vivit", video, self.input_size)
        tokens = self.embed(_patches(video, self.patch)) + self._position(video.shape[2])
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.mean(dim=2).transpose(1, 2)

    def _position(self, frames: int) -> Tensor:
        """Position embedding (T, P, dim) for a clip of `frames` frames."""
        if frames == len(self.position):
            return self.position
        over_time = self.position.permute(1, 2, 0)  # (P, dim, T)
        # align_corners: the first and the last frame keep the embeddings learned for them.
        return F.interpolate(over_time, size=frames, mode="linear", align_corners=True).permute(2, 0, 1)


def _patches(video: Tensor, patch: int) -> Tensor:
    """Video (B, 3, T, H, W) -> (B, T, P, patch * patch * 3), pixels row by row, colours innermost."""
    rows = video.unflatten(4, (-1, patch)).unflatten(3, (-1, patch))  # (B, 3, T, rows, patch, columns, patch)
    # The order in which the published embedding reads a patch, so that its weights are taken unchanged.
    return rows.permute(0, 2, 3, 5, 4, 6, 1).flatten(4).flatten(2, 3)
