"""AUC by level of corruption: one panel a corruption, one line a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tdd.evaluation.perturb import CORRUPTIONS, LEVELS
from tdd.evaluation.texts import by_level, datasets_of, untouched
from tdd.plots.style import BACKBONE_NAMES, BLUE, GREEN, GREY, INK, ORANGE, drawing, footnote

INKS = (BLUE, ORANGE, GREEN, INK, GREY)
COLUMNS = 4
"""Panels in a row."""


def draw_robustness(record: Mapping[str, Any], path: Path) -> Path:
    """Draw a record of :func:`tdd.evaluation.robustness.measure_robustness`; bands are 95% limits over videos (DeLong).

    The last panel holds the mean over the corruptions that touched a video, at the levels that all of them were
    measured at, and has no band: they share their videos.

    Raises:
        OSError: ``path`` cannot be written.
    """
    datasets = datasets_of(record)
    found = {dataset: by_level(record, dataset) for dataset in datasets}
    codes = list(found[datasets[0]])
    columns = min(COLUMNS, len(codes) + 1)
    rows = -(-(len(codes) + 1) // columns)  # one panel more, for the mean
    with drawing(path, 1.9 * columns if columns > 2 else 5.0, 0.9 + 1.9 * rows) as figure:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, code in zip(panels, codes, strict=False):
            axes.set_title(f"{code} {CORRUPTIONS[code].name}", fontsize=9)
            for ink, dataset in zip(INKS, datasets, strict=False):
                _draw_levels(axes, found[dataset][code], ink, dataset)
        summary = panels[len(codes)]
        summary.set_title("mean", fontsize=9)
        for ink, dataset in zip(INKS, datasets, strict=False):
            means = _means({code: levels for code, levels in found[dataset].items() if code not in untouched(record)})
            summary.plot(list(means), list(means.values()), "o-", color=ink, markersize=3.5, label=dataset)
        for place, axes in enumerate(panels):
            axes.set_visible(place <= len(codes))
            axes.axhline(50, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.set(xlim=(-0.3, 5.3), xticks=(0, *LEVELS))
            if place % columns == 0:
                axes.set_ylabel("AUC, %")
            if place > len(codes) - columns:
                axes.set_xlabel("level (0: undamaged)")
                axes.tick_params(labelbottom=True)  # sharex hides them above an empty place
        figure.legend(*summary.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        footnote(figure, _small_print(record))
    return path


def _small_print(record: Mapping[str, Any]) -> str:
    backbone = record["row"]["backbone"]
    said = [f"{BACKBONE_NAMES.get(backbone, backbone)}. Bands: 95% over videos (DeLong). Dotted: chance."]
    methods = record["data"]["protocol"]["methods"]
    said += [f"{', '.join(methods)} alone."] if methods else []
    return " ".join([*said, *(["Synthetic benchmark."] if record["synthetic"] else [])])


def _draw_levels(axes: Axes, levels: Mapping[int, Mapping[str, Any]], ink: str, dataset: str) -> None:
    at = sorted(levels)
    value, low, high = ([100 * levels[level][key] for level in at] for key in ("auc", "low", "high"))
    axes.plot(at, value, "o-", color=ink, markersize=3.5, label=dataset)
    axes.fill_between(at, low, high, color=ink, alpha=0.13, linewidth=0)


def _means(found: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[int, float]:
    """Mean AUC over corruptions, %, at each level that all of them have."""
    shared = set.intersection(*(set(levels) for levels in found.values())) if found else set()
    return {
        level: float(np.mean([100 * levels[level]["auc"] for levels in found.values()])) for level in sorted(shared)
    }
