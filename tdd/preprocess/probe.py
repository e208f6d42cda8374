"""Look at a video file without decoding it whole: can it be used, and if not, why."""

from __future__ import annotations

from pathlib import Path

import av

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")
"""Endings, in lower case, by which a file is taken for a video."""


def why_missing(path: Path) -> str:
    """Why there is no file at ``path``, as far as its neighbours tell."""
    if path.is_symlink():
        return "is a link that leads nowhere or in a circle"
    if path.is_dir():
        return "is a folder, not a file"
    others = (path.with_suffix(suffix) for suffix in (*VIDEO_SUFFIXES, *map(str.upper, VIDEO_SUFFIXES)))
    other = next((other for other in others if other.suffix != path.suffix and other.is_file()), None)
    return f"is missing, but {other.name} is there: the owner's ends in {path.suffix}" if other else "is missing"


def video_problem(path: Path, audio: bool, deep: bool) -> str:
    """Why the file at ``path`` cannot be used; empty when nothing speaks against it.

    Args:
        path: an existing file.
        audio: whether sound belongs to it.
        deep: also decode the first frame, not the header alone.
    """
    try:
        if path.stat().st_size == 0:
            return "is empty"
        # FFmpeg opens a cut file whose header comes first, and misses the rest only when it gets there.
        if _is_cut_off(path):
            return "is cut off: it is shorter than it says"
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "holds no video stream"
            if audio and not container.streams.audio:
                return "has no sound"
            if deep and next(container.decode(container.streams.video[0]), None) is None:
                return "decodes to no frame"
    except (av.FFmpegError, OSError) as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def _is_cut_off(path: Path) -> bool:
    """Whether the last box of an mp4 file (ISO/IEC 14496-12) ends beyond the file; never for other formats."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while start + 8 <= size:
            file.seek(start)
            head = file.read(16)
            if start == 0 and head[4:8] != b"ftyp":
                return False
            # A length of 1 says that one of 64 bits follows the name.
            length = int.from_bytes(head[8:16] if head[:4] == b"\0\0\0\1" else head[:4], "big")
            if length < 8:  # 0: to the end of the file; less than a head: not for this look to judge
                return False
            start += length
    return start > size
