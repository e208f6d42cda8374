"""Video-level scores, area under the ROC curve, and how far that area can be trusted.

Everything here takes arrays or tables and returns arrays or tables; nothing reads a file or a recipe.
Labels are 0 for real and 1 for fake, and a higher score means "more likely fake".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from tdd.errors import TddError

CLIP_COLUMNS = ("video_id", "dataset", "method", "label", "split", "start", "logit")
"""What a table of clip logits holds, one row a clip; ``start`` is the clip's first frame."""

_FACTS = ["dataset", "method", "label", "split"]
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate between its confidence limits, all as fractions in [0, 1]."""

    value: float
    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class RocCurve:
    """Corner points of an ROC curve from (0, 0) to (1, 1), each array of shape (K,); ``thresholds[0]`` is infinite."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


def video_scores(clips: pd.DataFrame) -> pd.DataFrame:
    """Average the clip logits of each video (RealForensics: Haliassos et al., CVPR 2022, arXiv 2201.07131).

    Rank videos by ``logit``, not by ``score``: the sigmoid rounds to 1 beyond a logit of 37, and a cosine head scaled
    by 64 passes that, so that ``score`` may tie videos which the network tells apart.

    Args:
        clips: one row a clip, with the columns of ``CLIP_COLUMNS``; ``video_id`` names the method too, since one file
            name occurs in every method folder of FaceForensics++.

    Returns:
        One row a video, indexed by ``video_id`` in sorted order, with the columns dataset, method, label, split,
        ``logit`` (mean of its clips), ``score`` (sigmoid of that mean, the probability of a fake) and ``clips``.

    Raises:
        TddError: a column is absent, the table is empty, a logit is not finite, a label is neither 0 nor 1, a clip
            (video_id, start) occurs twice, or one video carries two labels, methods, data sets or splits.
    """
    _check_clips(clips)
    by_video = clips.groupby("video_id", sort=True)
    mixed = by_video[_FACTS].nunique(dropna=False).gt(1)
    if mixed.to_numpy().any():
        video = mixed.index[mixed.any(axis=1)][0]
        columns = " and ".join(mixed.columns[mixed.loc[video]])
        raise TddError(f"Video {video!r} has clips that differ in {columns}; make its id name one video only.")
    videos = by_video[_FACTS].first()
    videos["label"] = videos["label"].astype(int)
    videos["logit"] = by_video["logit"].mean()
    videos["score"] = expit(videos["logit"])
    videos["clips"] = by_video.size()
    return videos


def _check_clips(clips: pd.DataFrame) -> None:
    absent = [column for column in CLIP_COLUMNS if column not in clips.columns]
    if absent:
        raise TddError(f"The table of clip logits lacks {', '.join(absent)}; it must hold {', '.join(CLIP_COLUMNS)}.")
    if clips.empty:
        raise TddError("The table of clip logits holds no clip; evaluate the checkpoint on a test set first.")
    broken = ~np.isfinite(clips["logit"].to_numpy(float))
    if broken.any():
        first = clips.iloc[int(broken.argmax())]
        raise TddError(
            f"{int(broken.sum())} of {len(clips)} clip logits are not finite, the first in {first['video_id']!r} at "
            f"frame {first['start']}; the network diverged or its input was broken: train it again."
        )
    if not clips["label"].isin((0, 1)).all():
        raise TddError(f"Labels must be 0 (real) or 1 (fake), found {sorted(set(clips['label']) - {0, 1})}.")
    again = clips.duplicated(["video_id", "start"])
    if again.any():
        first = clips[again].iloc[0]
        raise TddError(
            f"{int(again.sum())} clips are scored more than once, the first in {first['video_id']!r} at frame "
            f"{first['start']}; score every clip once."
        )


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: P(fake scores above real) + P(tie) / 2 (Mann-Whitney).

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: any monotone score, shape (N,).

    Raises:
        TddError: shapes differ, a score is not finite, a label is neither 0 nor 1, or one class is absent.
    """
    fakes, reals = _split(labels, scores)
    above = rankdata(np.concatenate([fakes, reals]))[: len(fakes)].sum() - len(fakes) * (len(fakes) + 1) / 2
    return float(above / (len(fakes) * len(reals)))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """True against false positive rate at every distinct score, from the strictest threshold to the loosest.

    Args:
        labels: 0 real, 1 fake, shape (N,).
        scores: shape (N,).

    Raises:
        TddError: as :func:`auc`.
    """
    fakes, reals = _split(labels, scores)
    levels, fake_counts, real_counts = _tally(fakes, reals)
    true_rate = np.concatenate([[0.0], np.cumsum(fake_counts[::-1]) / len(fakes)])
    false_rate = np.concatenate([[0.0], np.cumsum(real_counts[::-1]) / len(reals)])
    return RocCurve(false_rate, true_rate, np.concatenate([[np.inf], levels[::-1]]))


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
    pairs = [_split(labels, row) for row in table]
    if min(len(pairs[0][0]), len(pairs[0][1])) < 2:
        raise TddError("A variance needs at least two real and two fake videos; add videos to the test set.")
    of_fakes, of_reals = (np.stack(part) for part in zip(*(_placements(*pair) for pair in pairs), strict=True))
    covariance = np.cov(of_fakes) / of_fakes.shape[1] + np.cov(of_reals) / of_reals.shape[1]
    return of_fakes.mean(axis=1), np.atleast_2d(covariance)


def _placements(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of reals below each fake, and share of fakes above each real; ties count one half."""
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
    within each class and takes percentiles. Where either would have no width (a perfect ranking, or one constant
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
    _check_level(level)
    if method not in ("delong", "bootstrap"):
        raise TddError(f"Interval method {method!r} is unknown; use 'delong' or 'bootstrap'.")
    areas, covariance = delong_covariance(labels, scores)
    value, spread = float(areas[0]), float(np.sqrt(covariance[0, 0]))
    if spread < 1e-12 or not 0 < value < 1:
        fakes, reals = _split(labels, scores)
        return newcombe_interval(value, len(fakes), len(reals), level)
    if method == "bootstrap":
        samples = bootstrap_auc(labels, scores, replicates, seed)
        low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    else:
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
    _check_level(level)
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
    _check_level(level)
    rates, curves = np.asarray(grid, float), []
    for fake_counts, real_counts in _resampled(labels, scores, replicates, seed):
        true_rates = np.cumsum(fake_counts[:, ::-1], axis=1) / fake_counts[0].sum()
        false_rates = np.cumsum(real_counts[:, ::-1], axis=1) / real_counts[0].sum()
        curves += [
            np.interp(rates, np.append(0.0, x), np.append(0.0, y)) for x, y in zip(false_rates, true_rates, strict=True)
        ]
    low, high = np.quantile(np.stack(curves), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _resampled(labels: ArrayLike, scores: ArrayLike, replicates: int, seed: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Counts of fakes and of reals at each distinct score, (b, K) each, in chunks that keep memory bounded."""
    fakes, reals = _split(labels, scores)
    levels, fake_counts, real_counts = _tally(fakes, reals)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(levels))
    for first in range(0, replicates, step):
        rows = min(step, replicates - first)
        # drawing videos with replacement = drawing each level in proportion to the videos on it
        yield (
            rng.multinomial(len(fakes), fake_counts / len(fakes), rows),
            rng.multinomial(len(reals), real_counts / len(reals), rows),
        )


def _tally(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores in rising order, and the number of fakes and of reals on each."""
    levels, where = np.unique(np.concatenate([fakes, reals]), return_inverse=True)
    fake_counts = np.bincount(where[: len(fakes)], minlength=len(levels))
    return levels, fake_counts, np.bincount(where[len(fakes) :], minlength=len(levels))


def _split(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
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


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise TddError(f"A confidence level lies between 0 and 1, got {level}; use 0.95 for 95%.")
