"""When is a video forged: precision by the overlap that is asked for, and clip scores of single videos over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from tdd.evaluation.localisation import (
    CONSTANT,
    DETECTOR,
    END,
    LABELS,
    PARTS,
    PERFECT,
    SHUFFLED,
    START,
    WITHIN,
    proposals_of,
)
from tdd.metrics.localisation import IOUS, overlap, scored_time
from tdd.plots.style import BLUE, GREEN, GREY, INK, ORANGE, as_letters, drawing, footnote

VIDEOS = 8
"""Shown over time, evenly spread over all forged ones, from the best found to the worst."""

_LOOK: dict[str, dict[str, Any]] = {
    DETECTOR: {"color": BLUE, "marker": "o", "markersize": 3.5},
    PERFECT: {"color": GREEN},
    WITHIN: {"color": ORANGE},
    SHUFFLED: {"color": GREY},
    CONSTANT: {"color": GREY, "linestyle": ":"},
}


def draw_localisation(
    known: Mapping[str, Any], timed: pd.DataFrame, dataset: str, path: Path, synthetic: bool = False
) -> Path:
    """Draw the figures of one data set, and some of its videos.

    Args:
        known: as :func:`tdd.evaluation.localisation.localise` gives them for the data set.
        timed: its clips, as :func:`tdd.evaluation.localisation.clip_times` gives them.
        dataset: its name.
        path: of the PNG.
        synthetic: said below the figure.

    Raises:
        OSError: ``path`` cannot be written.
    """
    chosen = _chosen(timed)
    with drawing(path, 9.2, 1.6 + 0.42 * max(6, len(chosen))) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.5))
        _draw_precision(left.subplots(), known)
        _draw_videos(right, chosen)
        title = f"{as_letters(dataset)}: forged parts and clip scores"
        right.suptitle(title, x=0.02, ha="left", size=10, weight="bold")
        footnote(
            figure,
            "Left: average precision at each overlap (IoU); band: 95% over videos. Right: orange, the forged parts; "
            "steps, the mean logit of the clips there; blue bar, the proposal of highest rank."
            + (" Synthetic benchmark." if synthetic else ""),
        )
    return path


def _draw_precision(axes: Axes, known: Mapping[str, Any]) -> None:
    for kind, look in _LOOK.items():
        figures = known["scores"][kind]
        heights = [100 * figures[f"ap_{level:g}"] for level in IOUS]
        axes.plot(IOUS, heights, label=LABELS[kind], **look)
        if kind == DETECTOR:
            low, high = ([100 * figures[side][f"ap_{level:g}"] for level in IOUS] for side in ("low", "high"))
            axes.fill_between(IOUS, low, high, color=BLUE, alpha=0.13, linewidth=0)
    axes.set(ylim=(-2, 102), xlabel="overlap asked for (IoU)", ylabel="average precision, %")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7.5)


def _chosen(timed: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Forged videos, evenly spread over them by how well the best proposal overlaps a part of theirs."""
    forged = [(str(video), group) for video, group in timed.groupby("video_id") if group[PARTS].iloc[0]]
    forged.sort(key=lambda pair: (-_best_overlap(pair[1]), pair[0]))
    places = np.unique(np.linspace(0, len(forged) - 1, VIDEOS).astype(int))
    return [forged[place] for place in places]


def _best_overlap(group: pd.DataFrame) -> float:
    found = proposals_of(group, group["logit"].to_numpy())
    return float(overlap(found.spans[:1], group[PARTS].iloc[0]).max())


def _draw_videos(figure: SubFigure, chosen: list[tuple[str, pd.DataFrame]]) -> None:
    panels = np.atleast_1d(figure.subplots(len(chosen), 1, sharex=True, squeeze=True))
    for axes, (video, group) in zip(panels, chosen, strict=True):
        for start, end in group[PARTS].iloc[0]:
            axes.axvspan(start, end, color=ORANGE, alpha=0.3, linewidth=0)
        clips = [group[name].to_numpy(float) for name in (START, END, "logit")]
        edges, values = scored_time(*clips)
        axes.stairs(values, edges, baseline=None, color=INK, linewidth=1.2)
        span = proposals_of(group, clips[2]).spans[0]
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        room = max(high - low, 1e-6)
        axes.plot(span, [low - 0.2 * room] * 2, color=BLUE, linewidth=3, solid_capstyle="butt")
        axes.set_ylim(low - 0.35 * room, high + 0.15 * room)
        axes.set_yticks([low, high], [f"{low:.1f}", f"{high:.1f}"], size=6.5)
        axes.grid(visible=False)
        axes.text(1.005, 0.5, as_letters(video.split("/")[-1]), transform=axes.transAxes, size=6.5, va="center")
    panels[-1].set_xlabel("time, s")
