"""What stage 1 learns, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tdd.collapse import GROUP
from tdd.plots.style import BACKBONE_NAMES, BACKBONES, GREEN, GREY, drawing, footnote
from tdd.results import Study

_PANELS = (
    ("loss", "loss (two negative cosines)"),
    ("retrieval", f"clip retrieval in {GROUP}"),
    ("frame_retrieval", "frame retrieval in a clip"),
    ("target_std", "spread of targets (0: collapsed)"),
    ("prober", "word prober, accuracy"),
)

_COLUMNS = 3


def draw_stage1(study: Study, path: Path) -> Path:
    """Draw loss, retrieval, spread of the targets and the prober's accuracy per backbone; chance levels are dotted.

    Quantities that no record holds get no panel. Of several seeds each is a line.
    """
    shown = [(key, title) for key, title in _PANELS if any(key in e for r in study.stage1 for e in r["history"])]
    lines = len(shown) // _COLUMNS + 1  # one place is left for the legend
    with drawing(path, 7.8, 2.1 * lines + 0.5) as figure:
        panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
        for axes, (key, title) in zip(panels, shown, strict=False):
            _draw_panel(axes, study, key)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("epoch")
        for axes in panels[len(shown) :]:
            axes.axis("off")
        names = list(dict.fromkeys(_backbone(record) for record in study.stage1))
        handles = [Line2D([], [], color=_ink(name), label=BACKBONE_NAMES.get(name, name)) for name in names]
        handles.append(Line2D([], [], color=GREY, linestyle=":", label="chance"))
        panels[-1].legend(handles=handles, loc="center left", handlelength=1.8)
        source = " Synthetic benchmark." if study.synthetic else ""
        footnote(figure, f"Stage 1 on validation clips, one line a seed; the loss is that of training.{source}")
    return path


def _draw_panel(axes: Axes, study: Study, key: str) -> None:
    for record in study.stage1:
        points = [(entry["epoch"] + 1, entry[key]) for entry in record["history"] if entry.get(key) is not None]
        if points:
            axes.plot(*np.transpose(points), color=_ink(_backbone(record)), marker=".", markersize=4)
    level = _chance(study.stage1[0], key) if study.stage1 else None
    if level is not None:
        axes.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
    if key != "loss":
        axes.set_ylim(bottom=0, top=max(1.05, axes.get_ylim()[1]) if key == "target_std" else None)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _chance(record: dict[str, Any], key: str) -> float | None:
    """What guessing reaches; the number of words is known only where the record's data state it."""
    frames, words = record["recipe"].get("clip", {}).get("frames"), record["data"].get("words")
    known = {"retrieval": GROUP, "frame_retrieval": frames, "prober": words}
    return 1 / known[key] if known.get(key) else None


def _backbone(record: dict[str, Any]) -> str:
    return str((record.get("row") or {}).get("backbone", record["name"]))


def _ink(backbone: str) -> str:
    return BACKBONES.get(backbone, GREEN)
