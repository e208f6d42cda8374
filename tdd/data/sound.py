"""The sound of a media file on the clock of its picture, as far as it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tdd.data.container import open_media, sound_stream
from tdd.machine.limits import out_of_memory

JOIN_SLACK = Fraction(1, 50)
"""Seconds, half a frame: a block of sound may miss the end of the one before by that and still be joined to it."""

END_SLACK = Fraction(1, 5)
"""Seconds by which sound may end before the picture without a word; AAC comes in blocks of 64 ms at 16 kHz."""

NO_SOUND = "is missing: the file holds none"
"""The fault of a file without a sound stream."""


class SoundTrack:
    """The sound stream of a file, mono, from one instant on.

    Attributes:
        fault: what is wrong with the sound, as the end of a sentence that begins with it ("ends at 1.00 s"); empty when
            nothing is. Known when :meth:`pieces` has ended.
    """

    def __init__(self, path: Path | str, start: Fraction, sample_rate: int) -> None:
        """Read nothing yet.

        Args:
            path: of the file.
            start: instant of sample 0, s on the file's clock.
            sample_rate: Hz.
        """
        self.path, self.start, self.sample_rate = path, start, sample_rate
        self.fault = ""

    def pieces(self, end: Fraction | None = None) -> Iterator[np.ndarray]:
        """The samples in order; silence where the stream begins late, has a gap, or cannot be decoded.

        Args:
            end: when the picture ends, s on the file's clock; for ``fault`` alone.

        Yields:
            float32 in [-1, 1], shape (N,); nothing when the file has no sound.

        Raises:
            TddError: the file cannot be opened.
        """
        heard = 0  # samples given up to now
        for first, samples in self._blocks():
            while first > heard:
                silence = min(first - heard, self.sample_rate)
                yield np.zeros(silence, np.float32)
                heard += silence
            samples = samples[heard - first :]
            if len(samples):
                yield samples
                heard += len(samples)
        over = self.start + Fraction(heard, self.sample_rate)
        if end is not None and over < end - END_SLACK:
            self._note(f"ends {float(end - over):.2f} s before the picture")

    def _note(self, fault: str) -> None:
        self.fault = self.fault or fault  # the first is the cause of the others

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Resampled blocks, each with the number of its first sample."""
        with open_media(self.path) as container:
            stream = sound_stream(container)
            if stream is None:
                self._note(NO_SOUND)
                return
            if stream.codec_context is None:
                self._note("is in a codec that FFmpeg does not know")
                return
            stream.codec_context.thread_count = 1
            run = None
            for frame in self._frames(container, stream):
                time = _time(frame, run.due if run else self.start)
                if run is None or abs(time - run.due) > JOIN_SLACK or run.kind != _kind(frame):
                    if run:
                        yield from run.resample(None)
                    run = _Run(round((time - self.start) * self.sample_rate), time, _kind(frame), self.sample_rate)
                try:
                    yield from run.resample(frame)
                except (av.FFmpegError, ValueError) as error:
                    self._note(f"cannot be mixed down ({error})")
                    return
            if run:
                yield from run.resample(None)

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """What can be decoded; a packet that cannot is passed over, and the first such is noted."""
        packets, time = container.demux(stream), self.start
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if packet.pts is not None:
                    time = packet.pts * Fraction(packet.time_base)
                frames = packet.decode()
            except av.FFmpegError as error:
                if out_of_memory(error):
                    raise
                self._note(f"is damaged {max(0.0, float(time - self.start)):.2f} s after the first frame")
                continue
            yield from frames


class _Run:
    """A run of sound without gaps, all of one kind, resampled to mono."""

    def __init__(self, start: int, time: Fraction, kind: tuple[str, str, int], sample_rate: int) -> None:
        self.start, self.due, self.kind = start, time, kind
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


def _kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _time(frame: av.AudioFrame, otherwise: Fraction) -> Fraction:
    """When a block is heard, s; ``otherwise`` where the file does not say."""
    return otherwise if frame.pts is None or frame.time_base is None else frame.pts * Fraction(frame.time_base)
