"""Catalog to clip store: every video decoded, aligned, cut and stored once; resumable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.config import ClipConfig
from tdd.data.store import INDEX, PLAN, ClipStore, finished_row, save_array, write_clip, write_index
from tdd.data.video import SAMPLES_PER_FRAME, read_audio, read_video
from tdd.errors import TddError
from tdd.files import check_plan, check_space
from tdd.parallel import Progress, parallel_map
from tdd.preprocess.catalog import read_catalog
from tdd.preprocess.crops import align_faces, mean_face
from tdd.preprocess.landmarks import landmark_path, read_landmarks

QUARANTINE = "quarantine.csv"
MEAN_FACE = "mean_face.npy"
MEAN_FACE_VIDEOS = 500
TYPICAL_FRAMES = {"LRW": 29, "FaceForensics++": 110, "Celeb-DF-v2": 360}
"""Frames a video, for the estimate of disk space before anything is decoded."""


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did."""

    store: ClipStore
    made: int
    """Videos decoded in this call; the rest were there."""
    failed: pd.DataFrame
    """Videos left out, with the reason; also in ``quarantine.csv``."""


def prepare(
    root: Path, out: Path, clip: ClipConfig, workers: int | None = None, progress: Progress | None = None
) -> Prepared:
    """Fill a clip store from the data sets below ``root``.

    A video that cannot be read, or whose landmarks do not fit, goes into ``quarantine.csv`` with the reason and does
    not stop the rest. Interrupted, the same call goes on: finished videos are never made again.

    Args:
        root: data root, in the layout of data/README.md.
        out: the store's folder.
        clip: geometry of the stored crops.
        workers: processes; all cores when ``None``.
        progress: called with (videos done, videos in all).

    Raises:
        TddError: no data set, a store of other settings in ``out``, no space, no write access, or no usable video.
    """
    catalog = read_catalog(root)
    plan = {"canvas": clip.canvas, "crop": clip.crop, "synthetic": is_synthetic(root)}
    rows = [row for video_id in catalog["video_id"] if (row := finished_row(out, str(video_id)))]
    have = {row["video_id"] for row in rows}
    work = _rows(catalog[~catalog["video_id"].isin(have)])
    check_space(out, sum(_stored_bytes(root, row, clip.crop) for row in work))
    check_plan(out / PLAN, plan)
    if not work and (out / INDEX).is_file():
        return Prepared(ClipStore(out), 0, _read_quarantine(out))
    target = _mean_face(root, out, catalog, clip.canvas)
    prepare_one = partial(_prepare_one, root, out, target, clip)
    failed: list[dict[str, Any]] = []
    for result in parallel_map(prepare_one, work, workers, progress):
        (failed if "reason" in result else rows).append(result)
    quarantine = pd.DataFrame(failed, columns=["video_id", "path", "reason"]).sort_values("video_id")
    quarantine.to_csv(out / QUARANTINE, index=False)
    if not rows:
        raise TddError(
            f"None of the {len(catalog)} videos below {root} could be used; the reasons are in {out / QUARANTINE}."
        )
    write_index(out, rows)
    return Prepared(ClipStore(out), len(work) - len(failed), quarantine)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def is_synthetic(root: Path) -> bool:
    """Whether ``root`` was written by ``tdd synth``."""
    return (root / "synth.json").is_file()


def _prepare_one(root: Path, out: Path, target: np.ndarray, clip: ClipConfig, row: dict[str, Any]) -> dict[str, Any]:
    """Align and store one video; a user's error comes back as a row with a ``reason``."""
    path = root / row["path"]
    try:
        frames, _ = read_video(path)
        points = read_landmarks(root, row["path"], len(frames))
        audio = read_audio(path)
        return write_clip(out, row, align_faces(frames, points, target, clip), audio)
    except TddError as error:
        return {"video_id": row["video_id"], "path": row["path"], "reason": str(error)}


def _mean_face(root: Path, out: Path, catalog: pd.DataFrame, canvas: int) -> np.ndarray:
    """The alignment's target: kept from an earlier call, else the Procrustes mean over training landmarks."""
    path = out / MEAN_FACE
    if path.is_file():
        return np.load(path)
    training = catalog[catalog["split"] == "train"]
    videos = training if len(training) else catalog
    step = max(1, len(videos) // MEAN_FACE_VIDEOS)
    shapes = [_middle_shape(root, str(video)) for video in videos["path"].iloc[::step]]
    found = [shape for shape in shapes if shape is not None]
    if not found:
        raise TddError(
            f"No landmarks were found in {root / 'landmarks'}; they are needed for every video (data/README.md)."
        )
    target = mean_face(np.stack(found), canvas)
    save_array(path, target)
    return target


def _middle_shape(root: Path, video: str) -> np.ndarray | None:
    try:
        points = np.load(landmark_path(root, video), allow_pickle=False)
        return read_landmarks(root, video, len(points))[len(points) // 2]
    except (OSError, ValueError, EOFError, TypeError, TddError):
        return None  # reported for its own video in quarantine.csv


def _stored_bytes(root: Path, row: dict[str, Any], crop: int) -> int:
    """Bytes that one video will take, from the length of its landmarks or, failing that, what is typical."""
    try:
        frames = len(np.load(landmark_path(root, row["path"]), mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError):
        frames = TYPICAL_FRAMES[row["dataset"]]
    sound = 2 * SAMPLES_PER_FRAME if row["dataset"] == "LRW" else 0
    return frames * (crop * crop * 3 + sound)


def _read_quarantine(out: Path) -> pd.DataFrame:
    path = out / QUARANTINE
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["video_id", "path", "reason"])
