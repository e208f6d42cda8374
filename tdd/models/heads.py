"""What stands on a backbone: projector, predictor, the cosine classifier and the prober."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdd.models.attention import SelfAttention
from tdd.models.contract import require_batch, require_features, require_positive


class Projector(nn.Module):
    """Per-frame linear map and batch norm over clips and frames (RealForensics, CVPR 2022, arXiv 2201.07131).

    Shape: features (B, in_channels, T) -> (B, out_channels, T).
    """

    def __init__(self, in_channels: int, out_channels: int = 256) -> None:
        super().__init__()
        require_positive("Projector", in_channels=in_channels, out_channels=out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.linear = nn.Linear(in_channels, out_channels)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Project each frame.

        Raises:
            TddError: another shape, or a single clip in training mode.
        """
        require_features("The projector", features, self.in_channels)
        require_batch(self, len(features))
        return self.norm(self.linear(features.transpose(1, 2)).transpose(1, 2))


class _Mlp(nn.Module):
    """Batch norm, Linear, GELU, Linear; the residual is the caller's. Shape: (B, dim, T) -> (B, T, dim)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.widen = nn.Linear(dim, hidden)
        self.narrow = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(F.gelu(self.widen(self.norm(x).transpose(1, 2))))


class Predictor(nn.Module):
    """One pre-norm transformer block over a clip's frames, between two linear maps, without position embedding.

    Layer norm stands before the attention, batch norm before the MLP and before the last linear map (RealForensics,
    CVPR 2022, arXiv 2201.07131).

    Shape: projections (B, in_channels, T) -> predictions (B, out_channels, T).

    Args:
        in_channels: channels of the projections.
        dim: channels inside the block.
        heads: attention heads, of `head_size` channels each.
        head_size: channels of a head.
        mlp: hidden units of the block's MLP.
        out_channels: channels of the predictions.

    Raises:
        TddError: an argument is not positive.
    """

    def __init__(
        self,
        in_channels: int = 256,
        dim: int = 512,
        heads: int = 8,
        head_size: int = 64,
        mlp: int = 2048,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        require_positive("Predictor", in_channels=in_channels, dim=dim, heads=heads, head_size=head_size, mlp=mlp)
        require_positive("Predictor", out_channels=out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.widen = nn.Linear(in_channels, dim)
        self.attention = SelfAttention(dim, heads, head_size)
        self.mlp = _Mlp(dim, mlp)
        self.norm = nn.BatchNorm1d(dim)
        self.out = nn.Linear(dim, out_channels)

    def forward(self, projections: Tensor) -> Tensor:
        """Predict each frame's target from the whole clip.

        Raises:
            TddError: another shape, or a single clip in training mode.
        """
        require_features("The predictor", projections, self.in_channels)
        require_batch(self, len(projections))
        x = self.widen(projections.transpose(1, 2))  # (B, T, dim)
        x = x + self.attention(x)
        x = x + self.mlp(x.transpose(1, 2))
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.out(x).transpose(1, 2)


class CosineHead(nn.Module):
    """Real or fake: cosine between the clip's mean feature and one learned direction, times a scale, no bias.

    RealForensics, CVPR 2022, arXiv 2201.07131. Only the weight's direction matters for the logits; its length, drawn as
    published, sets how fast an optimiser turns it.

    Shape: features (B, in_channels, T) -> logits (B,); positive means fake.
    """

    def __init__(self, in_channels: int, scale: float = 64.0) -> None:
        super().__init__()
        require_positive("CosineHead", in_channels=in_channels)
        self.in_channels = in_channels
        self.scale = scale
        bound = in_channels**-0.5  # torch's own for a linear layer, which the published head uses too
        self.weight = nn.Parameter(torch.empty(in_channels).uniform_(-bound, bound))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of clips; features of another shape raise TddError."""
        require_features("The cosine head", features, self.in_channels)
        return self.scale * F.cosine_similarity(features.mean(dim=2), self.weight, dim=1)


class Prober(nn.Module):
    """Classifies the spoken word from features it cannot change, to watch stage 1 for collapse.

    The features are detached: its loss trains the prober alone (RealForensics, CVPR 2022, arXiv 2201.07131).

    Shape: features (B, in_channels, T) -> word logits (B, words).
    """

    def __init__(self, in_channels: int, words: int = 500) -> None:
        super().__init__()
        require_positive("Prober", in_channels=in_channels, words=words)
        self.in_channels = in_channels
        self.linear = nn.Linear(in_channels, words)

    def forward(self, features: Tensor) -> Tensor:
        """Word logits (B, words); features of another shape raise TddError."""
        require_features("The prober", features, self.in_channels)
        return self.linear(features.detach().mean(dim=2))
