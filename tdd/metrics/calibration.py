"""Whether a score of 0.8 means that 8 of 10 such videos are fake, and how to make it so.

The chance of a fake depends on how many fakes there are. Test sets hold 1 fake for each real, or 2, or 5, for no better
reason than how they were made; so everything here can weigh the classes to a stated share of fakes, the ``prior``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit, logit

from tdd.errors import TddError
from tdd.metrics.inputs import split_classes

EQUAL_CLASSES = 0.5
"""The prior at which stage 2 trains: see :func:`tdd.losses.detection_loss`."""

BINS = 15
"""Bins on [0, 1] (Guo et al., ICML 2017, arXiv 1706.04599)."""

FLOOR_DRAWS = 200
"""Draws of labels for the error of a perfectly calibrated detector: known to about 0.003 on 80 videos."""


@dataclass(frozen=True)
class Calibration:
    """Chance of a fake from a logit: sigmoid(logit / ``temperature`` + ``bias``)."""

    temperature: float
    bias: float

    def probability(self, logits: ArrayLike) -> np.ndarray:
        """Calibrated chances of a fake, in [0, 1], of the shape of ``logits``."""
        # expit, for exp(-x) written out overflows where the temperature is small.
        return expit(np.asarray(logits, float) / self.temperature + self.bias)


UNCALIBRATED = Calibration(1.0, 0.0)
"""The plain sigmoid."""


def fit_calibration(labels: ArrayLike, logits: ArrayLike, prior: float | None = None) -> Calibration:
    """Temperature and bias of greatest likelihood.

    The labels 0 and 1 are moved inwards to 1 / (R + 2) and (F + 1) / (F + 2) for R reals and F fakes (Platt, Advances
    in Large Margin Classifiers, 1999): without that, classes that the logits separate would have no finite temperature.

    Args:
        labels: 0 real, 1 fake, shape (N,); of videos that neither trained the detector nor test it.
        logits: shape (N,).
        prior: share of fakes for which the chances hold; ``None``: that of ``labels``.

    Raises:
        TddError: as :func:`tdd.metrics.auc`, a prior outside (0, 1), or logits that do not rise with the label.
    """
    kinds, values = _checked(labels, logits)
    fakes = int(kinds.sum())
    targets = np.where(kinds == 1, (fakes + 1) / (fakes + 2), 1 / (len(kinds) - fakes + 2))
    weights = _weights(kinds, prior)
    middle, scale = values.mean(), values.std() or 1.0  # equal logits: refused below, with a sentence
    standard = (values - middle) / scale  # logits far from zero would make a long narrow valley of the likelihood

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        moved = free[0] * standard + free[1]
        error = weights * (expit(moved) - targets)
        likelihood = weights @ (np.logaddexp(0, moved) - targets * moved)  # log(1 + exp(x)) would overflow
        return float(likelihood), np.array([error @ standard, error.sum()])

    # With scipy's own tolerances the climb stops where the chances are still off by some 1e-6.
    best = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-10}).x
    slope = float(best[0] / scale)
    bias = float(best[1] - slope * middle)
    if slope <= 0 or not np.isfinite(best).all():
        raise TddError(
            f"The logits of the {len(kinds)} videos do not rise from real to fake, so that no temperature makes them "
            "chances; calibrate on more videos, or train a better detector."
        )
    return Calibration(1 / slope, bias)


def reliability(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = BINS,
    prior: float | None = None,
    *,
    equal_mass: bool = False,
) -> pd.DataFrame:
    """Predicted chance and observed share of fakes in bins; what a reliability diagram shows.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        probabilities: chances of a fake, in [0, 1], shape (N,); 1 belongs to the last bin.
        bins: number of bins on [0, 1].
        prior: share of fakes that the classes are weighed to; ``None``: as they are.
        equal_mass: bins that hold equally many videos, equal chances together, in place of bins of equal width
            (Nixon et al., CVPR Workshops 2019, arXiv 1904.01685): where all chances lie close together they are still
            told apart.

    Returns:
        one row a bin that holds videos: ``low`` and ``high`` (its limits), ``videos``, ``weight`` (its share of all,
        weighed), ``predicted`` (mean chance) and ``observed`` (share of fakes).

    Raises:
        TddError: as :func:`tdd.metrics.auc`, no bin, a chance outside [0, 1], or a prior outside (0, 1).
    """
    kinds, values = _chances(labels, probabilities)
    if bins < 1:
        raise TddError(f"Calibration is measured in one bin at least, not {bins}.")
    weights = _weights(kinds, prior)
    place, edges = _bins(values, bins, equal_mass)
    held, videos = np.unique(place, return_counts=True)  # a bin without videos has no mean
    mass, predicted, observed = (
        np.bincount(place, weights * part, bins)[held] for part in (np.ones(len(values)), values, kinds)
    )
    return pd.DataFrame(
        {
            "low": edges[held], "high": edges[held + 1], "videos": videos, "weight": mass / weights.sum(),
            "predicted": predicted / mass, "observed": observed / mass,
        }
    )  # fmt: skip


def expected_calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = BINS,
    prior: float | None = None,
    *,
    equal_mass: bool = False,
) -> float:
    """Mean distance between predicted chance and observed share of fakes over bins, in [0, 1].

    Guo et al., ICML 2017 (arXiv 1706.04599), of the chance of a fake. On few videos it is above zero by chance even for
    perfect chances: see :func:`calibration_floor`.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        probabilities: chances of a fake, in [0, 1], shape (N,).
        bins: number of bins on [0, 1].
        prior: share of fakes that the classes are weighed to; ``None``: as they are.
        equal_mass: see :func:`reliability`.

    Raises:
        TddError: as :func:`reliability`.
    """
    table = reliability(labels, probabilities, bins, prior, equal_mass=equal_mass)
    return float((table["weight"] * (table["predicted"] - table["observed"]).abs()).sum())


def calibration_floor(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = BINS,
    prior: float | None = None,
    *,
    equal_mass: bool = False,
    draws: int = FLOOR_DRAWS,
    seed: int = 0,
) -> float:
    """Expected calibration error of a perfectly calibrated detector that gives these very chances, in [0, 1].

    Labels are drawn again from the chances, carried from ``prior`` to the share of fakes among ``labels``; the mean
    error over the draws is what the number of videos alone makes. An error near it says nothing against the detector.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        probabilities: chances of a fake where their share is ``prior``, in [0, 1], shape (N,).
        bins: number of bins.
        prior: as in :func:`expected_calibration_error`.
        equal_mass: see :func:`reliability`.
        draws: of labels.
        seed: of the draws.

    Raises:
        TddError: as :func:`reliability`.
    """
    kinds, values = _chances(labels, probabilities)
    # Weighing the classes to the prior moves the odds by their ratio; here the way back.
    moved = expit(logit(values) + (0.0 if prior is None else logit(kinds.mean()) - logit(prior)))
    rng = np.random.default_rng(seed)
    drawn = (rng.random((draws, len(values))) < moved).astype(int)
    # Chances that are all but certain may draw one class alone, which then is no error.
    drawn = drawn[(drawn.min(1) == 0) & (drawn.max(1) == 1)]
    inside = np.eye(bins)[_bins(values, bins, equal_mass)[0]]  # (N, bins)
    errors = [np.abs((_weights(row, prior) * (values - row)) @ inside).sum() / len(values) for row in drawn]
    return float(np.mean(errors)) if errors else 0.0


def _bins(values: np.ndarray, bins: int, equal_mass: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bin of each chance, shape (N,), and the limits of the bins, shape (bins + 1,)."""
    edges = np.linspace(0, 1, bins + 1)
    if not equal_mass:
        return np.minimum((values * bins).astype(int), bins - 1), edges
    # Limits are chances that occur, so that equal ones share a bin; some bins may be lost to them.
    inner = np.quantile(values, edges[1:-1], method="higher")
    return np.searchsorted(inner, values, side="right"), np.concatenate([[0.0], inner, [1.0]])


def brier_score(labels: ArrayLike, probabilities: ArrayLike, prior: float | None = None) -> float:
    """Mean squared distance between the chance of a fake and the label (Brier, 1950); 0.25 for a constant 0.5.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        probabilities: chances of a fake, in [0, 1], shape (N,).
        prior: share of fakes that the classes are weighed to; ``None``: as they are.

    Raises:
        TddError: as :func:`reliability`.
    """
    kinds, values = _chances(labels, probabilities)
    return float(np.average((values - kinds) ** 2, weights=_weights(kinds, prior)))


def _checked(labels: ArrayLike, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    split_classes(labels, values)  # called for its checks alone
    return np.asarray(labels).astype(int), np.asarray(values, float)


def _chances(labels: ArrayLike, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    kinds, chances = _checked(labels, values)
    if not ((chances >= 0) & (chances <= 1)).all():
        raise TddError("Chances of a fake lie in [0, 1]; give scores, not logits.")
    return kinds, chances


def _weights(kinds: np.ndarray, prior: float | None) -> np.ndarray:
    """A weight for each video, N in all, so that the fakes have the share ``prior``."""
    if prior is None:
        return np.ones(len(kinds))
    if not 0 < prior < 1:
        raise TddError(f"A share of fakes lies between 0 and 1, got {prior}; use 0.5 for equal classes.")
    share = kinds.mean()
    return np.where(kinds == 1, prior / share, (1 - prior) / (1 - share))
