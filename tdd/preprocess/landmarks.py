"""68-point facial landmarks given as files (the iBUG 300-W order)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tdd.errors import TddError

POINTS = 68
LANDMARK_FOLDER = "landmarks"


def landmark_path(root: Path, video: str) -> Path:
    """Where the landmarks of a video lie: ``landmarks/`` below the data root, then the video's own path, ``.npy``."""
    return root / LANDMARK_FOLDER / Path(video).with_suffix(".npy")


def read_landmarks(root: Path, video: str, n_frames: int) -> np.ndarray:
    """Read the landmarks of one video.

    Args:
        root: data root.
        video: the video's path relative to ``root``.
        n_frames: frames that the video decodes to.

    Returns:
        float32, shape (T, 68, 2): x, y in pixels of the video.

    Raises:
        TddError: the file is missing, not an array of that shape, of another length than the video, or not finite.
    """
    path = landmark_path(root, video)
    if not path.is_file():
        raise TddError(f"{path} is missing; every video needs its 68 landmarks per frame there, shape (frames, 68, 2).")
    try:
        points = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise TddError(f"{path} is not a readable .npy array ({error}); write it again.") from error
    if points.shape != (n_frames, POINTS, 2) or not np.issubdtype(points.dtype, np.number):
        raise TddError(
            f"{path} holds {points.dtype} of shape {points.shape}; its video has {n_frames} frames: numbers of "
            f"shape ({n_frames}, {POINTS}, 2) are expected."
        )
    if not np.isfinite(points).all():
        raise TddError(f"{path} holds values that are not finite; interpolate the frames without a face.")
    return points.astype(np.float32)
