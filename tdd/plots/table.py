"""The result table as a picture: the paper's numbers beside a study's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from tdd.plots.style import BLUE, GREY, INK, ORANGE, drawing
from tdd.records import paper
from tdd.records.results import SYNTHETIC_SENTENCE
from tdd.report.report import Report, cell_text
from tdd.report.table import COLUMNS, ResultRow, ranking

_RANK_INK = {1: ORANGE, 2: BLUE, 0: INK}
_PLACES = (0.395, 0.515, 0.70, 0.885, 0.995)
"""Right edges of the number columns, as shares of the width: two of the paper, three of the study."""


def draw_table(report: Report, path: Path) -> Path:
    """Draw the table, the best number of each column in orange bold and the second best in blue.

    Controls stand below a rule and take no part in the ranking. The paper's columns are left out where the paper has no
    numbers for the study.
    """
    inside = [row for row in report.rows if not row.control]
    controls = [row for row in report.rows if row.control]
    lines = 2.4 + len(inside) + 1.2 * len(controls) + 2.2
    with drawing(path, 8.2, 0.29 * lines, words=_words(report)) as figure:
        figure.set_layout_engine("none")  # the columns stand where _PLACES says
        axes = figure.add_axes((0.015, 0.02, 0.97, 0.96))
        axes.set(xlim=(0, 1), ylim=(lines, 0))  # y counts lines of text from the top
        axes.axis("off")
        _head(axes, report)
        marks = [ranking([row.paper.get(name) for row in inside]) for name in paper.TEST_SETS]
        marks += [report.rank(name)[: len(inside)] for name in COLUMNS]
        for i, row in enumerate(inside):
            _line(axes, 2.9 + i, report, row, [mark[i] for mark in marks])
        below = 2.4 + len(inside)
        axes.axhline(below, color=INK, linewidth=0.8)
        for i, row in enumerate(controls):
            _line(axes, below + 0.6 + i, report, row, [0] * len(marks), label=f"control: {row.label}")
        _foot(axes, report, below + 1.2 * len(controls) + 0.55)
    return path


def _words(report: Report) -> str:
    """The table's lines, one after the other."""
    heads = [*(f"{name}, the paper" for name in paper.TEST_SETS), *(f"{name}, this study" for name in COLUMNS)]
    lines = [f"{row.label}: {', '.join(text for (text,) in _shown(report, _cells(row)))}" for row in report.rows]
    return f"Table of video-level AUC, %: {', '.join(head for (head,) in _shown(report, heads))}. {'; '.join(lines)}."


def _cells(row: ResultRow) -> list[str]:
    """A row's entries, the paper's and then the study's."""
    published = [f"{row.paper[name]:.2f}" if name in row.paper else "–" for name in paper.TEST_SETS]
    return published + [cell_text(row, name, limits=name in paper.TEST_SETS) for name in COLUMNS]


def _head(axes: Axes, report: Report) -> None:
    source = "synthetic benchmark" if report.study.synthetic else f"recipe {report.study.recipe}"
    axes.text(0, 0.55, "Video-level AUC, %", weight="bold", va="center")
    groups = [(0.56, _PLACES[-1], f"this study ({source})"), (0.30, _PLACES[1], "the paper")]
    for left, right, title in groups[: 1 + report.beside_paper]:
        axes.text((left + right) / 2, 0.55, title, weight="bold", ha="center", va="center")
        axes.plot([left, right], [1.05, 1.05], color=GREY, linewidth=0.6)
    for name, place in _shown(report, [*paper.TEST_SETS, *paper.TEST_SETS, "seen, mean"], _PLACES):
        axes.text(place, 1.65, name, ha="right", va="center", size=8.5)
    axes.axhline(2.3, color=INK, linewidth=0.8)


def _shown(report: Report, *columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The columns' entries side by side, those of the paper only where it has numbers for the study."""
    return list(zip(*columns, strict=True))[0 if report.beside_paper else len(paper.TEST_SETS) :]


def _line(axes: Axes, y: float, report: Report, row: ResultRow, marks: list[int], label: str = "") -> None:
    axes.text(0, y, label or row.label, va="center")
    for text, place, mark in _shown(report, _cells(row), _PLACES, marks):
        absent = text in ("–", "missing", "failed", "refused")
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
    meaning = f"mean ± s.d. over {report.seeds}" if several else "[95% interval over videos], one seed"
    counts = [
        f"{name}: {report.counts[name][0]} real, {report.counts[name][1]} fake"
        for name in paper.TEST_SETS
        if name in report.counts
    ]
    axes.text(0.15, y, f"·  {'; '.join([meaning, *counts])}", size=8, va="center", color="#555555")
    if report.study.synthetic:
        axes.text(0, y + 0.85, SYNTHETIC_SENTENCE, size=8, va="center", color="#555555")
