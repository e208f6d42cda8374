"""The result table as a picture: the paper's numbers beside a study's."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from tdd import paper
from tdd.plots.style import BLUE, GREY, INK, ORANGE, drawing
from tdd.report import Report
from tdd.results import SYNTHETIC_SENTENCE, Row, ranking

_RANK_INK = {1: ORANGE, 2: BLUE, 0: INK}
_PLACES = (0.395, 0.515, 0.70, 0.885, 0.995)
"""Right edges of the number columns, as shares of the width."""


def draw_table(report: Report, path: Path) -> Path:
    """Draw the table, the best number of each column in orange bold and the second best in blue.

    Controls stand below a rule and take no part in the ranking.
    """
    inside = [row for row in report.rows if row.in_paper]
    controls = [row for row in report.rows if not row.in_paper]
    lines = 2.4 + len(inside) + 1.2 * len(controls) + 2.2
    with drawing(path, 8.2, 0.29 * lines) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.015, 0.02, 0.97, 0.96))
        axes.set(xlim=(0, 1), ylim=(lines, 0))
        axes.axis("off")
        _head(axes, report)
        marks = [_paper_ranks(name) for name in paper.TEST_SETS]
        marks += [ranking([_value(row, name) for row in inside]) for name in (*paper.TEST_SETS, "seen")]
        for i, row in enumerate(inside):
            _line(axes, 2.9 + i, row, [mark[i] for mark in marks])
        below = 2.4 + len(inside)
        axes.axhline(below, color=INK, linewidth=0.8)
        for i, row in enumerate(controls):
            _line(axes, below + 0.6 + i, row, [0] * 5, label=f"control: {row.label}")
        _foot(axes, report, below + 1.2 * len(controls) + 0.55)
    return path


def _head(axes: Axes, report: Report) -> None:
    source = "synthetic benchmark" if report.study.synthetic else f"recipe {report.study.recipe}"
    axes.text(0, 0.55, "Video-level AUC, %", weight="bold", va="center")
    axes.text((0.30 + _PLACES[1]) / 2, 0.55, "the paper", weight="bold", ha="center", va="center")
    axes.text((0.56 + _PLACES[-1]) / 2, 0.55, f"this study ({source})", weight="bold", ha="center", va="center")
    for left, right in ((0.30, _PLACES[1]), (0.56, _PLACES[-1])):
        axes.plot([left, right], [1.05, 1.05], color=GREY, linewidth=0.6)
    names = [*paper.TEST_SETS, *paper.TEST_SETS, "seen, mean"]
    for name, place in zip(names, _PLACES, strict=True):
        axes.text(place, 1.65, name, ha="right", va="center", size=8.5)
    axes.axhline(2.3, color=INK, linewidth=0.8)


def _line(axes: Axes, y: float, row: Row, marks: list[int], label: str = "") -> None:
    axes.text(0, y, label or row.label, va="center")
    published = [f"{row.paper[name]:.2f}" if name in row.paper else "–" for name in paper.TEST_SETS]
    ours = [row.cells[n].text() if n in row.cells else row.state or "–" for n in (*paper.TEST_SETS, "seen")]
    for text, place, mark in zip([*published, *ours], _PLACES, marks, strict=True):
        absent = text in ("–", "missing", "refused")
        axes.text(
            place,
            y,
            text,
            ha="right",
            va="center",
            color=GREY if absent else _RANK_INK[mark],
            weight="bold" if mark == 1 else "normal",
        )


def _foot(axes: Axes, report: Report, y: float) -> None:
    axes.text(0, y, "best", color=ORANGE, weight="bold", size=8, va="center")
    axes.text(0.045, y, "second best", color=BLUE, size=8, va="center")
    several = len(report.study.seeds) > 1
    meaning = f"mean ± s.d. over {len(report.study.seeds)} seeds" if several else "[95% interval over videos], one seed"
    counts = [
        f"{name}: {report.counts[name][0]} real, {report.counts[name][1]} fake"
        for name in paper.TEST_SETS
        if name in report.counts
    ]
    axes.text(0.15, y, f"·  {'; '.join([meaning, *counts])}", size=8, va="center", color="#555555")
    if report.study.synthetic:
        axes.text(0, y + 0.85, SYNTHETIC_SENTENCE, size=8, va="center", color="#555555")


def _paper_ranks(name: str) -> list[int]:
    return ranking([row.auc[name] for row in paper.ROWS])


def _value(row: Row, name: str) -> float | None:
    return row.cells[name].value if name in row.cells else None
