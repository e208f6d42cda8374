"""Decode and encode video files with PyAV (FFmpeg inside the wheel)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tdd.config import RELABELLED, TIMESTAMPS
from tdd.data.clock import FPS, to_25_fps
from tdd.errors import TddError
from tdd.machine.files import whole_file

SAMPLE_RATE = 16_000
"""Audio samples per second, Hz, of every clip."""

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
"""Audio samples under one video frame: 640."""

LONGEST_HOLD = 10
"""Seconds that one frame may stay; a longer gap between two times is taken for damage."""

AUDIO_SLACK = Fraction(1, 50)
"""Seconds, half a frame: a block of audio may miss the end of the one before by that and still be joined to it."""

_CPU_AVX512_SKX = 256
"""OpenCV's number, which it does not name in Python, for those parts of AVX-512 that x264 asks for as well."""


@dataclass(frozen=True)
class ShownFrame:
    """A frame of a clip."""

    source: int
    """Which frame of the file it is, counted from 0 in the order of display."""
    decoded: av.VideoFrame

    def rgb(self) -> np.ndarray:
        """The picture as it is meant to be seen: uint8, shape (H, W, 3), turned as the file's metadata say."""
        pixels = self.decoded.reformat(format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, round(self.decoded.rotation / 90)))


class VideoFile:
    """A video file read in order, one frame at a time; its audio lies on the same clock.

    Attributes:
        first_time: time of the first frame, s, on the file's clock; 0 before one was read.
        decoded: frames read up to now, all of them once :meth:`shown` has ended.
        stated_fps: average frame rate that the container states, Hz; 25 where it states none.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.first_time = Fraction(0)
        self.decoded = 0
        self.stated_fps = float(FPS)

    def shown(self, frame_rate: str) -> Iterator[ShownFrame]:
        """The frames of the first video stream at 25 fps.

        Args:
            frame_rate: ``timestamps`` or ``relabelled``; see :func:`tdd.data.clock.to_25_fps`.

        Raises:
            TddError: the file cannot be opened, holds no video stream, decodes to no frame, or is damaged: frames that
                do not decode, or times that run backwards or leap (``timestamps`` only).
        """
        yield from to_25_fps(self._timed(strict=frame_rate == TIMESTAMPS), frame_rate)

    def read_fps(self) -> float:
        """Average frame rate that the file's header states, Hz; 25 where it states none.

        Raises:
            TddError: the file cannot be opened or holds no video stream.
        """
        with self._open("video") as (_, stream):
            return float(stream.average_rate or FPS)

    def _timed(self, strict: bool) -> Iterator[tuple[Fraction, ShownFrame]]:
        """All frames with their times; ``strict`` refuses times that cannot be."""
        self.decoded = 0
        time = Fraction(0)
        with self._open("video") as (container, stream):
            rate = Fraction(stream.average_rate or FPS)
            self.stated_fps = float(rate)
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise TddError(f"{self.path} is damaged at frame {self.decoded}; copy it again from its source.")
                before, time = time, _time(frame, time + 1 / rate if self.decoded else Fraction(0))
                if not self.decoded:
                    self.first_time = time
                elif strict and not before <= time <= before + LONGEST_HOLD:
                    raise TddError(
                        f"{self.path}: frame {self.decoded} comes at {float(time):.2f} s, the one before it at "
                        f"{float(before):.2f} s; copy the file again, or set clip.frame_rate to {RELABELLED} in the "
                        "recipe."
                    )
                self.decoded += 1
                yield time, ShownFrame(self.decoded - 1, frame)
        if not self.decoded:
            raise TddError(f"{self.path} decodes to no frame; copy it again from its source.")

    def sound(self, sample_rate: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
        """The first audio stream, mono, from the instant of the first frame on, in pieces.

        To be read after :meth:`shown`, which finds that instant. What is heard earlier (an encoder's priming, sound
        that begins before the picture) is left out; silence stands where the stream begins late or has a gap.

        Yields:
            float32 samples in [-1, 1], shape (N,), at ``sample_rate`` Hz; nothing when the file has no audio.

        Raises:
            TddError: the audio cannot be decoded.
        """
        heard = 0  # samples given up to now
        for start, samples in self._blocks(sample_rate):
            while start > heard:
                silence = min(start - heard, sample_rate)
                yield np.zeros(silence, np.float32)
                heard += silence
            samples = samples[heard - start :]
            if len(samples):
                yield samples
                heard += len(samples)

    def _blocks(self, sample_rate: int) -> Iterator[tuple[int, np.ndarray]]:
        """Resampled blocks of audio, each with the number of its first sample, counted from the first frame."""
        with self._open("audio") as (container, stream):
            if stream is None:
                return
            run = None
            for frame in container.decode(stream):
                time = _time(frame, run.due if run else self.first_time)
                if run is None or abs(time - run.due) > AUDIO_SLACK:
                    if run:
                        yield from run.resample(None)
                    run = _Run(round((time - self.first_time) * sample_rate), time, sample_rate)
                yield from run.resample(frame)
            if run:
                yield from run.resample(None)

    @contextmanager
    def _open(self, kind: str) -> Iterator[tuple[Any, Any]]:
        """The container and its first stream of that kind; whatever FFmpeg says becomes one sentence."""
        what = f"{self.path}" if kind == "video" else f"the audio of {self.path}"
        try:
            options = {"protocol_whitelist": "file"}  # a play list in a video's clothes fetches nothing
            with av.open(str(self.path), options=options, metadata_errors="replace") as container:
                streams = container.streams.video if kind == "video" else container.streams.audio
                if kind == "video" and not streams:
                    raise TddError(f"{self.path} holds no video stream; expected a video file such as H.264 in mp4.")
                stream = streams[0] if streams else None
                if stream is not None:
                    if stream.codec_context is None:
                        raise TddError(
                            f"{what} is in a codec that FFmpeg does not know; copy it again from its source."
                        )
                    stream.codec_context.thread_count = 1  # videos are read many at a time, one a process
                yield container, stream
        except (av.FFmpegError, OSError) as error:
            raise TddError(f"{what} cannot be decoded ({error}); copy it again from its source.") from error


class _Run:
    """A run of audio without gaps, resampled to mono."""

    def __init__(self, start: int, time: Fraction, sample_rate: int) -> None:
        self.start, self.due = start, time
        self.resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)

    def resample(self, frame: av.AudioFrame | None) -> Iterator[tuple[int, np.ndarray]]:
        """What is ready after ``frame`` (``None``: the rest), with the number of its first sample."""
        if frame:
            self.due += Fraction(frame.samples, frame.sample_rate)
            frame.pts = None  # the run's own count places the samples
        for out in self.resampler.resample(frame):
            samples = out.to_ndarray()[0]
            yield self.start, samples
            self.start += len(samples)


def _time(frame: av.VideoFrame | av.AudioFrame, otherwise: Fraction) -> Fraction:
    """When a frame is shown or heard, s; ``otherwise`` where the file does not say."""
    if frame.pts is None or frame.time_base is None:
        return otherwise
    return frame.pts * Fraction(frame.time_base)


def read_video(path: Path | str) -> tuple[np.ndarray, float]:
    """Decode all frames of the first video stream, each once.

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
    """Decode the first audio stream to mono, on a clock that starts with the file's own.

    Returns:
        float32 samples in [-1, 1], shape (N,), at ``sample_rate`` Hz; ``None`` when the file has no audio.

    Raises:
        TddError: the file cannot be opened or its audio cannot be decoded.
    """
    pieces = list(VideoFile(path).sound(sample_rate))
    return np.concatenate(pieces) if pieces else None


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
