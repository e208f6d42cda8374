"""Areas of a method over several training runs: intervals that count both the choice of videos and that of the seed.

A method is trained with S seeds and every run is scored on the same videos. The mean of the S areas estimates what the
method reaches on average, and its variance has two parts: that over videos, from DeLong's covariance of the S areas
(Biometrics 44 (1988) 837-845), and that over seeds, the sample variance of the areas by S. Each seed's own area also
carries some noise of the videos, so the sum is on the large side. The quantile is Student's t with the degrees of
freedom of Welch and Satterthwaite, S - 1 for the second part and no limit for the first: three seeds give wide limits
where seeds matter, and DeLong's where they do not.

Simulated with 40 videos a class, three seeds and a spread between seeds from none to three times that over videos, the
95% interval covers 93 to 97% and the test rejects 1 to 6% of true equalities. With two seeds and a large spread it
covers 88% and rejects 12%: two are too few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t as student

from tdd.errors import TddError
from tdd.metrics.comparison import Comparison, compare_areas
from tdd.metrics.inputs import check_level, split_classes
from tdd.metrics.intervals import Interval, auc_interval, delong_covariance, newcombe_interval

_NO_SPREAD = 1e-8
"""Standard error, in areas, that is rounding: what should be zero comes out as up to some 1e-10, and any real one is
far above this."""


def mean_area_interval(labels: ArrayLike, scores: ArrayLike, level: float = 0.95) -> Interval:
    """Mean AUC of runs with several seeds, with its confidence interval over videos and seeds.

    One run gives :func:`tdd.metrics.auc_interval`, in which the seed has no part. The limits are symmetric on the logit
    scale; where both variances are zero, they are Newcombe's.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: one row a seed, shape (S, N).
        level: coverage aimed at, in (0, 1).

    Raises:
        TddError: as :func:`tdd.metrics.auc_interval`.
    """
    runs = np.atleast_2d(np.asarray(scores, float))
    if len(runs) == 1:
        return auc_interval(labels, runs[0], level)
    check_level(level)
    areas, covariance = delong_covariance(labels, runs)
    value = float(areas.mean())
    # The variance of the mean of S areas is the mean of all S x S entries of their covariance.
    spread, reach = _spread(covariance.mean(), areas, level)
    if spread < _NO_SPREAD or not 0 < value < 1:
        fakes, reals = split_classes(labels, runs[0])
        return newcombe_interval(value, len(fakes), len(reals), level)
    half = reach * spread / (value * (1 - value))  # delta method, as in auc_interval
    return Interval(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)), level, "delong+seeds")


def compare_mean_areas(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Comparison:
    """Whether two methods, each trained with the same seeds, differ in mean AUC (two-sided, paired).

    Row s of both holds the runs of one seed: the variance over seeds is that of the paired differences. One seed gives
    :func:`tdd.metrics.compare_areas`, in which the seed has no part.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        first: one row a seed, shape (S, N).
        second: the other method on the same videos, shape (S, N).
        level: coverage aimed at, in (0, 1).

    Raises:
        TddError: the shapes differ, or as :func:`tdd.metrics.compare_areas`.
    """
    one, two = (np.atleast_2d(np.asarray(scores, float)) for scores in (first, second))
    if one.shape != two.shape:
        raise TddError(f"Both methods need the same seeds and videos, got shapes {one.shape} and {two.shape}.")
    seeds = len(one)
    if seeds == 1:
        return compare_areas(labels, one[0], two[0], level)
    check_level(level)
    areas, covariance = delong_covariance(labels, np.concatenate([one, two]))
    weights = np.repeat([1 / seeds, -1 / seeds], seeds)
    differences = areas[:seeds] - areas[seeds:]
    difference = float(differences.mean())
    spread, reach = _spread(max(0.0, weights @ covariance @ weights), differences, level)
    if spread < _NO_SPREAD:  # every seed gives both the same order of videos: one seed says it all
        return compare_areas(labels, one[0], two[0], level)
    p_value = float(2 * student.sf(abs(difference) / spread, _freedom(spread, differences)))
    means = float(areas[:seeds].mean()), float(areas[seeds:].mean())
    limits = difference - reach * spread, difference + reach * spread
    return Comparison(*means, difference, *limits, p_value, level, "delong+seeds")


def _spread(over_videos: float, of_seeds: np.ndarray, level: float) -> tuple[float, float]:
    """Standard error of the mean of ``of_seeds``, and the quantile that goes with it."""
    spread = float(np.sqrt(over_videos + of_seeds.var(ddof=1) / len(of_seeds)))
    if spread < _NO_SPREAD:
        return 0.0, 0.0
    return spread, float(student.ppf((1 + level) / 2, _freedom(spread, of_seeds)))


def _freedom(spread: float, of_seeds: np.ndarray) -> float:
    """Degrees of freedom of Welch and Satterthwaite, where the variance over videos has as many as one wishes."""
    over_seeds = of_seeds.var(ddof=1) / len(of_seeds)
    # Equal seeds add no variance; the floor prevents a division by zero and leaves the normal law.
    return float(spread**4 / max(over_seeds**2 / (len(of_seeds) - 1), 1e-30))
