"""The training losses, as functions of tensors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tdd.config import BOTH, NONE, POSITION
from tdd.machine.ranks import mean_over_ranks


def prediction_loss(prediction: Tensor, target: Tensor, clips: float | None = None) -> Tensor:
    """Negative cosine similarity per frame, averaged over frames and clips.

    The cross-modal loss of stage 1 and the auxiliary loss of stage 2 (Haliassos et al., CVPR 2022, arXiv 2201.07131).
    The target is a constant: no gradient flows into the teacher.

    Args:
        prediction: shape (B, C, T).
        target: shape (B, C, T).
        clips: by which the sum over clips is divided in place of B, where a batch is spread over several devices
            unevenly: the mean number of clips of a device. The mean over devices is then that over all clips.

    Returns:
        scalar in [-1, 1] without ``clips``; -1 when every frame is predicted exactly up to scale.
    """
    cosine = F.cosine_similarity(prediction, target.detach(), dim=1)  # (B, T)
    return -cosine.mean() if clips is None else -cosine.sum() / (clips * cosine.shape[1])


def centre(target: Tensor, how: str, position_mean: Tensor | None = None) -> Tensor:
    """Targets without what a student could predict of them while hearing or seeing nothing of the clip's moment.

    A target says three things: where in the clip a frame is (which padding and zero states give away, and both
    modalities can count), which clip it is of (a face or a voice, which need not go together), and what is said just
    then. ``position`` takes the first out, ``both`` the first and the second: t - mean over clips - mean over time +
    mean over both, as in a two-way analysis of variance. Centring by the batch follows DINO (Caron et al., ICCV 2021,
    arXiv 2104.14294), which subtracts one mean for all.

    Args:
        target: shape (B, C, T).
        how: ``none``, ``position`` or ``both``.
        position_mean: the mean over clips at each frame, shape (C, T), where it is known; else that of ``target``,
            over all devices of a run, of which each holds as many clips.

    Returns:
        shape (B, C, T).

    Raises:
        ValueError: ``how`` is none of these.
    """
    if how == NONE:
        return target
    if how not in (POSITION, BOTH):
        raise ValueError(f"Targets are centred by {NONE}, {POSITION} or {BOTH}, not '{how}'.")
    # In half precision the means would be rounded by as much as what is left may be.
    target = target.to(torch.promote_types(target.dtype, torch.float32))
    by_position = mean_over_ranks(target.mean(0)) if position_mean is None else position_mean
    moved = target - by_position[None]
    return moved if how == POSITION else moved - moved.mean(2, keepdim=True)


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
