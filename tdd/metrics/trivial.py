"""Numbers of a video that any one-line programme computes: the yardstick that a temporal detector has to beat.

None of them looks at *how* anything moves, only at how much changes, how bright and how sharp it is. Where one of them
ranks fakes above reals, a data set has a shortcut: a detector may learn that amount and nothing about forgery.
"""

from __future__ import annotations

import numpy as np

from tdd.errors import TddError

SHORTEST = 3
"""Frames that a second difference takes."""

TRIVIAL_STATISTICS = (
    "change",
    "change_spread",
    "second_change",
    "sharpness",
    *(f"{what}_{channel}" for what in ("mean", "spread", "flicker") for channel in ("red", "green", "blue")),
)
"""Keys of :func:`trivial_statistics`, in its order."""


def trivial_statistics(frames: np.ndarray) -> dict[str, float]:
    """Thirteen numbers of one video, all in grey levels (0 to 255).

    ========================  ==========================================================================================
    ``change``                mean over pixels, channels and time of \\|x[t + 1] - x[t]\\|
    ``change_spread``         standard deviation over time of that mean over one pair of frames
    ``second_change``         mean of \\|x[t + 2] - 2 x[t + 1] + x[t]\\|
    ``sharpness``             mean absolute difference of neighbouring pixels, across and down alike, per pixel
    ``mean_<channel>``        mean over pixels and time
    ``spread_<channel>``      standard deviation over pixels and time
    ``flicker_<channel>``     standard deviation over time of the frame's mean
    ========================  ==========================================================================================

    Channels are ``red``, ``green`` and ``blue``. Standard deviations divide by the number of values, not by one less.

    Args:
        frames: RGB uint8, shape (T, H, W, 3); at least 3 frames of at least 2 by 2 pixels.

    Returns:
        the statistics by name, in the order of ``TRIVIAL_STATISTICS``.

    Raises:
        TddError: the frames have another shape or type, are fewer than 3, or smaller than 2 by 2 pixels.
    """
    _check(frames)
    whole = frames.astype(np.int16)  # exact for differences and second differences of bytes
    steps = np.diff(whole, axis=0)
    changes = np.abs(steps).mean((1, 2, 3))
    across, down = (np.abs(np.diff(whole, axis=axis)).mean() for axis in (2, 1))
    levels = frames.mean((1, 2), dtype=np.float64)  # (T, 3)
    values = [
        changes.mean(),
        changes.std(),
        np.abs(np.diff(steps, axis=0)).mean(),
        (across + down) / 2,
        *levels.mean(0),
        *frames.std((0, 1, 2), dtype=np.float64),
        *levels.std(0),
    ]
    return dict(zip(TRIVIAL_STATISTICS, map(float, values), strict=True))


def _check(frames: np.ndarray) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise TddError(f"Frames are RGB uint8 of shape (T, H, W, 3), got {frames.dtype} of shape {frames.shape}.")
    n_frames, height, width = frames.shape[:3]
    if n_frames < SHORTEST:
        raise TddError(f"Change over time takes at least {SHORTEST} frames, got {n_frames}; give a longer video.")
    if min(height, width) < 2:
        raise TddError(f"Sharpness takes frames of at least 2 by 2 pixels, got {width} by {height}.")
