"""68-point facial landmarks and mean faces given as files (the iBUG 300-W order)."""

from __future__ import annotations

import errno
import io
import math
import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tdd.errors import TddError
from tdd.preprocess.naming import on_disk

POINTS = 68
LANDMARK_FOLDER = "landmarks"
REAL = "iuf"
"""numpy's letters for integers and floating-point numbers."""

FARTHEST = 100_000
"""Pixels from the picture's corner beyond which nothing is a landmark; the widest pictures have 16,384."""

BLOCK = 1_000
"""Frames that are looked at together."""

LARGEST_HEADER = 20_000
"""Bytes, twice what numpy reads of a header."""

ZIP = b"PK\3\4"
LONGEST_REASON = 200
"""Letters of what numpy says of a damaged file that go into a sentence: it repeats the file's own text."""


def landmark_path(root: Path, video: str) -> Path:
    """Where the landmarks of a video lie: ``landmarks/`` below the data root, then the video's own path, ``.npy``."""
    return on_disk(root / LANDMARK_FOLDER, Path(video).with_suffix(".npy"))


def given_landmarks(root: Path, video: str) -> Path | None:
    """The file with the landmarks of a video, whether or not it can be read; ``None`` where there is none."""
    path = landmark_path(root, video)
    return None if _is_missing(path) else path


def _is_missing(path: Path) -> bool:
    """Whether nothing is there; not where it cannot be seen, as in a folder of another user."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
    return False


def read_landmarks(root: Path, video: str) -> np.ndarray:
    """Open the landmarks of one video.

    Args:
        root: data root.
        video: the video's path relative to ``root``.

    Returns:
        numbers, shape (T, 68, 2), memory-mapped: x, y in pixels of each frame of the file, turned as its metadata say.

    Raises:
        TddError: the file is missing, not an array of real numbers of that shape, or holds one that is no place in a
            picture.
    """
    path = landmark_path(root, video)
    if _is_missing(path):
        raise TddError(f"{path} is missing; every video needs its 68 landmarks per frame there, shape (frames, 68, 2).")
    return read_points(path)


def read_points(path: Path) -> np.ndarray:
    """Open a file of landmarks; result and errors as :func:`read_landmarks`."""
    if _is_missing(path):
        raise TddError(f"{path} is missing; expected landmarks, shape (frames, {POINTS}, 2), saved with numpy.save.")
    points = _open_array(path)
    if points.shape[1:] != (POINTS, 2) or not points.size or points.dtype.kind not in REAL:
        raise TddError(
            f"{path} holds {points.dtype} of shape {points.shape}; real numbers of shape (frames, {POINTS}, 2) are "
            "expected."
        )
    for start in range(0, len(points), BLOCK):  # a mask of the whole file could take more memory than there is
        with np.errstate(over="ignore"):
            values = points[start : start + BLOCK].astype(np.float64)
        fit = np.abs(values) <= FARTHEST  # nor is NaN
        if not fit.all():
            frame, point, axis = np.argwhere(~fit)[0]
            raise TddError(_misplaced(path, start + int(frame), float(values[frame, point, axis])))
    return points


def count_frames(path: Path) -> int | None:
    """Frames of a file of landmarks as its header says; ``None`` where it cannot be read."""
    try:
        shape = _open_array(path).shape
    except TddError:
        return None
    return shape[0] if shape else None


def _misplaced(path: Path, frame: int, value: float) -> str:
    if np.isfinite(value):
        return f"{path} holds {value:g}, first in frame {frame}, which is no place in a picture; pixels are expected."
    return f"{path} holds values that are not finite, first in frame {frame}; interpolate the frames without a face."


def _open_array(path: Path) -> np.ndarray:
    """Map a file of ``numpy.save``, whatever is in it: no pickle is read, for it could run code, and no memory is taken
    by what a header claims.

    Raises:
        TddError: it is not one, or is cut off.
    """
    try:
        with path.open("rb") as file:
            head, size = io.BytesIO(file.read(LARGEST_HEADER)), os.fstat(file.fileno()).st_size
        shape, fortran, dtype = _read_header(head)
        if not _check_size(shape, dtype, size - head.tell()):
            return np.empty(shape, dtype)  # nothing cannot be mapped
        return np.memmap(path, dtype, "r", head.tell(), shape, "F" if fortran else "C")
    # A header is Python text, which can fail in any way that a parser can.
    except Exception as error:
        raise TddError(
            f"{path} is not a readable .npy array ({_reason(error)}); write it again with numpy.save."
        ) from error


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order in Fortran's way, and kind of number that a file of ``numpy.save`` states."""
    if file.read(4) == ZIP:
        raise ValueError("it is a zip archive, as numpy.savez writes it")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    # Version 3 differs in the letters of field names, and landmarks have no fields.
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote, and of odd text within a damaged one
        shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> int:
    """Hold what a header claims against the ``size`` bytes that follow it; returns the bytes that it claims."""
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    needed = math.prod(shape) * dtype.itemsize
    if needed > size:
        raise ValueError(f"its header states {needed} bytes and {size} are there")
    return needed


def _reason(error: Exception) -> str:
    said = str(error).splitlines()
    return said[0][:LONGEST_REASON] if said else type(error).__name__


def eye_distance(points: np.ndarray) -> float:
    """Distance between the eyes' centres, px, the median over frames; points of shape (T, 68, 2)."""
    between = points[:, 42:48].mean(axis=1) - points[:, 36:42].mean(axis=1)
    return float(np.median(np.linalg.norm(between, axis=1)))


def face_size(points: np.ndarray) -> float:
    """How large a face is: mean of the width and height of its landmarks, median over the frames, px.

    Args:
        points: px, shape (T, 68, 2).
    """
    return float(np.median(np.ptp(points, axis=1).mean(-1)))


def read_mean_face(path: Path, canvas: int) -> np.ndarray:
    """Read the alignment's target from a file.

    Args:
        path: a ``.npy`` file.
        canvas: side of the square in which it lies, px.

    Returns:
        float32, shape (68, 2), px of the canvas.

    Raises:
        TddError: the file is missing, not an array of real numbers of that shape, or reaches out of the canvas.
    """
    points = _open_array(path)
    if points.shape != (POINTS, 2) or points.dtype.kind not in REAL:
        raise TddError(
            f"{path} holds {points.dtype} of shape {points.shape}; a mean face is real numbers of shape ({POINTS}, 2)."
        )
    if not ((points >= 0) & (points <= canvas)).all():
        raise TddError(
            f"{path} has points outside the canvas of {canvas} px; give a mean face of that size, or set clip.canvas "
            "to the one it was made for."
        )
    return points.astype(np.float32)
