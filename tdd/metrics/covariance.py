"""Areas of systems scored on the same videos, and how they vary together over videos or over targets.

Two videos of one target share scene, movement and speech: a fake and the real that it was made from score alike, and an
area is then known better, or worse, than the number of videos says. So the variance is taken over targets. What is
called a target here is any group of videos that has nothing in common with another group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from scipy.stats import rankdata

from tdd.errors import TddError
from tdd.metrics.inputs import split_classes

Covariance = Literal["clustered", "clustered_bootstrap", "delong"]
"""Over targets by Obuchowski's formula, over targets by drawing them again, or over videos that have nothing in common
(DeLong), which is what the first becomes where each video is a target of its own."""

COVARIANCES = ("clustered", "clustered_bootstrap", "delong")

_CHUNK = 4_000_000  # 32 MB of float64
"""Numbers of a block of bootstrap samples."""


@dataclass(frozen=True)
class AreaCovariance:
    """Areas, shape (K,), with their covariance, shape (K, K), and its degrees of freedom, infinite over videos."""

    areas: np.ndarray
    covariance: np.ndarray
    freedom: float
    fakes: int
    """Targets with a fake (without targets: fakes), which is what a score interval may count on."""
    reals: int
    method: str


def area_covariance(
    labels: ArrayLike,
    scores: ArrayLike,
    targets: ArrayLike | None = None,
    method: Covariance | None = None,
    *,
    seed: int = 0,
    replicates: int = 2000,
) -> AreaCovariance:
    """Areas of several systems scored on the same videos, and the covariance of those areas.

    ``clustered``: Obuchowski, Biometrics 53 (1997) 567-578, for clusters that may hold fakes, reals or both.
    ``clustered_bootstrap``: targets are drawn with replacement, with all their videos, among those that hold the same
    classes. ``delong``: DeLong et al., Biometrics 44 (1988) 837-845.

    Degrees of freedom over targets are those of Satterthwaite (Biometrics Bulletin 2 (1946) 110-114), less one: with
    s_t the target's share of the fakes plus its share of the reals, and its variance taken proportional to s_t^2, they
    are ``sum(s_t^2)^2 / sum(s_t^4) - 1``, and 1 at least: G - 1 for G equal targets.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (K, N), one row a system.
        targets: what belongs together has the same entry, shape (N,); ``None``: nothing is known to.
        method: ``None`` takes ``clustered`` where targets are given, else ``delong``.
        seed: of the bootstrap.
        replicates: number of bootstrap samples.

    Raises:
        TddError: as :func:`tdd.metrics.auc`, an unknown method, one over targets without them, as many targets as
            videos they do not name, or fewer than two videos or targets with a class.
    """
    how = chosen_method(method, targets)
    table = np.atleast_2d(np.asarray(scores, float))
    if how == "delong":
        areas, covariance = delong_covariance(labels, table)
        counts = [len(part) for part in split_classes(labels, table[0])]
        return AreaCovariance(areas, covariance, np.inf, counts[0], counts[1], how)
    kinds, groups = np.asarray(labels), grouped(labels, targets)
    areas, of_fakes, of_reals = _components(kinds, table, groups)
    fakes, reals = (len(np.unique(groups[kinds == kind])) for kind in (1, 0))
    if min(fakes, reals) < 2:
        raise TddError(
            f"A variance over targets needs two targets with a real and two with a fake video, got {reals} and {fakes};"
            " add targets to the test set, or take the videos for independent (method 'delong')."
        )
    if how == "clustered_bootstrap":
        samples = bootstrap_areas(labels, table, targets, replicates, seed)
        covariance = np.atleast_2d(np.cov(samples.T))
    else:
        both = groups.max() + 1
        cross = of_fakes @ of_reals.T * both / (both - 1)
        covariance = of_fakes @ of_fakes.T * fakes / (fakes - 1) + of_reals @ of_reals.T * reals / (reals - 1)
        covariance = covariance + cross + cross.T
    return AreaCovariance(areas, covariance, _freedom(kinds, groups), fakes, reals, how)


def chosen_method(method: str | None, targets: ArrayLike | None) -> str:
    """``method``, or the default where it is ``None``.

    Raises:
        TddError: it is unknown, or over targets and there are none.
    """
    if method is None:
        return "delong" if targets is None else "clustered"
    if method not in COVARIANCES:
        raise TddError(f"Variance {method!r} is unknown; use {', '.join(map(repr, COVARIANCES))}.")
    if method != "delong" and targets is None:
        raise TddError(f"Variance {method!r} is over targets; say which video belongs to which, or use 'delong'.")
    return method


def delong_covariance(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Areas of several systems scored on the same videos, and the covariance of those areas over independent videos.

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


def bootstrap_areas(
    labels: ArrayLike, scores: ArrayLike, targets: ArrayLike | None, replicates: int = 2000, seed: int = 0
) -> np.ndarray:
    """Areas of systems on ``replicates`` samples of targets, drawn with replacement, shape (replicates, K).

    Targets are drawn among those that hold the same classes, so that no sample lacks one. Without targets videos are
    drawn, each class by itself.

    Raises:
        TddError: as :func:`auc`, or targets that do not fit the labels.
    """
    table = np.atleast_2d(np.asarray(scores, float))
    # One draw serves all systems: their areas vary together.
    return np.stack([np.concatenate([*_drawn(labels, row, targets, replicates, seed)]) for row in table], axis=1)


def _drawn(
    labels: ArrayLike, scores: np.ndarray, targets: ArrayLike | None, replicates: int, seed: int
) -> Iterator[np.ndarray]:
    for fake_counts, real_counts in resampled_counts(labels, scores, targets, replicates, seed):
        below = np.cumsum(real_counts, axis=1) - real_counts / 2  # a tie counts one half
        yield (fake_counts * below).sum(1) / (fake_counts.sum(1) * real_counts.sum(1))


def resampled_counts(
    labels: ArrayLike, scores: ArrayLike, targets: ArrayLike | None, replicates: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Counts of fakes and of reals at each distinct score, (b, L) each, in samples of targets with replacement.

    Comes in blocks that keep memory bounded; the same seed draws the same targets whatever the scores.
    """
    split_classes(labels, scores)  # called for its checks alone
    kinds = np.asarray(labels)
    groups = np.arange(len(kinds)) if targets is None else grouped(labels, targets)
    levels, place = np.unique(np.asarray(scores, float), return_inverse=True)
    count = groups.max() + 1
    held = [
        csr_matrix((np.ones(own.sum()), (groups[own], place[own])), shape=(count, len(levels)))
        for own in (kinds == 0, kinds == 1)
    ]
    # 1: reals alone, 2: fakes alone, 3: both
    classes = sum(weight * (np.asarray(part.sum(1)).ravel() > 0) for weight, part in zip((1, 2), held, strict=True))
    # Not from the number of levels: systems with more or fewer ties would be given other draws.
    rng, step = np.random.default_rng(seed), max(1, _CHUNK // len(kinds))
    for first in range(0, replicates, step):
        rows = min(step, replicates - first)
        times = np.zeros((rows, count))
        for kind in (1, 2, 3):
            alike = np.flatnonzero(classes == kind)
            if len(alike):
                times[:, alike] = rng.multinomial(len(alike), np.full(len(alike), 1 / len(alike)), rows)
        yield times @ held[1], times @ held[0]


def grouped(labels: ArrayLike, targets: ArrayLike | None) -> np.ndarray:
    """Number of each video's target, from 0, shape (N,).

    Raises:
        TddError: not one target a video, or a video without.
    """
    names = np.asarray(targets, dtype=object)
    if names.shape != np.shape(labels):
        raise TddError(f"Each video needs one target, got shapes {np.shape(labels)} of labels and {names.shape}.")
    if any(name is None or name != name or name == "" for name in names):
        raise TddError("Some videos have no target; give each one, its own name where it belongs to no other video.")
    return np.unique(names.astype(str), return_inverse=True)[1]


def _components(kinds: np.ndarray, table: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Areas (K,), and what each target's fakes and reals add to the deviation of each area, (K, G) both."""
    pairs = [_placements(*split_classes(kinds, row)) for row in table]
    areas = np.array([of_fakes.mean() for of_fakes, _ in pairs])
    sums = [
        [
            np.bincount(groups[kinds == kind], (values - area) / len(values), groups.max() + 1)
            for kind, values in ((1, of_fakes), (0, of_reals))
        ]
        for area, (of_fakes, of_reals) in zip(areas, pairs, strict=True)
    ]
    return areas, *np.swapaxes(np.array(sums), 0, 1)


def _freedom(kinds: np.ndarray, groups: np.ndarray) -> float:
    shares = sum(np.bincount(groups, kinds == kind, groups.max() + 1) / (kinds == kind).sum() for kind in (0, 1))
    weights = np.asarray(shares) ** 2
    return float(max(1.0, weights.sum() ** 2 / (weights**2).sum() - 1))


def _placements(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of reals below each fake, and share of fakes above each real; ties count one half."""
    # A rank among all, less that among one's own, counts the others below: no matrix of all pairs is needed.
    ranks = rankdata(np.concatenate([fakes, reals]))
    of_fakes = (ranks[: len(fakes)] - rankdata(fakes)) / len(reals)
    of_reals = 1 - (ranks[len(fakes) :] - rankdata(reals)) / len(fakes)
    return of_fakes, of_reals
