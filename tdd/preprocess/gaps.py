"""Frames in which the face was not found: filled in where they are few, refused where they are many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tdd.errors import TddError


def gaps_in(found: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last-plus-one index of every run of ``False``; ``found``: bool, shape (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], found, [True]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def longest_gap(found: np.ndarray) -> int:
    """Frames in the longest run of ``False``."""
    return max((end - start for start, end in gaps_in(found)), default=0)


def fill_gaps(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Interpolate linearly over the frames without a face; before the first and after the last, keep that one.

    Args:
        points: shape (T, 68, 2); what it holds where nothing was found does not matter.
        found: bool, shape (T,), at least one ``True``.

    Returns:
        float32, shape (T, 68, 2).
    """
    known = np.flatnonzero(found)
    times = np.arange(len(found))
    after = known[np.searchsorted(known, times).clip(max=len(known) - 1)]
    before = known[(np.searchsorted(known, times, side="right") - 1).clip(min=0)]
    share = (times - before) / np.maximum(after - before, 1)  # a frame with a face is both of its own neighbours
    share = share.clip(0, 1)[:, None, None]  # beyond the outermost faces, which are held
    return (points[before] * (1 - share) + points[after] * share).astype(np.float32)


def require_found(found: np.ndarray, fps: float, longest: float, least: float, video: str) -> None:
    """Check that a face was found often enough for the rest to be filled in.

    Args:
        found: bool, shape (T,).
        fps: frames per second, Hz.
        longest: gap that may be filled, s.
        least: share of the frames in which the face must be found.
        video: for the sentence.

    Raises:
        TddError: it was not: never, too rarely, or not for too long.
    """
    count, total = int(found.sum()), len(found)
    if not count:
        raise TddError(
            f"{video}: no face was found in any of its {total} frames; leave the video out, try another --detector, or "
            "give its landmarks."
        )
    start, end = max(gaps_in(found), key=lambda gap: gap[1] - gap[0], default=(0, 0))
    if (end - start) / fps > longest + 1e-9:  # a gap of just that length passes, however the division rounds
        raise TddError(
            f"{video}: the main face is missing for {(end - start) / fps:.2f} s (frames {start} to {end - 1}), and "
            f"{longest:g} s are filled in at most; cut the video there, give its landmarks, or raise --longest-gap."
        )
    if count < least * total:
        raise TddError(
            f"{video}: the main face was found in {count} of {total} frames, and {least:.0%} are needed; leave the "
            "video out, try another --detector, or give its landmarks."
        )
