"""Seven corruptions of full frames at five levels: the robustness suite of DeeperForensics-1.0.

Jiang et al., CVPR 2020 (arXiv 2001.03024); RealForensics (arXiv 2201.07131) reports its AUC over these levels. Level 0
leaves the video as it is. Every draw follows from (seed, video, level, frame), so the same call gives the same pixels.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tdd.data.clock import FPS
from tdd.data.picture import Screen
from tdd.data.video import ShownFrame, VideoFile, x264_options
from tdd.errors import TddError

LEVELS = (1, 2, 3, 4, 5)
BLOCK = 8
"""Side of a grey block, px."""

BLOCK_UNIT = 256
"""Pixels of the shorter side for one round of blocks; a smaller frame gets none."""

GREY = 128
LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, the weights of R, G and B in Y."""

CHROMA_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
"""Y, Cb, Cr (chroma about 0) to R, G, B; ITU-R BT.601."""

STUDIO_RANGE = np.array([219.0, 224.0, 224.0]) / 255
"""Share of the byte that Y, Cb and Cr fill in studio range: the noise is added there."""

Apply = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One kind of damage; ``strengths`` are those of levels 1 to 5."""

    code: str
    name: str
    strengths: tuple[float, ...]
    meaning: str
    """What a strength is."""
    apply: Apply | None
    """From a frame, RGB uint8 of shape (H, W, 3), to the damaged one; ``None`` where frames are damaged together."""


def desaturate(image: np.ndarray, factor: float, _rng: np.random.Generator) -> np.ndarray:
    """Cb and Cr times ``factor`` about their neutral value; Y stays."""
    # Cb and Cr are multiples of B - Y and R - Y: scaling RGB about Y scales them, and rounds once only.
    luma = (image @ LUMA)[..., None]
    return _bytes(luma + factor * (image - luma))


def lower_contrast(image: np.ndarray, factor: float, _rng: np.random.Generator) -> np.ndarray:
    """Every pixel times ``factor``."""
    return _bytes(image * factor)


def add_blocks(image: np.ndarray, rounds: float, rng: np.random.Generator) -> np.ndarray:
    """Grey squares of 8 px at random places: ``rounds`` for every whole 256 px of the shorter side."""
    out = image.copy()
    height, width = image.shape[:2]
    count = block_count(height, width, rounds)
    for top, left in rng.integers(0, (height - BLOCK + 1, width - BLOCK + 1), (count, 2)) if count else ():
        out[top : top + BLOCK, left : left + BLOCK] = GREY
    return out


def block_count(height: int, width: int, rounds: float) -> int:
    """Blocks that a frame of that size gets; some may lie on one another."""
    return min(height, width) // BLOCK_UNIT * int(rounds)


def add_noise(image: np.ndarray, variance: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise on Y, Cb and Cr in studio range, each with ``variance`` on the scale where a byte is 1."""
    noise = rng.standard_normal(image.shape, np.float32) * (255 * np.sqrt(variance) / STUDIO_RANGE)
    return _bytes(image + noise @ CHROMA_TO_RGB.T)


def blur(image: np.ndarray, kernel: float, _rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a square kernel of side ``kernel`` px and a standard deviation of a sixth of that."""
    return cv2.GaussianBlur(image, (int(kernel), int(kernel)), kernel / 6)


def pixelate(image: np.ndarray, factor: float, _rng: np.random.Generator) -> np.ndarray:
    """Both sides divided by ``factor`` and scaled back, bilinear each way."""
    height, width = image.shape[:2]
    # OpenCV refuses a side of 0, which a tiny frame would come to.
    small = cv2.resize(image, (max(1, int(width // factor)), max(1, int(height // factor))))
    return cv2.resize(small, (width, height))


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)  # astype alone cuts towards zero, and wraps


CORRUPTIONS = {
    entry.code: entry
    for entry in (
        Corruption("CS", "saturation", (0.4, 0.3, 0.2, 0.1, 0.0), "factor of Cb and Cr", desaturate),
        Corruption("CC", "contrast", (0.85, 0.725, 0.6, 0.475, 0.35), "factor of the pixels", lower_contrast),
        Corruption("BW", "grey blocks", (16, 32, 48, 64, 80), "blocks per 256 px of the shorter side", add_blocks),
        Corruption("GNC", "noise", (0.001, 0.002, 0.005, 0.01, 0.05), "variance in YCbCr", add_noise),
        Corruption("GB", "blur", (7, 9, 13, 17, 21), "kernel, px", blur),
        Corruption("PIX", "pixelation", (2, 3, 4, 5, 6), "factor of downscaling", pixelate),
        Corruption("VC", "compression", (30, 32, 35, 38, 40), "H.264 crf", None),
    )
}
"""By code, in the order of the suite."""


def strength(code: str, level: int) -> float:
    """The strength of a corruption at a level from 1 to 5.

    Raises:
        TddError: no such corruption or level.
    """
    if code not in CORRUPTIONS:
        raise TddError(f"Unknown corruption '{code}'; the suite has: {', '.join(CORRUPTIONS)}.")
    if level not in LEVELS:
        raise TddError(f"Level {level} is not one of {', '.join(map(str, LEVELS))} (0 leaves videos as they are).")
    return CORRUPTIONS[code].strengths[level - 1]


class CorruptedVideo(VideoFile):
    """A video file whose frames are damaged before anybody sees them; its sound is untouched.

    Attributes:
        shorter_side: of its frames, px; 0 before one was read.
    """

    def __init__(self, path: Path | str, code: str, level: int, seed: tuple[int, ...] = (0,)) -> None:
        """Damage the frames of ``path`` by a corruption at a level from 0 (not at all) to 5.

        Args:
            path: the video.
            code: one of ``CORRUPTIONS``; read at levels above 0 only.
            level: 0 to 5.
            seed: of every draw; another for each video, for instance with :func:`video_seed`.

        Raises:
            TddError: no such corruption or level.
        """
        super().__init__(path)
        self.code, self.level, self.seed = code, level, seed
        self.shorter_side = 0
        self.strength = strength(code, level) if level else 0.0

    def _timed(self, strict: bool) -> Iterator[tuple[Fraction, ShownFrame]]:
        timed = self._measured(super()._timed(strict))
        if not self.level:
            yield from timed
            return
        apply = CORRUPTIONS[self.code].apply
        if apply is None:
            yield from _recompressed(timed, self.strength, Screen(self.path))
            return
        for time, frame in timed:
            # Damaged when looked at: frames that 25 fps passes over cost nothing.
            seed = (*self.seed, self.level)
            yield time, _Damaged(frame.source, frame.decoded, frame.screen, apply, self.strength, seed)

    def _measured(self, timed: Iterable[tuple[Fraction, ShownFrame]]) -> Iterator[tuple[Fraction, ShownFrame]]:
        for time, frame in timed:
            self.shorter_side = min(frame.size)
            yield time, frame


@dataclass(frozen=True)
class _Damaged(ShownFrame):
    apply: Apply
    strength: float
    seed: tuple[int, ...]

    def rgb(self) -> np.ndarray:
        rng = np.random.default_rng((*self.seed, self.source))  # a frame shown twice looks the same twice
        return self.apply(super().rgb(), self.strength, rng)


@dataclass(frozen=True)
class _Recompressed(ShownFrame):
    height: int
    width: int

    def rgb(self) -> np.ndarray:
        return super().rgb()[: self.height, : self.width]


def _recompressed(
    timed: Iterable[tuple[Fraction, ShownFrame]], crf: float, upright: Screen
) -> Iterator[tuple[Fraction, ShownFrame]]:
    """Frames as they come back from the encoder, with the times and numbers that they had."""
    # Encoder and decoder give a frame back some frames later: what belongs to it waits here.
    waiting: deque[tuple[Fraction, ShownFrame]] = deque()

    def images() -> Iterator[np.ndarray]:
        for time, frame in timed:
            waiting.append((time, frame))
            yield frame.rgb()

    for decoded in H264(crf).through(images()):
        time, frame = waiting.popleft()
        yield time, _Recompressed(frame.source, decoded, upright, *frame.size)


class H264:
    """Real H.264: x264 at a constant rate factor, its defaults otherwise, and the decoder after it; in memory.

    Attributes:
        written: bytes that the encoder gave out.
    """

    def __init__(self, crf: float) -> None:
        self.crf, self.written = crf, 0

    def through(self, images: Iterable[np.ndarray]) -> Iterator[av.VideoFrame]:
        """The same frames in the same order after encoding and decoding.

        Args:
            images: RGB uint8, all of one shape (H, W, 3); an odd side is lengthened by one pixel.
        """
        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1  # videos are read many at a time, one a process
        for packet in self._encoded(images):
            self.written += packet.size
            yield from decoder.decode(packet)
        yield from decoder.decode(None)

    def _encoded(self, images: Iterable[np.ndarray]) -> Iterator[av.Packet]:
        encoder = None
        for number, image in enumerate(images):
            height, width = image.shape[:2]
            # 4:2:0 halves both sides of the colour planes, so they must be even.
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            if encoder is None:
                encoder = av.CodecContext.create("libx264", "w")
                encoder.height, encoder.width = even.shape[:2]
                encoder.pix_fmt = "yuv420p"
                encoder.time_base = Fraction(1, FPS)
                encoder.options = {"crf": f"{self.crf:g}", **x264_options()}
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            yield from encoder.encode(frame)
        if encoder is not None:
            yield from encoder.encode(None)


def video_seed(seed: int, video_id: str) -> tuple[int, int]:
    """The seed of a video's draws: the run's, and one that follows from the video's id."""
    return seed, zlib.crc32(video_id.encode())  # hash() of a string differs from process to process
