"""Open a media file as a player does: which of its streams is taken, and what FFmpeg says as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from tdd.data.whole import is_cut_short
from tdd.errors import TddError
from tdd.machine.limits import lacks_memory, out_of_memory

_OPTIONS = {"protocol_whitelist": "file"}
"""A play list in a video's clothes fetches nothing."""

_PICTURES = 2
"""Pictures, RGB, for which memory must be left where a decoder's error is held against its file."""

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_LAST = Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired
"""Sound beside the film's own."""


@contextmanager
def open_media(path: Path | str) -> Iterator[Any]:
    """An open container; every use within says what is wrong in one sentence.

    Raises:
        TddError: the file cannot be opened or read.
        MemoryError: there is not enough memory for it.
    """
    try:
        # "file:" so that no part of a name is taken for a protocol; tags in other encodings than UTF-8 are no reason
        # to refuse a video.
        with av.open(f"file:{path}", options=dict(_OPTIONS), metadata_errors="replace") as container:
            try:
                yield container
            except av.FFmpegError as error:
                # Some decoders, that of H.264 for one, say "invalid data" where they find no memory. Asked here, while
                # the decoder holds what it took.
                if out_of_memory(error) or lacks_memory(_PICTURES * _picture_bytes(container)):
                    raise MemoryError(f"{path} takes more than is left") from error
                raise
    except (av.FFmpegError, OSError) as error:
        why = why_unopened(Path(path)) or f"cannot be decoded ({error.strerror or error})"
        raise TddError(f"{path} {why}; copy it again from its source.") from error


def why_unopened(path: Path) -> str:
    """What is wrong with a file of which FFmpeg says no more than that it is damaged; empty where that is not known.

    An mp4 that is cut off has often lost its header, which lies at its end.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
        if not head:
            return "is empty"
        return "is cut off: it is shorter than it says" if head[4:] == b"ftyp" and is_cut_short(path, "mov") else ""
    except OSError:  # FFmpeg's own words are the better ones
        return ""


def _picture_bytes(container: Any) -> int:
    """Of a file's largest picture as RGB; of a file without one, some."""
    known = [stream.codec_context for stream in container.streams.video if stream.codec_context is not None]
    return max([3 * codec.width * codec.height for codec in known] + [2**20])


def video_stream(container: Any, path: Path | str) -> Any:
    """The video stream that a player shows: of those flagged as default, else of all, the first that can be decoded.

    Pictures that are attached to a file (a cover) are none.

    Raises:
        TddError: there is none, it is in a codec that FFmpeg does not know, or the file is shorter than it says.
    """
    if is_cut_short(Path(path), container.format.name):
        raise TddError(f"{path} is cut off: it is shorter than it says; copy it again from its source.")
    streams = [stream for stream in container.streams.video if not stream.disposition & _NO_VIDEO]
    if not streams:
        raise TddError(f"{path} holds no video stream; expected a video file such as H.264 in mp4.")
    stream = min(streams, key=_rank)
    if stream.codec_context is None:  # FFmpeg's wrapper would crash the process when it is asked to decode
        raise TddError(f"{path} is in a codec that FFmpeg does not know; copy it again from its source.")
    stream.codec_context.thread_count = 1  # videos are read many at a time, one a process
    return stream


def sound_stream(container: Any) -> Any | None:
    """The sound stream that a player plays, chosen as :func:`video_stream`; comments and the like come last.

    Of several programmes of a transport stream, one of the video's.
    """
    streams = list(container.streams.audio)
    if container.format.name == "mpegts" and len(streams) > 1 and container.streams.video:
        shown = min(container.streams.video, key=_rank)
        return container.streams.best("audio", related=shown)
    return min(streams, key=_rank, default=None)


def _rank(stream: Any) -> tuple[bool, bool, bool, int]:
    flags = stream.disposition
    return stream.codec_context is None, bool(flags & _LAST), not flags & Disposition.default, stream.index
