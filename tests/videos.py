"""Video files of many kinds, made with FFmpeg's encoders: codecs, times, rotation, and audio on a clock of its own."""

import ctypes
import sys
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

CLOCK = Fraction(1, 90_000)
M_PERTURB = -6  # of the GNU C library's malloc.h


@contextmanager
def memory_filled(byte):
    """Within, the C library fills the memory that it hands out according to ``byte`` (0: it does not fill it).

    A result that depends on the byte was made from memory that was read before it was written.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        pytest.skip("only the GNU C library can fill the memory that it hands out")
    mallopt(M_PERTURB, byte)
    try:
        yield
    finally:
        mallopt(M_PERTURB, 0)


def drifting_picture(count=16, height=96, width=96):
    """Smooth colours that drift by three pixels a frame under noise that stays: hard for an encoder to foresee."""
    rng = np.random.default_rng(3)
    wide = cv2.resize(rng.uniform(60, 200, (6, 6, 3)).astype(np.float32), (width + 3 * count, height))
    noise = rng.normal(0, 3, (height, width, 3))
    return [np.clip(wide[:, 3 * n : 3 * n + width] + noise, 0, 255).astype(np.uint8) for n in range(count)]


def counting_frames(count, height=96, width=128):
    """Gray frames, each brighter than the one before: frame n has level 20 + 3 n (at most 78 frames)."""
    return [np.full((height, width, 3), 20 + 3 * number, np.uint8) for number in range(count)]


def levels(frames):
    """Which of :func:`counting_frames` these are, as well as a lossy codec lets one tell; floats."""
    return [(float(np.mean(frame)) - 20) / 3 for frame in frames]


def encode(
    path,
    frames,
    codec="libx264",
    rate=25,
    times=None,
    pixels="yuv420p",
    options=None,
    rotation=None,
    container=None,
    audio=None,
    audio_rate=16_000,
    audio_codec="aac",
    audio_start=0.0,
    audio_gap=None,
):
    """Write RGB frames at ``times`` (s; default: at ``rate``) with mono ``audio`` that begins at ``audio_start`` s.

    ``audio_gap`` = (n, s): what follows sample n comes s seconds later.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as out:
        video = out.add_stream(codec, rate=Fraction(rate), options={"threads": "1", **(options or {})})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixels
        if times is not None:
            video.codec_context.time_base = CLOCK
        if rotation is not None:
            video.set_display_rotation(rotation)
        sound = None
        if audio is not None:
            sound = out.add_stream(audio_codec, rate=audio_rate, layout="mono")
        for number, pixels_of_frame in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels_of_frame), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(Fraction(times[number]) / CLOCK), CLOCK
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if sound is not None:
            _encode_sound(out, sound, audio, audio_rate, audio_start, audio_gap)
    return Path(path)


def _encode_sound(out, sound, audio, rate, start, gap):
    for first in range(0, len(audio), 1024):
        piece = np.asarray(audio[first : first + 1024], np.float32)
        samples = piece[None] if sound.codec_context.name == "aac" else np.round(piece * 32767).astype(np.int16)[None]
        kind = "fltp" if sound.codec_context.name == "aac" else "s16"
        block = av.AudioFrame.from_ndarray(samples, format=kind, layout="mono")
        late = gap[1] if gap and first >= gap[0] else 0.0
        block.sample_rate, block.time_base = rate, Fraction(1, rate)
        block.pts = first + round((start + late) * rate)
        out.mux(sound.encode(block))
    out.mux(sound.encode())


def clicks(instants, seconds, rate):
    """Silence with a click of 2 ms at each of the instants, s."""
    samples = np.zeros(round(seconds * rate), np.float32)
    for instant in instants:
        samples[round((instant - 0.001) * rate) : round((instant + 0.001) * rate)] = 0.8
    return samples


def heard(samples, rate=16_000):
    """When the clicks of ``samples`` are, s: the middles of the runs louder than 0.3, 20 ms or more apart."""
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > rate // 50) + 1)
    return [float(run.mean()) / rate for run in runs if len(run)]
