"""How well scores put fakes above reals: the ROC curve, and numbers read off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from tdd.errors import TddError
from tdd.metrics.inputs import split_classes, tally


@dataclass(frozen=True)
class RocCurve:
    """Corner points of an ROC curve from (0, 0) to (1, 1), each array of shape (K,); ``thresholds[0]`` is infinite."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: P(fake scores above real) + P(tie) / 2 (Mann-Whitney).

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: any monotone score, shape (N,).

    Raises:
        TddError: shapes differ, a score is not finite, a label is neither 0 nor 1, or one class is absent.
    """
    fakes, reals = split_classes(labels, scores)
    # rankdata gives tied scores their mean rank, so that a tie counts one half.
    above = rankdata(np.concatenate([fakes, reals]))[: len(fakes)].sum() - len(fakes) * (len(fakes) + 1) / 2
    return float(above / (len(fakes) * len(reals)))


def paired_share(fakes: ArrayLike, reals: ArrayLike) -> float:
    """P(a fake scores above the real that it was made from) + P(tie) / 2.

    An area also holds how far targets lie apart, which a pair has in common: this number does not.

    Args:
        fakes: scores, shape (P,).
        reals: scores of the real that each was made from, shape (P,).

    Raises:
        TddError: lengths differ, there is no pair, or a score is not finite.
    """
    one, two = np.asarray(fakes, float), np.asarray(reals, float)
    if one.ndim != 1 or one.shape != two.shape or not len(one):
        raise TddError(f"Pairs are two lists of one length, at least one pair; got shapes {one.shape} and {two.shape}.")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise TddError("Some scores of pairs are not finite; mend the detector.")
    return float(((one > two) + (one == two) / 2).mean())


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """True against false positive rate at every distinct score, from the strictest threshold to the loosest.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).

    Raises:
        TddError: as :func:`auc`.
    """
    fakes, reals = split_classes(labels, scores)
    levels, fake_counts, real_counts = tally(fakes, reals)
    true_rate = np.concatenate([[0.0], np.cumsum(fake_counts[::-1]) / len(fakes)])
    false_rate = np.concatenate([[0.0], np.cumsum(real_counts[::-1]) / len(reals)])
    return RocCurve(false_rate, true_rate, np.concatenate([[np.inf], levels[::-1]]))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean of the precision over the fakes, each at the threshold that just takes it in; ties share one threshold.

    Unlike the area under the ROC curve it depends on the share of fakes among the videos, which is also its value for
    scores without information: compare it on one test set only.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).

    Raises:
        TddError: as :func:`auc`.
    """
    fakes, reals = split_classes(labels, scores)
    _, fake_counts, real_counts = tally(fakes, reals)
    taken = np.cumsum(fake_counts[::-1])
    precision = taken / (taken + np.cumsum(real_counts[::-1]))
    return float((fake_counts[::-1] * precision).sum() / len(fakes))


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """The rate at which as large a share of reals is called fake as of fakes is called real, in [0, 1].

    Where no threshold makes the two equal, the ROC curve is followed in a straight line between its corner points.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).

    Raises:
        TddError: as :func:`auc`.
    """
    curve = roc_curve(labels, scores)
    excess = curve.false_positive_rate - (1 - curve.true_positive_rate)  # rises from -1 to 1
    return float(np.interp(0.0, excess, curve.false_positive_rate))


def partial_auc(labels: ArrayLike, scores: ArrayLike, max_fpr: float = 0.1) -> float:
    """Area under the ROC curve up to a false positive rate, standardised: 0.5 for chance, 1 for a perfect ranking.

    McClish, Medical Decision Making 9 (1989) 190-195; the same number as scikit-learn's ``max_fpr`` gives.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).
        max_fpr: false positive rate at which the area ends, in (0, 1].

    Raises:
        TddError: as :func:`auc`, or ``max_fpr`` lies outside (0, 1].
    """
    _check_rate(max_fpr)
    curve = roc_curve(labels, scores)
    inside = curve.false_positive_rate <= max_fpr
    end = np.interp(max_fpr, curve.false_positive_rate, curve.true_positive_rate)
    rates = np.append(curve.false_positive_rate[inside], max_fpr)
    heights = np.append(curve.true_positive_rate[inside], end)
    # Written out, for numpy 1 has no np.trapezoid.
    area = float((np.diff(rates) * (heights[1:] + heights[:-1]) / 2).sum())
    chance = max_fpr**2 / 2
    return 0.5 * (1 + (area - chance) / (max_fpr - chance))


def tpr_at_fpr(labels: ArrayLike, scores: ArrayLike, fpr: float = 0.05) -> float:
    """Share of the fakes found by the loosest threshold at which no more than ``fpr`` of the reals are called fake.

    A threshold that exists, not a point between two: on 140 reals, 5% are 7 videos.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).
        fpr: false positive rate that is allowed, in (0, 1].

    Raises:
        TddError: as :func:`auc`, or ``fpr`` lies outside (0, 1].
    """
    _check_rate(fpr)
    curve = roc_curve(labels, scores)
    allowed = curve.false_positive_rate <= fpr + 1e-12  # 1 - 0.9 is a little less than 0.1
    return float(curve.true_positive_rate[allowed][-1])


def _check_rate(rate: float) -> None:
    if not 0 < rate <= 1:
        raise TddError(f"A false positive rate lies above 0 and is at most 1, got {rate}; use 0.05 for 5%.")
