"""Two systems on the same videos, and many such comparisons in one table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from tdd.errors import TddError
from tdd.metrics.covariance import AreaCovariance, Covariance, area_covariance
from tdd.metrics.inputs import check_level, split_classes
from tdd.metrics.intervals import newcombe_interval
from tdd.metrics.spread import NO_SPREAD, Spread

_FIRST_MINUS_SECOND = np.array([1.0, -1.0])


@dataclass(frozen=True)
class Comparison:
    """Difference of two areas, first minus second, between its confidence limits, and the p-value of no difference.

    Limits are symmetric (but Newcombe's), so that few videos or seeds may put one beyond -1 or 1, where no difference
    lies; :mod:`tdd.report.table` cuts them there for who reads them. Those of an area itself never leave [0, 1].
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    level: float
    method: str
    """As :class:`tdd.metrics.covariance.AreaCovariance` has it, ``+seeds`` where seeds have a part, or ``newcombe``
    where that variance is zero."""


def compare_areas(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    level: float = 0.95,
    *,
    targets: ArrayLike | None = None,
    method: Covariance | None = None,
) -> Comparison:
    """Whether two systems, scored on the same videos, differ in AUC (two-sided).

    The difference against the standard error that follows from both variances and the covariance: over targets
    (Obuchowski, Biometrics 53 (1997) 567-578; Student's t), or over videos taken for independent (DeLong et al.,
    Biometrics 44 (1988) 837-845; normal law). Where that is zero (both rank perfectly, say), the limits are those of
    two independent score intervals, squared and added (Newcombe, Statistics in Medicine 17 (1998) 873-890), and the
    p-value follows from their width: wider than need be, but never certain.

    It tells how far the difference may be due to the choice of test videos. What another training run would change is
    not in it.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        first: scores of one system, shape (N,).
        second: scores of the other on the same videos, shape (N,).
        level: coverage aimed at, in (0, 1).
        targets: what belongs together has the same entry, shape (N,).
        method: see :func:`tdd.metrics.covariance.area_covariance`.

    Raises:
        TddError: lengths differ, a score is not finite, a class holds fewer than two videos or targets, or ``level`` is
            not in (0, 1).
    """
    check_level(level)
    split_classes(labels, first)
    split_classes(labels, second)  # refuses other lengths before they are stacked
    scores = np.stack([np.asarray(first, float), np.asarray(second, float)])
    found = area_covariance(labels, scores, targets, method)
    one, two = map(float, found.areas)
    spread = Spread(max(0.0, float(_FIRST_MINUS_SECOND @ found.covariance @ _FIRST_MINUS_SECOND)), found.freedom)
    if spread.error < NO_SPREAD:
        return _newcombe_comparison(one, two, found, level)
    half = spread.half_width(level)
    return Comparison(
        one, two, one - two, one - two - half, one - two + half, spread.p_value(one - two), level, found.method
    )


def _newcombe_comparison(one: float, two: float, found: AreaCovariance, level: float) -> Comparison:
    a, b = (newcombe_interval(min(max(area, 0.0), 1.0), found.fakes, found.reals, level) for area in (one, two))
    down, up = float(np.hypot(one - a.low, b.high - two)), float(np.hypot(a.high - one, two - b.low))
    difference, z = one - two, norm.ppf((1 + level) / 2)
    # Newcombe's sides differ: the one towards zero makes p < 1 - level just where the interval excludes zero.
    towards_zero = down if difference > 0 else up
    p_value = float(2 * norm.sf(abs(difference) / towards_zero * z)) if difference else 1.0
    return Comparison(one, two, difference, difference - down, difference + up, p_value, level, "newcombe")


def compare_systems(
    first: pd.DataFrame, second: pd.DataFrame, level: float = 0.95, *, targets: pd.Series | None = None
) -> Comparison:
    """The paired test on two tables of :func:`tdd.metrics.video_scores`, whatever the order of their rows.

    Args:
        first: one system's videos: indexed by ``video_id``, with ``label`` and ``logit``.
        second: the other's, the same videos.
        level: coverage aimed at, in (0, 1).
        targets: what belongs together has the same entry, indexed by ``video_id`` in any order, as
            :func:`tdd.records.targets.targets_of` gives them; ``None`` takes videos for independent.

    Raises:
        TddError: the tables do not hold the same videos with the same labels, each once, a video has no target or two;
            or as :func:`compare_areas`.
    """
    for table in (first, second):
        if not table.index.is_unique:
            name = table.index[table.index.duplicated()][0]
            raise TddError(f"Video {name!r} is scored more than once by one system; give one row a video.")
    alone = first.index.symmetric_difference(second.index)
    if len(alone):
        raise TddError(
            f"The two systems are not scored on the same videos: {len(alone)} are scored by one of them only, such as "
            f"{alone[0]!r}; evaluate both on one test set."
        )
    other = second.loc[first.index]
    differing = first.index[first["label"].to_numpy() != other["label"].to_numpy()]
    if len(differing):
        raise TddError(
            f"{len(differing)} videos are real for one system and fake for the other, such as {differing[0]!r}; "
            "evaluate both on one test set."
        )
    if targets is not None:
        if not targets.index.is_unique:
            name = targets.index[targets.index.duplicated()][0]
            raise TddError(f"Video {name!r} is given more than one target; give it one.")
        targets = targets.reindex(first.index)
    # Scores may tie where logits do not.
    return compare_areas(first["label"], first["logit"], other["logit"], level, targets=targets)


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values of one table, adjusted so that the chance of any false finding in it stays at the level chosen.

    Holm, Scandinavian Journal of Statistics 6 (1979) 65-70: the smallest of m is multiplied by m, the next by m - 1,
    and so on; none may become smaller than one before it, nor larger than 1.

    Args:
        p_values: shape (M,).

    Returns:
        adjusted p-values in the same order, shape (M,); compare them with 0.05.

    Raises:
        TddError: not one list, or a value outside [0, 1].
    """
    values = np.asarray(p_values, float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise TddError("p-values to correct must be one list of numbers in [0, 1]; leave out what was not tested.")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted
