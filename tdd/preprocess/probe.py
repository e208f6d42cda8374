"""Look at a video file without decoding it whole: is it one, can it be used, and if not, why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from av.stream import Disposition

from tdd.data.container import open_media, why_unopened
from tdd.data.segments import beyond_end
from tdd.data.video import VideoFile
from tdd.errors import TddError
from tdd.preprocess.folders import is_there
from tdd.preprocess.naming import same_but_for_case

VIDEO_SUFFIXES = (
    ".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".3g2", ".mts", ".m2ts",
    ".ogv", ".asf", ".vob", ".f4v", ".mxf",
)  # fmt: skip
"""Endings, in lower case, of files that are videos even where they cannot be opened."""

NO_FILMS = ("image2", "tty", "bin", "xbin", "adf", "idf", "hls", "dash", "concat", "sdp")
"""FFmpeg's formats of pictures (as its ``..._pipe`` are), of text drawn as a picture, and of lists of files."""

PHOTOGRAPHS = ("heic", "heix", "mif1", "avif")
"""Brands of mp4 files that hold photographs."""


def is_video(path: Path) -> bool:
    """Whether a file is one by its ending, or FFmpeg opens it as one; a picture, and sound with a cover, are none."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        with open_media(path) as container:
            if _shows_a_picture(container) or container.format.name in NO_FILMS:
                return False
            return any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video)
    except TddError:
        return False


def is_picture(path: Path) -> bool:
    """Whether FFmpeg opens a file as a photograph or another single picture, whatever its ending."""
    try:
        with open_media(path) as container:
            return _shows_a_picture(container)
    except TddError:
        return False


def _shows_a_picture(container: Any) -> bool:
    name, brand = container.format.name, container.metadata.get("major_brand", "").strip()
    return name.endswith("_pipe") or name == "image2" or brand in PHOTOGRAPHS


def why_missing(path: Path) -> str:
    """Why there is no file at ``path``, as far as its neighbours tell."""
    try:
        if path.is_symlink():
            return "is a link that leads nowhere or in a circle"
        if path.is_dir():
            return "is a folder, not a file"
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    near = same_but_for_case(path)
    if near:
        return f"is missing, but {near.name} is there: capitals count on this disk"
    others = [path.with_suffix(suffix) for suffix in (*VIDEO_SUFFIXES, *map(str.upper, VIDEO_SUFFIXES))]
    other = next((other for other in others if other.suffix != path.suffix and is_there(other)), None)
    return (
        f"is missing, but {other.name} is there: the one that is listed ends in {path.suffix}"
        if other
        else "is missing"
    )


def video_problem(path: Path, audio: bool, deep: bool, segments: str = "") -> str:
    """Why the file at ``path`` cannot be used; empty when nothing speaks against it.

    It is opened as ``prepare`` and ``predict`` open it.

    Args:
        path: an existing file.
        audio: whether sound belongs to it.
        deep: also decode the first frame, not the header alone.
        segments: the forged parts that are stated of it, which must lie within it.
    """
    try:
        why = why_unopened(path)
        if why:
            return why
        header = VideoFile(path).look(first_frame=deep)
        if audio and not header.sound:
            return "has no sound"
        if segments and header.seconds:
            return beyond_end(segments, header.seconds)
    except TddError as error:
        return str(error).removeprefix(str(path)).lstrip(": ").removesuffix(".")
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""
