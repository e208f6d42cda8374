"""Figures with one line for each row of a study: AUC by method, differences to the reference, spread of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from tdd.plots.style import BLUE, GREY, INK, ORANGE, drawing, footnote, source_note
from tdd.records import paper
from tdd.records.results import TEST_SETS, Study
from tdd.report.table import (
    COLUMNS,
    SEEN,
    Difference,
    ResultRow,
    contrasts,
    drawn_run,
    drawn_seeds,
    result_rows,
    seeds_words,
    videos_of,
)

_AUC_MAP = LinearSegmentedColormap.from_list("auc", [ORANGE, "#ffffff", BLUE])
"""Orange below chance, white at it, blue above."""

_TITLES = {SEEN: "seen, mean"}


def _usable(study: Study) -> list[ResultRow]:
    return [row for row in result_rows(study) if row.cells]


def draw_methods(study: Study, path: Path) -> Path:
    """Draw AUC of every row on every test set as a heat map, means over seeds; white is chance."""
    rows = _usable(study)
    values = np.array([[row.cells[n].value if n in row.cells else np.nan for n in TEST_SETS] for row in rows])
    with drawing(path, 8.2, 1.2 + 0.3 * max(1, len(rows))) as figure:  # a study without results draws too
        axes = figure.subplots()
        if len(rows):
            shown = axes.imshow(values, cmap=_AUC_MAP, vmin=0, vmax=100, aspect="auto")
            figure.colorbar(shown, ax=axes, label="AUC, %", shrink=0.9)
        axes.set_xticks(range(len(TEST_SETS)), TEST_SETS, fontsize=8)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.axvline(len(paper.TEST_SETS) - 0.5, color=INK, linewidth=1.2)
        for (line, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink = "white" if abs(value - 50) > 38 else INK  # dark letters drown in the ends of the map
                axes.text(column, line, f"{value:.0f}", ha="center", va="center", color=ink)
        seeds = seeds_words(row.cells[name].seeds for row in rows for name in TEST_SETS if name in row.cells)
        seeds = f"Mean over {seeds}. " if len(study.seeds) > 1 and seeds else ""
        footnote(figure, f"{seeds}Left of the rule: never seen in training. {source_note(study)}")
    return path


def draw_differences(study: Study, path: Path) -> Path:
    """Draw the differences of a study's family, with 95% limits; filled where the corrected p is below 0.05.

    A cross stands where there is nothing to test: other videos, or the same scores.
    """
    rows = contrasts(study)
    with drawing(path, 8.2, 1.25 + 0.29 * max(1, len(rows))) as figure:
        panels = figure.subplots(1, len(COLUMNS), sharey=True)
        for axes, name in zip(panels, COLUMNS, strict=True):
            axes.axvline(0, color=GREY, linewidth=1)
            for line, row in enumerate(rows):
                if name in row.differences:
                    _draw_difference(axes, line, row.differences[name])
            axes.set(title=_TITLES.get(name, name), xlabel="points of AUC")
            axes.set_yticks(range(len(rows)), [row.label for row in rows])
        panels[0].set_ylim(max(1, len(rows)) - 0.5, -0.5)
        counts = [row.differences[name].seeds for row in rows for name in COLUMNS if name in row.differences]
        seeds = f"{seeds_words(counts)}, " if counts else ""
        footnote(
            figure,
            f"Differences of a family {study.family}; {seeds}"
            "bars 95%. Filled: corrected p < 0.05; cross: nothing to test. "
            f"{source_note(study)}",
        )
    return path


def _draw_difference(axes: Axes, line: int, found: Difference) -> None:
    if found.low is None or found.high is None:
        axes.plot(found.value, line, "x", color=INK, markersize=5)
        return
    axes.plot([found.low, found.high], [line, line], color=BLUE, linewidth=1.3)
    clear = found.p_holm is not None and found.p_holm < 0.05
    axes.plot(found.value, line, "o", color=BLUE, markersize=5, markerfacecolor=BLUE if clear else "white")


def draw_scores(study: Study, path: Path) -> Path:
    """Draw how the logits of real and fake videos spread, one line a row, in units of each run's own spread.

    Of several seeds the first that a row has is drawn. Cosine heads of other runs have other scales; only order within
    a run counts.
    """
    rows = _usable(study)
    with drawing(path, 8.0, 1.3 + 0.42 * max(1, len(rows))) as figure:
        panels = figure.subplots(1, len(paper.TEST_SETS), sharey=True)
        for axes, name in zip(panels, paper.TEST_SETS, strict=True):
            for line, row in enumerate(rows):
                if name in row.cells:
                    _draw_spread(axes, line, study, row, name)
            axes.set(title=name, xlabel="logit, standard deviations from the middle")
            axes.set_yticks(range(len(rows)), [row.label for row in rows])
            axes.grid(visible=False, axis="y")
        panels[0].set_ylim(max(1, len(rows)) - 0.4, -0.75)
        panels[-1].plot([], [], color=BLUE, linewidth=5, alpha=0.6, label="real")
        panels[-1].plot([], [], color=ORANGE, linewidth=5, alpha=0.6, label="fake")
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
        seeds = drawn_seeds(study, rows, paper.TEST_SETS)
        footnote(figure, f"Test videos, {seeds}; each side a histogram, smoothed. {source_note(study)}")
    return path


def _draw_spread(axes: Axes, line: int, study: Study, row: ResultRow, name: str) -> None:
    """Reals above the line, fakes below it, as smoothed histograms."""
    table = videos_of(drawn_run(study, row, name), name)
    # The floor is for equal logits, which have no spread.
    scores = (table["logit"] - table["logit"].median()) / max(table["logit"].std(), 1e-9)
    grid = np.linspace(-3.5, 3.5, 200)
    for label, ink, side in ((0, BLUE, -1), (1, ORANGE, 1)):
        own = scores[table["label"] == label].to_numpy()
        density = np.exp(-0.5 * ((grid[:, None] - own) / 0.3) ** 2).mean(1)
        height = 0.4 * side * density / max(density.max(), 1e-9)  # a class may lie beyond the grid
        axes.fill_between(grid, line, line + height, color=ink, alpha=0.6, linewidth=0)
        axes.plot([np.median(own)] * 2, [line, line + side * 0.4], color=ink, linewidth=1.3)
