"""What stage 2 is seen to do on validation videos while it trains.

Nothing is chosen by it, but for the epoch after which a training ends where ``stage2.patience`` asks for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tdd.errors import TddError
from tdd.machine.ranks import in_turn
from tdd.metrics import auc

VALIDATION_BATCH = 16
"""Clips of a forward pass; has no effect on the scores."""


class ValidationScores:
    """Gathers the logits of validation clips, of all devices, and gives their AUC and loss after each epoch."""

    def __init__(self) -> None:
        self._batches: list[tuple[Tensor, Tensor]] = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits, shape (B,), and labels, shape (B,), 0 real and 1 fake.

        They are read in :meth:`compute`, so that a device goes on with the next batch.
        """
        self._batches.append((logits.detach(), labels))

    def compute(self) -> dict[str, float]:
        """``val_auc``, and ``val_bce`` with both classes weighed equally; none where a class is missing."""
        batches = in_turn([(logits.float().cpu(), labels.cpu()) for logits, labels in self._batches])
        self._batches = []
        if not batches:
            return {}
        logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        if not 0 < int(labels.sum()) < len(labels):
            return {}
        losses = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        by_class = [losses[labels == label].mean() for label in (0, 1)]
        return {"val_auc": auc(labels.numpy(), logits.numpy()), "val_bce": float(torch.stack(by_class).mean())}

    def new_warnings(self, history: Sequence[Mapping[str, float]]) -> list[str]:  # noqa: ARG002
        """Nothing: what a low area means is for the reader to say."""
        return []


def has_settled(history: Sequence[Mapping[str, float]], patience: int, begun: float) -> bool:
    """Whether validation has stopped to rise: ``patience`` epochs, one after the other, without a higher ``val_auc``.

    Epochs count from the first whose training BCE lies below ``begun``: before it the detector knows nothing, and its
    area moves by chance.

    Args:
        history: one dictionary an epoch, with ``bce`` and ``val_auc``; one whose area is no number does not count.
        patience: epochs; 0: never.
        begun: nats.
    """
    first = next((number for number, epoch in enumerate(history) if epoch["bce"] < begun), len(history))
    areas = [epoch["val_auc"] for epoch in history[first:] if math.isfinite(epoch.get("val_auc", math.nan))]
    return bool(patience and areas) and len(areas) - 1 - areas.index(max(areas)) >= patience


def require_both_classes(patience: int, labels: Iterable[int], store: Path) -> None:
    """Check that validation can say when a training ends.

    Args:
        patience: of :func:`has_settled`; 0 asks for nothing.
        labels: of the validation videos, 0 real and 1 fake.
        store: folder that holds them, for the sentence.

    Raises:
        TddError: there are none, or those of one class alone, so that they have no AUC.
    """
    present = set(labels)
    if not patience or len(present) == 2:
        return
    lacking = (
        f"the validation videos in {store} are all real or all fake, so that no AUC tells when training ends; prepare "
        "both"
        if present
        else f"{store} holds no validation videos of the methods that it trains on, by which training would end; "
        "prepare them"
    )
    raise TddError(f"stage2.patience is {patience}, and {lacking}, or set it to 0.")
