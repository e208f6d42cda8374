"""One look for all figures: few inks that survive a colour-blind reader and a grey printer, and small files."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tdd.machine.files import write_atomically
from tdd.plots.words import KEY, describe
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

WEIGHT_INKS = {0.0: "#56b4e9", 0.3: GREEN, 0.5: "#e69f00", 0.7: "#cc79a7", 1.0: BLUE}
"""Of ssl_weight in the paper's network: other hues of the same palette, for shades of one hue look alike from afar."""

BACKBONES = {"csn": INK, "cnn_lstm": ORANGE, "cnn_gru_attention": BLUE, "vivit": GREEN}
BACKBONE_NAMES = {
    "csn": "CSN",
    "cnn_lstm": "CNN-LSTM",
    "cnn_gru_attention": "CNN-GRU + attention",
    "vivit": "ViViT",
}

CONTROLS = (GREY, "#7a3fa0", "#8c2d04", "#4d7c0f", "#b07c00")
"""Inks of a table's rows that the paper does not have, in order."""

MARKS = "os^DvPX<>ph*"
"""Marks of rows by their place: where two inks are hard to tell, these are not."""

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
    "axes.prop_cycle": cycler(color=(BLUE, ORANGE, GREEN, INK, "#cc79a7", "#56b4e9", "#e69f00", GREY)),
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
def drawing(path: Path, width: float, height: float, dpi: int = DPI, words: str = "") -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches, written to ``path`` as PNG when the block ends well.

    The settings hold inside the block only, and no window system and no pyplot is touched. The PNG says in ``words``
    what it shows; without any, in those of its own titles, axes and legend (:func:`tdd.plots.words.describe`).

    Raises:
        OSError: ``path`` cannot be written.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), dpi=dpi)
        canvas = FigureCanvasAgg(figure)
        yield figure
        buffer = BytesIO()
        canvas.print_png(buffer, metadata={"Software": None})
        write_atomically(path, _compact(buffer, dpi, words or describe(figure)))


def row_ink(study: Study, row: str) -> str:
    """The ink of a row in every figure: by backbone and ssl_weight in the table's study, elsewhere by its place."""
    known = next((published for published in ROWS if published.id == row), None)
    if study.name != "table":
        return SERIES[study.rows.index(row) % len(SERIES)]
    if known is None:
        others = [name for name in study.rows if name not in {published.id for published in ROWS}]
        return CONTROLS[others.index(row) % len(CONTROLS)] if row in others else GREY
    return WEIGHT_INKS[known.ssl_weight] if known.backbone == "cnn_gru_attention" else BACKBONES[known.backbone]


def row_mark(study: Study, row: str) -> str:
    """The mark of a row in every figure, by its place in the study."""
    return MARKS[study.rows.index(row) % len(MARKS)] if row in study.rows else MARKS[0]


def draw_coin(axes: Axes) -> None:
    """Draw ln 2 across a panel of BCE, named beside it: what a guess costs where classes are of equal size."""
    coin = math.log(2)
    axes.axhline(coin, color=GREY, linestyle=":", linewidth=1.2)
    axes.annotate(
        "ln 2", (1, coin), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points", va="center",
        fontsize=8.5,
    )  # fmt: skip


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


def _compact(png: BytesIO, dpi: int, words: str) -> bytes:
    """The same picture in an indexed palette, with as many colours as ``LARGEST`` bytes allow, and its description."""
    said = PngInfo()
    said.add_itxt(KEY, words)
    picture = Image.open(png).convert("RGB")  # median cut takes no alpha
    for colours in (256, 192, 128, 96, 64, 32):
        out = BytesIO()
        # Without k-means: it took half the time of all figures and changed nothing to see (docs/LOG.md).
        picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            out, "PNG", optimize=True, dpi=(dpi, dpi), pnginfo=said
        )
        if out.tell() <= LARGEST:
            break
    return out.getvalue()
