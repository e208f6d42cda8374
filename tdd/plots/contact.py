"""A contact sheet of faces and forgeries: the same target filmed once and forged by every method."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from tdd.data.video import read_video
from tdd.errors import TddError
from tdd.names import CELEB_DF, FACEFORENSICS, FACEFORENSICS_METHODS
from tdd.plots.style import INK, drawing
from tdd.plots.words import plain

FRAMES = 3
"""Moments shown of each video, evenly spaced."""

_TILE, _GAP, _LABEL, _HEAD, _FOOT, _DPI = 112, 4, 112, 36, 40, 100
_ZOOM = 0.5
_BLACK = 64.0


@dataclass(frozen=True)
class _Strip:
    """One row of the sheet: frames (FRAMES, H, W, 3) uint8, and those of the real video that it alters, if any."""

    label: str
    frames: np.ndarray
    real: np.ndarray | None = None


def draw_contact_sheet(study_dir: Path, path: Path, *, synthetic: bool = True) -> Path:
    """Draw real and forged versions of one FaceForensics++ test target and of one Celeb-DF-v2 target.

    Each row: ``FRAMES`` moments, the part of the frame in which the fakes differ most enlarged, and there the absolute
    difference from the real frame. Videos are found in ``study_dir / "data"`` in their owners' layout; a method without
    the chosen target has no row.

    Raises:
        TddError: the folder holds no real video with a fake of it, or a video cannot be decoded.
    """
    data = study_dir / "data"
    groups = [strips for strips in (_faceforensics(data), _celeb_df(data)) if strips]
    if not groups:
        raise TddError(
            f"{data} holds no real video with a forgery of it, so there is no contact sheet; make the data first."
        )
    rows = [row for strips in groups for row in _tiles(strips)]
    width = _LABEL + (FRAMES + 2) * (_TILE + _GAP)
    height = _HEAD + len(rows) * (_TILE + _GAP) + _FOOT
    names = "; ".join(plain(label) for label, _ in rows)
    words = (
        f"Contact sheet: {FRAMES} moments, a part enlarged, and there the difference from the real frame, of {names}."
    )
    with drawing(path, width / _DPI, height / _DPI, dpi=_DPI, words=words) as figure:
        figure.set_layout_engine("none")  # places are pixels here, and no layout may move them
        # figimage, for imshow would resample: a pixel of the sheet is one of the picture.
        figure.figimage(_mosaic([tiles for _, tiles in rows]), xo=_LABEL, yo=_FOOT, origin="upper")
        _write_labels(figure, [label for label, _ in rows], width, height, synthetic)
    return path


def _faceforensics(data: Path) -> list[_Strip]:
    """The first test target that every method forges, else the first that any does."""
    root = data / FACEFORENSICS
    reals = root / "original_sequences/youtube/c23/videos"
    best: list[tuple[str, Path]] = []
    for target, source in _test_pairs(root):
        paths = {m: root / f"manipulated_sequences/{m}/c23/videos/{target}_{source}.mp4" for m in FACEFORENSICS_METHODS}
        found = [(method, path) for method, path in paths.items() if path.is_file()]
        if (reals / f"{target}.mp4").is_file() and len(found) > len(best[1:]):
            best = [("Real", reals / f"{target}.mp4"), *found]
        if len(found) == len(FACEFORENSICS_METHODS):
            break
    return _strips(best)


def _test_pairs(root: Path) -> Iterator[tuple[str, str]]:
    listed = root / "splits" / "test.json"
    if listed.is_file():
        for first, second in json.loads(listed.read_text(encoding="utf-8")):
            # A pair of the official list stands for the fakes of both directions.
            yield first, second
            yield second, first


def _celeb_df(data: Path) -> list[_Strip]:
    root = data / CELEB_DF
    for fake in sorted((root / "Celeb-synthesis").glob("id*_id*_*.mp4")):
        target, _, number = fake.stem.split("_")
        real = root / "Celeb-real" / f"{target}_{number}.mp4"
        if real.is_file():
            return _strips([("Real\n(Celeb-DF-v2)", real), ("Celeb-DF-v2\nswap", fake)])
    return []


def _strips(found: list[tuple[str, Path]]) -> list[_Strip]:
    """Frames of the first video, the real one, and of its forgeries at the same moments."""
    strips: list[_Strip] = []
    for label, path in found:
        frames, _ = read_video(path)
        chosen = frames[np.linspace(0, len(frames) - 1, FRAMES + 2).astype(int)[1:-1]]
        real = strips[0].frames if strips else None
        # other lengths or sizes (no rule forbids them) leave nothing to subtract
        strips.append(_Strip(label, chosen, real if real is not None and real.shape == chosen.shape else None))
    return strips


def _tiles(strips: list[_Strip]) -> Iterator[tuple[str, list[np.ndarray]]]:
    moment, top, left, side = _most_changed(strips)
    for strip in strips:
        zoom = strip.frames[moment, top : top + side, left : left + side]
        tiles = [_resize(frame) for frame in strip.frames] + [_resize(zoom)]
        if strip.real is not None:
            before = strip.real[moment, top : top + side, left : left + side]
            change = np.abs(zoom.astype(float) - before).mean(2, keepdims=True)  # differences of bytes would wrap
            grey = 255 * (1 - np.minimum(change / _BLACK, 1))
            tiles.append(_resize(np.repeat(grey.astype(np.uint8), 3, axis=2)))
        yield strip.label, tiles


def _most_changed(strips: list[_Strip]) -> tuple[int, int, int, int]:
    """Moment, top, left and side, px, of the square in which fakes and real differ most; central without any."""
    height, width = strips[0].frames.shape[1:3]
    side = int(_ZOOM * min(height, width))
    changes = [np.abs(s.frames.astype(float) - s.real).mean(3) for s in strips if s.real is not None]
    if not changes:
        return FRAMES // 2, (height - side) // 2, (width - side) // 2, side
    mean = np.mean(changes, axis=0)  # (FRAMES, H, W)
    moment = int(mean.mean(axis=(1, 2)).argmax())
    # With this anchor a sum stands at the upper left corner of its square; squares that leave the frame are cut off.
    sums = cv2.boxFilter(mean.mean(0), -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    top, left = np.unravel_index(
        sums[: height - side + 1, : width - side + 1].argmax(), (height - side + 1, width - side + 1)
    )
    return moment, int(top), int(left), side


def _resize(frame: np.ndarray) -> np.ndarray:
    """A square tile of ``_TILE`` px from the middle of a frame."""
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(frame[top : top + side, left : left + side])
    # INTER_AREA alone shrinks without moire, and enlarging it would only repeat pixels.
    return cv2.resize(square, (_TILE, _TILE), interpolation=cv2.INTER_AREA if side > _TILE else cv2.INTER_CUBIC)


def _mosaic(rows: list[list[np.ndarray]]) -> np.ndarray:
    step = _TILE + _GAP
    sheet = np.full((len(rows) * step, (FRAMES + 2) * step, 3), 255, np.uint8)
    for i, tiles in enumerate(rows):
        for j, tile in enumerate(tiles):
            sheet[i * step : i * step + _TILE, j * step : j * step + _TILE] = tile
    return sheet


def _write_labels(figure: Figure, labels: list[str], width: int, height: int, synthetic: bool) -> None:
    step = _TILE + _GAP

    def write(x: float, y: float, text: str, **look: Any) -> None:
        figure.text(x / width, 1 - y / height, text, color=INK, va="center", **look)

    for i, label in enumerate(labels):
        write(
            _LABEL - 8,
            _HEAD + i * step + _TILE / 2,
            label,
            ha="right",
            size=8.5,
            weight="bold" if label.startswith("Real") else "normal",
        )
    heads = [("moments of the video", FRAMES / 2), ("enlarged", FRAMES + 0.5), ("|fake − real|", FRAMES + 1.5)]
    for text, place in heads:
        write(_LABEL + place * step, _HEAD / 2, text, ha="center", size=8.5)
    source = "Synthetic benchmark: drawn stand-ins named after the methods, no real person.  " if synthetic else ""
    write(
        8, height - _FOOT * 0.5, f"{source}Difference: white 0, black {_BLACK:.0f} of 255 or more.", ha="left", size=7.5
    )
