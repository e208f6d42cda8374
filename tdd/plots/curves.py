"""ROC curves of all rows, and AUC against ssl_weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tdd import paper
from tdd.metrics import roc_band, roc_curve
from tdd.plots.style import BACKBONES, BLUE, GREY, INK, WEIGHT_BLUES, drawing, footnote
from tdd.results import Row, Study, on_test_set, result_rows

BAND_ROW = "cnn_gru_attention"
SWEEP = {"ssl_0.0": 0.0, "ssl_0.3": 0.3, "ssl_0.5": 0.5, "ssl_0.7": 0.7, "cnn_gru_attention": 1.0}
"""Rows that differ in ssl_weight alone (no unit)."""


def draw_roc(study: Study, path: Path, *, replicates: int = 1000) -> Path:
    """Draw ROC curves on both test sets of the table; one row carries a pointwise 95% bootstrap band.

    Of several seeds the first is drawn, and the legend's AUC is that curve's own.
    """
    rows = [row for row in result_rows(study) if study.usable(row.id)]
    seed = min((run.seed for row in rows for run in study.usable(row.id)), default=0)
    with drawing(path, 7.6, 4.4) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, name in zip(panels, paper.TEST_SETS, strict=True):
            axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
            for row in rows:
                if name in row.cells:
                    _draw_row(axes, study, row, name, replicates)
            axes.set(
                title=_titled(study, name), xlabel="false positive rate", xlim=(0, 1), ylim=(0, 1.003), aspect="equal"
            )
            if axes.get_legend_handles_labels()[0]:
                axes.legend(
                    loc="lower right",
                    fontsize=7.5,
                    title="AUC, %",
                    title_fontsize=7.5,
                    handlelength=2.2,
                    labelspacing=0.25,
                )
        panels[0].set_ylabel("true positive rate")
        footnote(figure, f"Seed {seed}. Band: 95% bootstrap over videos, CNN-GRU + attention. {_origin(study)}")
    return path


def draw_ssl_weight(study: Study, path: Path) -> Path:
    """Draw AUC against ssl_weight: this study above, the paper's points below on axes of their own.

    Bars are 95% limits over videos (one seed) or one standard deviation over seeds, whose runs are then dots.
    """
    rows = {row.id: row for row in result_rows(study) if row.id in SWEEP}
    with drawing(path, 7.0, 5.0) as figure:
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        for column, name in enumerate(paper.TEST_SETS):
            _draw_sweep(panels[0, column], rows, name)
            published = [(SWEEP[row.id], row.auc[name]) for row in paper.ROWS if row.id in SWEEP]
            panels[1, column].plot(*zip(*sorted(published), strict=True), "D:", color=INK, markersize=5, linewidth=0.9)
            panels[0, column].set_title(f"{name}, this study" + (" (synthetic)" if study.synthetic else ""))
            panels[1, column].set_title(f"{name}, the paper (real data)")
            panels[1, column].set(xlabel="ssl_weight", xticks=sorted(SWEEP.values()), xlim=(-0.06, 1.06))
        for axes in panels[:, 0]:
            axes.set_ylabel("AUC, %")
        for axes in panels[1]:
            axes.margins(y=0.15)
        bars = "one s.d. over seeds" if len(study.seeds) > 1 else "95% over videos, one seed"
        footnote(figure, f"CNN-GRU + attention. Bars: {bars}; the paper: one run, no interval. {_origin(study)}")
    return path


def _draw_row(axes: Axes, study: Study, row: Row, name: str, replicates: int) -> None:
    videos = study.usable(row.id)[0].videos
    assert videos is not None
    table = on_test_set(videos, name)
    curve = roc_curve(table["label"], table["logit"])
    look = _look(row)
    axes.plot(
        curve.false_positive_rate,
        curve.true_positive_rate,
        label=f"{row.cells[name].per_seed[0]:.1f}  {row.label}",
        **look,
    )
    if row.id == BAND_ROW and table["label"].value_counts().min() > 1:
        grid = np.linspace(0, 1, 101)
        low, high = roc_band(table["label"], table["logit"], grid, replicates=replicates)
        axes.fill_between(grid, low, high, color=look["color"], alpha=0.13, linewidth=0)


def _look(row: Row) -> dict[str, Any]:
    if not row.in_paper:
        return {"color": GREY, "linestyle": (0, (4, 1.5)), "linewidth": 1.3}
    published = next(known for known in paper.ROWS if known.id == row.id)
    if published.backbone == "cnn_gru_attention":
        return {"color": WEIGHT_BLUES[published.ssl_weight], "linewidth": 2.0 if row.id == BAND_ROW else 1.3}
    return {"color": BACKBONES[published.backbone], "linewidth": 1.3}


def _draw_sweep(axes: Axes, rows: dict[str, Row], name: str) -> None:
    found = sorted((weight, rows[row].cells[name]) for row, weight in SWEEP.items() if name in rows[row].cells)
    if not found:
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    weights = [weight for weight, _ in found]
    values = [cell.value for _, cell in found]
    reach = [
        (c.value - c.low, c.high - c.value) if c.low is not None and c.high is not None else (c.sd or 0,) * 2
        for _, c in found
    ]
    axes.errorbar(weights, values, np.transpose(reach), fmt="o-", color=BLUE, markersize=5, capsize=3, elinewidth=1)
    for weight, cell in found:
        if cell.seeds > 1:
            axes.plot([weight] * cell.seeds, cell.per_seed, ".", color=GREY, markersize=4, zorder=1)


def _titled(study: Study, name: str) -> str:
    run = next((run for run in study.runs if run.videos is not None and not run.problem), None)
    if run is None or run.videos is None:
        return name
    labels = on_test_set(run.videos, name)["label"]
    return f"{name} ({int((labels == 0).sum())} real, {int((labels == 1).sum())} fake)"


def _origin(study: Study) -> str:
    return "Synthetic benchmark." if study.synthetic else ""
