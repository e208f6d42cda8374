"""Is a media file whole? By the lengths that its own structure states, and by the duration that its header does."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

SLACK = Fraction(1, 4)
"""Seconds by which a whole file may end before its stated duration: priming of encoders, rounding, sound in blocks."""

_HEAD = 1024
"""Bytes that are read where a unit begins: the longest head (of an Ogg page) has 282, five transport packets 1020."""

_STATING = frozenset({"matroska", "flv", "mxf"})
"""FFmpeg's formats whose header states a duration that holds. AVI and ASF count delays in it, others are estimated."""


def is_cut_short(path: Path, format_name: str) -> bool:
    """Whether a file ends within a unit that it began: a box, an element, a packet, a page.

    Heads alone are read. FFmpeg reads such files without an error up to where they end.

    Args:
        path: the file.
        format_name: FFmpeg's name of its format.

    Returns:
        ``False`` also where the format states no lengths.

    Raises:
        OSError: the file cannot be read.
    """
    kind = format_name.split(",")[0]
    step = _STEPS.get(kind)
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        if kind == "mpegts":
            return size % _packet_length(file.read(_HEAD)) > 0
        if kind == "gif":
            file.seek(-min(size, _HEAD), os.SEEK_END)
            return not file.read().rstrip(b"\0").endswith(b"\0;")  # the end of a block, and the trailer
        while step and at < size:
            file.seek(at)
            try:
                length = step(file.read(_HEAD))
            except (struct.error, IndexError):
                return True  # within a head
            if not length:
                return False
            at += length
    return at > size


class Reach:
    """How far what a container holds reaches, beside how far it says that it does."""

    def __init__(self, container: Any, stream: Any) -> None:
        """Nothing was read yet.

        Args:
            container: open.
            stream: the one whose frames are wanted.
        """
        self.container, self.stream = container, stream
        kind = container.format.name.split(",")[0]
        self.stated: Fraction | None = None
        # A track of an mp4 has its own table of times; the durations in the headers of such files are often wrong.
        self.by_track = kind == "mov"
        if self.by_track and stream.duration:
            self.stated = stream.duration * Fraction(stream.time_base)
        elif kind in _STATING and container.duration:
            self.stated = Fraction(container.duration, 1_000_000)
        self.first: Fraction | None = None
        self.last = Fraction(0)

    def frames(self) -> Iterator[Any]:
        """The frames of the stream, in the order of display, while all streams are read: a file may end with sound."""
        for packet in self.container.demux():
            own = packet.stream.index == self.stream.index
            start = packet.dts if packet.pts is None else packet.pts
            if start is not None and (own or not self.by_track):
                unit = Fraction(packet.time_base)
                self.first = start * unit if self.first is None else min(self.first, start * unit)
                self.last = max(self.last, (start + (packet.duration or 0)) * unit)
            # A packet with a time and no contents repeats the frame before it; FFmpeg's decoders take none.
            if own and (packet.size or start is None):
                yield from packet.decode()

    def missing(self, longest: Fraction) -> Fraction:
        """Seconds that a file read to its end is short of its stated duration; 0 for a whole one.

        Args:
            longest: the longest time that a frame stood, s: the last one may stand as long, and not all formats say so.
        """
        # A duration counts from 0 in some formats and from the first packet in others.
        reached = max(self.last, self.last - (self.first or Fraction(0)))
        short = Fraction(0) if self.stated is None else self.stated - reached
        return short if short > max(SLACK, longest) else Fraction(0)


def _box(head: bytes) -> int:
    """ISO base media (ISO/IEC 14496-12) and QuickTime; 0: to the end of the file, or for nobody to judge."""
    if len(head) < 16:
        return 0  # some writers leave a few bytes behind
    short, long = struct.unpack_from(">I4xQ", head)
    length: int = long if short == 1 else short
    return length if length >= 8 else 0


def _element(head: bytes) -> int:
    """EBML (RFC 8794), which Matroska and WebM are made of; into elements of unknown size one steps."""
    name = 9 - head[0].bit_length()  # bytes of the identifier
    if name > 4:
        return 0
    width = 9 - head[name].bit_length()
    if len(head) < name + width:
        raise IndexError
    size = int.from_bytes(head[name : name + width], "big") & ((1 << 7 * width) - 1)
    unknown = size == (1 << 7 * width) - 1
    return name + width + (0 if unknown else size)


def _riff(head: bytes) -> int:
    """AVI: one or several RIFF chunks."""
    name, size = struct.unpack_from("<4sI", head)
    return 8 + size if name == b"RIFF" and size not in (0, 0xFFFFFFFF) else 0


def _asf(head: bytes) -> int:
    """ASF (WMV): its header, data and index objects."""
    name, size = struct.unpack_from("<16sQ", head)
    return size if name.hex() in _ASF_OBJECTS and size >= 24 else 0


_ASF_OBJECTS = (
    "3026b2758e66cf11a6d900aa0062ce6c",
    "3626b2758e66cf11a6d900aa0062ce6c",
    "90080033b1e5cf1189f400a0c90349cb",
)


def _flv(head: bytes) -> int:
    """FLV: its header, then tags, each with its length behind it."""
    if head.startswith(b"FLV"):
        return int(struct.unpack_from(">5xI", head)[0]) + 4
    (size,) = struct.unpack_from(">I7x", head)
    return 15 + (size & 0xFFFFFF) if head[0] & 0x1F in (8, 9, 18) else 0


def _page(head: bytes) -> int:
    """Ogg (RFC 3533)."""
    if not head.startswith(b"OggS"):
        return 0
    segments = head[26]
    return 27 + segments + sum(struct.unpack_from(f"{segments}B", head, 27))


def _pack(head: bytes) -> int:
    """MPEG programme streams (ISO/IEC 11172-1 and 13818-1): packs, and packets with their length."""
    (start,) = struct.unpack_from(">I", head)
    if start == 0x1BA:
        return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
    if start == 0x1B9:
        return 4
    (size,) = struct.unpack_from(">4xH", head)
    return 6 + size if 0x1BB <= start <= 0x1FF and size else 0


_STEPS: dict[str, Callable[[bytes], int]] = {
    "mov": _box, "matroska": _element, "avi": _riff, "asf": _asf, "flv": _flv, "ogg": _page,
    "mpeg": _pack,
}  # fmt: skip
"""Length of the unit that begins with these bytes; 0 where the rest is not to be judged."""


def _packet_length(head: bytes) -> int:
    """Of an MPEG transport stream: 188, with a time before each packet 192, with error correction 204; else 1."""
    for length, sync in ((188, 0), (192, 4), (204, 0)):
        found = head[sync::length]
        if len(found) >= 4 and set(found) == {0x47}:
            return length
    return 1
