"""What the two stages learn, epoch by epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tdd.plots.style import (
    BACKBONE_NAMES,
    BACKBONES,
    CHARACTER,
    GREEN,
    GREY,
    MARKS,
    draw_coin,
    drawing,
    footnote,
    row_ink,
    row_mark,
    source_note,
)
from tdd.records.results import Study, first_rows
from tdd.training.collapse import GROUP

_PANELS = (
    ("loss", "loss (two negative cosines)"),
    ("retrieval", f"clip retrieval in {GROUP}"),
    ("frame_retrieval", "frame retrieval in a clip"),
    ("position_share", "targets: share of the place"),
    ("moment_share", "targets: share of the moment"),
    ("target_std", "spread of targets"),
    ("prober", "word prober, accuracy"),
)
_STAGE2_PANELS = (
    ("bce", "BCE, real or fake"),
    ("val_auc", "AUC, validation clips"),
    ("auxiliary", "auxiliary loss, −cosine"),
)

FULL_LINES = 4
"""Runs of a row that are drawn as full lines; of more each is faint, and their mean a full line."""

_COLUMNS = 3
_WIDTH = 8.0
_LINE = 0.19
"""Height of a legend's line, inches."""


@dataclass(frozen=True)
class Curve:
    """The history of one run, and how it is drawn."""

    label: str
    ink: str
    mark: str
    history: list[dict[str, float]]
    chance: dict[str, float]


def draw_stage1(study: Study, path: Path) -> Path:
    """Draw loss, retrieval, what the targets hold and the prober's accuracy; chance levels are dotted.

    In the table's study a colour is a backbone, elsewhere a stage 1 of other settings, named by the first row that
    begins from it. Quantities that no record holds get no panel. Of several seeds each is a line.
    """
    curves = _stage1_curves(study)
    shown = _shown(_PANELS, curves)
    lines = max(1, -(-len(shown) // _COLUMNS))
    handles = _handles(curves, chance=True)
    columns = _legend_columns(handles)
    with drawing(path, _WIDTH, 2.1 * lines + 0.6 + _LINE * -(-len(handles) // columns)) as figure:
        panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
        for axes, (key, title) in zip(panels, shown, strict=False):
            _draw_panel(axes, curves, key)
            axes.set_title(title, fontsize=9)
        for axes in panels[len(shown) :]:
            axes.axis("off")
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)
        footnote(
            figure,
            f"Stage 1 on validation clips, {_meaning(curves)}; the loss is that of training. {source_note(study)}",
        )
    return path


def draw_stage2(study: Study, path: Path) -> Path:
    """Draw both parts of the loss and the validation AUC of every row's stage 2, one line a seed.

    Rows without a loss and quantities that no record holds are left out; ln 2, the loss of a guess between classes of
    equal size, is dotted and named.
    """
    curves = _stage2_curves(study)
    shown = _shown(_STAGE2_PANELS, curves)
    handles = _handles(curves, chance=False)
    columns = _legend_columns(handles)
    with drawing(path, _WIDTH, 3.5 + _LINE * -(-len(handles) // columns)) as figure:
        for axes, (key, title) in zip(figure.subplots(1, max(1, len(shown)), squeeze=False)[0], shown, strict=False):
            _draw_panel(axes, curves, key)
            axes.set_title(title, fontsize=9)
            if key == "bce":
                draw_coin(axes)
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)
        scored = "AUC on middle clips of validation videos; " if "val_auc" in dict(shown) else ""
        footnote(
            figure,
            f"Stage 2, {_meaning(curves)}: losses on training clips, mean of an epoch; {scored}ln 2: the BCE of a "
            f"guess. {source_note(study)}",
        )
    return path


def _shown(panels: Iterable[tuple[str, str]], curves: list[Curve]) -> list[tuple[str, str]]:
    """The panels for which some record holds a number: an older one may know less."""
    return [(key, title) for key, title in panels if any(e.get(key) is not None for c in curves for e in c.history)]


def _stage1_curves(study: Study) -> list[Curve]:
    first = first_rows(study.runs)
    curves = []
    order = sorted(study.stage1, key=lambda place: study.rows.index(first[place]) if place in first else len(first))
    for place in order:
        record = study.stage1[place]
        backbone = record["row"]["backbone"]
        label, ink = BACKBONE_NAMES.get(backbone, backbone), BACKBONES.get(backbone, GREEN)
        mark = MARKS[list(BACKBONES).index(backbone)] if backbone in BACKBONES else MARKS[len(BACKBONES)]
        if study.name != "table" and place in first:
            row = first[place]
            label, ink, mark = study.described[row]["label"], row_ink(study, row), row_mark(study, row)
        known = {"retrieval": GROUP, "frame_retrieval": record["recipe"].get("clip", {}).get("frames")}
        known["prober"] = record["data"].get("words")
        chance = {key: 1 / count for key, count in known.items() if count}
        curves.append(Curve(label, ink, mark, record["history"], chance))
    return curves


def _stage2_curves(study: Study) -> list[Curve]:
    labels = {run.row: study.described.get(run.row, run.record["row"])["label"] for run in study.runs if run.record}
    return [
        Curve(labels[run.row], row_ink(study, run.row), row_mark(study, run.row), run.record["history"], {})
        for run in study.runs
        if run.record.get("history")
    ]


def _draw_panel(axes: Axes, curves: Iterable[Curve], key: str) -> None:
    curves = list(curves)
    for look in dict.fromkeys((curve.label, curve.ink, curve.mark) for curve in curves):
        _draw_runs(axes, [curve for curve in curves if (curve.label, curve.ink, curve.mark) == look], key)
    # A set: curves of one recipe have one chance level, drawn once.
    for level in {curve.chance[key] for curve in curves if key in curve.chance}:
        axes.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
    # All but losses are counted from 0. The spread's panel always shows 1, its value without collapse.
    if key not in ("loss", "bce", "auxiliary", "val_auc"):
        axes.set_ylim(bottom=0, top=max(1.05, axes.get_ylim()[1]) if key == "target_std" else None)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("epoch")


def _draw_runs(axes: Axes, runs: Sequence[Curve], key: str) -> None:
    """The runs of one row: a line each, or, where they are many, faint ones and their mean while all are trained."""
    # Records count epochs from 0, readers from 1.
    found = [{entry["epoch"] + 1: entry[key] for entry in run.history if entry.get(key) is not None} for run in runs]
    lines = [points for points in found if points]
    many = len(lines) > FULL_LINES
    ink, mark = runs[0].ink, runs[0].mark
    for points in lines:
        look: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.3} if many else {"marker": mark, "linewidth": 1.1}
        axes.plot(list(points), list(points.values()), color=ink, markersize=3.5, **look)
    if many:
        # Over epochs that every run reached: a mean of those that go on would be of other seeds.
        mean = pd.DataFrame(lines).dropna(axis=1).mean().sort_index()
        axes.plot(mean.index, mean, color=ink, marker=mark, markersize=3.5, linewidth=1.4)


def _meaning(curves: Iterable[Curve]) -> str:
    """What a line is."""
    counts = Counter((curve.label, curve.ink, curve.mark) for curve in curves)
    if max(counts.values(), default=0) <= FULL_LINES:
        return "one line a seed"
    return f"one faint line a seed, full: their mean while all are trained (of more than {FULL_LINES} seeds)"


def _legend_columns(handles: Sequence[Line2D]) -> int:
    """As many as the longest name leaves room for, four at the most."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    return max(1, min(4, int(_WIDTH / (0.6 + 1.1 * CHARACTER * longest))))


def _handles(curves: Iterable[Curve], chance: bool) -> list[Line2D]:
    known = dict.fromkeys((c.label, c.ink, c.mark) for c in curves)  # the seeds of a row share one entry
    handles = [Line2D([], [], color=ink, marker=mark, markersize=4.5, label=label) for label, ink, mark in known]
    return handles + ([Line2D([], [], color=GREY, linestyle=":", label="chance")] if chance else [])
