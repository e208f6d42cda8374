"""What the two stages learn, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tdd.plots.style import BACKBONE_NAMES, BACKBONES, GREEN, GREY, drawing, footnote, row_ink, source_note
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
    ("auxiliary", "auxiliary loss (negative cosine)"),
)

_COLUMNS = 4


@dataclass(frozen=True)
class Curve:
    """The history of one run, and how it is drawn."""

    label: str
    ink: str
    history: list[dict[str, float]]
    chance: dict[str, float]


def draw_stage1(study: Study, path: Path) -> Path:
    """Draw loss, retrieval, what the targets hold and the prober's accuracy; chance levels are dotted.

    In the table's study a colour is a backbone, elsewhere a stage 1 of other settings, named by the first row that
    begins from it. Quantities that no record holds get no panel. Of several seeds each is a line.
    """
    curves = _stage1_curves(study)
    shown = [(key, title) for key, title in _PANELS if any(key in entry for c in curves for entry in c.history)]
    lines = len(shown) // _COLUMNS + 1  # one place is left for the legend
    with drawing(path, 9.6, 2.1 * lines + 0.5) as figure:
        panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
        for axes, (key, title) in zip(panels, shown, strict=False):
            _draw_panel(axes, curves, key)
            axes.set_title(title, fontsize=8.5)
        for axes in panels[len(shown) :]:
            axes.axis("off")
        handles = _handles(curves, chance=True)
        panels[len(shown)].legend(handles=handles, loc="center left", handlelength=1.8, fontsize=7.5)
        footnote(
            figure, f"Stage 1 on validation clips, one line a seed; the loss is that of training. {source_note(study)}"
        )
    return path


def draw_stage2(study: Study, path: Path) -> Path:
    """Draw both parts of the loss and the validation AUC of every row's stage 2, one line a seed.

    Rows without a loss are left out; ln 2 is dotted, the loss of a guess between classes of equal size.
    """
    curves = _stage2_curves(study)
    with drawing(path, 10.4, 3.4) as figure:
        panels = figure.subplots(1, 4, width_ratios=(1, 1, 1, 0.75))
        for axes, (key, title) in zip(panels, _STAGE2_PANELS, strict=False):
            _draw_panel(axes, curves, key)
            axes.set_title(title, fontsize=9)
            if key == "bce":
                axes.axhline(math.log(2), color=GREY, linestyle=":", linewidth=1.2)
        panels[-1].axis("off")
        panels[-1].legend(handles=_handles(curves, chance=False), loc="center left", handlelength=1.8, fontsize=7.5)
        footnote(
            figure,
            "Stage 2, one line a seed: losses on training clips, mean of an epoch; AUC on middle clips of validation "
            f"videos. {source_note(study)}",
        )
    return path


def _stage1_curves(study: Study) -> list[Curve]:
    first = first_rows(study.runs)
    curves = []
    order = sorted(study.stage1, key=lambda place: study.rows.index(first[place]) if place in first else len(first))
    for place in order:
        record = study.stage1[place]
        backbone = record["row"]["backbone"]
        label, ink = BACKBONE_NAMES.get(backbone, backbone), BACKBONES.get(backbone, GREEN)
        if study.name != "table" and place in first:
            label, ink = study.described[first[place]]["label"], row_ink(study, first[place])
        known = {"retrieval": GROUP, "frame_retrieval": record["recipe"].get("clip", {}).get("frames")}
        known["prober"] = record["data"].get("words")
        chance = {key: 1 / count for key, count in known.items() if count}
        curves.append(Curve(label, ink, record["history"], chance))
    return curves


def _stage2_curves(study: Study) -> list[Curve]:
    labels = {run.row: study.described.get(run.row, run.record["row"])["label"] for run in study.runs if run.record}
    return [
        Curve(labels[run.row], row_ink(study, run.row), run.record["history"], {})
        for run in study.runs
        if run.record.get("history")
    ]


def _draw_panel(axes: Axes, curves: Iterable[Curve], key: str) -> None:
    curves = list(curves)
    for curve in curves:
        # Records count epochs from 0, readers from 1.
        points = [(entry["epoch"] + 1, entry[key]) for entry in curve.history if entry.get(key) is not None]
        if points:
            axes.plot(*np.transpose(points), color=curve.ink, marker=".", markersize=4, linewidth=1.1)
    # A set: curves of one recipe have one chance level, drawn once.
    for level in {curve.chance[key] for curve in curves if key in curve.chance}:
        axes.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
    # All but losses are counted from 0. The spread's panel always shows 1, its value without collapse.
    if key not in ("loss", "bce", "auxiliary", "val_auc"):
        axes.set_ylim(bottom=0, top=max(1.05, axes.get_ylim()[1]) if key == "target_std" else None)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("epoch")


def _handles(curves: Iterable[Curve], chance: bool) -> list[Any]:
    known = dict.fromkeys((curve.label, curve.ink) for curve in curves)  # the seeds of a row share one entry
    handles = [Line2D([], [], color=ink, label=label) for label, ink in known]
    return handles + ([Line2D([], [], color=GREY, linestyle=":", label="chance")] if chance else [])
