"""One look for all figures: few inks that survive a colour-blind reader and a grey printer, and small files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tdd.machine.files import write_atomically
from tdd.records.paper import ROWS
from tdd.records.results import Study

INK = "#222222"
GREY = "#8a8a8a"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
"""Blue, orange and green of Okabe and Ito's palette, which the common colour-blindnesses tell apart."""

SERIES = (INK, BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#b07c00", "#7a3fa0", GREY, "#8c2d04", "#4d7c0f")
"""Inks for rows that have none of their own, in order."""

WEIGHT_BLUES = {0.0: "#a6cfe8", 0.3: "#6db1dc", 0.5: "#2f8fca", 0.7: "#0a6aa8", 1.0: "#063f66"}
"""One hue, darker with ssl_weight."""

BACKBONES = {"csn": INK, "cnn_lstm": ORANGE, "cnn_gru_attention": BLUE, "vivit": GREEN}
BACKBONE_NAMES = {
    "csn": "CSN",
    "cnn_lstm": "CNN-LSTM",
    "cnn_gru_attention": "CNN-GRU + attention",
    "vivit": "ViViT",
}

CONTROLS = (GREY, GREEN, "#cc79a7", "#b07c00", "#7a3fa0")
"""Inks of a table's rows that the paper does not have, in order."""

DPI = 150
# Figures are committed; the tests hold each of them below 200,000.
LARGEST = 190_000
"""Bytes that one figure may take."""

CHARACTER = 0.0605
"""Width of a character of small print, inches: a little above the mean."""

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
}


@contextmanager
def drawing(path: Path, width: float, height: float, dpi: int = DPI) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches, written to ``path`` as PNG when the block ends well.

    The settings hold inside the block only, and no window system and no pyplot is touched.

    Raises:
        OSError: ``path`` cannot be written.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), dpi=dpi)
        canvas = FigureCanvasAgg(figure)
        yield figure
        buffer = BytesIO()
        canvas.print_png(buffer, metadata={"Software": None})
        write_atomically(path, _compact(buffer, dpi))


def row_ink(study: Study, row: str) -> str:
    """The ink of a row in every figure: by backbone and ssl_weight in the table's study, elsewhere by its place."""
    known = next((published for published in ROWS if published.id == row), None)
    if study.name != "table":
        return SERIES[study.rows.index(row) % len(SERIES)]
    if known is None:
        others = [name for name in study.rows if name not in {published.id for published in ROWS}]
        return CONTROLS[others.index(row) % len(CONTROLS)] if row in others else GREY
    return WEIGHT_BLUES[known.ssl_weight] if known.backbone == "cnn_gru_attention" else BACKBONES[known.backbone]


def source_note(study: Study) -> str:
    """What every figure says of numbers that come from synthetic videos."""
    return "Synthetic benchmark." if study.synthetic else ""


def as_letters(text: str) -> str:
    """A name as a figure shows it letter by letter: matplotlib takes what stands between two $ for a formula."""
    return text.replace("$", r"\$")


def footnote(figure: Figure, text: str) -> None:
    """Small print under all axes, its lines broken where the figure ends."""
    width = int(figure.get_figwidth() / CHARACTER)
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width)]
    # supxlabel, for the layout makes room for it, and for no free text.
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8, color="#555555")


def _compact(png: BytesIO, dpi: int) -> bytes:
    """The same picture in an indexed palette, with as many colours as ``LARGEST`` bytes allow."""
    picture = Image.open(png).convert("RGB")  # median cut takes no alpha
    for colours in (256, 192, 128, 96, 64, 32):
        out = BytesIO()
        # Without k-means: it took half the time of all figures and changed nothing to see (docs/LOG.md).
        picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            out, "PNG", optimize=True, dpi=(dpi, dpi)
        )
        if out.tell() <= LARGEST:
            break
    return out.getvalue()
