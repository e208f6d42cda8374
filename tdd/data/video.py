"""Decode and encode video files with PyAV (FFmpeg inside the wheel)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tdd.config import RELABELLED, TIMESTAMPS
from tdd.data.clock import FPS, to_25_fps
from tdd.data.container import open_media, sound_stream, video_stream
from tdd.data.picture import Screen
from tdd.data.sound import NO_SOUND, SoundTrack
from tdd.data.whole import Reach
from tdd.errors import TddError
from tdd.machine.files import whole_file

SAMPLE_RATE = 16_000
"""Audio samples per second, Hz, of every clip."""

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
"""Audio samples under one video frame: 640."""

BRIGHTER = {16: "HDR10 or Dolby Vision (PQ)", 18: "HLG"}
"""What pictures of a wider range of brightness are called, by the number of their transfer (ITU-T H.273, table 3)."""

LONGEST_HOLD = 10
"""Seconds that one frame may stay; a longer gap between two times is taken for damage."""

DECODING_TIMES = frozenset({"avi", "h264", "hevc", "m4v", "mpegvideo"})
"""FFmpeg's formats that keep no times of display: there the order of decoding places the frames, as in FFmpeg."""

_CPU_AVX512_SKX = 256
"""OpenCV's number, which it does not name in Python, for those parts of AVX-512 that x264 asks for as well."""


@dataclass(frozen=True)
class ShownFrame:
    """A frame of a clip."""

    source: int
    """Which frame of the file it is, counted from 0 in the order of display."""
    decoded: av.VideoFrame
    screen: Screen

    def rgb(self) -> np.ndarray:
        """The picture as a player shows it: uint8, shape (H, W, 3), the same for all frames of the file.

        Turned or mirrored as the file's metadata say, with square pixels; see :class:`tdd.data.picture.Screen`.

        Raises:
            TddError: FFmpeg cannot convert it, or the metadata would show it askew.
        """
        return self.screen.picture(self.decoded)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture, px."""
        return self.screen.size or self.screen.own_size(self.decoded)


@dataclass(frozen=True)
class Header:
    """What a look at a file tells without reading it whole."""

    fps: float
    """Average frame rate that the file states, Hz; 25 where it states none."""
    sound: bool
    """Whether it holds sound that can be decoded."""
    seconds: float
    """How long the file states the picture to be; 0 where it states nothing."""


class VideoFile:
    """A video file read in order, one frame at a time; its audio lies on the same clock.

    Attributes:
        first_time: time of the first frame, s, on the file's clock; 0 before one was read.
        decoded: frames read up to now, all of them once :meth:`shown` has ended.
        stated_fps: average frame rate that the container states, Hz; 25 where it states none.
        brighter: name of the high dynamic range that the picture is coded in (``BRIGHTER``), which :meth:`shown` draws
            as it stands, flat and pale; empty for common video, and before a frame was read.
        sound_fault: what is wrong with the sound, as the end of a sentence that begins with it; empty when nothing is,
            and before :meth:`sound` has ended.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.first_time = Fraction(0)
        self.decoded = 0
        self.stated_fps = float(FPS)
        self.brighter = ""
        self.sound_fault = ""
        self._over: Fraction | None = None

    def shown(self, frame_rate: str) -> Iterator[ShownFrame]:
        """The frames of the video stream at 25 fps.

        Args:
            frame_rate: ``timestamps`` or ``relabelled``; see :func:`tdd.data.clock.to_25_fps`.

        Raises:
            TddError: the file cannot be opened, holds no video stream, decodes to no frame, or is damaged: frames that
                do not decode, times that run backwards or leap (``timestamps`` only), or an end before the stated one.
        """
        yield from to_25_fps(self._timed(strict=frame_rate == TIMESTAMPS), frame_rate)

    def look(self, first_frame: bool = False) -> Header:
        """Open the file, and decode its first frame if asked to: what speaks against a video without reading it whole.

        Raises:
            TddError: as :meth:`shown`, and where the first frame cannot be shown.
        """
        if first_frame:
            for _, frame in islice(self._timed(strict=False), 1):
                frame.rgb()
        with open_media(self.path) as container:
            stream = video_stream(container, self.path)
            Screen(self.path, stream.sample_aspect_ratio)
            sound = sound_stream(container)
            heard = sound is not None and sound.codec_context is not None
            return Header(float(_stated_rate(container, stream)), heard, _stated_seconds(container, stream))

    def read_fps(self) -> float:
        """Average frame rate that the file's header states, Hz; 25 where it states none.

        Raises:
            TddError: as :meth:`look`.
        """
        return self.look().fps

    def _timed(self, strict: bool) -> Iterator[tuple[Fraction, ShownFrame]]:
        """All frames with their times; ``strict`` refuses times that cannot be."""
        self.decoded = 0
        with open_media(self.path) as container:
            stream = video_stream(container, self.path)
            screen = Screen(self.path, stream.sample_aspect_ratio)
            rate = _stated_rate(container, stream)
            self.stated_fps = float(rate)
            self.brighter = BRIGHTER.get(stream.codec_context.color_trc, "")
            by_decoding = container.format.name in DECODING_TIMES
            before, gap, longest = Fraction(0), 1 / rate, Fraction(0)
            reach = Reach(container, stream)
            for frame in reach.frames():
                if frame.is_corrupt:
                    raise TddError(f"{self.path} is damaged at frame {self.decoded}; copy it again from its source.")
                time = _time(frame, by_decoding, before + gap if self.decoded else Fraction(0))
                if not self.decoded:
                    self.first_time = time
                    screen.size = screen.own_size(frame)
                elif strict and not before <= time <= before + LONGEST_HOLD:
                    raise TddError(
                        f"{self.path}: frame {self.decoded} comes at {float(time):.2f} s, the one before it at "
                        f"{float(before):.2f} s; copy the file again, or set clip.frame_rate to {RELABELLED} in the "
                        "recipe."
                    )
                else:
                    gap = max(time - before, Fraction(0))
                    longest = max(longest, gap)
                before = time
                self.decoded += 1
                yield time, ShownFrame(self.decoded - 1, frame, screen)
            if not self.decoded:
                raise TddError(f"{self.path} decodes to no frame; copy it again from its source.")
            self._over = before + min(gap, 1 / rate)
            missing = reach.missing(longest)
            if missing:
                raise TddError(
                    f"{self.path} is cut off: it ends {float(missing):.2f} s before the duration that it states; copy "
                    "it again from its source."
                )

    def sound(self, sample_rate: int = SAMPLE_RATE, *, needed: bool = True) -> Iterator[np.ndarray]:
        """The sound, mono, from the instant of the first frame on, in pieces.

        To be read after :meth:`shown`, which finds that instant. What is heard earlier (an encoder's priming, sound
        that begins before the picture) is left out; silence stands where the stream begins late, has a gap, or cannot
        be decoded. What is wrong is told by ``sound_fault``; it costs no frame.

        Args:
            sample_rate: Hz.
            needed: whether the video is of no use without its sound.

        Yields:
            float32 samples in [-1, 1], shape (N,), at ``sample_rate`` Hz; nothing when the file has no sound.

        Raises:
            TddError: the file cannot be opened; with ``needed``, after the last piece, any fault of the sound.
        """
        track = SoundTrack(self.path, self.first_time, sample_rate)
        yield from track.pieces(self._over)
        self.sound_fault = track.fault
        if needed and track.fault:
            raise TddError(_sound_sentence(self.path, track.fault))


def _stated_rate(container: Any, stream: Any) -> Fraction:
    """Average frame rate that a file states, Hz; 25 where it states none."""
    # An AVI file may count a finer clock than its frames (600 ticks a second); its codec knows better.
    rate = stream.guessed_rate if container.format.name in DECODING_TIMES else stream.average_rate
    return Fraction(rate or stream.guessed_rate or FPS)


def _stated_seconds(container: Any, stream: Any) -> float:
    """How long a file states the picture to be, s; that of the whole file where it says no more; 0 for nothing."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _sound_sentence(path: Path | str, fault: str) -> str:
    return f"The sound of {path} {fault}; copy the file again from its source."


def _time(frame: av.VideoFrame, by_decoding: bool, otherwise: Fraction) -> Fraction:
    """When a frame is shown, s; ``otherwise`` where the file does not say."""
    ticks = frame.dts if by_decoding else frame.pts
    return otherwise if ticks is None or frame.time_base is None else ticks * Fraction(frame.time_base)


def read_video(path: Path | str) -> tuple[np.ndarray, float]:
    """Decode all frames of the video stream, each once.

    Returns:
        frames: RGB, uint8, shape (T, H, W, 3).
        fps: the average frame rate that the container states, in Hz.

    Raises:
        TddError: as :meth:`VideoFile.shown`.
    """
    video = VideoFile(path)
    frames = [frame.rgb() for frame in video.shown(RELABELLED)]
    return np.stack(frames), video.stated_fps


def read_audio(path: Path | str, sample_rate: int = SAMPLE_RATE) -> np.ndarray | None:
    """Decode the sound to mono, on a clock that starts with the file's own.

    Returns:
        float32 samples in [-1, 1], shape (N,), at ``sample_rate`` Hz; ``None`` when the file has no audio.

    Raises:
        TddError: the file cannot be opened or some of its audio cannot be decoded.
    """
    video = VideoFile(path)
    pieces = list(video.sound(sample_rate, needed=False))
    if not pieces and video.sound_fault == NO_SOUND:
        return None
    if video.sound_fault:
        raise TddError(_sound_sentence(path, video.sound_fault))
    return np.concatenate(pieces)


def x264_options() -> dict[str, str]:
    """Options of libx264 with which the same frames give the same bytes: one thread, and no AVX-512.

    Where x264 works out how much later frames rest on each macroblock (``mbtree_propagate_list``), its code for AVX-512
    (as of core 165) takes eight of a row at a time and does not mask those beyond the row's end. So where a row's count
    of macroblocks, 16 pixels each, is no multiple of eight, the quantisers follow what its memory happened to hold. The
    code for AVX2 has no such fault, and gives the same bytes where the other gives the right ones.
    """
    without_avx512 = {"x264-params": "asm=AVX2"} if cv2.checkHardwareSupport(_CPU_AVX512_SKX) else {}
    return {"threads": "1", **without_avx512}


def write_video(
    path: Path | str,
    frames: Iterable[np.ndarray],
    fps: int = FPS,
    *,
    audio: np.ndarray | None = None,
    sample_rate: int = SAMPLE_RATE,
    crf: int = 23,
    preset: str = "veryfast",
    audio_bit_rate: int = 64_000,
) -> None:
    """Encode H.264 (and AAC when ``audio`` is given) into an mp4 that appears at ``path`` only when complete.

    No time stamps of the clock, and x264 as :func:`x264_options` sets it: the same input gives the same bytes.

    Args:
        path: the file to write; its folder is made where needed.
        frames: RGB uint8 arrays of one even shape (H, W, 3).
        fps: frames per second, Hz.
        audio: mono samples in [-1, 1], shape (N,), or ``None`` for a file without audio.
        sample_rate: of ``audio``, Hz.
        crf: constant rate factor of x264: 0 is lossless, 23 the encoder's default, larger is coarser.
        preset: x264 speed preset.
        audio_bit_rate: bits per second of the AAC stream.
    """
    frames = iter(frames)
    first = next(frames)
    with (
        whole_file(Path(path)) as partial,
        av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        video = container.add_stream("libx264", rate=fps)
        video.height, video.width = first.shape[:2]
        video.pix_fmt = "yuv420p"
        video.options = {"crf": str(crf), "preset": preset, **x264_options()}
        sound = None
        if audio is not None:
            sound = container.add_stream("aac", rate=sample_rate, layout="mono")
            sound.bit_rate = audio_bit_rate
            sound.options = {"aac_coder": "fast"}  # a quarter of the time, and speech does not need better
        for frame in _chain(first, frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(video.encode())
        if sound is not None and audio is not None:
            block = av.AudioFrame.from_ndarray(audio[None].astype(np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = sample_rate, 0, Fraction(1, sample_rate)
            container.mux(sound.encode(block))
            container.mux(sound.encode())


def _chain(first: np.ndarray, rest: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    yield first
    yield from rest
