"""How far an area under the ROC curve can be trusted: intervals over videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from tdd.errors import TddError
from tdd.metrics.inputs import check_level, split_classes, tally

_CHUNK = 4_000_000  # 32 MB of int64, for each class
"""Numbers of a block of bootstrap samples."""


@dataclass(frozen=True)
class Interval:
    """An estimate between its confidence limits, all as fractions in [0, 1]."""

    value: float
    low: float
    high: float
    level: float
    method: str


def delong_covariance(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Areas of several systems scored on the same videos, and the covariance of those areas.

    DeLong et al., Biometrics 44 (1988) 837-845, by the ranks of Sun and Xu, IEEE Signal Processing Letters 21 (2014).

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (K, N), one row a system.

    Returns:
        areas, shape (K,), and covariance, shape (K, K).

    Raises:
        TddError: as :func:`auc`, or a class holds a single video.
    """
    table = np.atleast_2d(np.asarray(scores, float))
    pairs = [split_classes(labels, row) for row in table]
    if min(len(pairs[0][0]), len(pairs[0][1])) < 2:
        raise TddError("A variance needs at least two real and two fake videos; add videos to the test set.")
    of_fakes, of_reals = (np.stack(part) for part in zip(*(_placements(*pair) for pair in pairs), strict=True))
    covariance = np.cov(of_fakes) / of_fakes.shape[1] + np.cov(of_reals) / of_reals.shape[1]
    return of_fakes.mean(axis=1), np.atleast_2d(covariance)  # np.cov of one row has no axes


def _placements(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of reals below each fake, and share of fakes above each real; ties count one half."""
    # A rank among all, less that among one's own, counts the others below: no matrix of all pairs is needed.
    ranks = rankdata(np.concatenate([fakes, reals]))
    of_fakes = (ranks[: len(fakes)] - rankdata(fakes)) / len(reals)
    of_reals = 1 - (ranks[len(fakes) :] - rankdata(reals)) / len(fakes)
    return of_fakes, of_reals


def auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    level: float = 0.95,
    method: Literal["delong", "bootstrap"] = "delong",
    *,
    seed: int = 0,
    replicates: int = 2000,
) -> Interval:
    """Area under the ROC curve with a confidence interval over videos.

    ``delong`` is symmetric on the logit scale, hence always inside (0, 1). ``bootstrap`` draws videos with replacement
    within each class and takes percentiles, which lie too close together where the area is near 1 and videos are few
    (benchmarks/results/coverage.md). Where either would have no width (a perfect ranking, or one constant
    score), the score interval of Newcombe is given instead: a perfect result on 40 videos is not a certain one.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).
        level: coverage aimed at, in (0, 1).
        method: ``"delong"`` or ``"bootstrap"``.
        seed: of the bootstrap.
        replicates: number of bootstrap samples.

    Raises:
        TddError: as :func:`delong_covariance`, or ``level`` or ``method`` is unknown.
    """
    check_level(level)
    if method not in ("delong", "bootstrap"):
        raise TddError(f"Interval method {method!r} is unknown; use 'delong' or 'bootstrap'.")
    areas, covariance = delong_covariance(labels, scores)
    value, spread = float(areas[0]), float(np.sqrt(covariance[0, 0]))
    if spread < 1e-12 or not 0 < value < 1:
        fakes, reals = split_classes(labels, scores)
        return newcombe_interval(value, len(fakes), len(reals), level)
    if method == "bootstrap":
        samples = bootstrap_auc(labels, scores, replicates, seed)
        low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    else:
        # Delta method: the slope of the logit at A is one over A (1 - A).
        reach = norm.ppf((1 + level) / 2) * spread / (value * (1 - value))
        low, high = expit(logit(value) - reach), expit(logit(value) + reach)
    return Interval(value, float(low), float(high), level, method)


def newcombe_interval(value: float, n_fakes: int, n_reals: int, level: float = 0.95) -> Interval:
    """Score interval of an AUC from its value and the numbers of videos alone.

    Newcombe, Statistics in Medicine 25 (2006) 559-573, method 5: the limits are the areas from which ``value`` lies
    just ``z`` standard errors away, the standard error being Hanley and McNeil's (1982) with both sample sizes in its
    middle terms replaced by their mean. It needs no scores, so it also says what a published AUC without interval may
    be worth.

    Raises:
        TddError: ``value`` lies outside [0, 1], a class is empty, or ``level`` is not in (0, 1).
    """
    check_level(level)
    if not 0 <= value <= 1 or min(n_fakes, n_reals) < 1:
        raise TddError(
            f"An AUC lies in [0, 1] and needs both classes; got {value} on {n_fakes} fakes, {n_reals} reals."
        )
    z, middle = norm.ppf((1 + level) / 2), (n_fakes + n_reals) / 2 - 1

    def excess(area: float) -> float:
        shape = 1 + middle * ((1 - area) / (2 - area) + area / (1 + area))
        return float((area - value) ** 2 - z**2 * area * (1 - area) * shape / (n_fakes * n_reals))

    inside = min(max(value, 1e-9), 1 - 1e-9)  # excess is negative here, and positive at the far ends
    low = brentq(excess, 0, inside) if value > 0 else 0.0
    high = brentq(excess, inside, 1) if value < 1 else 1.0
    return Interval(value, float(low), float(high), level, "newcombe")


def bootstrap_auc(labels: ArrayLike, scores: ArrayLike, replicates: int = 2000, seed: int = 0) -> np.ndarray:
    """Areas of ``replicates`` samples drawn with replacement within each class, shape (replicates,).

    Raises:
        TddError: as :func:`auc`.
    """
    areas = []
    for fake_counts, real_counts in _resampled(labels, scores, replicates, seed):
        below = np.cumsum(real_counts, axis=1) - real_counts / 2  # a tie counts one half
        areas.append((fake_counts * below).sum(1) / (fake_counts[0].sum() * real_counts[0].sum()))
    return np.concatenate(areas)


def roc_band(
    labels: ArrayLike, scores: ArrayLike, grid: ArrayLike, level: float = 0.95, *, seed: int = 0, replicates: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise bootstrap limits of the true positive rate at given false positive rates.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).
        grid: false positive rates in [0, 1], shape (G,).
        level: coverage aimed at, in (0, 1), at each rate by itself.
        seed: of the bootstrap.
        replicates: number of bootstrap samples.

    Returns:
        lower and upper true positive rates, each of shape (G,).

    Raises:
        TddError: as :func:`auc`, or ``level`` is not in (0, 1).
    """
    check_level(level)
    rates, curves = np.asarray(grid, float), []
    for fake_counts, real_counts in _resampled(labels, scores, replicates, seed):
        true_rates = np.cumsum(fake_counts[:, ::-1], axis=1) / fake_counts[0].sum()
        false_rates = np.cumsum(real_counts[:, ::-1], axis=1) / real_counts[0].sum()
        # The corner (0, 0) belongs to a threshold above every score, for which there is no level.
        curves += [
            np.interp(rates, np.append(0.0, x), np.append(0.0, y)) for x, y in zip(false_rates, true_rates, strict=True)
        ]
    low, high = np.quantile(np.stack(curves), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _resampled(labels: ArrayLike, scores: ArrayLike, replicates: int, seed: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Counts of fakes and of reals at each distinct score, (b, K) each, in chunks that keep memory bounded."""
    fakes, reals = split_classes(labels, scores)
    levels, fake_counts, real_counts = tally(fakes, reals)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(levels))
    for first in range(0, replicates, step):
        rows = min(step, replicates - first)
        # drawing videos with replacement = drawing each level in proportion to the videos on it
        yield (
            rng.multinomial(len(fakes), fake_counts / len(fakes), rows),
            rng.multinomial(len(reals), real_counts / len(reals), rows),
        )
