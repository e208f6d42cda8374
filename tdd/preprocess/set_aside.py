"""Why one video is left out, whatever went wrong with it; and what is not its fault, and ends or repeats the work."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from pathlib import Path

import av
import pandas as pd

from tdd.errors import TddError
from tdd.machine.console import legible
from tdd.machine.limits import of_the_machine

OF_A_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR)
"""What a disk says that does not take a name."""

LONGEST_KIND = 110
"""Characters of a kind of reason."""


def reason_of(error: Exception) -> str:
    """The sentence of an error that one video is set aside for: of any kind, with its type where it was not foreseen.

    Raises:
        Exception: ``error`` itself, where it speaks of the machine: for lack of memory the video is tried again, at
            last with nothing beside it; with the disk that is written to, or the number of open files, the next video
            would fail alike.
    """
    if of_the_machine(error):
        raise error
    if isinstance(error, TddError):
        return legible(str(error))
    if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
        if error.errno not in OF_A_NAME:
            raise error
        return f"The disk of the store does not take its name ({error.strerror}); rename the video (and its landmarks)."
    first = (str(error).strip() or "no message").splitlines()[0]
    return legible(f"{type(error).__name__}: {first} (not foreseen; the video may be damaged: copy it again).")


def name_problem(name: str) -> str:
    """Why a video of that name or path cannot be stored; empty where it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "Its name holds bytes that are not UTF-8; rename the video (and its landmarks)."
    return ""


def kind_of(reason: str, files: Iterable[Path]) -> str:
    """What a reason says apart from files and numbers, so that reasons of one kind are the same text.

    Args:
        reason: of one video.
        files: that belong to the video, as the sentence may name them; of any ending.
    """
    said = reason
    for file in files:
        said = re.sub(rf"{re.escape(legible(str(file.with_suffix(''))))}(\.\w+)?", "", said)
    said = re.sub(r"(?<![\w.])[-+]?\d[\d.,e+]*(?<![.,])", "N", said)
    first = re.split(r"; |\. |: copy| \(not foreseen", said)[0].strip(" ,:.")
    return first if len(first) <= LONGEST_KIND else f"{first[: LONGEST_KIND - 1]}…"


def reason_table(reasons: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """How many videos were set aside for what, the most frequent first.

    Args:
        reasons: the kind of reason, as :func:`kind_of` gives it, and the id of the video.

    Returns:
        columns ``videos`` (their number), ``reason`` and ``example`` (one id).
    """
    table = pd.DataFrame(list(reasons), columns=["reason", "example"])
    kinds = table.groupby("reason")["example"].agg(["size", "min"]).reset_index()
    kinds.columns = pd.Index(["reason", "videos", "example"])
    ordered = kinds.sort_values(["videos", "reason"], ascending=[False, True], ignore_index=True)
    return ordered[["videos", "reason", "example"]]
