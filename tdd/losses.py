"""The training losses, as functions of tensors."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def prediction_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Negative cosine similarity per frame, averaged over frames and clips.

    The cross-modal loss of stage 1 and the auxiliary loss of stage 2 (Haliassos et al., CVPR 2022, arXiv 2201.07131).
    The target is a constant: no gradient flows into the teacher.

    Args:
        prediction: shape (B, C, T).
        target: shape (B, C, T).

    Returns:
        scalar in [-1, 1]; -1 when every frame is predicted exactly up to scale.
    """
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()


def detection_loss(logits: Tensor, labels: Tensor, shift: float) -> Tensor:
    """Binary cross-entropy of logits moved by the log-odds of a fake in the training batches.

    With the shift in training and none in testing, a score of 0.5 stands for equal chances of real and fake, whatever
    the batches held (logit adjustment: Menon et al., ICLR 2021, arXiv 2007.07314; used by RealForensics).

    Args:
        logits: shape (B,); larger is more fake.
        labels: shape (B,): 0 real, 1 fake.
        shift: see :func:`logit_shift`.
    """
    return F.binary_cross_entropy_with_logits(logits + shift, labels.to(logits.dtype))


def logit_shift(fakes: float, clips: float) -> float:
    """log(p / (1 - p)) with p the share of fakes among the clips of a training batch.

    With m fake methods of as many videos as there are labelled reals, and k further reals a labelled clip,
    p = m / ((m + 1)(k + 1)).

    Args:
        fakes: expected fakes in a batch.
        clips: clips in a batch.
    """
    share = fakes / clips
    return math.log(share / (1 - share))
