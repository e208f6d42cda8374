"""How far an area under the ROC curve can be trusted: intervals over targets, or over videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from tdd.errors import TddError
from tdd.metrics.covariance import area_covariance, bootstrap_areas, resampled_counts
from tdd.metrics.inputs import check_level
from tdd.metrics.spread import NO_SPREAD, spread_of_mean

Method = Literal["clustered", "clustered_bootstrap", "delong", "bootstrap"]
"""How an interval is made; ``delong`` takes videos for independent, ``bootstrap`` does so without targets."""


@dataclass(frozen=True)
class Interval:
    """An estimate between its confidence limits, all as fractions in [0, 1]."""

    value: float
    low: float
    high: float
    level: float
    method: str


def auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    level: float = 0.95,
    method: Method | None = None,
    *,
    targets: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> Interval:
    """Area under the ROC curve with a confidence interval over targets, or over videos.

    All but ``bootstrap`` take the standard error of :func:`tdd.metrics.covariance.area_covariance`, over targets
    (``clustered``, ``clustered_bootstrap``) or over videos taken for independent (``delong``), and are symmetric on the
    logit scale, hence always inside (0, 1). ``bootstrap`` draws targets with replacement, or, without targets, videos
    within each class, and takes percentiles, which lie too close together where the area is near 1 and videos are few
    (benchmarks/results/coverage.md). Where there would be no width (a perfect ranking, or one constant score), the
    score interval of Newcombe is given instead: a perfect result on 40 videos is not a certain one.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).
        level: coverage aimed at, in (0, 1).
        method: ``None`` takes ``clustered`` where targets are given, else ``delong``.
        targets: what belongs together has the same entry, shape (N,).
        seed: of the bootstrap.
        replicates: number of bootstrap samples.

    Raises:
        TddError: as :func:`tdd.metrics.covariance.area_covariance`, or ``level`` is not in (0, 1).
    """
    check_level(level)
    if method == "bootstrap":
        return _percentiles(labels, scores, level, targets, seed, replicates)
    found = area_covariance(labels, scores, targets, method, seed=seed, replicates=replicates)
    value, spread = float(found.areas[0]), spread_of_mean(found.areas, found.covariance, found.freedom)
    if spread.error < NO_SPREAD or not 0 < value < 1:
        return newcombe_interval(value, found.fakes, found.reals, level)
    return on_logit_scale(value, spread.half_width(level), level, found.method)


def on_logit_scale(value: float, half: float, level: float, method: str) -> Interval:
    """Limits ``half`` away from an area in (0, 1), carried to the logit scale, where they are symmetric."""
    # Delta method: the slope of the logit at A is one over A (1 - A).
    reach = half / (value * (1 - value))
    return Interval(value, float(expit(logit(value) - reach)), float(expit(logit(value) + reach)), level, method)


def _percentiles(
    labels: ArrayLike, scores: ArrayLike, level: float, targets: ArrayLike | None, seed: int, replicates: int
) -> Interval:
    found = area_covariance(labels, scores, targets)
    value = float(found.areas[0])
    if found.covariance[0, 0] < NO_SPREAD**2 or not 0 < value < 1:
        return newcombe_interval(value, found.fakes, found.reals, level)
    samples = bootstrap_auc(labels, scores, replicates, seed, targets)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level, "bootstrap")


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


def bootstrap_auc(
    labels: ArrayLike, scores: ArrayLike, replicates: int = 2000, seed: int = 0, targets: ArrayLike | None = None
) -> np.ndarray:
    """Areas of ``replicates`` samples drawn with replacement, shape (replicates,).

    Targets are drawn where they are given (see :func:`tdd.metrics.covariance.bootstrap_areas`), else videos within each
    class.

    Raises:
        TddError: as :func:`auc`, or targets that do not fit the labels.
    """
    return bootstrap_areas(labels, scores, targets, replicates, seed)[:, 0]


def roc_band(
    labels: ArrayLike,
    scores: ArrayLike,
    grid: ArrayLike,
    level: float = 0.95,
    *,
    targets: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise bootstrap limits of the true positive rate at given false positive rates.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).
        grid: false positive rates in [0, 1], shape (G,).
        level: coverage aimed at, in (0, 1), at each rate by itself.
        targets: what belongs together has the same entry, shape (N,), and is drawn together; ``None`` draws videos
            within each class.
        seed: of the bootstrap.
        replicates: number of bootstrap samples.

    Returns:
        lower and upper true positive rates, each of shape (G,).

    Raises:
        TddError: as :func:`auc`, targets that do not fit the labels, or ``level`` is not in (0, 1).
    """
    check_level(level)
    rates, curves = np.asarray(grid, float), []
    for fake_counts, real_counts in resampled_counts(labels, scores, targets, replicates, seed):
        true_rates, false_rates = (
            np.cumsum(counts[:, ::-1], axis=1) / counts.sum(1, keepdims=True) for counts in (fake_counts, real_counts)
        )
        # The corner (0, 0) belongs to a threshold above every score, for which there is no level.
        curves += [
            np.interp(rates, np.append(0.0, x), np.append(0.0, y)) for x, y in zip(false_rates, true_rates, strict=True)
        ]
    low, high = np.quantile(np.stack(curves), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
