"""The method as two drawings: what the two stages compute, and what the paper's backbone does to a clip.

Kim et al., IEIE Summer Conference 2024; the stages after RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131).
Every shape is computed from a recipe. Those in ``figures/`` come from

    python -c "from pathlib import Path; from tdd.plots.overview import draw_overview; draw_overview(Path('figures'))"
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from tdd.config import Recipe
from tdd.data.audio import MEL_PER_FRAME, N_MELS
from tdd.models import full_arguments
from tdd.plots.style import BLUE, GREY, INK, ORANGE, drawing

LOOKS: dict[str, dict[str, Any]] = {
    "data": {"facecolor": "#f2f2f2", "edgecolor": GREY},
    "trained": {"facecolor": "#e3f0f8", "edgecolor": BLUE},
    "teacher": {"facecolor": "white", "edgecolor": INK, "linestyle": (0, (4, 2))},
    "loss": {"facecolor": "#fbe9df", "edgecolor": ORANGE},
}
"""Trained networks are blue and filled, teachers white and dashed: a grey printer tells them apart too."""

STAGES_WORDS = (
    "Drawing of both stages. Stage 1, real talking faces only: a video student (backbone and projector) sees a "
    "noisy view and, through a predictor, predicts frame by frame what the audio teacher says of the log-mel; an "
    "audio student sees a masked log-mel and predicts what the video teacher says of the clean view. Each loss is "
    "a negative cosine; each teacher follows its student by EMA. Stage 2, labelled clips: the backbone of the "
    "video student and a cosine head learn real or fake by the BCE of the shifted logit; on real clips a "
    "projector and predictor go on predicting the frozen video teacher of stage 1, a negative cosine times "
    "ssl_weight."
)
"""What the drawing of the stages shows, for who does not see it."""

Box = tuple[float, float, float, float]
"""Centre x, centre y, width, height; inches from the lower left corner."""


def draw_overview(folder: Path, recipe: Recipe | None = None) -> list[Path]:
    """Draw ``stages.png`` and ``backbone.png``, with the shapes of ``recipe`` (default: the paper's).

    Raises:
        TddError: the recipe's ``cnn_gru_attention`` has arguments that the network does not take.
    """
    recipe = recipe or Recipe()
    return [draw_stages(folder / "stages.png", recipe), draw_backbone(folder / "backbone.png", recipe)]


def draw_stages(path: Path, recipe: Recipe) -> Path:
    """Draw both stages: what is shown, what is trained, what is only followed, and which losses tie them."""
    with drawing(path, 7.8, 6.6, words=STAGES_WORDS) as figure:
        axes = _paper(figure, 7.8, 6.6)
        _draw_stage1(axes, recipe)
        _draw_stage2(axes, recipe)
        _legend(axes, 0.18)
    return path


def draw_backbone(path: Path, recipe: Recipe) -> Path:
    """Draw CNN-GRU + attention: local time in the convolutions, global time in the GRU and in the attention."""
    arguments = full_arguments(
        "cnn_gru_attention", input_size=recipe.clip.input_size, **recipe.model.backbones.get("cnn_gru_attention", {})
    )
    frames, size, widths = recipe.clip.frames, recipe.clip.input_size, tuple(arguments["widths"])
    side = size >> len(widths)
    shapes = [
        f"3×{frames}×{size}×{size}", f"{widths[-1]}×{frames}×{side}×{side}", f"{frames}×{widths[-1] * side * side}",
        f"{frames}×{2 * arguments['hidden']}", f"{frames}×{2 * arguments['hidden']}",
        f"{arguments['out_channels']}×{frames}",
    ]  # fmt: skip
    words = (
        f"Drawing of the backbone, with the shape after each step: a clip {shapes[0]}; {len(widths)} 3-D convolutions "
        f"with pooling in space {shapes[1]} (local: neighbouring frames); flattened frame by frame {shapes[2]}; a "
        f"bidirectional GRU {shapes[3]} and self-attention over time {shapes[4]} (global: the whole clip); a linear "
        f"layer {shapes[5]}."
    )
    with drawing(path, 7.8, 2.75, words=words) as figure:
        axes = _paper(figure, 7.8, 2.75)
        y, step = 1.6, 1.0
        boxes = [(0.55 + i * (step + 0.34), y, step - 0.06, 1.0) for i in range(6)]
        _box(axes, boxes[0], "clip\n\nRGB, 25 fps", "data")
        for i in range(len(widths)):  # one sheet for each convolution, the narrower the smaller its maps
            height = 1.15 - 0.16 * i
            _sheet(axes, boxes[1][0] - 0.42 + 0.23 * i, y, height)
        axes.text(boxes[1][0], y + 0.78, f"{len(widths)} × Conv3d 3×3×3,\nReLU, pool (1, 2, 2)", **_words())
        _box(axes, boxes[2], "flatten,\nframe by\nframe", "data")
        _box(axes, boxes[3], f"BiGRU\n\n2 × {arguments['hidden']}", "trained")
        _box(axes, boxes[4], "self-\nattention\nover time", "trained")
        _box(axes, boxes[5], f"Linear\n\n→ {arguments['out_channels']}", "trained")
        for left, right in pairwise(boxes):
            _arrow(axes, (left[0] + left[2] / 2 + 0.02, y), (right[0] - right[2] / 2 - 0.02, y))
        for box, shape in zip(boxes, shapes, strict=True):
            axes.text(box[0], y - 0.68, shape, **_words(8))
        axes.text(boxes[0][0] - 0.47, y - 0.68 - 0.2, "shape after each step (C × T × H × W; then T × C; then C × T)",
                  **_words(7.5, ha="left", color="#555555"))  # fmt: skip
        _brace(axes, boxes[1][0] - 0.5, boxes[1][0] + 0.5, 0.44, "local: neighbouring frames")
        _brace(axes, boxes[3][0] - 0.47, boxes[4][0] + 0.47, 0.44, "global: the whole clip")
    return path


def _draw_stage1(axes: Axes, recipe: Recipe) -> None:
    clip = recipe.clip
    video = f"3×{clip.frames}×{clip.input_size}×{clip.input_size}"
    sound = f"1×{MEL_PER_FRAME * clip.frames}×{N_MELS}"
    common = f"{recipe.model.projection}×{clip.frames}"
    rows = [5.8, 5.08, 4.36, 3.64]
    axes.text(0.1, 6.4, "Stage 1: real talking faces only, no labels", **_words(10, ha="left", weight="bold"))
    names = [
        ("noisy view", video, "video student", "trained"), ("clean view", video, "video teacher", "teacher"),
        ("log-mel", sound, "audio teacher", "teacher"), ("masked log-mel", sound, "audio student", "trained"),
    ]  # fmt: skip
    for y, (shown, shape, network, look) in zip(rows, names, strict=True):
        _box(axes, (0.68, y, 1.16, 0.46), shown, "data")
        _box(axes, (3.0, y, 1.5, 0.46), f"{network}\nbackbone + projector", look)
        _arrow(axes, (1.28, y), (2.23, y), shape)
    for y, other in ((rows[0], rows[2]), (rows[3], rows[1])):
        _box(axes, (5.05, y, 0.9, 0.46), "predictor", "trained")
        _arrow(axes, (3.77, y), (4.58, y), common)
        _box(axes, (6.98, y, 1.42, 0.46), "loss: −cosine,\nframe by frame", "loss")
        _arrow(axes, (5.52, y), (6.25, y))
        _arrow(axes, (3.77, other), (6.6, y + (0.25 if y < other else -0.25)))
    axes.text(4.75, rows[1] + 0.1, "targets", **_words(8, color="#555555"))
    for student, teacher in ((rows[0], rows[1]), (rows[3], rows[2])):
        way = -1 if student > teacher else 1
        _arrow(axes, (3.0, student + way * 0.25), (3.0, teacher - way * 0.25), color=GREY)
        axes.text(3.07, (student + teacher) / 2, "EMA", **_words(7.5, ha="left"))


def _draw_stage2(axes: Axes, recipe: Recipe) -> None:
    clip, rows = recipe.clip, [2.55, 1.75, 0.95]
    video = f"3×{clip.frames}×{clip.input_size}×{clip.input_size}"
    axes.plot([0.1, 7.7], [3.27, 3.27], color="#d0d0d0", linewidth=0.8)
    axes.text(0.1, 3.05, "Stage 2: real or fake, without forgetting", **_words(10, ha="left", weight="bold"))
    _box(axes, (0.68, rows[0], 1.16, 0.46), "noisy view,\nlabelled clips", "data")
    _box(axes, (3.0, rows[0], 1.5, 0.46), "backbone,\nfrom the video student", "trained")
    _box(axes, (5.05, rows[0], 0.9, 0.46), "mean over T,\ncosine head", "trained")
    _box(axes, (6.98, rows[0], 1.42, 0.46), "loss: BCE of\nlogit + shift", "loss")
    _arrow(axes, (1.28, rows[0]), (2.23, rows[0]), video)
    _arrow(axes, (3.77, rows[0]), (4.58, rows[0]))
    _arrow(axes, (5.52, rows[0]), (6.25, rows[0]), "logit")
    _box(axes, (4.6, rows[1], 1.8, 0.46), "projector + predictor", "trained")
    _box(axes, (6.98, rows[1], 1.42, 0.46), "loss: ssl_weight\n× (−cosine)", "loss")
    _arrow(axes, (3.0, rows[0] - 0.25), (3.68, rows[1]), bend=True)
    axes.text(2.93, rows[1] + 0.12, "features of\nreal clips", **_words(7.5, ha="right"))
    _arrow(axes, (5.52, rows[1]), (6.25, rows[1]))
    _box(axes, (0.68, rows[2], 1.16, 0.46), "clean view,\nreal clips", "data")
    _box(axes, (3.0, rows[2], 1.5, 0.46), "video teacher of\nstage 1, frozen", "teacher")
    _arrow(axes, (1.28, rows[2]), (2.23, rows[2]), video)
    _arrow(axes, (3.77, rows[2]), (6.98, rows[1] - 0.25), f"target, {recipe.model.projection}×{clip.frames}", bend=True)


def _legend(axes: Axes, y: float) -> None:
    x = 0.1
    for look, text, room in (
        ("data", "input", 0.85), ("trained", "trained by gradient", 1.75), ("teacher", "teacher: gives targets", 1.85),
        ("loss", "loss", 0.8),
    ):  # fmt: skip
        _box(axes, (x + 0.13, y + 0.1, 0.22, 0.15), "", look)
        axes.text(x + 0.33, y + 0.1, text, **_words(8, ha="left"))
        x += room + 0.1


def _paper(figure: Figure, width: float, height: float) -> Axes:
    """Axes that cover the figure; one unit is an inch."""
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return axes


def _words(size: float = 8, **look: Any) -> dict[str, Any]:
    return {"ha": "center", "va": "center", "color": INK, "fontsize": size} | look


def _box(axes: Axes, box: Box, text: str, look: str) -> None:
    x, y, width, height = box
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.05",
            linewidth=1.1, **LOOKS[look],
        )
    )  # fmt: skip
    axes.text(x, y, text, **_words(), linespacing=1.15)


def _sheet(axes: Axes, x: float, y: float, height: float) -> None:
    """A feature map seen from the side."""
    axes.add_patch(Rectangle((x, y - height / 2), 0.14, height, linewidth=1.1, **LOOKS["trained"]))


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", bend: bool = False, **look: Any
) -> None:
    """An arrow with its words above the middle; ``bend`` turns one right angle on the way."""
    # A falling arrow enters its box from the side, a rising one from below.
    straight = "angle,angleA=-90,angleB=180,rad=0" if start[1] > end[1] else "angle,angleA=0,angleB=90,rad=0"
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=9, linewidth=1.0, shrinkA=0, shrinkB=0,
            connectionstyle=straight if bend else "arc3", **({"color": INK} | look),
        )
    )  # fmt: skip
    if text:
        axes.text((start[0] + end[0]) / 2, start[1] + 0.1, text, **_words(7.5))


def _brace(axes: Axes, left: float, right: float, y: float, text: str) -> None:
    """A bracket under a part of the drawing, with its name."""
    axes.plot([left, left, right, right], [y + 0.08, y, y, y + 0.08], color=INK, linewidth=0.9)
    axes.text((left + right) / 2, y - 0.14, text, **_words(8.5, weight="bold"))
