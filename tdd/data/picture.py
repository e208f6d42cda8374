"""A decoded frame as a player shows it: turned, with square pixels, at one size all through the file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type

from tdd.errors import TddError
from tdd.machine.limits import out_of_memory

NARROWEST = Fraction(1, 8)
"""A pixel narrower than this share of its height, or lower than this share of its width, is taken for damage."""

OBLIQUE = 0.0175
"""Of a display matrix: how large what should be 0 may be beside what should be 1; a turn by one degree."""

_MOST_GRAPHS = 8

_NAMELESS = sorted(set(range(64)) - {kind.value for kind in Type})
"""FFmpeg's numbers of kinds of data beside a frame that PyAV does not know; FFmpeg 8 has 32 kinds."""


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
            if out_of_memory(error):
                raise
            raise TddError(
                f"{self.path}: a frame of {frame.width} x {frame.height} px ({frame.format.name}) cannot be shown "
                f"({error}); convert the video with ffmpeg."
            ) from error
        return pixels

    def _orientation(self, frame: Any) -> Orientation:
        values = _display_matrix(frame)
        if values is None:
            return Orientation()
        try:
            return Orientation.of_matrix(values)
        except ValueError as error:
            raise TddError(
                f"{self.path} is to be shown askew (display matrix {values[:2, :2].tolist()}); turn it upright with "
                "ffmpeg."
            ) from error


def _display_matrix(frame: Any) -> np.ndarray | None:
    """How a frame is to be laid, as FFmpeg keeps it, int32 of shape (3, 3); ``None`` where the frame does not say."""
    # Not frame.side_data, which would be kept by the frame that it keeps: such frames stay in memory until Python looks
    # for circles, often not within a film.
    try:
        beside = SideDataContainer(frame)  # type: ignore[call-arg]
    except ValueError:
        beside = SideDataContainer(_with_named_data(frame))  # type: ignore[call-arg]
    matrix = beside.get("DISPLAYMATRIX")
    return None if matrix is None else np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)


def _with_named_data(frame: Any) -> Any:
    """The frame without data of kinds that PyAV has no name for (Exif, say): it gives all of a frame's data or none."""
    graph, source = _begun_graph(frame)
    cleared = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in _NAMELESS]
    chain = [source, *cleared, graph.add("buffersink")]
    graph.link_nodes(*chain).configure()
    source.push(frame)
    return chain[-1].pull()


def _begun_graph(frame: Any) -> tuple[Any, Any]:
    """FFmpeg's graph of filters for frames like this one, and its entry."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1:pixel_aspect=1/1:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
    )
    return graph, source


def _graph(frame: Any, orientation: Orientation, own: tuple[int, int], size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """FFmpeg's filters that show frames like this one: the graph, its entry and its exit."""
    graph, source = _begun_graph(frame)
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
