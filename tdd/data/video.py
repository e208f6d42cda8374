"""Decode and encode video files with PyAV (FFmpeg inside the wheel)."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tdd.errors import TddError

FPS = 25
"""Frames per second of every clip (the paper's rate)."""

SAMPLE_RATE = 16_000
"""Audio samples per second, Hz, of every clip."""

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
"""Audio samples under one video frame: 640."""


def read_video(path: Path | str) -> tuple[np.ndarray, float]:
    """Decode all frames of the first video stream.

    Returns:
        frames: RGB, uint8, shape (T, H, W, 3).
        fps: the average frame rate that the container states, in Hz.

    Raises:
        TddError: the file cannot be opened, holds no video stream, or decodes to no frame.
    """
    frames = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise TddError(f"{path} holds no video stream; expected a video file such as H.264 in mp4.")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # videos are read many at a time, one a process
            fps = float(stream.average_rate or FPS)
            for frame in container.decode(stream):
                frames.append(frame.reformat(format="rgb24", threads=1).to_ndarray())
    except (av.FFmpegError, OSError) as error:
        raise TddError(f"{path} cannot be decoded as video ({error}); copy it again from its source.") from error
    if not frames:
        raise TddError(f"{path} decodes to no frame; copy it again from its source.")
    return np.stack(frames), fps


def read_audio(path: Path | str, sample_rate: int = SAMPLE_RATE) -> np.ndarray | None:
    """Decode the first audio stream to mono.

    Samples before time 0 (an AAC encoder's priming) are dropped, and a stream that starts late is padded in front with
    silence, so that sample 0 is the instant of frame 0.

    Returns:
        float32 samples in [-1, 1], shape (N,), at ``sample_rate`` Hz; ``None`` when the file has no audio stream.

    Raises:
        TddError: the file cannot be opened or its audio cannot be decoded.
    """
    pieces: list[np.ndarray] = []
    start = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
            for frame in container.decode(container.streams.audio[0]):
                if start is None:
                    start = 0.0 if frame.time is None else float(frame.time)
                pieces.extend(out.to_ndarray()[0] for out in resampler.resample(frame))
            pieces.extend(out.to_ndarray()[0] for out in resampler.resample(None))
    except (av.FFmpegError, OSError) as error:
        raise TddError(f"the audio of {path} cannot be decoded ({error}); copy it again from its source.") from error
    samples = np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)
    shift = round((start or 0.0) * sample_rate)
    return samples[-shift:] if shift < 0 else np.pad(samples, (shift, 0))


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

    One encoder thread and no time stamps of the clock: the same input gives the same bytes.

    Args:
        path: the file to write; its folder must exist.
        frames: RGB uint8 arrays of one even shape (H, W, 3).
        fps: frames per second, Hz.
        audio: mono samples in [-1, 1], shape (N,), or ``None`` for a file without audio.
        sample_rate: of ``audio``, Hz.
        crf: constant rate factor of x264: 0 is lossless, 23 the encoder's default, larger is coarser.
        preset: x264 speed preset.
        audio_bit_rate: bits per second of the AAC stream.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    frames = iter(frames)
    first = next(frames)
    try:
        with av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
            video = container.add_stream("libx264", rate=fps)
            video.height, video.width = first.shape[:2]
            video.pix_fmt = "yuv420p"
            video.options = {"crf": str(crf), "preset": preset, "threads": "1"}
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
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _chain(first: np.ndarray, rest: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    yield first
    yield from rest
