"""68-point facial landmarks and mean faces given as files (the iBUG 300-W order)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tdd.errors import TddError

POINTS = 68
LANDMARK_FOLDER = "landmarks"
REAL = "iuf"
"""numpy's letters for integers and floating-point numbers."""


def landmark_path(root: Path, video: str) -> Path:
    """Where the landmarks of a video lie: ``landmarks/`` below the data root, then the video's own path, ``.npy``."""
    return root / LANDMARK_FOLDER / Path(video).with_suffix(".npy")


def read_landmarks(root: Path, video: str) -> np.ndarray:
    """Open the landmarks of one video.

    Args:
        root: data root.
        video: the video's path relative to ``root``.

    Returns:
        numbers, shape (T, 68, 2), memory-mapped: x, y in pixels of each frame of the file, turned as its metadata say.

    Raises:
        TddError: the file is missing, not an array of real numbers of that shape, or not finite.
    """
    path = landmark_path(root, video)
    if not path.is_file():
        raise TddError(f"{path} is missing; every video needs its 68 landmarks per frame there, shape (frames, 68, 2).")
    return read_points(path)


def read_points(path: Path) -> np.ndarray:
    """Open a file of landmarks; result and errors as :func:`read_landmarks`."""
    if not path.is_file():
        raise TddError(f"{path} is missing; expected landmarks, shape (frames, {POINTS}, 2), saved with numpy.save.")
    try:
        # No pickle, for it could run code.
        points: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise TddError(f"{path} is not a readable .npy array ({error}); write it again.") from error
    if points.shape[1:] != (POINTS, 2) or not points.size or points.dtype.kind not in REAL:
        raise TddError(
            f"{path} holds {points.dtype} of shape {points.shape}; real numbers of shape (frames, {POINTS}, 2) are "
            "expected."
        )
    if not np.isfinite(points).all():
        frame = int(np.flatnonzero(~np.isfinite(points).all((1, 2)))[0])
        raise TddError(
            f"{path} holds values that are not finite, first in frame {frame}; interpolate the frames without a face."
        )
    return points


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
    try:
        points = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise TddError(f"{path} is not a readable .npy array ({error}); give a mean face with --mean-face.") from error
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
