"""The clip store: aligned faces with their audio on disk, random access to any run of frames.

Layout below the store's folder:

    plan.json               what the store was made from and how; written first
    clips/<video id>.npy    RGB uint8, shape (T, crop, crop, 3), memory-mapped on reading
    clips/<video id>.wav.npy  int16 mono samples at 16 kHz, 640 per frame; only where the video has audio
    clips/<video id>.json   one row of the index; written last, so its presence says that the video is complete
    index.parquet           all rows and the fingerprint; written when every video was tried
    mean_face.npy           the alignment's target, shape (68, 2), px of the canvas
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.data.video import SAMPLES_PER_FRAME
from tdd.errors import TddError
from tdd.files import read_json, write_json

INDEX = "index.parquet"
PLAN = "plan.json"


def save_array(path: Path, array: np.ndarray) -> None:
    """Write ``array`` as ``.npy``, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_clip(store: Path, row: dict[str, Any], frames: np.ndarray, audio: np.ndarray | None) -> dict[str, Any]:
    """Add one video to a store.

    Args:
        store: the store's folder.
        row: the video's columns of the catalog; ``video_id`` names the files.
        frames: RGB uint8, shape (T, crop, crop, 3).
        audio: float samples in [-1, 1] at 16 kHz from the instant of frame 0, shape (N,), or ``None``. Cut or padded
        with
            silence to 640 samples a frame.

    Returns:
        the row of the index: ``row`` with ``frames``, ``audio`` (bool) and ``digest`` (SHA-256 of the contents).
    """
    base = store / "clips" / row["video_id"]
    digest = hashlib.sha256(np.ascontiguousarray(frames).tobytes())
    if audio is not None:
        length = len(frames) * SAMPLES_PER_FRAME
        audio = np.pad(audio[:length], (0, max(0, length - len(audio))))
        samples = np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)
        digest.update(samples.tobytes())
        save_array(_audio_path(base), samples)
    save_array(_frames_path(base), frames)
    row = row | {"frames": len(frames), "audio": audio is not None, "digest": digest.hexdigest()}
    write_json(_row_path(base), row)
    return row


def finished_row(store: Path, video_id: str) -> dict[str, Any] | None:
    """The index row of a video that is complete in the store, else ``None``."""
    base = store / "clips" / video_id
    try:
        row: dict[str, Any] = json.loads(_row_path(base).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    complete = _frames_path(base).is_file() and (not row["audio"] or _audio_path(base).is_file())
    return row if complete else None


def _frames_path(base: Path) -> Path:
    return base.with_name(base.name + ".npy")


def _audio_path(base: Path) -> Path:
    return base.with_name(base.name + ".wav.npy")


def _row_path(base: Path) -> Path:
    return base.with_name(base.name + ".json")


def write_index(store: Path, rows: list[dict[str, Any]]) -> None:
    """Publish the store: sort the rows by video id and write them as one table."""
    table = pd.DataFrame(rows).sort_values("video_id", ignore_index=True)
    partial = store / f"{INDEX}.{os.getpid()}.partial"
    table.to_parquet(partial, index=False)
    partial.replace(store / INDEX)


class ClipStore:
    """Read access to a published store.

    Attributes:
        index: one row a video; the columns of the catalog, then ``frames``, ``audio``, ``digest``.
        plan: how the store was made.
        fingerprint: SHA-256 over all ids and contents: two stores with the same one hold the same clips.
    """

    def __init__(self, folder: Path) -> None:
        """Open the store.

        Raises:
            TddError: the folder holds no published store.
        """
        self.folder = folder
        if not (folder / INDEX).is_file():
            raise TddError(
                f"{folder} holds no finished clip store; make one with: tdd prepare --root DATA --out {folder}"
            )
        self.index = pd.read_parquet(folder / INDEX)
        self.plan: dict[str, Any] = read_json(folder / PLAN)
        joined = "".join(f"{i} {d}\n" for i, d in zip(self.index["video_id"], self.index["digest"], strict=True))
        self.fingerprint = hashlib.sha256(joined.encode()).hexdigest()

    def frames(self, video_id: str, start: int, count: int) -> np.ndarray:
        """Frames ``start`` to ``start + count`` of a video, RGB uint8, shape (count, crop, crop, 3), memory-mapped.

        Raises:
            TddError: the video is shorter than that, or not in the store.
        """
        return self._run(_frames_path(self.folder / "clips" / video_id), start, count)

    def audio(self, video_id: str, start: int, count: int) -> np.ndarray:
        """The int16 samples under those frames, shape (640 x count,).

        Raises:
            TddError: the video is shorter than that, has no audio, or is not in the store.
        """
        path = _audio_path(self.folder / "clips" / video_id)
        return self._run(path, start * SAMPLES_PER_FRAME, count * SAMPLES_PER_FRAME)

    def _run(self, path: Path, start: int, count: int) -> np.ndarray:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise TddError(f"{path} cannot be read ({error}); run tdd prepare again to mend the store.") from error
        if start < 0 or start + count > len(array):
            raise TddError(f"{path} has {len(array)} entries; {start} to {start + count} were asked for.")
        return array[start : start + count]
