"""Areas of a method over several training runs: intervals that count both the choice of videos and that of the seed.

A method is trained with S seeds and every run is scored on the same videos. The mean of the S areas estimates what the
method reaches on average; how its variance over videos (or targets) and over seeds is made is said in
:mod:`tdd.metrics.spread`. Three seeds give wide limits where seeds matter, and those over videos where they do not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from tdd.errors import TddError
from tdd.metrics.comparison import Comparison, compare_areas
from tdd.metrics.covariance import AreaCovariance, Covariance, area_covariance
from tdd.metrics.inputs import check_level
from tdd.metrics.intervals import Interval, auc_interval, newcombe_interval, on_logit_scale
from tdd.metrics.spread import NO_SPREAD, spread_of_mean


def mean_area_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    level: float = 0.95,
    *,
    targets: ArrayLike | None = None,
    method: Covariance | None = None,
) -> Interval:
    """Mean AUC of runs with several seeds, with its confidence interval over targets (or videos) and seeds.

    One run gives :func:`tdd.metrics.auc_interval`, in which the seed has no part. The limits are symmetric on the logit
    scale; where both variances are zero, they are Newcombe's.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: one row a seed, shape (S, N).
        level: coverage aimed at, in (0, 1).
        targets: what belongs together has the same entry, shape (N,).
        method: of the variance over videos, see :func:`tdd.metrics.covariance.area_covariance`.

    Raises:
        TddError: as :func:`tdd.metrics.auc_interval`.
    """
    runs = np.atleast_2d(np.asarray(scores, float))
    if len(runs) == 1:
        return auc_interval(labels, runs[0], level, method, targets=targets)
    check_level(level)
    found = area_covariance(labels, runs, targets, method)
    value, spread = float(found.areas.mean()), spread_of_mean(found.areas, found.covariance, found.freedom)
    if spread.error < NO_SPREAD or not 0 < value < 1:
        return newcombe_interval(value, found.fakes, found.reals, level)
    return on_logit_scale(value, spread.half_width(level), level, f"{found.method}+seeds")


def compare_mean_areas(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    level: float = 0.95,
    *,
    targets: ArrayLike | None = None,
    method: Covariance | None = None,
) -> Comparison:
    """Whether two methods, each trained with the same seeds, differ in mean AUC (two-sided, paired).

    Row s of both holds the runs of one seed: the variance over seeds is that of the paired differences. One seed gives
    :func:`tdd.metrics.compare_areas`, in which the seed has no part.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        first: one row a seed, shape (S, N).
        second: the other method on the same videos, shape (S, N).
        level: coverage aimed at, in (0, 1).
        targets: what belongs together has the same entry, shape (N,).
        method: of the variance over videos, see :func:`tdd.metrics.covariance.area_covariance`.

    Raises:
        TddError: the shapes differ, or as :func:`tdd.metrics.compare_areas`.
    """
    one, two = (np.atleast_2d(np.asarray(scores, float)) for scores in (first, second))
    if one.shape != two.shape:
        raise TddError(f"Both methods need the same seeds and videos, got shapes {one.shape} and {two.shape}.")
    if len(one) == 1:
        return compare_areas(labels, one[0], two[0], level, targets=targets, method=method)
    check_level(level)
    areas = area_covariance(labels, np.concatenate([one, two]), targets, method)
    found = _paired(areas, len(one))
    spread = spread_of_mean(found.areas, found.covariance, found.freedom)
    if spread.error < NO_SPREAD:  # every seed gives both the same order of videos: one seed says it all
        return compare_areas(labels, one[0], two[0], level, targets=targets, method=method)
    means = areas.areas.reshape(2, -1).mean(1)
    difference, half = float(found.areas.mean()), spread.half_width(level)
    limits = difference - half, difference + half
    p_value, how = spread.p_value(difference), f"{found.method}+seeds"
    return Comparison(float(means[0]), float(means[1]), difference, *limits, p_value, level, how)


def paired_differences(
    labels: ArrayLike,
    first: np.ndarray,
    second: np.ndarray,
    targets: ArrayLike | None = None,
    method: Covariance | None = None,
) -> AreaCovariance:
    """What each seed's area of one method has over that of another, and the covariance of these differences.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        first: one row a seed, shape (S, N).
        second: the other method on the same videos, shape (S, N).
        targets: what belongs together has the same entry, shape (N,).
        method: of the variance over videos.

    Raises:
        TddError: as :func:`tdd.metrics.covariance.area_covariance`.
    """
    return _paired(area_covariance(labels, np.concatenate([first, second]), targets, method), len(first))


def _paired(found: AreaCovariance, seeds: int) -> AreaCovariance:
    """Differences of the first half of the systems to the second."""
    pairs = np.hstack([np.eye(seeds), -np.eye(seeds)])
    return replace(found, areas=pairs @ found.areas, covariance=pairs @ found.covariance @ pairs.T)
