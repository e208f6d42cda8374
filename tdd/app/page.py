"""What the page shows of one video, made without the library that draws the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tdd.data.video import write_video
from tdd.errors import TddError
from tdd.evaluation.predict import VideoScorer
from tdd.evaluation.prediction import Prediction
from tdd.machine.console import legible
from tdd.machine.files import disk_errors_told
from tdd.machine.limits import NO_MEMORY, out_of_memory
from tdd.plots.timeline import draw_timeline

SIDE = 192
"""Of a clip's film on the page, px."""

NOT_MEANT = (
    "A score is not evidence, and says nothing of who is seen or why.",
    "It depends on what the detector was trained on; a value that parts fakes from reals there need not do so here.",
    "Forgeries newer than the training, other cameras and hard compression may look real or fake without being so.",
    "Do not accuse anyone by it, and let no machine decide by it alone.",
)


@dataclass(frozen=True)
class Clip:
    """One of the clips that drove the score."""

    film: Path
    """The aligned faces that were scored, mp4, ``SIDE`` px."""
    caption: str


@dataclass(frozen=True)
class Page:
    """What is shown: either ``refused`` alone, or all but that."""

    refused: str = ""
    """Why there is no score, in one sentence."""
    headline: str = ""
    meaning: str = ""
    warnings: tuple[str, ...] = ()
    timeline: Path | None = None
    clips: tuple[Clip, ...] = ()


def judge(
    video: str | Path | None, landmarks: str | Path | None, load: Callable[[], VideoScorer], folder: Path
) -> Page:
    """Score a video for the page; whatever is wrong with it is one sentence there.

    Args:
        video: the file; ``None`` where nothing was uploaded or recorded yet.
        landmarks: ``.npy`` of its landmarks, shape (frames, 68, 2), px; found when ``None``.
        load: gives the detector.
        folder: for picture and films.
    """
    if not video:
        return Page(refused="There is no video yet: upload one, or record one.")
    try:
        prediction = load().score(Path(video), Path(landmarks) if landmarks else None)
        with disk_errors_told(folder):
            return _shown(prediction, folder)
    except TddError as error:
        return Page(refused=legible(str(error)))
    except Exception as error:
        if not out_of_memory(error):
            raise
        return Page(refused=f"{NO_MEMORY}.")


def _shown(prediction: Prediction, folder: Path) -> Page:
    clips = []
    for number, driving in enumerate(prediction.driving):
        row = prediction.clips.iloc[driving.clip]
        caption = f"{row['start']:.1f} to {row['end']:.1f} s, score {row['score']:.2f}"
        film = folder / f"clip{number}.mp4"
        faces = [cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for face in driving.faces]
        write_video(film, faces)
        clips.append(Clip(film, caption))
    timeline = draw_timeline(prediction, folder / "timeline.png")
    return Page("", headline(prediction), prediction.meaning, prediction.warnings, timeline, tuple(clips))


def headline(prediction: Prediction) -> str:
    """The score in one line: what kind of number it is, and how sure the clips are of it."""
    kind = "chance of a fake" if prediction.calibrated else "rank"
    span = prediction.score_span
    between = (
        f" (95% interval over its clips {span.low:.2f} to {span.high:.2f})" if span else " (one clip: no interval)"
    )
    return f"{kind[0].upper()}{kind[1:]} {np.round(prediction.score, 2):.2f}{between}"
