"""Pictures of a clip store: the aligned faces of each data set, and how long, large and well found they are."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tdd.data.store import ClipStore
from tdd.data.video import FPS, VideoFile
from tdd.errors import TddError
from tdd.machine.files import check_writable
from tdd.plots.style import BLUE, GREY, INK, as_letters, drawing, footnote
from tdd.preprocess.catalog import catalog_rows
from tdd.preprocess.finding import landmarks_of

VIDEOS = 12
"""Of each data set, on its sheet."""

MOMENT = 25
"""Which frame of a clip is shown, or the middle one of a shorter video."""

_TILE, _WIDE, _GAP, _TEXT, _COLUMNS, _DPI = 128, 192, 8, 30, 3, 100
_MARK = (0, 255, 120)

COLUMNS = {
    "seconds": "length, s",
    "fps": "frame rate of the file, Hz",
    "face_px": "size of the face, px",
    "found_share": "frames in which it was found, %",
    "align_residual": "misfit to the mean face, eye distances",
    "outside_share": "crop outside the picture, %",
    "stretch": "width to height, mean face = 1",
}


def inspect_store(store: ClipStore, out: Path, root: Path | None = None) -> list[Path]:
    """Draw a contact sheet for each data set, and one figure of lengths, frame rates, sizes and shares of found frames.

    Args:
        store: published.
        out: folder of the pictures.
        root: data root; with it, each face stands beside its frame with the landmarks drawn in.

    Returns:
        the files written: ``faces-<data set>.png`` and ``quality.png``.

    Raises:
        TddError: ``out`` cannot be written, or a video or its landmarks below ``root`` cannot be read.
    """
    check_writable(out)
    files = []
    for dataset, rows in store.index.groupby("dataset"):
        name = re.sub(r"[^\w.-]", "", str(dataset))
        files.append(draw_faces(store, chosen_videos(rows), out / f"faces-{name}.png", root))
    return [*files, draw_quality(store, out / "quality.png")]


def chosen_videos(rows: pd.DataFrame, count: int = VIDEOS) -> pd.DataFrame:
    """Up to ``count`` videos: as many of each method as of any other, real ones first, evenly spread over the list."""
    groups = [group for _, group in sorted(rows.groupby("method"), key=lambda pair: (pair[1]["label"].min(), pair[0]))]
    shares = [0] * len(groups)
    for number in itertools.islice(itertools.cycle(range(len(groups))), max(count, 0)):
        shares[number] += 1
    picked = [
        # A method with fewer videos than its share would show some of them twice.
        group.iloc[np.unique(np.linspace(0, len(group) - 1, share).astype(int))]
        for group, share in zip(groups, shares, strict=True)
        if share
    ]
    return pd.concat(picked)


def draw_faces(store: ClipStore, rows: pd.DataFrame, path: Path, root: Path | None = None) -> Path:
    """Draw the videos of ``rows`` (of the store's index): frame with landmarks, where ``root`` is given, and crop."""
    cell = _TILE + (_WIDE + 2 if root else 0) + _GAP
    height = _TILE + _TEXT
    lines = -(-len(rows) // _COLUMNS)
    sheet = np.full((lines * height, _COLUMNS * cell, 3), 255, np.uint8)
    labels = []
    for number, row in enumerate(catalog_rows(rows)):
        top, left = number // _COLUMNS * height + _TEXT, number % _COLUMNS * cell
        labels.append((left, top, f"{row['method']}  {row['video_id'].split('/')[-1]}"))
        moment = min(MOMENT, row["frames"] // 2)
        if root:
            sheet[top : top + _TILE, left : left + _WIDE] = _marked_frame(store, root, row, moment)
            left += _WIDE + 2
        crop = store.frames(row["video_id"], moment, 1)[0]
        sheet[top : top + _TILE, left : left + _TILE] = cv2.resize(crop, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    foot = 24
    width, total = sheet.shape[1] / _DPI, (sheet.shape[0] + foot) / _DPI
    words = f"Contact sheet of faces: {'; '.join(text for _, _, text in labels)}."
    with drawing(path, width, total, dpi=_DPI, words=words) as figure:
        figure.set_layout_engine("none")
        figure.figimage(sheet, xo=0, yo=foot, origin="upper")
        for left, top, text in labels:
            x, y = left / sheet.shape[1], 1 - (top - 6) / (sheet.shape[0] + foot)
            figure.text(x, y, as_letters(text), size=7.5, color=INK, va="bottom")
        figure.text(0.005, 8 / (total * _DPI), _source_note(store, root), size=7, color="#555555")
    return path


def _marked_frame(store: ClipStore, root: Path, row: dict[str, Any], moment: int) -> np.ndarray:
    """The frame that ``moment`` of the clip was cut from, landmarks drawn in, fitted into a tile."""
    shown = VideoFile(root / row["path"]).shown(store.plan["frame_rate"])
    frame = next(itertools.islice(shown, moment, None), None)
    points, _ = landmarks_of(root, store.folder, row)
    if frame is None or frame.source >= len(points):
        raise TddError(
            f"{root / row['path']} is not the video that the store was made from: it ends before frame {moment}; give "
            "the same data with --root."
        )
    image = frame.rgb()
    scale = min(_TILE / image.shape[0], _WIDE / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:_TILE, :_WIDE]
    # Landmarks count from the middle of the first pixel, resizing from its corner.
    for x, y in np.rint((points[frame.source] + 0.5) * scale - 0.5).astype(int):
        cv2.circle(small, (int(x), int(y)), 1, _MARK, -1)
    tile = np.full((_TILE, _WIDE, 3), 235, np.uint8)
    top, left = (_TILE - small.shape[0]) // 2, (_WIDE - small.shape[1]) // 2
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    return tile


def draw_quality(store: ClipStore, path: Path) -> Path:
    """Draw one dot a video, by data set: length, frame rate, size of the face, share of frames in which it was found,
    and how well its crops fit (:mod:`tdd.preprocess.quality`).

    What a store's index does not hold (it was made by an older version, or all landmarks were given) is left out.
    """
    table = store.index.assign(seconds=store.index["frames"] / FPS)
    for share in {"found_share", "outside_share"} & set(table.columns):
        table[share] = 100 * table[share]
    shown = [name for name in COLUMNS if name in table and table[name].notna().any()]
    datasets = sorted(table["dataset"].unique())
    with drawing(path, max(5.6, 2.4 * len(shown) + 1.0), 0.5 * len(datasets) + 1.1) as figure:
        panels = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
        for axes, name in zip(panels, shown, strict=True):
            _draw_dots(axes, [table.loc[table["dataset"] == dataset, name] for dataset in datasets])
            axes.set_xlabel(COLUMNS[name])
            if name == "found_share":
                axes.set_xlim(right=101)  # a dot at 100 is drawn whole
            if name == "outside_share":
                axes.set_xlim(left=-1)  # and one at 0, where most are
        counts = table["dataset"].value_counts()
        panels[0].set_yticks(range(len(datasets)), [f"{name}\n{counts[name]} videos" for name in datasets])
        panels[0].set_ylim(len(datasets) - 0.5, -0.5)
        footnote(figure, f"A dot a video, a bar the median. {_source_note(store, None)}")
    return path


def _draw_dots(axes: Axes, groups: list[pd.Series]) -> None:
    draw = np.random.default_rng(0)  # the same store gives the same picture
    for place, group in enumerate(groups):
        values = group.dropna().to_numpy(float)
        if len(values):
            heights = place + draw.uniform(-0.28, 0.28, len(values))
            axes.scatter(values, heights, s=5, color=BLUE, alpha=0.35, linewidths=0)
            axes.vlines(np.median(values), place - 0.36, place + 0.36, color=INK, linewidth=1.6)
        else:
            axes.text(
                0.5, place, "not known", transform=axes.get_yaxis_transform(), ha="center", va="center", color=GREY
            )
    axes.margins(x=0.08)
    axes.grid(visible=False, axis="y")


def _source_note(store: ClipStore, root: Path | None) -> str:
    source = "Synthetic benchmark: drawn faces, no real person. " if store.plan.get("synthetic") else ""
    return source + ("Frame with landmarks, and the aligned crop." if root else "")
