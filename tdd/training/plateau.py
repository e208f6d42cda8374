"""Where a detector begins to learn: below the loss of one that knows how many fakes there are, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tdd.records.record import Check

PLATEAU = 0.9
"""Share of the loss of a detector that knows nothing but the share of fakes, below which one has begun to learn."""


def blind_loss(fakes: float) -> float:
    """BCE of a detector that knows nothing but the share of ``fakes`` in a batch: the entropy of that share, nats."""
    return -(fakes * math.log(fakes) + (1 - fakes) * math.log(1 - fakes))


def learned_below(fakes: float) -> float:
    """BCE, nats, below which a detector has begun to learn, of batches with that share of ``fakes``."""
    return PLATEAU * blind_loss(fakes)


def plateau_check(label: str, history: Sequence[Mapping[str, float]], fakes: float) -> Check:
    """Whether stage 2 of the row called ``label`` ended below its plateau.

    Args:
        label: of the row, for the sentence.
        history: one dictionary an epoch, with ``bce``, nats.
        fakes: their share among the clips of a batch.
    """
    last, begun = history[-1]["bce"], learned_below(fakes)
    sentence = (
        f"stage 2 of {label}: training BCE ends at {last:.3f} (a detector that knows the share of fakes alone: "
        f"{blind_loss(fakes):.3f}; learning has begun below {begun:.3f})."
    )
    return Check("past the plateau", last, begun, sentence, "<=")
