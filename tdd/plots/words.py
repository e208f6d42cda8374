"""A figure in words, from its own titles, axes and legend: the alternative text that a page gives for its picture."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

KEY = "Description"
"""Of the text in a PNG (PNG specification, 3rd edition, 11.3.3.2)."""

COLOURS = "Colours"
BARS = 3
"""Patches in a panel of bars at least; fewer are a span or a frame."""


def describe(figure: Figure) -> str:
    """What stands in each panel (title, what is drawn over what), what legends and rows are called, and small print."""
    panels = [text for axes in figure.axes if (text := _panel(axes))]
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    named = dict.fromkeys(text.get_text() for legend in legends for text in legend.get_texts())
    rows = dict.fromkeys(name for axes in figure.axes for name in _rows(axes))
    count = sum(not text.startswith(COLOURS) for text in panels)
    said = [f"Figure, {count} panels" if count > 1 else "Figure", *panels]
    said += [f"{head}: {'; '.join(names)}" for head, names in (("Shown", named), ("Rows", rows)) if names]
    said += [small] if (small := figure.get_supxlabel()) else []
    return plain(". ".join(text.rstrip(".") for text in said) + ".")


def described(path: Path) -> str:
    """The description that :func:`tdd.plots.style.drawing` wrote into a PNG; empty where there is none."""
    with Image.open(path) as picture:
        return str(picture.info.get(KEY, ""))


def _panel(axes: Axes) -> str:
    title = axes.get_title(loc="left") or axes.get_title()
    if not axes.axison:
        return _join(title, _kind(axes) if title else "")
    if not (axes.has_data() or title):
        return ""
    up, along = axes.get_ylabel(), axes.get_xlabel()
    if axes.get_label() == "<colorbar>":
        return f"{COLOURS}: {up or along}" if up or along else ""
    drawn = f"{up} over {along}" if up and along else f"over {along}" if along else up
    return _join(title, ", ".join(part for part in (_kind(axes), drawn) if part))


def _kind(axes: Axes) -> str:
    """What a panel is made of; of several kinds the one that the others are drawn upon or around."""
    bars = axes.patches if len(axes.patches) >= BARS else []
    kinds: dict[str, Collection[Artist]] = {
        "picture": axes.images, "bars": bars, "lines": axes.lines, "points": axes.collections,
    }  # fmt: skip
    return next((kind for kind, artists in kinds.items() if len(artists)), "")


def _rows(axes: Axes) -> list[str]:
    """Names along the upright axis of a drawn figure, where it has names and no numbers."""
    labels = [label.get_text() for label in axes.get_yticklabels()] if axes.axison else []
    return [name for name in labels if "$" not in name and any(letter.isalpha() for letter in name)]


def _join(title: str, text: str) -> str:
    return f"{title}: {text}" if title and text else title or text


def plain(text: str) -> str:
    """A text of a figure in one line, with no mark that only matplotlib reads."""
    return " ".join(text.replace(r"\$", "$").split())
