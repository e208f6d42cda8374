"""Any frame rate to 25 fps: which frame of a video is shown at which instant of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from statistics import median_low
from typing import TypeVar

from tdd.config import RELABELLED

FPS = 25
"""Frames per second of every clip (the paper's rate)."""

Frame = TypeVar("Frame")


def to_25_fps(timed: Iterable[tuple[Fraction, Frame]], frame_rate: str) -> Iterator[Frame]:
    """Repeat or leave out frames so that 25 a second are left.

    ``timestamps``: frame k of the clip is the frame whose time is nearest to k / 25 s after the first one's, the
    earlier of two at the same distance. The clip ends as if one more frame followed the last at the usual distance (the
    median). So the clip lasts as long as the video, whatever the last gap, and no frame is more than half a frame's
    time off beside the sound.

    ``relabelled``: every frame once, whatever its time, as RealForensics (arXiv 2201.07131) does it. A video at 30 fps
    is then slowed down to 5/6 of its speed, and its sound is not.

    Args:
        timed: time, s, and frame, in order of time; no time may be smaller than the one before.
        frame_rate: ``timestamps`` or ``relabelled``.
    """
    if frame_rate == RELABELLED:
        yield from (frame for _, frame in timed)
        return
    rest = iter(timed)
    try:
        first, frame = next(rest)
    except StopIteration:
        return
    shown, last = 0, first
    gaps: list[Fraction] = []
    for time, following in rest:
        while first + Fraction(shown, FPS) <= (last + time) / 2:
            yield frame
            shown += 1
        gaps.append(time - last)
        last, frame = time, following
    gap = median_low(gaps) if gaps else Fraction(1, FPS)
    while first + Fraction(shown, FPS) <= last + gap / 2:
        yield frame
        shown += 1
