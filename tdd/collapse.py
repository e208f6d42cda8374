"""The collapse watch of stage 1: does the representation still spread out, and do the two modalities find each
other?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32
"""Clips among which a clip is to be found; chance is 1 / 32."""


def feature_spread(features: Tensor) -> float:
    """Standard deviation over clips and frames of length-normalised features, times sqrt(C): 1 spread out, 0 collapsed.

    The measure of SimSiam (Chen and He, CVPR 2021, arXiv 2011.10566, section 4.1).

    Args:
        features: shape (B, C, T).
    """
    flat = F.normalize(features.transpose(1, 2).flatten(0, 1), dim=1)  # (B T, C)
    return float(flat.std(0).mean() * flat.shape[1] ** 0.5)


def clip_retrieval(prediction: Tensor, target: Tensor, group: int = GROUP) -> float:
    """Share of clips whose prediction of the other modality is nearest, among ``group`` clips, to the clip's own
    target.

    Clips compare by the mean cosine over their frames. Clips beyond the last whole group join it.

    Args:
        prediction: shape (B, C, T), from one modality.
        target: shape (B, C, T), of the other, clip by clip.
        group: clips to choose among; all where there are fewer.
    """
    a, b = (F.normalize(x, dim=1).flatten(1) for x in (prediction, target))  # (B, C T): dot = sum of frame cosines
    hits = 0
    edges = [*range(0, max(1, len(a) - group + 1), group)]
    for i, start in enumerate(edges):
        end = len(a) if i == len(edges) - 1 else start + group
        chosen = slice(max(0, end - max(group, end - start)), end)
        nearest = (a[start:end] @ b[chosen].T).argmax(1)
        own = torch.arange(start, end, device=a.device) - (chosen.start or 0)
        hits += int((nearest == own).sum())
    return hits / len(a)


def frame_retrieval(prediction: Tensor, target: Tensor) -> float:
    """Share of frames whose prediction is nearest, among the frames of its own clip, to the frame's own target.

    High only when features follow time; chance is 1 / T.

    Args:
        prediction: shape (B, C, T).
        target: shape (B, C, T).
    """
    a, b = F.normalize(prediction, dim=1), F.normalize(target, dim=1)
    nearest = torch.einsum("bct,bcs->bts", a, b).argmax(2)
    return float((nearest == torch.arange(a.shape[2], device=a.device)).float().mean())
