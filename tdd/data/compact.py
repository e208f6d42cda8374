"""Stored faces without loss in about a third of their bytes: each a picture of UT Video, so any run is read alone.

UT Video (Umezawa, 2008) predicts each value from its neighbours by their median and writes the rest in Huffman's code;
FFmpeg, which PyAV holds, reads and writes it. Of what was tried it is read fastest among the smallest
(benchmarks/results/store_format.md).

A file holds a header (:class:`_Header`), the frames' packets one after the other, and where each ends: T + 1 offsets
from the first one, uint64.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import cv2
import numpy as np

from tdd.errors import TddError

UT_VIDEO = "UT Video"
"""What a store's plan says of frames that are kept so."""

SHARE = 0.3
"""Of the bytes of raw frames, about: 0.25 to 0.32 of filmed faces, less of drawn ones."""

NO_FRAME = "The video gives no frame to store; copy it again, or leave it out."

_MAGIC = b"tdd-utv1"
_PLACES = struct.Struct("<8sIIIQ16s")
_CODEC, _TAG = "utvideo", "ULRG"
_BEYOND = 64
"""Bytes after a packet that FFmpeg's decoders may look at."""

_PLANES = (2, 0, 1)
"""Of red, green and blue in FFmpeg's planar order, which is green, blue, red."""


class _Header(NamedTuple):
    """First bytes of a file, little-endian."""

    magic: bytes
    length: int
    height: int
    width: int
    table: int
    """Offset of the table of ends."""
    extra: bytes
    """What the decoder wants to know."""

    @property
    def size(self) -> int:
        """Of the whole file, bytes."""
        return self.table + 8 * (self.length + 1)


def write_compact(path: Path, frames: Iterable[np.ndarray], digest: Any) -> int:
    """Write frames, each RGB uint8 of shape (H, W, 3), and their raw bytes into ``digest``; returns how many.

    Raises:
        TddError: there is none.
    """
    ends = [0]
    with path.open("wb") as file:
        file.write(bytes(_PLACES.size))
        encoder = None
        for frame in frames:
            frame = np.ascontiguousarray(frame)
            digest.update(frame.data)
            encoder = encoder or _encoder(*frame.shape[:2])
            (packet,) = encoder.encode(av.VideoFrame.from_ndarray(frame, format="gbrp"))
            ends.append(ends[-1] + file.write(bytes(packet)))
        if encoder is None:
            raise TddError(NO_FRAME)
        table = file.tell()
        file.write(np.array(ends, "<u8").tobytes())
        file.seek(0)
        file.write(_PLACES.pack(_MAGIC, len(ends) - 1, encoder.height, encoder.width, table, bytes(encoder.extradata)))
    return len(ends) - 1


def read_compact(path: Path, start: int, count: int) -> np.ndarray:
    """Frames ``start`` to ``start + count``, RGB uint8, shape (count, H, W, 3).

    Raises:
        IndexError: the file holds fewer.
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    with path.open("rb", buffering=0) as file:
        header = _header(file)
        if start < 0 or start + count > header.length:
            raise IndexError(header.length)
        file.seek(header.table + 8 * start)
        ends = np.frombuffer(file.read(8 * (count + 1)), "<u8").astype(np.int64)
        if (np.diff(ends) < 0).any() or ends[-1] > header.table - _PLACES.size:
            raise ValueError("its frames are not where it says")
        file.seek(_PLACES.size + int(ends[0]))
        content = bytearray(int(ends[-1] - ends[0]) + _BEYOND)
        file.readinto(content)
    out = np.empty((count, header.height, header.width, 3), np.uint8)
    decoder, ends = _decoder(header), ends - ends[0]
    for number, frame in enumerate(out):
        _decode(decoder, memoryview(content)[ends[number] : ends[number + 1]], frame)
    return out


def compact_shape(path: Path) -> tuple[int, int, int, int]:
    """Shape (T, H, W, 3) of a file's frames, as it states it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is none, or not as long as it states.
    """
    with path.open("rb", buffering=0) as file:
        header = _header(file)
    return header.length, header.height, header.width, 3


def compact_blocks(path: Path, frames: int = 64) -> Iterator[np.ndarray]:
    """All frames of a file, some at a time; errors as :func:`read_compact`."""
    length = compact_shape(path)[0]
    for start in range(0, length, frames):
        yield read_compact(path, start, min(frames, length - start))


def _header(file: BinaryIO | Any) -> _Header:
    found = file.read(_PLACES.size)
    if len(found) < _PLACES.size or not found.startswith(_MAGIC):
        raise ValueError("it holds no frames of UT Video")
    header, size = _Header(*_PLACES.unpack(found)), os.fstat(file.fileno()).st_size
    if size != header.size:
        raise ValueError(f"it has {size} bytes, not {header.size}")
    return header


def _encoder(height: int, width: int) -> Any:
    encoder: Any = av.CodecContext.create(_CODEC, "w")
    encoder.height, encoder.width, encoder.pix_fmt = height, width, "gbrp"
    encoder.time_base, encoder.thread_count, encoder.options = Fraction(1, 25), 1, {"pred": "median"}
    return encoder


def _decoder(header: _Header) -> Any:
    decoder: Any = av.CodecContext.create(_CODEC, "r")
    decoder.height, decoder.width, decoder.pix_fmt = header.height, header.width, "gbrp"
    decoder.codec_tag, decoder.extradata, decoder.thread_count = _TAG, header.extra, 1
    return decoder


def _decode(decoder: Any, packet: Any, out: np.ndarray) -> None:
    """One frame into ``out``, shape (H, W, 3)."""
    height, width = out.shape[:2]
    try:
        (frame,) = decoder.decode(av.Packet(packet))
    except av.FFmpegError as error:
        raise ValueError(f"a frame of it does not decode: {error.strerror}") from error
    planes = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    cv2.merge([planes[number][:height, :width] for number in _PLANES], out)
