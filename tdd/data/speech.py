"""Where somebody speaks, by the energy of the sound; and the clips that stage 1 hears.

LRW comes in clips of 29 frames about a word. Any other talking faces are cut into pieces of that length, which do not
overlap, wherever there is sound enough. Energy cannot tell speech from music or a cough: the footage must be of people
who talk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from tdd.data.video import SAMPLES_PER_FRAME
from tdd.errors import TddError
from tdd.names import LRW

SPEECH = "speech"
"""Column of a store's index: first frames of the pieces at speech, separated by spaces; of real videos with sound that
are not cut already."""

START = "start"
"""Column of stage-1 clips: first frame of the piece that is shown; ``ANYWHERE`` draws it from the whole video."""

ANYWHERE = -1

PIECE = 29
"""Frames of a piece, as of LRW's clips: a clip of 25 is drawn from it."""

QUIET = -55.0
"""dB of full scale, below which a frame is silent whatever the others are."""

RANGE = 25.0
"""dB below the loudest frames down to which a frame is speech, where the background is quiet."""

OVER_BACKGROUND = 6.0
"""dB above the quietest frames from which a frame is speech, where the background is loud."""

STEADY = 10.0
"""dB below the loudest frames that are speech in any case: of steady sound there is no quiet background."""

SPOKEN = 0.5
"""Share of a piece's frames in which there is speech."""


class SpeechWatch:
    """Looks on while a video is stored: counts its frames, and measures the sound under each."""

    def __init__(self) -> None:
        self._frames = 0
        self._energies: list[np.ndarray] = []
        self._rest = np.zeros(0, np.float32)

    def frames(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand frames on, and count them."""
        for frame in frames:
            self._frames += 1
            yield frame

    def sound(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand sound on, samples of 16 kHz in [-1, 1], shape (N,) each, and measure it."""
        for piece in pieces:
            whole = np.concatenate([self._rest, piece])
            count = len(whole) // SAMPLES_PER_FRAME
            blocks = whole[: count * SAMPLES_PER_FRAME].reshape(count, SAMPLES_PER_FRAME)
            self._energies.append(np.square(blocks, dtype=np.float64).mean(1))
            self._rest = whole[count * SAMPLES_PER_FRAME :]
            yield piece

    def columns(self, whole: bool = True) -> dict[str, str | None]:
        """The column ``speech`` of the video, when all was read; ``None`` in it of one without sound.

        Fakes have it too, for what is a fake the lists say, and they may change; stage 1 hears reals alone. Of a video
        whose sound is not ``whole`` no piece is heard.
        """
        if not self._energies:
            return {SPEECH: None}
        energies = np.concatenate(self._energies)[: self._frames]
        return {SPEECH: " ".join(map(str, speech_pieces(energies))) if whole else ""}


def speech_pieces(energies: np.ndarray, length: int = PIECE) -> list[int]:
    """First frames of pieces at speech, which do not overlap.

    Args:
        energies: mean square of the samples under each frame, shape (T,); full scale is 1.
        length: frames of a piece.
    """
    spoken = _spoken(energies) if len(energies) >= length else np.zeros(0, bool)
    heard = np.concatenate([[0], np.cumsum(spoken)])
    starts, place = [], 0
    for first in np.flatnonzero(spoken).tolist():
        start = min(first, len(spoken) - length)  # the last one ends with the video
        if start >= place and heard[start + length] - heard[start] >= SPOKEN * length:
            starts.append(start)
            place = start + length
    return starts


def _spoken(energies: np.ndarray) -> np.ndarray:
    """Whether there is speech under each frame: bool, shape (T,)."""
    levels = 10 * np.log10(np.maximum(energies, 1e-12))
    quiet, loud = np.percentile(levels, [10, 95])
    spoken: np.ndarray = levels > max(QUIET, min(loud - STEADY, max(loud - RANGE, quiet + OVER_BACKGROUND)))
    return spoken


def speech_notes(index: pd.DataFrame) -> list[str]:
    """What a store has for stage 1 beside LRW: a sentence for each data set whose training reals have sound."""
    if SPEECH not in index:
        return []
    said = []
    heard = index[SPEECH].notna() & (index["label"] == 0) & (index["split"] == "train") & (index["dataset"] != LRW)
    for name, rows in index[heard].groupby("dataset"):
        pieces, mute = int(rows[SPEECH].str.split().str.len().sum()), int(rows[SPEECH].eq("").sum())
        silent = f"; in {mute:,} of them nobody is heard" if mute else ""
        said.append(
            f"{name}: {pieces:,} pieces of {PIECE} frames at speech in {len(rows):,} real videos with sound{silent} "
            f"(stage1.datasets=[{name}] has stage 1 hear them)."
        )
    return said


def talking_faces(index: pd.DataFrame, datasets: Sequence[str], split: str) -> pd.DataFrame:
    """The clips of real talking faces that stage 1 hears: a row for each, with ``start``.

    Args:
        index: of a clip store.
        datasets: names of those that are heard.
        split: of the videos.

    Raises:
        TddError: the store has no such video of one of the data sets (outside training: of all of them), or does not
            say where people speak in its videos.
    """
    heard = index[index["audio"] & (index["label"] == 0) & (index["split"] == split)]
    known = sorted(set(heard["dataset"]))
    absent = [name for name in datasets if name not in known]
    if len(absent) == len(datasets) or (absent and split == "train"):
        raise TddError(
            f"The store has no real video with sound in split {split} of {', '.join(absent) or 'any data set'}, which "
            f"stage1.datasets names; it has such videos of: {', '.join(known) or 'none'}. Name those to hear, as "
            "--set 'stage1.datasets=[A, B]'."
        )
    heard = heard[heard["dataset"].isin(datasets)]
    cut, whole = heard[heard["dataset"] == LRW], heard[heard["dataset"] != LRW]
    if whole.empty:
        return cut.assign(**{START: ANYWHERE})
    if SPEECH not in whole or whole[SPEECH].isna().any():
        raise TddError(
            "The store does not say where people speak in the videos of "
            f"{', '.join(sorted(set(whole['dataset'])))}: an older version made it. Prepare it in a new folder."
        )
    pieces = whole.assign(**{START: whole[SPEECH].str.split()}).explode(START).dropna(subset=START)
    return pd.concat([cut.assign(**{START: ANYWHERE}), pieces.astype({START: int})], ignore_index=True)
