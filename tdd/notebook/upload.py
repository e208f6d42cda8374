"""A panel in a notebook: upload a video, press a button, see the faces that were found and what the detector says.

panel = UploadPanel(VideoScorer(folder_of_weights), Path("../runs/uploads"))
panel                                        # shows it
panel.prediction                             # the last one, for the cells that follow
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import ipywidgets as widgets
import numpy as np
from IPython.display import Image, Pretty, display
from matplotlib.patches import Rectangle

from tdd.config import RELABELLED
from tdd.data.video import VideoFile
from tdd.errors import TddError
from tdd.evaluation.predict import VideoScorer
from tdd.evaluation.prediction import Prediction
from tdd.machine.console import legible
from tdd.machine.files import disk_errors_told, write_atomically
from tdd.notebook.page import show_frames, show_picture
from tdd.plots.style import BLUE, GREY, INK, drawing
from tdd.plots.timeline import draw_timeline
from tdd.preprocess.naming import name_problem

MARKED = 6
"""Frames in which the landmarks are shown."""

DOT = (40, 220, 120)
PAGE_LETTERS = 112

ON_COLAB = (
    "Colab loses an upload of more than 1 MB. Put the video into the <i>Files</i> pane on the left, and give its path "
    "here: /content/NAME.mp4. Landmarks of up to 1 MB can be uploaded."
)


def marked_faces(path: Path, points: np.ndarray, count: int = MARKED) -> np.ndarray:
    """Frames of a video, evenly spaced, with a dot on every landmark.

    Args:
        path: the video.
        points: landmarks of each frame of the file, px, shape (T, 68, 2).
        count: frames; fewer where the video has fewer.

    Returns:
        RGB uint8, shape (count, H, W, 3).
    """
    chosen = set(np.linspace(0, len(points) - 1, min(count, len(points))).round().astype(int).tolist())
    marked = []
    # Relabelled shows every frame of the file once, and the landmarks are numbered by those.
    for frame in VideoFile(path).shown(RELABELLED):
        if frame.source in chosen:
            picture = frame.rgb()
            radius = max(1, min(picture.shape[:2]) // 120)
            for x, y in points[frame.source].round().astype(int).tolist():
                cv2.circle(picture, (x, y), radius, DOT, -1, cv2.LINE_AA)
            marked.append(picture)
    return np.stack(marked)


def page_text(prediction: Prediction) -> Pretty:
    """The text of a prediction in lines that a page does not break."""
    lines = prediction.to_text().splitlines()
    return Pretty("\n".join(textwrap.fill(line, PAGE_LETTERS, subsequent_indent="  ") for line in lines))


def timeline_image(prediction: Prediction) -> Image:
    """The timeline of :func:`tdd.plots.timeline.draw_timeline`, to be shown on a page."""
    with TemporaryDirectory() as folder:
        return show_picture(draw_timeline(prediction, Path(folder) / "timeline.png"))


class UploadPanel(widgets.VBox):
    """Two upload buttons, a line for the path of a file that is too large for them, and what comes of it.

    Attributes:
        prediction: of the last video; ``None`` before the first, and after one that could not be scored.
    """

    def __init__(self, scorer: VideoScorer, folder: Path) -> None:
        """Show nothing yet.

        Args:
            scorer: the detector.
            folder: where uploaded files are kept.
        """
        self.scorer, self.folder = scorer, folder
        self.prediction: Prediction | None = None
        self.video = widgets.FileUpload(accept="video/*", description="Video", layout={"width": "180px"})
        self.landmarks = widgets.FileUpload(accept=".npy", description="Landmarks (.npy)", layout={"width": "180px"})
        self.path = widgets.Text(placeholder="or the path of a video on this machine", layout={"width": "300px"})
        self.button = widgets.Button(description="Score it", button_style="primary")
        self.button.on_click(lambda _: self.score())
        self.output = widgets.Output()
        self.note = widgets.HTML()
        if "google.colab" in sys.modules:  # an upload of more than 1 MB does not arrive there, and nothing says so
            self.video.layout.display = "none"
            self.path.placeholder = "/content/NAME.mp4"
            self.note.value = ON_COLAB
        row = widgets.HBox([self.video, self.landmarks, self.path, self.button])
        super().__init__([row, self.note, self.output])

    def still(self) -> Image:
        """A picture of the panel before the first video, for pages that show no widget."""
        parts = [(f"{button.description} (0)", 1.6, "#eeeeee", INK) for button in (self.video, self.landmarks)]
        parts += [(self.path.placeholder, 3.0, "white", GREY), (self.button.description, 1.1, BLUE, "white")]
        gap = 0.1
        with TemporaryDirectory() as folder:
            path = Path(folder) / "panel.png"
            width = gap + sum(width + gap for _, width, _, _ in parts)
            with drawing(path, width, 0.5, words=f"Controls: {'; '.join(text for text, *_ in parts)}.") as figure:
                figure.set_layout_engine("none")
                axes = figure.add_axes((0, 0, 1, 1))
                axes.set(xlim=(0, width), ylim=(0, 0.5))
                axes.axis("off")
                left = gap
                for text, room, paper, ink in parts:
                    axes.add_patch(Rectangle((left, 0.1), room, 0.3, facecolor=paper, edgecolor=GREY, linewidth=0.8))
                    axes.text(left + room / 2, 0.25, text, ha="center", va="center", color=ink)
                    left += room + gap
            return show_picture(path)

    def score(self) -> None:
        """Score what was uploaded, or the file whose path was given, and show it below the buttons."""
        self.output.clear_output()
        self.prediction = None
        with self.output:
            try:
                path, landmarks = self._given()
                display(Pretty(f"Scoring {legible(path.name)} ..."))
                self.prediction = self.scorer.score(path, landmarks)
                display(show_frames({"found": marked_faces(path, self.prediction.points)}, MARKED))
                display(page_text(self.prediction), timeline_image(self.prediction))
            except TddError as error:
                display(Pretty(f"Not scored: {legible(str(error))}"))

    def _given(self) -> tuple[Path, Path | None]:
        """The video and its landmarks, if any, as files."""
        landmarks = next(self._kept(self.landmarks.value), None)
        if self.path.value.strip():
            return Path(self.path.value.strip()), landmarks
        video = next(self._kept(self.video.value), None)
        if video is None:
            raise TddError("there is no video yet; upload one, or give the path of one.")
        return video, landmarks

    def _kept(self, value: Any) -> Iterator[Path]:
        """Uploaded files, written to the folder under their own names."""
        # ipywidgets 8 gives one mapping a file; 7, which Colab has, a mapping of names to such
        files = value.items() if isinstance(value, dict) else [(one["name"], one) for one in value]
        for name, file in files:
            # A name such as ../../x.mp4 must not lead out of the folder.
            own = PurePosixPath(name.replace("\\", "/")).name
            problem = "its name names no file" if own in ("", "..") else name_problem(own)
            if problem:
                raise TddError(f"{legible(name)[:80]}: {problem}.")
            with disk_errors_told(self.folder):
                write_atomically(self.folder / own, bytes(file["content"]))
            yield self.folder / own
