"""Pictures, sound and film inside a notebook's page, small enough to be committed with it.

    with drawn(7, 2.5) as figure:                # a matplotlib figure in the look of all figures of the package
        figure.subplots().plot(...)
    show_picture(path)                           # a figure that the package drew
    show_frames({"real": frames, "fake": others})  # rows of evenly spaced frames, one picture
    play({"real": frames}, samples)              # films, with sound: two at a time, below them a strip of their frames
    play_audio(samples)
    show_controls(widget, "...")                 # a widget, and for readers without a kernel a picture and a sentence
    read_film(path)                              # the first two seconds of any video, small
    as_frames(batch["noisy"][0])                 # what a network is shown, as frames again
    draw_face(axes, frame, points)               # a frame with its landmarks
    draw_log_mel(axes, mel)

Every picture says in words what it shows, where IPython keeps that: ``alt`` in the output's metadata. Of what renders
notebooks nbconvert's classic template hands it on; its lab template and JupyterLab itself (4.6) do not yet.

What every notebook holds beside (``tests/test_notebooks.py`` checks it): a first cell of text with the title
``# 04 ...``, the Colab link, ``**Question.**`` and ``**You will see.**``; the Colab cell and the cell that chooses
recipe and data, both put there by ``python notebooks/links.py`` (leave two empty code cells for them); and in the end
``## What this does not show``, ``## Summary`` (five lines), ``## Exercises`` (three to five, whose answers
``notebooks/solutions`` has in a notebook of the same name) and ``## Next`` with a link. For a word of code there are at
least 1.3 words of text and, formulas, summary and exercises not counted, at most 1.9. A measured number in the text is
one that a cell of the same notebook prints; better, the cell prints the sentence (``Markdown(f"...")``).
``python notebooks/run.py --write 04`` executes one and keeps its outputs. What it needs is found or made by
:mod:`tdd.notebook.workspace`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from IPython.display import HTML, Audio, Image, display
from IPython.utils.capture import capture_output
from ipywidgets import DOMWidget, interactive
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from torch import Tensor

from tdd.config import TIMESTAMPS
from tdd.data.audio import MEL_PER_FRAME
from tdd.data.augment import IMAGENET_MEAN, IMAGENET_STD
from tdd.data.clock import FPS
from tdd.data.video import SAMPLE_RATE, VideoFile
from tdd.errors import TddError
from tdd.notebook.player import film_page
from tdd.plots.style import BLUE, INK, drawing
from tdd.plots.words import described

INCH = 115
"""Pixels of a page under one inch of a figure: small print of 8 points is then 13 pixels high."""

WIDEST = 900
"""Pixels: what a page of JupyterLab or GitHub has room for on a screen of 1280."""

GAP = 4
"""Pixels between frames."""


@contextmanager
def drawn(width: float = 7.5, height: float = 2.6) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches, shown below the cell when the block ends well."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        with drawing(path, width, height) as figure:
            yield figure
        display(show_picture(path))


def show_picture(path: Path) -> Image:
    """A figure that :func:`tdd.plots.style.drawing` wrote, as large as a page has room for, with its words."""
    with Picture.open(path) as picture:
        inches = picture.width / picture.info["dpi"][0]
    return _image(path.read_bytes(), described(path), width=min(round(inches * INCH), WIDEST))


def read_film(path: Path, count: int = 48, side: int = 256) -> np.ndarray:
    """The first ``count`` frames of a video at 25 fps, made small enough for a page.

    Args:
        path: of the video.
        count: frames; all where there are fewer.
        side: the shorter side is made so long where it is longer, px.

    Returns:
        RGB uint8, shape (T, H, W, 3), H and W even.

    Raises:
        TddError: the video cannot be read.
    """
    frames = [frame.rgb() for frame in islice(VideoFile(path).shown(TIMESTAMPS), count)]
    height, width = frames[0].shape[:2]
    scale = min(1.0, side / min(height, width))
    size = (2 * round(width * scale / 2), 2 * round(height * scale / 2))  # H.264 in 4:2:0 takes even sides only
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def show_frames(rows: Mapping[str, np.ndarray], count: int = 8, side: int = 96) -> Image:
    """Rows of ``count`` evenly spaced frames, as one picture.

    Args:
        rows: a row's name to its frames, RGB uint8, shape (T, H, W, 3); fewer than ``count`` are all shown.
        count: frames a row.
        side: height of a frame in the picture, px; less where a page would not hold the row.
    """
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 15)
    margin = GAP + round(max(font.getlength(name) for name in rows))
    strips = [_strip(frames, count, side) for frames in rows.values()]
    if (widest := max(strip.shape[1] for strip in strips)) + margin > WIDEST:  # a page would shrink the names too
        side = side * (WIDEST - margin - count * GAP) // widest
        strips = [_strip(frames, count, side) for frames in rows.values()]
    sheet = Picture.new("RGB", (margin + max(s.shape[1] for s in strips), len(rows) * (side + GAP) - GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (name, strip) in enumerate(zip(rows, strips, strict=True)):
        sheet.paste(Picture.fromarray(strip), (margin, i * (side + GAP)))
        pen.text((0, i * (side + GAP) + side / 2), name, INK, font, anchor="lm")
    out = BytesIO()
    sheet.save(out, "JPEG", quality=88)  # PNG compresses video frames badly, and pages are committed
    words = f"{count} frames in order of time, of each: {'; '.join(rows)}." if len(rows) > 1 else ""
    return _image(out.getvalue(), words or f"{count} frames in order of time: {next(iter(rows))}.", format="jpeg")


def _image(data: bytes, words: str, **facts: Any) -> Image:
    """A picture with words for who does not see it, given as IPython 7 takes them, which Colab has."""
    return Image(data, metadata={"alt": words}, **facts)


def _strip(frames: np.ndarray, count: int, side: int) -> np.ndarray:
    chosen = frames[np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)]
    height, width = chosen.shape[1:3]
    size = (round(width * side / height), side)
    way = cv2.INTER_AREA if height > side else cv2.INTER_CUBIC
    gap = np.full((side, GAP, 3), 255, np.uint8)
    tiles = [cv2.resize(np.ascontiguousarray(frame), size, interpolation=way) for frame in chosen]
    return np.concatenate([part for tile in tiles for part in (gap, tile)], axis=1)


def as_frames(video: Tensor) -> np.ndarray:
    """A network's video as frames to look at: masked parts have the mean colour.

    Args:
        video: shape (3, T, H, W), uint8 or as :func:`tdd.data.augment.normalise` gives it.

    Returns:
        RGB uint8, shape (T, H, W, 3).
    """
    if video.dtype != torch.uint8:
        mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        video = ((video.cpu() * std + mean) * 255).round().clamp(0, 255).byte()
    return video.permute(1, 2, 3, 0).numpy()


def draw_face(axes: Axes, frame: np.ndarray, points: np.ndarray | None = None, title: str = "") -> None:
    """Show a frame, RGB uint8, shape (H, W, 3), and on it landmarks, px, shape (N, 2), if any."""
    axes.imshow(frame)
    if points is not None:
        axes.scatter(points[:, 0], points[:, 1], s=4, color="white", edgecolors=BLUE, linewidths=0.5)
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def draw_log_mel(axes: Axes, mel: Tensor, title: str = "") -> None:
    """Show a log-mel spectrogram, shape (1, T_audio, n_mels): time in seconds from left to right, pitch upwards."""
    extent = (0, mel.shape[1] / MEL_PER_FRAME / FPS, 0, mel.shape[2])
    # The whole range of log_mel, so that one picture can be held against another.
    axes.imshow(mel[0].T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-1, vmax=1)
    axes.set(title=title, xlabel="seconds", ylabel="mel band")
    axes.grid(False)


def play(films: Mapping[str, np.ndarray], audio: np.ndarray | None = None, width: int = 440) -> None:
    """Show films, two beside each other on one clock, and below them a strip of frames of each.

    The strip stays where no film does, on GitHub and on paper.

    Args:
        films: a name to its frames at 25 fps, RGB uint8, shape (T, H, W, 3), H and W even; of more than two the page
            lets the reader choose.
        audio: of each, mono at 16 kHz, float in [-1, 1] or int16, shape (N,).
        width: of a player at most, px.
    """
    display(HTML(film_page(films, None if audio is None else _as_float(audio), width)))
    display(show_frames(films))


def play_audio(samples: np.ndarray) -> Audio:
    """A player for mono samples at 16 kHz, float in [-1, 1] or int16, shape (N,)."""
    return Audio(_as_float(samples), rate=SAMPLE_RATE, normalize=False)  # else IPython plays each at full loudness


def _as_float(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples.astype(np.float32)


def show_controls(widget: DOMWidget, otherwise: str, still: Image | None = None) -> None:
    """Show a widget where a kernel runs; where none does, as on GitHub, a picture and the sentence ``otherwise``.

    Args:
        widget: its own bundle would leave its repr, cut short, where nothing renders it.
        otherwise: what a page says that shows neither; the words of the picture too.
        still: the picture; by default what an ``interactive`` draws at its first setting.
    """
    data = {
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2, "version_minor": 0, "model_id": widget.model_id,
        },
        "text/plain": otherwise,
    }  # fmt: skip
    facts: dict[str, Any] = {}
    if isinstance(widget, interactive) and still is None:
        data["image/png"], facts = _first_picture(widget)
    elif still is not None:
        data["image/png"], facts = b64encode(still.data).decode(), {"width": still.width} | (still.metadata or {})
    display(data, metadata={"image/png": facts} if facts else {}, raw=True)


def _first_picture(widget: interactive) -> tuple[str, dict[str, Any]]:
    """What the function of an ``interactive`` shows as the controls stand: PNG in base64, and its facts."""
    with capture_output() as seen:
        widget.f(**widget.kwargs)
    for output in seen.outputs:
        if "image/png" in output.data:
            return output.data["image/png"], output.metadata["image/png"]
    raise TddError("The function of these controls shows no picture; give show_controls one.")
