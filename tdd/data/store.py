"""The clip store: aligned faces with their audio on disk, random access to any run of frames.

Layout below the store's folder:

    plan.json               what the store was made from and how; written first
    clips/<video id>.npy    RGB uint8, shape (T, crop, crop, 3); a clip is read alone
    clips/<video id>.wav.npy  int16 mono samples at 16 kHz, 640 per frame; only where the video has audio
    clips/<video id>.json   one row of the index; written last, so its presence says that the video is complete
    index.parquet           all rows and the fingerprint; written when every video was tried
    mean_face.npy           the alignment's target, shape (68, 2), px of the canvas
    quarantine.csv          videos left out, with the reason
    lock                    empty; the operating system's lock on it keeps a second writer out
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tdd.config import ClipConfig
from tdd.data.video import SAMPLES_PER_FRAME
from tdd.errors import TddError
from tdd.machine.files import read_json, whole_file, write_json

INDEX = "index.parquet"
MEAN_FACE = "mean_face.npy"
PLAN = "plan.json"
HEADER_BYTES = 128
"""Of every stored array, as numpy pads it."""

SIZES = ("canvas", "crop")
"""The settings of a clip that fix the sizes of a stored face; a plan keeps them under the same names."""


def save_array(path: Path, array: np.ndarray) -> None:
    """Write ``array`` as ``.npy``, atomically."""
    with whole_file(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def write_clip(
    store: Path, row: dict[str, Any], frames: Iterable[np.ndarray], audio: Iterable[np.ndarray] = ()
) -> dict[str, Any]:
    """Add one video to a store, piece by piece: no more than a piece is held in memory.

    Args:
        store: the store's folder.
        row: the video's columns of the catalog; ``video_id`` names the files.
        frames: RGB uint8 in order, each of shape (crop, crop, 3); one or more.
        audio: pieces of float samples in [-1, 1] at 16 kHz from the instant of frame 0 on, each of shape (N,); read
            after the frames. Cut or padded with silence to 640 samples a frame. No piece: a video without audio.

    Returns:
        the row of the index: ``row`` with ``frames``, ``audio`` (bool) and ``digest`` (SHA-256 of the contents).

    Raises:
        Exception: whatever ``frames`` or ``audio`` raises; nothing of the video is then left in the store.
    """
    base = store / "clips" / row["video_id"]
    digest = hashlib.sha256()
    with whole_file(_frames_path(base)) as pixels:
        length = _save_blocks(pixels, (frame[None] for frame in frames), digest)
        sound = iter(audio)
        first = next(sound, None)
        if first is not None:
            with whole_file(_audio_path(base)) as samples:
                pieces = itertools.chain([first], sound)
                _save_blocks(samples, _as_int16(pieces, length * SAMPLES_PER_FRAME), digest)
    row = row | {"frames": length, "audio": first is not None, "digest": digest.hexdigest()}
    write_json(_row_path(base), row)
    return row


def _save_blocks(path: Path, blocks: Iterable[np.ndarray], digest: Any) -> int:
    """Write blocks of shape (n, ...) one after the other as one ``.npy``; returns its length."""
    length = 0
    with path.open("wb") as file:
        for block in blocks:
            if not file.tell():
                _write_header(file, 0, block)
            length += len(block)
            data = np.ascontiguousarray(block).data
            digest.update(data)
            file.write(data)
        file.seek(0)
        _write_header(file, length, block)  # of the same size: numpy leaves room for any length
    return length


def _write_header(file: BinaryIO, length: int, block: np.ndarray) -> None:
    shape = (length, *block.shape[1:])
    described = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(block.dtype)}
    np.lib.format.write_array_header_1_0(file, described)


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
    with whole_file(store / INDEX) as partial:
        table.to_parquet(partial, index=False)


def _read_index(path: Path) -> pd.DataFrame:
    """The table of all videos.

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
        index: one row a video; the columns of the catalog, then ``frames``, ``audio``, ``digest``.
        plan: how the store was made.
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
        self.index = _read_index(folder / INDEX)
        self.plan: dict[str, Any] = read_json(folder / PLAN)
        joined = "".join(f"{i} {d}\n" for i, d in zip(self.index["video_id"], self.index["digest"], strict=True))
        self.fingerprint = hashlib.sha256(joined.encode()).hexdigest()

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
        """What the faces were aligned to: float32, shape (68, 2), px of the canvas; ``None`` where it was not kept."""
        path = self.folder / MEAN_FACE
        return np.load(path, allow_pickle=False) if path.is_file() else None

    def frames(self, video_id: str, start: int, count: int) -> np.ndarray:
        """Frames ``start`` to ``start + count`` of a video, RGB uint8, shape (count, crop, crop, 3).

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
            with path.open("rb", buffering=0) as file:
                (length, *shape), dtype = _described(file.read(HEADER_BYTES))
                if start < 0 or start + count > length:
                    raise TddError(f"{path} has {length} entries; {start} to {start + count} were asked for.")
                run = np.empty((count, *shape), dtype)
                file.seek(HEADER_BYTES + start * (run.nbytes // max(1, count)))
                if file.readinto(run.data) < run.nbytes:
                    raise ValueError("it is cut short")
        except (OSError, ValueError) as error:
            raise TddError(f"{path} cannot be read ({error}); run tdd prepare again to mend the store.") from error
        return run


@lru_cache(maxsize=4096)
def _described(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a stored array; many videos share a header, and parsing one takes longer than reading it."""
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype
