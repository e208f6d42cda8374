"""The clip store: aligned faces with their audio on disk, random access to any run of frames.

Layout below the store's folder:

    plan.json               what the store was made from and how; written first
    clips/<video id>.npy    RGB uint8, shape (T, crop, crop, 3); a clip is read alone
    clips/<video id>.utv    in its place where the plan says ``compact``: the same frames (:mod:`tdd.data.compact`)
    clips/<video id>.wav.npy  int16 mono samples at 16 kHz, 640 per frame; only where the video has audio
    clips/<video id>.json   one row of the index, and which files it was made from; written last, so its presence says
                            that the video is complete
    index.parquet           all rows; written when every video was tried
    listed.parquet          all videos that the data sets' lists name, in the store or not
    mean_face.npy           the alignment's target, shape (68, 2), px of the canvas
    quarantine.csv          videos left out, with the reason
    root.json               the data root that the store was made from
    lock                    empty; the operating system's lock on it keeps a second writer out
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tdd.config import ClipConfig
from tdd.data.clip_files import (
    HEADER_BYTES,
    audio_path,
    compact_path,
    described,
    frames_path,
    row_path,
    save_blocks,
)
from tdd.data.compact import UT_VIDEO, read_compact, write_compact
from tdd.data.video import SAMPLES_PER_FRAME
from tdd.errors import TddError
from tdd.machine.files import read_json, whole_file, write_json
from tdd.names import MADE_FROM, SEGMENTS

INDEX = "index.parquet"
LISTED = "listed.parquet"
MEAN_FACE = "mean_face.npy"
PLAN = "plan.json"
SOURCES = "sources"
"""Key of a video's row in its own file, not in the index: the files that it was made from."""

FACTS = ("video_id", "dataset", "method", "label", "split")
"""Columns that say what a video is."""

ADDED = (SEGMENTS, MADE_FROM)
"""Columns of text that stores of older versions lack; empty there."""

LABELS = "labels"
"""Key of :attr:`ClipStore.labels` where records keep it."""

COMPACT, MOST_FRAMES = "compact", "most_frames"
"""Keys of a plan, where they hold: how frames are kept without loss, and how many of a video at most."""

SIZES = ("canvas", "crop")
"""The settings of a clip that fix the sizes of a stored face; a plan keeps them under the same names."""


def write_clip(
    store: Path,
    row: dict[str, Any],
    frames: Iterable[np.ndarray],
    audio: Iterable[np.ndarray] = (),
    measured: Callable[[], dict[str, Any]] = dict,
    compact: bool = False,
) -> dict[str, Any]:
    """Add one video to a store, piece by piece: no more than a piece is held in memory.

    Args:
        store: the store's folder.
        row: the video's columns of the catalog; ``video_id`` names the files.
        frames: RGB uint8 in order, each of shape (crop, crop, 3); one or more.
        audio: pieces of float samples in [-1, 1] at 16 kHz from the instant of frame 0 on, each of shape (N,); read
            after the frames. Cut or padded with silence to 640 samples a frame. No piece: a video without audio.
        measured: gives further columns; called when frames and sound were read.
        compact: keep the frames as :mod:`tdd.data.compact` does, in a third of the bytes; the digest is the same.

    Returns:
        the row of the index: ``row`` with ``frames``, ``audio`` (bool) and ``digest`` (SHA-256 of the contents).

    Raises:
        Exception: whatever ``frames`` or ``audio`` raises; nothing of the video is then left in the store.
    """
    base = store / "clips" / row["video_id"]
    row_path(base).unlink(missing_ok=True)  # it would vouch for what is half replaced
    digest = hashlib.sha256()
    with whole_file(compact_path(base) if compact else frames_path(base)) as pixels:
        if compact:
            length = write_compact(pixels, frames, digest)
        else:
            length = save_blocks(pixels, (frame[None] for frame in frames), digest)
        heard = _save_sound(audio_path(base), audio, length * SAMPLES_PER_FRAME, digest)
    if not heard:
        audio_path(base).unlink(missing_ok=True)  # of a video that had sound, and was replaced
    row = row | measured() | {"frames": length, "audio": heard, "digest": digest.hexdigest()}
    write_row(store, row)
    return row


def _save_sound(path: Path, audio: Iterable[np.ndarray], length: int, digest: Any) -> bool:
    """Store sound, if there is any; returns whether there is."""
    sound = iter(audio)
    first = next(sound, None)
    if first is None:
        return False
    with whole_file(path) as samples:
        save_blocks(samples, _as_int16(itertools.chain([first], sound), length), digest)
    return True


def _as_int16(pieces: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """``length`` samples in all; silence where the pieces end early."""
    left = length
    for piece in pieces:
        if not left:
            return
        piece = piece[:left]
        left -= len(piece)
        yield np.round(np.clip(piece, -1, 1) * 32767).astype(np.int16)
    yield np.zeros(left, np.int16)


def write_row(store: Path, row: dict[str, Any]) -> None:
    """Say that a video is complete: write its row, the file that is newer than its arrays."""
    write_json(row_path(store / "clips" / row["video_id"]), row)


def write_index(store: Path, rows: list[dict[str, Any]], listed: pd.DataFrame | None = None) -> None:
    """Publish the store: sort the rows by video id and write them as one table.

    Args:
        store: the store's folder.
        rows: of the videos in it.
        listed: all videos that the data sets' lists name, with the columns ``FACTS`` at least; those that the store
            lacks count against it (:attr:`ClipStore.listed`).
    """
    table = pd.DataFrame([{key: value for key, value in row.items() if key != SOURCES} for row in rows])
    if listed is not None:
        _write_table(store / LISTED, listed[list(FACTS)])
    _write_table(store / INDEX, table.sort_values("video_id", ignore_index=True))


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as partial:
        table.to_parquet(partial, index=False)


def _read_table(path: Path) -> pd.DataFrame:
    """A table of videos.

    Arrow opens the file itself and reads it in this thread. ``pandas.read_parquet`` hands a Python file to Arrow's
    threads; one that still holds it when the interpreter ends aborts the process, after all its work is done.

    Raises:
        TddError: the file is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            table: pd.DataFrame = file.read(use_threads=False).to_pandas(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise TddError(
            f"{path} cannot be read as a table ({error}); delete it and run the same tdd prepare again, which keeps "
            "the finished videos."
        ) from error
    return table


class ClipStore:
    """Read access to a published store.

    Attributes:
        index: one row a video; the columns of the catalog, then ``frames``, ``audio``, ``digest``. ``ADDED``
            are empty where an older version made the store.
        plan: how the store was made.
        listed: one row a video that the data sets' lists name, in the store or not, with the columns ``FACTS``;
            ``None`` where an older version made the store.
        fingerprint: SHA-256 over all ids and contents: two stores with the same one hold the same clips.
    """

    def __init__(self, folder: Path) -> None:
        """Open the store.

        Raises:
            TddError: the folder holds no published store, or a damaged one.
        """
        self.folder = folder
        if not (folder / INDEX).is_file():
            raise TddError(
                f"{folder} holds no finished clip store; make one with: tdd prepare --root DATA --out {folder}"
            )
        index = _read_table(folder / INDEX)
        self.index = index.assign(**{name: "" for name in ADDED if name not in index})
        self.listed = _read_table(folder / LISTED) if (folder / LISTED).is_file() else None
        self.plan: dict[str, Any] = read_json(folder / PLAN)
        self._compact = self.plan.get(COMPACT)
        if self._compact not in (None, UT_VIDEO):
            raise TddError(f"{folder} keeps its frames as {self._compact}, which this version cannot read; update it.")
        joined = "".join(f"{i} {d}\n" for i, d in zip(self.index["video_id"], self.index["digest"], strict=True))
        self.fingerprint = hashlib.sha256(joined.encode()).hexdigest()

    @cached_property
    def labels(self) -> str:
        """SHA-256 over what the index says of each video: the same clips may get other labels.

        Columns ``FACTS``, and those of ``ADDED`` that say something of a video: without, the labels are those of older
        stores.
        """
        columns = [*FACTS, *(name for name in ADDED if self.index[name].fillna("").ne("").any())]
        said = self.index.reindex(columns=columns).to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(said.encode()).hexdigest()

    def identity(self) -> dict[str, str]:
        """What a result depends on, as records keep it: ``fingerprint`` and ``labels``."""
        return {"fingerprint": self.fingerprint, LABELS: self.labels}

    def require(self, clip: ClipConfig, *settings: str) -> None:
        """Check that the clips were made with a recipe's settings.

        Args:
            clip: of the recipe.
            settings: names of its fields, ``SIZES`` for instance.

        Raises:
            TddError: the store was prepared with another value of one of them.
        """
        for name in settings:
            present, wanted = self.plan.get(name), getattr(clip, name)
            if present != wanted:
                raise TddError(
                    f"{self.folder} was prepared with clip.{name} = {present} and {wanted} is needed; "
                    "prepare a store with the same recipe."
                )

    def mean_face(self) -> np.ndarray | None:
        """What the faces were aligned to: float32, shape (68, 2), px of the canvas; ``None`` where it was not kept.

        Raises:
            TddError: the file is damaged.
        """
        path = self.folder / MEAN_FACE
        if not path.is_file():
            return None
        try:
            points: np.ndarray = np.load(path, allow_pickle=False)
            wrong = "" if points.shape == (68, 2) and np.isfinite(points).all() else f"shape {points.shape}"
        except Exception as error:  # numpy raises many kinds for a damaged file
            wrong = str(error)
        if wrong:
            raise TddError(
                f"{path} holds no 68 finite points ({wrong}); copy it from another copy of the store, or make the "
                "store again."
            )
        return points

    def frames(self, video_id: str, start: int, count: int) -> np.ndarray:
        """Frames ``start`` to ``start + count`` of a video, RGB uint8, shape (count, crop, crop, 3).

        Raises:
            TddError: the video is shorter than that, or not in the store.
        """
        base = self.folder / "clips" / video_id
        if not self._compact:
            return self._run(frames_path(base), start, count)
        try:
            return read_compact(compact_path(base), start, count)
        except IndexError as error:
            raise _too_short(compact_path(base), error.args[0], start, count) from error
        except (OSError, ValueError) as error:
            raise _unreadable(compact_path(base), error) from error

    def audio(self, video_id: str, start: int, count: int) -> np.ndarray:
        """The int16 samples under those frames, shape (640 x count,).

        Raises:
            TddError: the video is shorter than that, has no audio, or is not in the store.
        """
        path = audio_path(self.folder / "clips" / video_id)
        return self._run(path, start * SAMPLES_PER_FRAME, count * SAMPLES_PER_FRAME)

    def _run(self, path: Path, start: int, count: int) -> np.ndarray:
        try:
            with path.open("rb", buffering=0) as file:
                (length, *shape), dtype = described(file.read(HEADER_BYTES))
                if start < 0 or start + count > length:
                    raise _too_short(path, length, start, count)
                run = np.empty((count, *shape), dtype)
                file.seek(HEADER_BYTES + start * (run.nbytes // max(1, count)))
                if file.readinto(run.data) < run.nbytes:
                    raise ValueError("it is cut short")
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        return run


def _too_short(path: Path, length: int, start: int, count: int) -> TddError:
    return TddError(f"{path} has {length} entries; {start} to {start + count} were asked for.")


def _unreadable(path: Path, error: Exception) -> TddError:
    return TddError(f"{path} cannot be read ({error}); run tdd prepare again to mend the store.")
