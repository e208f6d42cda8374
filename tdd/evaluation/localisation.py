"""When is a video forged: figures of a test set whose forged parts are known, and what they have to be held against.

A figure alone says little, for it depends on how long the forged parts are, how many videos are forged, and how long a
clip is. So four kinds of score go through the same rule and stand beside the detector's: one constant score, which
proposes whole videos; the detector's own logits shuffled over all clips; the same shuffled within each video, which
know which video is forged and not when; and perfect ones, the share of each clip that is forged: what clips of this
length and stride allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tdd.config import RELABELLED, Recipe
from tdd.data.clips import frames_spanned
from tdd.data.clock import FPS
from tdd.data.segments import parse_segments
from tdd.data.store import ClipStore
from tdd.evaluation.selection import Protocol
from tdd.metrics.localisation import IOUS, PROPOSALS, Localisation, Proposals, clip_proposals
from tdd.names import FAKE_SOUND_ALONE, SEGMENTS
from tdd.records.targets import targets_of

DETECTOR, CONSTANT, SHUFFLED, WITHIN, PERFECT = "detector", "constant", "shuffled", "shuffled_within", "perfect"
"""Keys of the scores in a record."""

SHUFFLED_VIDEOS = 2_000
"""Videos that a floor of shuffled scores is the mean of, all draws together, in ``SHUFFLES`` draws at most."""
SHUFFLES = 20

START, END, PARTS = "start_s", "end_s", "parts"


def localise(
    clips: pd.DataFrame, store: ClipStore, recipe: Recipe, protocol: Protocol, seed: int = 0
) -> dict[str, Any]:
    """The figures of every data set that names forged parts.

    Fakes that name no part are left out, for they may be forged anywhere, and so are those whose sound alone is false;
    reals count, for what is proposed in them is false.

    Args:
        clips: one row a clip, with ``video_id``, ``dataset``, ``method``, ``label``, ``start`` (frame), ``logit`` and,
            where the store names parts, ``segments`` (text, :mod:`tdd.data.segments`).
        store: that the clips are of.
        recipe: says how long a clip is.
        protocol: that the clips were chosen by.
        seed: of shuffles and of the bootstrap.

    Returns:
        by data set: ``videos``, ``fakes``, ``parts``, ``part_seconds`` and
        ``clip_seconds`` (medians), and ``scores``: by kind of score the figures of
        :meth:`tdd.metrics.localisation.Localisation.figures`, the detector's with ``low`` and ``high`` (95%),
        over ``targets`` (their number; :func:`tdd.records.targets.targets_of`), or over videos where that is 0 and
        nothing says which of them belong together. Empty where no video that was scored names a part.

    Raises:
        TddError: a text of the column ``segments`` names no parts.
    """
    timed = clip_times(clips, store, recipe, protocol)
    return {
        str(dataset): _figures(group, seed)
        for dataset, group in timed.groupby("dataset")
        if group[PARTS].map(len).any()
    }


def clip_times(clips: pd.DataFrame, store: ClipStore, recipe: Recipe, protocol: Protocol) -> pd.DataFrame:
    """The clips whose place is known, with ``start_s`` and ``end_s`` (s) and the ``parts`` of their video.

    Of data sets that name forged parts: all clips but those of fakes that name none and of fakes for their sound alone.
    """
    texts = clips[SEGMENTS].fillna("") if SEGMENTS in clips else pd.Series("", clips.index)
    told = texts.ne("").groupby(clips["dataset"]).transform("any")
    unseen = (clips["label"] == 1) & (texts.eq("") | clips["method"].str.startswith(FAKE_SOUND_ALONE))
    kept = clips[told & ~unseen]
    parts = {text: parse_segments(text) for text in texts[kept.index].unique()}
    rate = _rates(store).reindex(kept["video_id"]).to_numpy()
    span = frames_spanned(recipe.clip, protocol.frame_step)
    return kept.assign(**{
        START: kept["start"] / rate, END: (kept["start"] + span) / rate, PARTS: texts[kept.index].map(parts),
    })  # fmt: skip


def _rates(store: ClipStore) -> pd.Series:
    """Frames of the store a second of the source, by video: 25, but for a store that takes every frame for 1/25 s."""
    index = store.index.set_index("video_id")
    if store.plan.get("frame_rate") != RELABELLED or "fps" not in index:
        return pd.Series(float(FPS), index.index)
    return index["fps"].astype(float).fillna(float(FPS))


def _figures(clips: pd.DataFrame, seed: int) -> dict[str, Any]:
    groups = [group for _, group in clips.groupby("video_id", sort=True)]
    parts = [np.array(group[PARTS].iloc[0]).reshape(-1, 2) for group in groups]
    found = Localisation([proposals_of(group, group["logit"].to_numpy()) for group in groups], parts)
    targets = targets_of(clips.drop_duplicates("video_id").set_index("video_id").sort_index())
    limits = found.intervals(seed=seed, targets=targets)
    figures = found.figures()
    own = figures | {
        side: {name: limits[name][place] for name in figures} for place, side in enumerate(("low", "high"))
    }
    fakes = [known for known in parts if len(known)]
    lengths = np.concatenate(fakes)
    return {
        "videos": len(groups), "fakes": len(fakes), "parts": found.parts,
        "targets": 0 if targets is None else int(targets.nunique()),
        "part_seconds": float(np.median(lengths[:, 1] - lengths[:, 0])),
        "clip_seconds": float((clips[END] - clips[START]).median()),
        "scores": {DETECTOR: own} | {
            kind: _mean([Localisation(draw, parts).figures() for draw in draws])
            for kind, draws in _references(groups, parts, seed).items()
        },
    }  # fmt: skip


def proposals_of(clips: pd.DataFrame, logits: np.ndarray) -> Proposals:
    """Proposals of one video from scores of its clips, in the order of its rows."""
    return clip_proposals(clips[START].to_numpy(), clips[END].to_numpy(), logits)


def forged_share(clips: pd.DataFrame, parts: np.ndarray) -> np.ndarray:
    """The share of each clip of a video that lies in its forged parts (start and end, s), shape (clips,)."""
    start, end = clips[START].to_numpy()[:, None], clips[END].to_numpy()[:, None]
    inside = np.clip(np.minimum(end, parts[None, :, 1]) - np.maximum(start, parts[None, :, 0]), 0, None)
    share: np.ndarray = inside.sum(1) / (end - start)[:, 0]
    return share


def _references(groups: list[pd.DataFrame], parts: list[np.ndarray], seed: int) -> dict[str, Iterator[list[Proposals]]]:
    """Proposals of all videos from scores that are known to be worth nothing, or everything."""
    rng = np.random.default_rng(seed)
    logits = [group["logit"].to_numpy() for group in groups]
    ends = np.cumsum([len(own) for own in logits])[:-1]
    draws = min(SHUFFLES, -(-SHUFFLED_VIDEOS // len(groups)))

    def proposed(scores: list[np.ndarray]) -> list[Proposals]:
        return [proposals_of(group, own) for group, own in zip(groups, scores, strict=True)]

    def over_all() -> Iterator[list[Proposals]]:
        for _ in range(draws):
            yield proposed(np.split(rng.permutation(np.concatenate(logits)), ends))

    def within() -> Iterator[list[Proposals]]:
        for _ in range(draws):
            yield proposed([rng.permutation(own) for own in logits])

    shares = [forged_share(group, known) for group, known in zip(groups, parts, strict=True)]
    return {
        CONSTANT: iter([proposed([np.zeros(len(own)) for own in logits])]),
        SHUFFLED: over_all(),
        WITHIN: within(),
        PERFECT: iter([proposed(shares)]),
    }


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


LABELS = {
    DETECTOR: "the detector's clip scores",
    CONSTANT: "one constant score",
    SHUFFLED: "scores shuffled over all clips",
    WITHIN: "scores shuffled within each video",
    PERFECT: "perfect clip scores",
}
"""The kinds of score in words."""

SHOWN = ("ap_0.5", "ap_0.75", "ap_0.95", *(f"ar_{count}" for count in PROPOSALS))
"""Figures of a table."""

HEADS = tuple(name.upper().replace("_", "@") for name in SHOWN)


def localisation_lines(found: Mapping[str, Any]) -> list[str]:
    """Tables for a terminal, one a data set, in percent."""
    lines = []
    for dataset, known in found.items():
        head = [f"{dataset}: when forged, %", *HEADS]
        rows = [[LABELS[kind], *cells(figures)] for kind, figures in known["scores"].items()]
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        table = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in (head, *rows)
        ]
        lines += [table[0], "─" * len(table[0]), *table[1:], ""]
    return lines


def cells(figures: Mapping[str, Any]) -> list[str]:
    """One row of figures in percent, with limits where there are some."""
    sides = [figures.get(side) for side in ("low", "high")]
    return [
        f"{100 * figures[name]:.1f}"
        + (f" [{100 * sides[0][name]:.0f}, {100 * sides[1][name]:.0f}]" if sides[0] and sides[1] else "")
        for name in SHOWN
    ]


def localisation_notes(found: Mapping[str, Any]) -> list[str]:
    """What a reader of the tables must know."""
    said = []
    for dataset, known in found.items():
        said.append(
            f"{dataset}: {known['parts']} forged parts, {known['part_seconds']:.2f} s long in the middle, in "
            f"{known['fakes']} of {known['videos']} videos; clips of {known['clip_seconds']:.2f} s; in "
            f"brackets 95% over {_drawn(known)}."
        )
    if said:
        said.append(
            "AP: average precision at an overlap (IoU) larger than that; AR: average recall over overlaps of "
            f"{IOUS[0]} to {IOUS[-1]}, of so many proposals a video, as LAV-DF counts them. A proposal is a run of "
            "clips that score at or above some threshold, ranked by how far its mean lies above that of all time below "
            "it, less for what overlaps a better one; a video that is forged from end to end has no such time. "
            "The other rows go through the same rule: a constant score and shuffled ones are the floor, perfect scores "
            "(the forged share of each clip) show what clips of this length and stride allow."
        )
    return said


def _drawn(known: Mapping[str, Any]) -> str:
    """Over what the limits are; records of older versions took videos for independent."""
    return f"{known['targets']} targets" if known.get("targets") else "videos, as if none belonged to another"
