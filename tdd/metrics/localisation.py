"""When is a video forged: proposals from clip scores, and what they are worth against the known forged parts.

Average precision and average recall as LAV-DF reports them (Cai et al., DICTA 2022, arXiv 2204.06228; CVIU 2023, arXiv
2305.01979), by the definitions in its owners' code, github.com/ControlNet/LAV-DF:

- a proposal finds a part when their intersection over union (IoU) is larger than a threshold, not when it equals it;
- precision: the parts of a video are taken in order of time, and each takes the highest-ranked proposal of its video
  that finds it and is not taken; all other proposals are false, those of videos without a forged part too;
- average precision: all proposals of all videos ranked together by score, area under the precision that is the best at
  this recall or a larger one;
- average recall: the share of all parts that one of a video's first N proposals finds (several parts may be found by
  one proposal), mean over the ten IoU thresholds from 0.5 to 0.95.

On purpose other than that code: the area begins at recall 0 (theirs leaves out what lies before the first-ranked
proposal, at most 1 / number of parts), tied scores enter together and not in the order of the videos, and a video may
have fewer proposals than N, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tdd.errors import TddError
from tdd.metrics.covariance import grouped
from tdd.metrics.inputs import check_level

PRECISION_IOUS = (0.5, 0.75, 0.95)
"""Thresholds at which average precision is reported."""

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Thresholds over which average recall is a mean."""

PROPOSALS = (100, 50, 20, 10)
"""Proposals a video, at which average recall is reported."""

DRAWS = 500
"""Bootstrap draws of an interval."""

_DIGITS = 9
"""Of an IoU, a score or a time (s) that count: what rounding makes of equal numbers is no difference."""


@dataclass(frozen=True)
class Proposals:
    """Parts of one video that may be forged, best first.

    Attributes:
        spans: start and end, s, shape (P, 2).
        scores: larger is more likely forged, shape (P,).
    """

    spans: np.ndarray
    scores: np.ndarray


def clip_proposals(starts: ArrayLike, ends: ArrayLike, logits: ArrayLike) -> Proposals:
    """Parts of a video that stand out by their clip scores.

    The score of an instant is the mean logit of all clips that cover it. A proposal is a longest run of time whose
    score is at or above a threshold, for every threshold. Its own score is the mean over the run less the mean over all
    time below that threshold (after the contrast of Shou et al., AutoLoc, ECCV 2018, arXiv 1807.08333); that of the
    whole scored time, when nothing lies below, is 0. So a clip that is merely high, beside others as high, is no find,
    and a person whose videos all score high is none either. What is forged from its first frame to its last cannot be
    found. Runs at one threshold lie within those at a lower one: each is then multiplied, for every better one of its
    video, by 1 - IoU with that (linear soft-NMS, Bodla et al., ICCV 2017, arXiv 1704.04503).

    Args:
        starts: of the clips, s, shape (C,).
        ends: of the clips, s, shape (C,).
        logits: of the clips, shape (C,).

    Returns:
        at most one proposal an interval between the edges of clips; none without clips.

    Raises:
        TddError: shapes differ, a clip ends where or before it begins, or a number is not finite.
    """
    begin, end, score = (np.asarray(values, float) for values in (starts, ends, logits))
    if not (begin.shape == end.shape == score.shape and begin.ndim == 1):
        raise TddError(f"A clip has a start, an end and a logit; got {begin.shape}, {end.shape} and {score.shape}.")
    if not (np.isfinite(begin).all() and np.isfinite(end).all() and np.isfinite(score).all() and (begin < end).all()):
        raise TddError("A clip's start, end and logit are finite numbers and it ends after it begins; score it again.")
    edges, values = scored_time(begin, end, score)
    return _contrasts(edges, values)


def scored_time(starts: np.ndarray, ends: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The score of every instant, as steps.

    Returns:
        edges of the steps, s, shape (K + 1,); mean logit of the clips that cover each, NaN where none does, shape (K,).
    """
    # Frame 3 of a clip and frame 28 of another are one instant, which division may write in two ways.
    starts, ends = np.round(starts, _DIGITS), np.round(ends, _DIGITS)
    edges = np.unique(np.concatenate([starts, ends]))
    if not len(edges):
        return edges, edges
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    total, covered = np.zeros(len(edges)), np.zeros(len(edges))
    for sums, weights in ((total, logits), (covered, np.ones(len(logits)))):
        np.add.at(sums, first, weights)
        np.add.at(sums, last, -weights)
    counts = np.rint(np.cumsum(covered)[:-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return edges, np.where(counts > 0, np.cumsum(total)[:-1] / counts, np.nan)


def _contrasts(edges: np.ndarray, values: np.ndarray) -> Proposals:
    values = np.round(values, _DIGITS)
    known = ~np.isnan(values)
    weights = np.where(known, np.diff(edges), 0.0)
    mass = np.where(known, values, 0.0) * weights
    best: dict[tuple[int, int], float] = {}
    for threshold in np.unique(values[known]):
        above = known & (values >= threshold)
        rest = float(weights[~above].sum())
        low = float(mass[~above].sum()) / rest if rest else None
        turns = np.flatnonzero(np.diff(np.concatenate([[0], above, [0]])))
        for start, end in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True):
            own = float(mass[start:end].sum() / weights[start:end].sum())
            contrast = 0.0 if low is None else own - low
            # A run may stay the same while others grow: it counts where it stands out most.
            best[start, end] = max(contrast, best.get((start, end), 0.0))
    spans = np.array([(edges[start], edges[end]) for start, end in best]).reshape(-1, 2)
    return _thinned(spans, np.array(list(best.values())))


def _thinned(spans: np.ndarray, scores: np.ndarray) -> Proposals:
    """Proposals in the order of their scores, each lowered by the better ones that it overlaps."""
    order = np.lexsort((spans[:, 1], spans[:, 0]))  # of tied ones the earlier is the better
    spans, left = spans[order], np.round(scores[order], _DIGITS)
    ious = overlap(spans, spans)
    taken, found = [], []
    for _ in range(len(spans)):
        first = int(left.argmax())
        taken.append(first)
        found.append(left[first])
        left = np.round(left * (1 - ious[first]), _DIGITS)
        left[taken] = -np.inf
    return Proposals(spans[taken].reshape(-1, 2), np.array(found, float))


def overlap(spans: ArrayLike, parts: ArrayLike) -> np.ndarray:
    """Intersection over union of every span with every part (start and end, s), shape (spans, parts)."""
    own, other = (np.asarray(pairs, float).reshape(-1, 2) for pairs in (spans, parts))
    left = np.maximum(own[:, None, 0], other[None, :, 0])
    right = np.minimum(own[:, None, 1], other[None, :, 1])
    shared = np.clip(right - left, 0, None)
    union = (own[:, 1] - own[:, 0])[:, None] + (other[:, 1] - other[:, 0])[None] - shared
    return np.round(shared / union, _DIGITS)


def true_proposals(ious: np.ndarray, threshold: float) -> np.ndarray:
    """Which proposals of a video, best first, are the one that finds a part of it: bool, shape (P,).

    Args:
        ious: shape (P, S), the proposals best first, the parts in order of time.
        threshold: which IoU must be larger than.
    """
    taken = np.zeros(len(ious), bool)
    for part in ious.T:
        free = np.flatnonzero((part > threshold) & ~taken)
        taken[free[:1]] = True
    return taken


class Localisation:
    """Proposals of several videos against their known forged parts.

    Attributes:
        videos: their number.
        parts: number of forged parts in all.
    """

    def __init__(self, proposals: Sequence[Proposals], parts: Sequence[ArrayLike]) -> None:
        """Match proposals and parts.

        Args:
            proposals: of each video.
            parts: of each video: start and end of its forged parts, s, shape (S, 2), in order of time; empty for a real
                one.

        Raises:
            TddError: another number of videos, no forged part at all, or a part that ends where or before it begins.
        """
        known = [np.asarray(own, float).reshape(-1, 2) for own in parts]
        if len(known) != len(proposals):
            raise TddError(f"{len(proposals)} videos have proposals and {len(known)} have parts; give both of each.")
        if any((own[:, 1] <= own[:, 0]).any() for own in known):
            raise TddError("A forged part ends after it begins; correct the segments.")
        self.videos, self.parts = len(known), sum(map(len, known))
        if not self.parts:
            raise TddError("No video has a known forged part, so that nothing can be found; give their segments.")
        ious = [overlap(own.spans, other) for own, other in zip(proposals, known, strict=True)]
        self._counts = np.array([len(own) for own in known], float)
        self._owner = np.repeat(np.arange(self.videos), [len(own.scores) for own in proposals])
        scores = np.concatenate([own.scores for own in proposals])
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        # Where a group of tied scores ends.
        self._ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True)) if len(ranked) else np.zeros(0, int)
        self._true = {
            level: np.concatenate([true_proposals(own, level) for own in ious])[self._order] for level in IOUS
        }
        self._found = np.array([[_found(own, count) for own in ious] for count in PROPOSALS], float)

    def figures(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """Average precision and average recall, in [0, 1].

        Args:
            weights: how often each video counts, shape (videos,); ``None``: once.

        Returns:
            ``ap_0.5`` to ``ap_0.95`` by IoU threshold, and ``ar_100``, ``ar_50``, ``ar_20``, ``ar_10`` by the number of
            proposals a video.
        """
        times = np.ones(self.videos) if weights is None else weights
        parts = float(times @ self._counts)
        recall = np.einsum("nvl,v->n", self._found, times) / parts / len(IOUS)
        each = times[self._owner[self._order]]
        ranked = np.cumsum(each)[self._ends]
        precise = {f"ap_{level:g}": self._precision(level, each, ranked, parts) for level in IOUS}
        return precise | {f"ar_{count}": float(value) for count, value in zip(PROPOSALS, recall, strict=True)}

    def _precision(self, level: float, each: np.ndarray, all_of: np.ndarray, parts: float) -> float:
        right = np.cumsum(each * self._true[level])[self._ends]
        # A draw may leave out every video that the first-ranked proposals are of.
        precision = np.divide(right, all_of, out=np.zeros(len(right)), where=all_of > 0)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        return float((np.diff(right / parts, prepend=0.0) * best).sum())

    def intervals(
        self, level: float = 0.95, draws: int = DRAWS, seed: int = 0, targets: ArrayLike | None = None
    ) -> dict[str, tuple[float, float]]:
        """Percentile limits of every figure, over targets drawn anew with replacement, each with all its videos.

        Args:
            level: coverage aimed at, in (0, 1).
            draws: samples of the bootstrap.
            seed: of the bootstrap.
            targets: of each video, shape (videos,): what belongs together has the same entry, as all that is made from
                one real does; ``None`` draws videos, as if they had nothing in common.

        Raises:
            TddError: the level does not lie in (0, 1), another number of targets, or a video without one.
        """
        check_level(level)
        rng = np.random.default_rng(seed)
        groups = np.arange(self.videos) if targets is None else grouped(self._counts, targets)
        count = groups.max() + 1
        found: list[list[float]] = []
        while len(found) < draws:
            weights = np.bincount(rng.integers(0, count, count), minlength=count)[groups].astype(float)
            if weights @ self._counts:  # else without a part to be found
                found.append(list(self.figures(weights).values()))
        low, high = np.percentile(np.array(found), [50 * (1 - level), 50 * (1 + level)], axis=0)
        return {name: (float(a), float(b)) for name, a, b in zip(self.figures(), low, high, strict=True)}


def _found(ious: np.ndarray, count: int) -> list[int]:
    """How many parts one of the first ``count`` proposals finds, by threshold."""
    best = ious[:count].max(0, initial=0.0)
    return [int((best > level).sum()) for level in IOUS]
