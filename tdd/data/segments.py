"""The forged parts of a video as text, ``0.520-1.300 2.000-2.440``: seconds from its first frame on.

So the column ``segments`` of catalogs and clip stores holds them. An empty text says that there are none, or that
nobody wrote them down; a fake without parts may be forged from its first frame to its last.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from tdd.errors import TddError

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)-(\d+(?:\.\d*)?|\.\d+)")


def parse_segments(text: str) -> tuple[tuple[float, float], ...]:
    """The parts that a text names.

    Returns:
        start and end (s) of each, in order of time.

    Raises:
        TddError: the text is something else, a part ends where or before it begins, or two overlap.
    """
    parts = []
    for word in text.split():
        found = _PART.fullmatch(word)
        if not found:
            raise TddError(f"{word!r} is no part of a video; write start-end in seconds, as 0.52-1.30.")
        start, end = map(float, found.groups())
        if end <= start:
            raise TddError(f"The part {word} ends where or before it begins; write start-end in seconds.")
        parts.append((start, end))
    parts.sort()
    for (_, before), (start, end) in itertools.pairwise(parts):
        if start < before:
            raise TddError(
                f"The part {start:g}-{end:g} begins before the one before it ends, at {before:g} s; join them."
            )
    return tuple(parts)


TOLERATED = 0.25
"""Seconds that a part may reach beyond the last frame: lists state the length of the sound, or a padded one."""


def beyond_end(text: str, seconds: float) -> str:
    """What is wrong with parts in a video of that length, as the end of a sentence; empty when nothing is.

    Args:
        text: as :func:`parse_segments` takes it.
        seconds: from the first frame of the video to the end of its last.
    """
    last = max((end for _, end in parse_segments(text)), default=0.0)
    return f"is {seconds:.2f} s long, and a forged part ends at {last:.2f} s" if last > seconds + TOLERATED else ""


def segments_text(parts: Iterable[tuple[float, float]]) -> str:
    """The text of parts (start and end, s), to the millisecond."""
    return " ".join(f"{start:.3f}-{end:.3f}" for start, end in sorted(parts))
