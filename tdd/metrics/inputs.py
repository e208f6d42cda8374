"""What every metric asks of its input: two lists of one length, finite scores, labels 0 and 1, both classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tdd.errors import TddError


def split_classes(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the fakes and of the reals, shapes (F,) and (R,), in the order of the list.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).

    Raises:
        TddError: shapes differ, a score is not finite, a label is neither 0 nor 1, or one class is absent.
    """
    kinds, values = np.asarray(labels), np.asarray(scores, float)
    if kinds.ndim != 1 or kinds.shape != values.shape:
        raise TddError(
            f"Labels and scores must be two lists of one length, got shapes {kinds.shape} and {values.shape}."
        )
    if not np.isfinite(values).all():
        raise TddError(
            f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not finite; mend the detector."
        )
    if not np.isin(kinds, (0, 1)).all():
        raise TddError("Labels must be 0 (real) or 1 (fake); map other codes before scoring.")
    fakes, reals = values[kinds == 1], values[kinds == 0]
    if not len(fakes) or not len(reals):
        raise TddError(
            f"An ROC curve needs both classes, got {len(reals)} real and {len(fakes)} fake videos; "
            "check the test list and its labels."
        )
    return fakes, reals


def tally(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores in rising order, and the number of fakes and of reals on each, shape (K,) all."""
    levels, where = np.unique(np.concatenate([fakes, reals]), return_inverse=True)
    # The highest levels may hold one class alone; without minlength its counts would be longer than the other's.
    fake_counts = np.bincount(where[: len(fakes)], minlength=len(levels))
    return levels, fake_counts, np.bincount(where[len(fakes) :], minlength=len(levels))


def check_level(level: float) -> None:
    """Check a confidence level.

    Raises:
        TddError: it does not lie in (0, 1).
    """
    if not 0 < level < 1:
        raise TddError(f"A confidence level lies between 0 and 1, got {level}; use 0.95 for 95%.")
