"""A decoded frame as a player shows it: turned, with square pixels, at one size all through the file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tdd.errors import TddError

NARROWEST = Fraction(1, 8)
"""A pixel narrower than this share of its height, or lower than this share of its width, is taken for damage."""

OBLIQUE = 0.0175
"""Of a display matrix: how large what should be 0 may be beside what should be 1; a turn by one degree."""

_MOST_GRAPHS = 8


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a picture: its axes exchanged or not, then left and right, then top and bottom."""

    transposed: bool = False
    mirrored: bool = False
    """Left and right exchanged."""
    upended: bool = False
    """Top and bottom exchanged."""

    @classmethod
    def of_matrix(cls, matrix: np.ndarray) -> Orientation:
        """What a display matrix asks for; none where it shows nothing (all zero), as FFmpeg takes it.

        Args:
            matrix: as FFmpeg keeps it: (x, y) goes to (a x + c y, b x + d y); shape (3, 3), a, b in the first row and
                c, d in the second.

        Raises:
            ValueError: it is none of the eight.
        """
        a, b, c, d = (float(value) for value in matrix[:2, :2].flat)
        if max(abs(a), abs(c)) == 0 or max(abs(b), abs(d)) == 0 or a * d == b * c:
            return cls()
        if max(abs(b), abs(c)) <= OBLIQUE * min(abs(a), abs(d)):
            return cls(False, a < 0, d < 0)
        if max(abs(a), abs(d)) <= OBLIQUE * min(abs(b), abs(c)):
            return cls(True, c < 0, b < 0)
        raise ValueError

    @classmethod
    def of_turn(cls, degrees: int) -> Orientation:
        """A turn against the clock by a multiple of 90 degrees; none for any other number."""
        turns = {90: cls(True, False, True), 180: cls(False, True, True), -90: cls(True, True, False)}
        return turns.get(degrees, turns[180] if degrees == -180 else cls())


class Screen:
    """Shows the frames of one file.

    The longer side of a pixel is kept and the shorter drawn out, so that no pixel is lost: with pixels wider than high
    the width becomes width x shape, else the height becomes height / shape, to the nearest whole number (half: up). A
    file keeps the size of its first picture; one of another size is fitted into it, proportions kept, centred on black.
    The drawing is FFmpeg's (transpose, scale with bicubic, pad).

    Attributes:
        path: of the file, for what is said of it.
        pixel: width of a pixel over its height.
        size: height and width of every picture, px; ``None`` before the first frame.
    """

    def __init__(self, path: Path | str, pixel: Fraction | None = None) -> None:
        """Show nothing yet.

        Args:
            path: of the file.
            pixel: the stated shape of its pixels; none or 0: square.

        Raises:
            TddError: pixels so narrow or so low that the number must be damaged.
        """
        self.path, self.pixel = path, pixel or Fraction(1)
        self.size: tuple[int, int] | None = None
        self._graphs: dict[tuple[Any, ...], Any] = {}
        if not NARROWEST <= self.pixel <= 1 / NARROWEST:
            raise TddError(
                f"{path} says that its pixels are {float(self.pixel):.3g} times as wide as high; set their shape anew "
                "(ffmpeg -aspect)."
            )

    def own_size(self, frame: Any) -> tuple[int, int]:
        """Height and width of a frame by itself, turned and with square pixels, px.

        Raises:
            TddError: as :meth:`picture`.
        """
        height, width = frame.height, frame.width
        if self.pixel > 1:
            width = _round(width * self.pixel)
        else:
            height = _round(height / self.pixel)
        return (width, height) if self._orientation(frame).transposed else (height, width)

    def picture(self, frame: Any) -> np.ndarray:
        """RGB uint8, shape (\\*size, 3); the first frame that is shown sets the size.

        Raises:
            TddError: the frame's display matrix is none of the eight orientations, or FFmpeg cannot convert the frame.
        """
        orientation, own = self._orientation(frame), self.own_size(frame)
        self.size = self.size or own
        key = (orientation, own, frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        try:
            if key not in self._graphs:
                if len(self._graphs) == _MOST_GRAPHS:
                    self._graphs.clear()
                self._graphs[key] = _graph(frame, orientation, own, self.size)
            source, sink = self._graphs[key][1:]
            source.push(frame)
            pixels: np.ndarray = sink.pull().to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise TddError(
                f"{self.path}: a frame of {frame.width} x {frame.height} px ({frame.format.name}) cannot be shown "
                f"({error}); convert the video with ffmpeg."
            ) from error
        return pixels

    def _orientation(self, frame: Any) -> Orientation:
        try:
            matrix = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # beside data of a kind that PyAV has no name for, it tells the turn alone
            return Orientation.of_turn(frame.rotation)
        if matrix is None:
            return Orientation()
        values = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)
        try:
            return Orientation.of_matrix(values)
        except ValueError as error:
            raise TddError(
                f"{self.path} is to be shown askew (display matrix {values[:2, :2].tolist()}); turn it upright with "
                "ffmpeg."
            ) from error


def _graph(frame: Any, orientation: Orientation, own: tuple[int, int], size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """FFmpeg's filters for frames like this one: the graph, its entry and its exit."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1:pixel_aspect=1/1:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
    )
    chain = [source]
    if orientation.transposed:
        chain.append(graph.add("transpose", "dir=cclock_flip"))
    if orientation.mirrored:
        chain.append(graph.add("hflip"))
    if orientation.upended:
        chain.append(graph.add("vflip"))
    scale = min(Fraction(size[0], own[0]), Fraction(size[1], own[1]))
    height, width = (max(1, _round(side * scale)) for side in own)
    chain += [graph.add("scale", f"w={width}:h={height}:flags=bicubic"), graph.add("format", "rgb24")]
    if (height, width) != size:
        chain.append(graph.add("pad", f"w={size[1]}:h={size[0]}:x=(ow-iw)/2:y=(oh-ih)/2"))
    chain.append(graph.add("buffersink"))
    graph.link_nodes(*chain).configure()
    return graph, source, chain[-1]


def _round(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
