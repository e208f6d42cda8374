"""Catalog to clip store: every video decoded, aligned, cut and stored once; resumable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.config import ClipConfig
from tdd.data.store import INDEX, MEAN_FACE, PLAN, ClipStore, finished_row, save_array, write_clip, write_index
from tdd.data.video import SAMPLES_PER_FRAME, VideoFile
from tdd.errors import TddError
from tdd.machine.cluster import RayCluster
from tdd.machine.files import (
    check_plan,
    check_space,
    disk_errors_told,
    held_alone,
    read_json,
    remove_partials,
    whole_file,
)
from tdd.machine.parallel import TRIES, Progress, local_engine, parallel_map
from tdd.names import CELEB_DF, FACEFORENSICS, LRW
from tdd.preprocess.catalog import catalog_rows, read_catalog
from tdd.preprocess.crops import face_crops, mean_face
from tdd.preprocess.expected import SYNTHETIC_MARK
from tdd.preprocess.finding import PLAN as LANDMARK_PLAN
from tdd.preprocess.finding import landmark_file, landmarks_of
from tdd.preprocess.landmarks import LANDMARK_FOLDER, read_mean_face

QUARANTINE = "quarantine.csv"
MEAN_FACE_VIDEOS = 500
TYPICAL_FRAMES = {LRW: 29, FACEFORENSICS: 510, CELEB_DF: 360}
"""Frames a video, for the estimate of disk space before anything is decoded."""

OTHER_FRAMES = 300
"""The same for other data sets."""


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did."""

    store: ClipStore
    made: int
    """Videos decoded in this call; the rest were there."""
    failed: pd.DataFrame
    """Videos left out, with the reason; also in ``quarantine.csv``."""


def prepare(
    root: Path,
    out: Path,
    clip: ClipConfig,
    workers: int | None = None,
    progress: Progress | None = None,
    mean_face_file: Path | None = None,
    cluster: RayCluster | None = None,
) -> Prepared:
    """Fill a clip store from the data sets below ``root``.

    Landmarks are those given below ``root``, and those that :func:`tdd.preprocess.finding.find_landmarks` found before.
    A video that cannot be read, that is shorter than a clip, whose landmarks do not fit, or whose worker is killed
    whenever it is tried, goes into ``quarantine.csv`` with the reason and does not stop the rest. Interrupted, the same
    call goes on: finished videos are never made again, and the store ends up the same, byte for byte.

    Args:
        root: data root, in the layout of data/README.md.
        out: the store's folder.
        clip: length, rate and geometry of the stored clips.
        workers: processes; all cores when ``None``.
        progress: called with (videos done, videos in all).
        mean_face_file: the alignment's target, ``.npy`` of shape (68, 2), px of the canvas; computed from the training
            landmarks when ``None``.
        cluster: machines to spread the videos over; this one's processes when ``None``.

    Raises:
        TddError: no data set, a store of other settings in ``out``, another ``prepare`` at work there, a mean face that
            does not fit, no space, no write access, a cluster that cannot be used, or no usable video.
    """
    catalog = read_catalog(root)
    given = None if mean_face_file is None else read_mean_face(mean_face_file, clip.canvas)
    _, work = _split(out, catalog)
    # Before the plan: a disk that is too small is told while nothing has been written.
    check_space(out, sum(_stored_bytes(root, out, row, clip.crop) for row in work))
    check_plan(out / PLAN, _plan(root, out, clip, given))
    with held_alone(out, "tdd prepare"), disk_errors_told(out):
        remove_partials(out)
        rows, work = _split(out, catalog)  # again, now that nobody else writes here
        if not work and (out / INDEX).is_file():
            return Prepared(ClipStore(out), 0, _read_quarantine(out))
        target = _mean_face(root, out, catalog, clip.canvas, given)
        failed: list[dict[str, Any]] = []
        engine = cluster.engine(root, out) if cluster else local_engine
        one = partial(_prepare_one, root, out, target, clip)
        for result in parallel_map(one, work, workers, progress, engine, _killed):
            (failed if "reason" in result else rows).append(result)
        remove_partials(out)  # of workers that were killed
        # Sorted, for the order of completion differs from run to run.
        quarantine = pd.DataFrame(failed, columns=["video_id", "path", "reason"]).sort_values("video_id")
        with whole_file(out / QUARANTINE) as unfinished:
            quarantine.to_csv(unfinished, index=False)
        if not rows:
            raise TddError(
                f"None of the {len(catalog)} videos below {root} could be used; the reasons are in {out / QUARANTINE}."
            )
        write_index(out, rows)
    return Prepared(ClipStore(out), len(work) - len(failed), quarantine)


def _split(out: Path, catalog: pd.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Index rows of the videos that the store has, and catalog rows of those that it has not."""
    rows = [row for video_id in catalog["video_id"] if (row := finished_row(out, str(video_id)))]
    have = {row["video_id"] for row in rows}
    return rows, catalog_rows(catalog[~catalog["video_id"].isin(have)])


def _plan(root: Path, out: Path, clip: ClipConfig, given: np.ndarray | None) -> dict[str, Any]:
    found = out / LANDMARK_FOLDER / LANDMARK_PLAN
    return {
        "canvas": clip.canvas,
        "crop": clip.crop,
        "frame_rate": clip.frame_rate,
        "shortest": clip.frames,
        "mean_face": "computed" if given is None else hashlib.sha256(given.tobytes()).hexdigest(),
        "synthetic": is_synthetic(root),
        **({"landmarks": read_json(found)} if found.is_file() else {}),
    }


def is_synthetic(root: Path) -> bool:
    """Whether ``root`` was written by ``tdd synth``."""
    return (root / SYNTHETIC_MARK).is_file()


def _prepare_one(root: Path, out: Path, target: np.ndarray, clip: ClipConfig, row: dict[str, Any]) -> dict[str, Any]:
    """Align and store one video, frame by frame; a user's error comes back as a row with a ``reason``."""
    video = VideoFile(root / row["path"])
    try:
        points, facts = landmarks_of(root, out, row)
        facts["fps"] = video.read_fps()
        return write_clip(out, row | facts, face_crops(video, points, target, clip), video.sound())
    except TddError as error:
        return {"video_id": row["video_id"], "path": row["path"], "reason": str(error)}


def _killed(row: dict[str, Any]) -> dict[str, Any]:
    reason = (
        f"The worker process was killed at each of {TRIES} tries, the last with nothing beside it, most often for lack "
        "of memory; run the same command on a machine with more."
    )
    return {"video_id": row["video_id"], "path": row["path"], "reason": reason}


def _mean_face(root: Path, out: Path, catalog: pd.DataFrame, canvas: int, given: np.ndarray | None) -> np.ndarray:
    """The alignment's target: kept from an earlier call, else given, else the Procrustes mean of training landmarks."""
    path = out / MEAN_FACE
    # Whatever the landmarks are now: half a store must not be aligned to another face.
    if path.is_file():
        return np.load(path)
    target = _computed_mean_face(root, out, catalog, canvas) if given is None else given
    save_array(path, target)
    return target


def _computed_mean_face(root: Path, out: Path, catalog: pd.DataFrame, canvas: int) -> np.ndarray:
    training = catalog[catalog["split"] == "train"]
    videos = training if len(training) else catalog
    step = max(1, len(videos) // MEAN_FACE_VIDEOS)  # spread over the catalog, which begins with one data set
    shapes = [_middle_shape(root, out, row) for row in catalog_rows(videos.iloc[::step])]
    found = [shape for shape in shapes if shape is not None]
    if not found:
        raise TddError(
            f"No landmarks are in {root / LANDMARK_FOLDER}, and none were found; every video needs them "
            "(data/README.md)."
        )
    return mean_face(np.stack(found), canvas)


def _middle_shape(root: Path, out: Path, row: dict[str, Any]) -> np.ndarray | None:
    try:
        points, _ = landmarks_of(root, out, row)
    except TddError:
        return None  # reported for its own video in quarantine.csv
    shape = points[len(points) // 2].astype(np.float32)
    return shape if np.ptp(shape, axis=0).all() else None  # so is one that has no shape


def _stored_bytes(root: Path, out: Path, row: dict[str, Any], crop: int) -> int:
    """Bytes that one video will take, from the length of its landmarks or, failing that, what is typical."""
    try:
        # Mapped: only the header is read.
        frames = len(np.load(landmark_file(root, out, row), mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError):
        frames = TYPICAL_FRAMES.get(row["dataset"], OTHER_FRAMES)
    sound = 2 * SAMPLES_PER_FRAME if row["audio"] else 0
    return frames * (crop * crop * 3 + sound)


def _read_quarantine(out: Path) -> pd.DataFrame:
    path = out / QUARANTINE
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["video_id", "path", "reason"])
