"""Crops of new data under those of training: the mean of each, and single ones, as a detector is given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from tdd.data.store import ClipStore
from tdd.evaluation.likeness import Crops, Known, look_at
from tdd.plots.store import chosen_videos
from tdd.plots.style import INK, as_letters, drawing

SAMPLES = 7
"""Single crops in a row."""
REMARKS = 3
"""Failed checks named beside a row."""

_TILE, _GAP, _LABEL, _HEAD, _FOOT, _DPI = 96, 4, 210, 26, 26, 100


def draw_crops(
    store: ClipStore,
    groups: Mapping[str, pd.DataFrame],
    path: Path,
    known: Known | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    training: tuple[ClipStore, pd.DataFrame] | None = None,
) -> Path:
    """Draw a row a group: its mean crop, crops of single videos, and which checks of it failed.

    Args:
        store: holds the groups' crops.
        groups: rows of its index, by name.
        path: of the PNG.
        known: of the crops of training, on top; ``None``: not known.
        checks: of the groups, as a record keeps them; a check's name ends with that of its group.
        training: store and rows of training, where they are at hand: its single crops are shown too.

    Raises:
        TddError: a crop cannot be read.
    """
    rows: list[tuple[str, list[str], list[np.ndarray]]] = []
    if training:
        rows.append(("training", [], _shown(look_at(*training), *training)))
    elif known:
        rows.append(("training (its mean)", [], [known.picture]))
    else:
        rows.append(("training", ["not known"], []))
    for name, videos in groups.items():
        failed = [check["name"] for check in checks if check["passed"] is False and check["name"].endswith(f", {name}")]
        said = [f"failed: {one.rpartition(', ')[0]}" for one in failed]
        more = [f"and {len(said) - REMARKS} more"] if len(said) > REMARKS else []
        rows.append((name, [*said[:REMARKS], *more], _shown(look_at(store, videos), store, videos)))
    step, columns = _TILE + _GAP, SAMPLES + 1
    sheet = np.full((len(rows) * step, columns * step, 3), 255, np.uint8)
    for line, (_, _, tiles) in enumerate(rows):
        for place, tile in enumerate(tiles):
            at = line * step, place * step
            sheet[at[0] : at[0] + _TILE, at[1] : at[1] + _TILE] = _tile(tile)
    width, height = _LABEL + sheet.shape[1], _HEAD + sheet.shape[0] + _FOOT
    with drawing(path, width / _DPI, height / _DPI, dpi=_DPI) as figure:
        figure.set_layout_engine("none")  # places are pixels here
        figure.figimage(sheet, xo=_LABEL, yo=_FOOT, origin="upper")

        def write(x: float, y: float, text: str, **look: Any) -> None:
            plain: dict[str, Any] = {"color": INK, "va": "center", "size": 8}
            figure.text(x / width, 1 - y / height, as_letters(text), **plain | look)

        write(_LABEL + _TILE / 2, _HEAD / 2, "mean", ha="center")
        write(_LABEL + step, _HEAD / 2, "single videos", ha="left")
        for line, (name, said, _) in enumerate(rows):
            top = _HEAD + line * step
            write(8, top + 14, name, weight="bold")
            for place, remark in enumerate(said):
                write(8, top + 32 + 15 * place, remark, size=7.5)
        if store.plan.get("synthetic"):
            write(8, height - _FOOT / 2, "Synthetic benchmark.", size=7.5, color="#555555")
    return path


def _shown(crops: Crops, store: ClipStore, rows: pd.DataFrame) -> list[np.ndarray]:
    chosen = chosen_videos(rows, SAMPLES).head(SAMPLES)
    middles = zip(chosen["video_id"], chosen["frames"], strict=True)
    return [crops.picture, *(store.frames(video, int(frames) // 2, 1)[0] for video, frames in middles)]


def _tile(picture: np.ndarray) -> np.ndarray:
    exact = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    how = cv2.INTER_AREA if exact.shape[0] > _TILE else cv2.INTER_CUBIC
    return cv2.resize(exact, (_TILE, _TILE), interpolation=how)
