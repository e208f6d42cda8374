"""ROC curves of all rows, and AUC against what a study varies: ssl_weight, or the number of stage-1 clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdd.metrics import roc_band, roc_curve
from tdd.plots.style import BLUE, GREY, INK, ORANGE, drawing, footnote, row_ink, row_mark, source_note
from tdd.records import paper
from tdd.records.plans import BASELINE
from tdd.records.results import Study
from tdd.records.targets import shared_targets
from tdd.report.table import (
    Cell,
    ResultRow,
    class_counts,
    drawn_run,
    drawn_seeds,
    result_rows,
    seeds_words,
    videos_of,
)

LOWEST_FPR = 0.01
"""Where the logarithmic axis begins: fewer than a hundred reals cannot tell much below it."""

_GRID = np.union1d(np.linspace(0, 1, 101), np.geomspace(LOWEST_FPR, 1, 60))
"""False positive rates at which a band is known, for both axes."""


def draw_roc(study: Study, path: Path, *, replicates: int = 1000) -> Path:
    """Draw ROC curves on both test sets of the table, over a linear and a logarithmic false positive rate.

    One row carries a pointwise 95% bootstrap band: CNN-GRU + attention in the table's study, elsewhere the row of
    reference. Of several seeds the first that a row has is drawn, and the legend's AUC is that curve's own.
    """
    rows = [row for row in result_rows(study) if study.usable(row.id)]
    banded = "cnn_gru_attention" if study.name == "table" else study.reference
    height = 0.55 + 0.17 * len(rows)  # of the legends, which lie below the panels: over them they would hide curves
    with drawing(path, 7.6, 6.6 + height) as figure:
        panels = figure.subplots(3, 2, height_ratios=(3.3, 2.6, height))
        for column, name in enumerate(paper.TEST_SETS):
            shown = [row for row in rows if name in row.cells]
            own = next((row for row in shown if row.id == banded), None)
            band = _band(study, own, name, replicates) if own else None
            for axes in panels[:2, column]:
                # Without the rate 0, for which a logarithmic axis has no place.
                axes.plot(_GRID[1:], _GRID[1:], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
                for row in shown:
                    _draw_row(axes, study, row, name, _look(study, row, banded), axes is panels[1, column])
                if band:
                    axes.fill_between(_GRID[1:], *(limit[1:] for limit in band), color=BLUE, alpha=0.13, linewidth=0)
                axes.set(ylim=(0, 1.003), xlabel="false positive rate")  # a curve at 1 is drawn whole
            panels[0, column].set(title=_titled(study, name), xlim=(0, 1), aspect="equal")
            panels[1, column].set(xscale="log", xlim=(LOWEST_FPR, 1))
            panels[2, column].axis("off")
            handles, labels = panels[0, column].get_legend_handles_labels()
            if handles:
                panels[2, column].legend(
                    handles, labels, loc="upper center", title="AUC, %", title_fontsize=9, handlelength=3.0,
                    labelspacing=0.25, borderaxespad=0,
                )  # fmt: skip
        for axes in panels[:2, 0]:
            axes.set_ylabel("true positive rate")
        own = next((row for row in rows if row.id == banded), None)
        kinds = {name: _targets(study, own, name) is not None for name in paper.TEST_SETS if own and name in own.cells}
        band_note = f" Band: 95% at each rate, bootstrap over {_over(kinds)}, {own.label}." if own and kinds else ""
        seeds = drawn_seeds(study, rows, paper.TEST_SETS)
        footnote(figure, f"{seeds[0].upper()}{seeds[1:]}.{band_note} {source_note(study)}")
    return path


def _draw_row(axes: Axes, study: Study, row: ResultRow, name: str, look: dict[str, Any], logarithmic: bool) -> None:
    table = videos_of(drawn_run(study, row, name), name)
    curve = roc_curve(table["label"], table["logit"])
    rates, hits = curve.false_positive_rate, curve.true_positive_rate
    if logarithmic:  # there is no place for zero: begin with what is reached at the left end
        inside = rates > LOWEST_FPR
        rates, hits = np.append(LOWEST_FPR, rates[inside]), np.append(hits[~inside].max(), hits[inside])
    axes.plot(rates, hits, label=f"{row.cells[name].per_seed[0]:.1f}  {row.label}", **look)


def _band(study: Study, row: ResultRow, name: str, replicates: int) -> tuple[np.ndarray, np.ndarray] | None:
    table = videos_of(drawn_run(study, row, name), name)
    if table["label"].value_counts().min() < 2:  # one video, drawn again and again, has no spread
        return None
    targets = _targets(study, row, name)
    return roc_band(table["label"], table["logit"], _GRID, targets=targets, replicates=replicates)


def _targets(study: Study, row: ResultRow, name: str) -> pd.Series | None:
    """Targets of the videos of a row's drawn run, as any run of the same videos knows them."""
    drawn = videos_of(drawn_run(study, row, name), name)
    tables = [drawn, *(videos_of(run, name) for run in study.usable(row.id))]
    return shared_targets(table for table in tables if table.index.equals(drawn.index))


def _over(known: dict[str, bool]) -> str:
    """What is drawn again, by test set where that differs."""
    kinds = {name: "targets" if there else "videos" for name, there in known.items()}
    if len(set(kinds.values())) == 1:
        return next(iter(kinds.values()))
    return ", ".join(f"{kind} ({name})" for name, kind in kinds.items())


def _look(study: Study, row: ResultRow, banded: str) -> dict[str, Any]:
    place = study.rows.index(row.id)
    look = {
        "color": row_ink(study, row.id),
        "marker": row_mark(study, row.id),
        "markersize": 4.5,
        # At places of its own on each curve, or the marks of curves that run together would lie on one another.
        "markevery": (0.02 + 0.12 * place / len(study.rows), 0.12),
    }
    if row.control:
        dashes = {BASELINE.id: (0, (1, 1.2))}.get(row.id, (0, (4, 1.5)))
        return look | {"linestyle": dashes, "linewidth": 1.3}
    return look | {"linestyle": "-", "linewidth": 2.0 if row.id == banded else 1.2}


def swept_weights(study: Study) -> dict[str, float]:
    """ssl_weight of every row that differs from the paper's CNN-GRU + attention in it alone, by row."""
    # The paper's rows count even where the study leaves them out: their points are drawn all the same.
    known = {row.id: row.describe() for row in paper.ROWS} | study.described
    return {
        name: row["ssl_weight"]
        for name, row in known.items()
        if row["backbone"] == "cnn_gru_attention" and not row["overrides"] and row["from_stage1"]
    }


def draw_ssl_weight(study: Study, path: Path) -> Path:
    """Draw AUC against ssl_weight: this study above, the paper's points below on axes of their own.

    Bars are 95% limits, over videos for one seed, over videos and seeds for several, whose runs are then dots.
    """
    weights, rows = swept_weights(study), {row.id: row for row in result_rows(study)}
    published = sorted((row.ssl_weight, row.auc) for row in paper.ROWS if row.id in weights)
    with drawing(path, 7.0, 5.0) as figure:
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        for column, name in enumerate(paper.TEST_SETS):
            present = {row: weight for row, weight in weights.items() if row in rows and name in rows[row].cells}
            draw_cells(panels[0, column], [(weight, rows[row].cells[name]) for row, weight in present.items()])
            points = [(weight, auc[name]) for weight, auc in published]
            panels[1, column].plot(*zip(*points, strict=True), "D:", color=INK, markersize=5, linewidth=0.9)
            panels[0, column].set_title(f"{name}, this study" + (" (synthetic)" if study.synthetic else ""))
            panels[1, column].set_title(f"{name}, the paper (real data)")
            panels[1, column].set(xlabel="ssl_weight", xticks=np.arange(0, 1.05, 0.2), xlim=(-0.06, 1.06))
        for axes in panels[:, 0]:
            axes.set_ylabel("AUC, %")
        for axes in panels[1]:
            axes.margins(y=0.15)
        shown = [
            rows[row].cells[name]
            for row in weights
            if row in rows
            for name in paper.TEST_SETS
            if name in rows[row].cells
        ]
        footnote(
            figure, f"CNN-GRU + attention. {bars(study, shown)}; the paper: one run, no interval. {source_note(study)}"
        )
    return path


def draw_learning_curve(study: Study, path: Path) -> Path:
    """Draw AUC against the number of stage-1 clips; without stage 1 is the dashed line.

    Epochs stay the recipe's, so that fewer clips are fewer steps too.
    """
    rows = {row.id: row for row in result_rows(study)}
    counted = {}
    for run in study.runs:
        overrides = study.described.get(run.row, {}).get("overrides", {})
        if (run.row == study.reference or list(overrides) == ["stage1.clips"]) and run.stage1 in study.stage1:
            # From the record, for 0 in a recipe stands for all clips.
            counted[run.row] = study.stage1[run.stage1]["data"]["clips"]
    with drawing(path, 7.0, 3.1) as figure:
        panels = figure.subplots(1, len(paper.TEST_SETS), sharey=True)
        for axes, name in zip(panels, paper.TEST_SETS, strict=True):
            draw_cells(axes, [(n, rows[row].cells[name]) for row, n in counted.items() if name in rows[row].cells])
            scratch = rows["scratch"].cells.get(name) if "scratch" in rows else None
            if scratch:
                axes.axhline(scratch.value, color=GREY, linestyle=(0, (4, 1.5)), linewidth=1.2)
            axes.set(title=name, xlabel="stage-1 clips", xscale="log")
            axes.set_xticks(sorted(counted.values()), [f"{count:,}" for count in sorted(counted.values())], minor=False)
            axes.minorticks_off()
        panels[0].set_ylabel("AUC, %")
        dashed = "Dashed: no stage 1. " if "scratch" in rows else ""
        shown = [rows[row].cells[name] for row in counted for name in paper.TEST_SETS if name in rows[row].cells]
        said = f"{dashed}Same epochs: fewer clips are fewer steps too. {bars(study, shown)}. {source_note(study)}"
        footnote(figure, said)
    return path


def draw_cells(axes: Axes, found: Sequence[tuple[float, Cell]]) -> None:
    """Cells over a number: a line through the means, limits as bars, each seed a dot."""
    if not found:
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    found = sorted(found, key=lambda pair: pair[0])
    places, cells = [place for place, _ in found], [cell for _, cell in found]
    reach = [
        (c.value - c.low, c.high - c.value) if c.low is not None and c.high is not None else (c.sd or 0,) * 2
        for c in cells
    ]
    values = [cell.value for cell in cells]
    axes.errorbar(places, values, np.transpose(reach), fmt="o-", color=BLUE, markersize=5, capsize=3, elinewidth=1)
    for place, cell in found:
        if cell.seeds > 1:
            axes.plot([place] * cell.seeds, cell.per_seed, ".", color=ORANGE, markersize=5, zorder=3)


def bars(study: Study, cells: Iterable[Cell]) -> str:
    """What the bars of :func:`draw_cells` are, of the cells that it drew."""
    if len(study.seeds) > 1:
        found = seeds_words(cell.seeds for cell in cells) or seeds_words([len(study.seeds)])
        return f"Bars: 95% over videos and {found}; dots: seeds"
    return "Bars: 95% over videos, one seed"


def _titled(study: Study, name: str) -> str:
    counts = class_counts(study, name)
    return f"{name} ({counts[0]} real, {counts[1]} fake)" if counts else name
