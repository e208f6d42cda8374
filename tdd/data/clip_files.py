"""The files of one stored video: their names, how arrays are written, and whether they are whole."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tdd.data.compact import NO_FRAME, compact_blocks, compact_shape
from tdd.data.video import SAMPLES_PER_FRAME
from tdd.errors import TddError
from tdd.machine.files import whole_file

HEADER_BYTES = 128
"""Of every stored array, as numpy pads it."""

COMPACT = ".utv"
"""Ending of a file of compact frames."""


def save_array(path: Path, array: np.ndarray) -> None:
    """Write ``array`` as ``.npy``, atomically."""
    with whole_file(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def save_blocks(path: Path, blocks: Iterable[np.ndarray], digest: Any) -> int:
    """Write blocks of shape (n, ...) one after the other as one ``.npy``, and into ``digest``; returns its length.

    Raises:
        TddError: there is none.
    """
    length = 0
    with path.open("wb") as file:
        for block in blocks:
            if not file.tell():
                _write_header(file, 0, block)
            length += len(block)
            data = np.ascontiguousarray(block).data
            digest.update(data)
            file.write(data)
        if not file.tell():
            raise TddError(NO_FRAME)
        file.seek(0)
        _write_header(file, length, block)  # of the same size: numpy leaves room for any length
    return length


def _write_header(file: BinaryIO, length: int, block: np.ndarray) -> None:
    shape = (length, *block.shape[1:])
    described = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(block.dtype)}
    np.lib.format.write_array_header_1_0(file, described)


@lru_cache(maxsize=4096)
def described(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a stored array; many videos share a header, and parsing one takes longer than reading it."""
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def finished_row(store: Path, video_id: str, crop: int) -> dict[str, Any] | None:
    """The row of a video that is complete in the store, its arrays of the sizes that they should have, else ``None``.

    Args:
        store: the store's folder.
        video_id: of the video.
        crop: side of its faces, px.
    """
    base = store / "clips" / video_id
    try:
        row: dict[str, Any] = json.loads(row_path(base).read_text(encoding="utf-8"))
        whole = row["video_id"] == video_id and isinstance(row["digest"], str) and not _wrong_size(base, row, crop)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return row if whole else None


def is_touched(store: Path, row: dict[str, Any]) -> bool:
    """Whether one of a complete video's arrays was written, moved or replaced after its row: its contents may differ.

    A copied store often looks so; :func:`clip_damage` then tells.
    """
    base = store / "clips" / row["video_id"]
    written = _last_change(row_path(base))
    return any(_last_change(path) > written for path, _ in _arrays(base, row, 0))


def clip_damage(store: Path, row: dict[str, Any], crop: int) -> str:
    """What is wrong with the stored arrays of a video, read whole and held against its row; empty when nothing is."""
    base = store / "clips" / row["video_id"]
    digest = hashlib.sha256()
    try:
        wrong = _wrong_size(base, row, crop)
        if wrong:
            return wrong
        for path, shape in _arrays(base, row, crop):
            if path.suffix == COMPACT:
                for frames in compact_blocks(path):
                    digest.update(frames.data)
                continue
            with path.open("rb") as file:
                present, dtype = described(file.read(HEADER_BYTES))
                if present != shape or dtype != (np.uint8 if len(shape) > 1 else np.int16):
                    return f"{path.name} holds {dtype} of shape {present}, not of {shape}"
                while block := file.read(2**20):
                    digest.update(block)
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return "" if digest.hexdigest() == row["digest"] else "its contents are not those that were stored"


def mark_damaged(store: Path, video_id: str) -> None:
    """Take away the row that vouches for a video, so that ``tdd prepare`` makes it again."""
    row_path(store / "clips" / video_id).unlink(missing_ok=True)


def _arrays(base: Path, row: dict[str, Any], crop: int) -> list[tuple[Path, tuple[int, ...]]]:
    """The files of a video and the shapes of their arrays."""
    length = int(row["frames"])
    compact = compact_path(base)
    pixels = compact if compact.is_file() else frames_path(base)
    arrays: list[tuple[Path, tuple[int, ...]]] = [(pixels, (length, crop, crop, 3))]
    return [*arrays, (audio_path(base), (length * SAMPLES_PER_FRAME,))] if row["audio"] else arrays


def _wrong_size(base: Path, row: dict[str, Any], crop: int) -> str:
    for path, shape in _arrays(base, row, crop):
        if path.suffix == COMPACT:
            if compact_shape(path) != shape:
                return f"{path.name} holds frames of shape {compact_shape(path)}, not of {shape}"
            continue
        wanted = HEADER_BYTES + math.prod(shape) * (1 if len(shape) > 1 else 2)
        size = path.stat().st_size
        if size != wanted:
            return f"{path.name} has {size} bytes, not {wanted}"
    return ""


def _last_change(path: Path) -> int:
    """When a file was last written or given its name, ns; Windows knows the first alone."""
    found = path.stat()
    return found.st_mtime_ns if os.name == "nt" else max(found.st_mtime_ns, found.st_ctime_ns)


def frames_path(base: Path) -> Path:
    """Where a video's faces lie; ``base``: folder of clips and video id."""
    return base.with_name(_own_name(base.name) + ".npy")


def compact_path(base: Path) -> Path:
    """Where they lie in a store that keeps them compact (:mod:`tdd.data.compact`)."""
    return base.with_name(base.name + COMPACT)


def _own_name(name: str) -> str:
    """The name that a video's frames get: never that of another video's sound, ``X.wav.npy`` of X.

    No two names become one: what is escaped holds ``%2``, and what holds that is escaped.
    """
    if name.lower().endswith(".wav"):
        return f"{name[:-4].replace('%2', '%252')}%2E{name[-3:]}"
    return name.replace("%2", "%252")


def audio_path(base: Path) -> Path:
    """Where its sound lies."""
    return base.with_name(base.name + ".wav.npy")


def row_path(base: Path) -> Path:
    """Where its row of the index lies, which says that it is complete."""
    return base.with_name(base.name + ".json")
