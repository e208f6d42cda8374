"""What stage 2 is seen to do on validation videos while it trains. Nothing is chosen by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tdd.metrics import auc

VALIDATION_BATCH = 16
"""Clips of a forward pass; has no effect on the scores."""


class ValidationScores:
    """Gathers the logits of validation clips, and gives their AUC and loss after each epoch."""

    def __init__(self) -> None:
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits, shape (B,), and labels, shape (B,), 0 real and 1 fake."""
        self._logits.append(logits.detach().float().cpu())
        self._labels.append(labels.cpu())

    def compute(self) -> dict[str, float]:
        """``val_auc``, and ``val_bce`` with both classes weighed equally; none where a class is missing."""
        if not self._logits:
            return {}
        logits, labels = torch.cat(self._logits), torch.cat(self._labels)
        self._logits, self._labels = [], []
        if not 0 < int(labels.sum()) < len(labels):
            return {}
        losses = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        by_class = [losses[labels == label].mean() for label in (0, 1)]
        return {"val_auc": auc(labels.numpy(), logits.numpy()), "val_bce": float(torch.stack(by_class).mean())}

    def new_warnings(self, history: Sequence[Mapping[str, float]]) -> list[str]:  # noqa: ARG002
        """Nothing: what a low area means is for the reader to say."""
        return []
