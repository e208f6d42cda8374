"""What a detector says of one video, over time: clip scores, attention, and the clips that drove the score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tdd.data.video import FPS
from tdd.evaluation.prediction import Prediction
from tdd.plots.style import BLUE, GREY, INK, ORANGE, as_letters, drawing, footnote

LETTERS = "ABC"
MOMENTS = 3
"""Faces shown of each driving clip, evenly spaced."""
SCORE_TICKS = (0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 0.999)
LEAST_LOGIT = 2.0
"""The axis reaches at least as far to both sides of a score of 0.5."""
LONGEST_NAME = 40  # a longer one would push the score out of the picture


def draw_timeline(prediction: Prediction, path: Path) -> Path:
    """Draw the logit of every clip with the mean and its 95% interval, below it the attention that each frame receives,
    where the network has one, and faces of the clips of highest logit.

    Raises:
        OSError: ``path`` cannot be written.
    """
    parts = {"clips": 2.0} | ({} if prediction.attention is None else {"attention": 0.35}) | {"faces": 1.1}
    with drawing(path, 7.8, sum(parts.values()) + 1.6) as figure:
        axes = dict(zip(parts, figure.subplots(len(parts), 1, height_ratios=list(parts.values())), strict=True))
        _draw_clips(axes["clips"], prediction)
        if prediction.attention is not None:
            _draw_attention(axes["attention"], prediction.attention, prediction)
        _draw_faces(axes["faces"], prediction)
        _write_meaning(figure, prediction)
    return path


def _draw_clips(axes: Axes, prediction: Prediction) -> None:
    letters = {clip.clip: letter for clip, letter in zip(prediction.driving, LETTERS, strict=False)}
    for number, (start, end, logit) in enumerate(prediction.clips[["start", "end", "logit"]].to_numpy()):
        ink = ORANGE if number in letters else BLUE
        # Any other cap would reach into the clip beside it.
        axes.plot([start, end], [logit, logit], color=ink, linewidth=3, solid_capstyle="butt")
        if number in letters:
            place = ((start + end) / 2, logit)
            axes.annotate(letters[number], place, (0, 4), textcoords="offset points", ha="center", color=ORANGE)
    mean = axes.axhline(prediction.logit, color=INK, linewidth=1, label="mean")
    shown: list[Artist] = [mean]
    if prediction.logit_span:
        low, high = prediction.logit_span.low, prediction.logit_span.high
        shown.append(axes.axhspan(low, high, color=INK, alpha=0.08, linewidth=0, label="95% interval of the mean"))
    even = _logit_of(0.5, prediction)
    shown.append(axes.axhline(even, color=GREY, linestyle=":", linewidth=1.2, label="score 0.5"))
    logits = [*prediction.clips["logit"], even - LEAST_LOGIT, even + LEAST_LOGIT]
    low, high = min(logits), max(logits)
    axes.set_ylim(low - 0.15 * (high - low), high + 0.3 * (high - low))
    axes.set_xlim(0, prediction.seconds)
    axes.set_ylabel("clip logit")
    axes.set_xlabel("time, s")
    axes.legend(handles=shown, loc="upper left", ncols=len(shown))
    _draw_scores(axes, prediction)
    axes.set_title(_title(prediction))


def _draw_scores(axes: Axes, prediction: Prediction) -> None:
    """The scores that belong to the logits, on the right; those that would stand too close are left out."""
    low, high = axes.get_ylim()
    ticks: dict[float, float] = {}
    # From the middle outwards: of two ticks too close together the one nearer to 0.5 stays.
    for score in sorted(SCORE_TICKS, key=lambda score: abs(score - 0.5)):
        place = _logit_of(score, prediction)
        if low <= place <= high and all(abs(place - other) > (high - low) / 12 for other in ticks.values()):
            ticks[score] = place
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(ticks.values()), [f"{score:g}" for score in ticks])
    right.set_ylabel("score")
    right.spines["right"].set_visible(True)


def _title(prediction: Prediction) -> str:
    span = prediction.score_span
    between = f" (95% interval {span.low:.2f} to {span.high:.2f})" if span else " (one clip, no interval)"
    name = prediction.video
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME // 2]}…{name[-(LONGEST_NAME // 2) :]}"
    return f"{as_letters(name)}: score {prediction.score:.2f}{between}"


def _logit_of(score: float, prediction: Prediction) -> float:
    """The logit that this prediction's scale turns into ``score``."""
    odds = float(np.log(score / (1 - score)))
    return (odds - prediction.scale.bias) * prediction.scale.temperature


def _draw_attention(axes: Axes, attention: np.ndarray, prediction: Prediction) -> None:
    """Share of each frame relative to an even share; where two clips overlap, their mean."""
    length = attention.shape[1]
    summed, times = np.zeros(prediction.frames), np.zeros(prediction.frames)
    for start, shares in zip((prediction.clips["start"] * FPS).round().astype(int), attention, strict=True):
        summed[start : start + length] += shares * length
        times[start : start + length] += 1
    strip = (summed / times)[None]  # no division by zero, for every frame lies in a clip
    axes.imshow(strip, aspect="auto", cmap="Blues", vmin=0, extent=(0, prediction.seconds, 0, 1))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_xticklabels([])
    label = f"attention of each frame within its clip: white 0, dark {strip.max():.2g} times an even share"
    axes.set_title(label, fontsize=8.5, weight="normal")


def _draw_faces(axes: Axes, prediction: Prediction) -> None:
    """Moments of the driving clips side by side, each clip under its letter."""
    axes.axis("off")
    side = prediction.driving[0].faces.shape[1]
    gap, width = side // 3, MOMENTS * side
    places = range(0, len(prediction.driving) * (width + gap), width + gap)
    # Room for three clips even where there are fewer, so that faces keep their size.
    sheet = np.full((side, 3 * (width + gap) - gap, 3), 255, np.uint8)
    for place, clip, letter in zip(places, prediction.driving, LETTERS, strict=False):
        chosen = clip.faces[np.linspace(0, len(clip.faces) - 1, MOMENTS + 2).astype(int)[1:-1]]
        sheet[:, place : place + width] = np.concatenate(list(chosen), axis=1)
        row = prediction.clips.iloc[clip.clip]
        label = f"{letter}  {row['start']:.1f} to {row['end']:.1f} s, score {row['score']:.2f}"
        axes.text(place, -side * 0.08, label, color=ORANGE, ha="left", va="bottom", fontsize=8.5)
    axes.imshow(sheet, aspect="equal")
    axes.set_anchor("W")


def _write_meaning(figure: Figure, prediction: Prediction) -> None:
    footnote(figure, " ".join([prediction.meaning, *prediction.warnings]))
