"""From phonemes to mouth shapes: a viseme for each IPA symbol, and tracks with co-articulation."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tdd.data.video import FPS
from tdd.errors import TddError

GRID = 200
"""Hz at which mouth movement is drawn before it is sampled at the centres of the frames."""

SMOOTHING = np.array([0.030, 0.036, 0.040, 0.022, 0.022])
"""Standard deviation in seconds of the smoothing of each component: lips travel more slowly than the tongue's tip."""

CLOSURE = 0.048
"""Shortest time in seconds that a bilabial keeps the lips shut: more than one frame, so that one always sees it."""

REST = (0.03, 0.5, 0.1, 0.0, 0.0)
"""The mouth between utterances."""

BILABIALS = frozenset("pbm")
"""Sounds made with shut lips."""

# Values are opening, width, protrusion, teeth, tongue. Widths use the whole of [0, 1], more than real lips would,
# because the width of a mouth is hard to see in a small crop.
VISEMES: dict[str, tuple[float, float, float, float, float]] = {
    **dict.fromkeys("pbm", (0.0, 0.5, 0.15, 0.0, 0.0)),
    **dict.fromkeys("fv", (0.10, 0.65, 0.0, 1.0, 0.0)),
    **dict.fromkeys("wʍ", (0.14, 0.0, 1.0, 0.0, 0.0)),
    **dict.fromkeys("θð", (0.24, 0.65, 0.0, 0.5, 1.0)),
    **dict.fromkeys("td", (0.20, 0.60, 0.05, 0.5, 0.6)),
    **dict.fromkeys("sz", (0.12, 0.85, 0.0, 0.9, 0.1)),
    **dict.fromkeys("ʃʒɕʑ", (0.20, 0.15, 0.9, 0.8, 0.0)),
    **dict.fromkeys("nɾ", (0.24, 0.55, 0.05, 0.3, 0.6)),
    **dict.fromkeys("lɫ", (0.32, 0.55, 0.05, 0.2, 1.0)),
    **dict.fromkeys("ɹr", (0.24, 0.25, 0.6, 0.2, 0.1)),
    **dict.fromkeys("kɡŋq", (0.30, 0.50, 0.1, 0.1, 0.0)),
    "h": (0.36, 0.55, 0.1, 0.1, 0.0),
    "j": (0.18, 0.95, 0.0, 0.6, 0.1),
    "i": (0.28, 1.00, 0.0, 0.7, 0.0),
    **dict.fromkeys("ɪᵻ", (0.34, 0.85, 0.0, 0.5, 0.0)),
    "ɯ": (0.24, 0.80, 0.0, 0.5, 0.0),
    "e": (0.48, 0.90, 0.0, 0.5, 0.0),
    "ɛ": (0.58, 0.82, 0.0, 0.4, 0.0),
    "æ": (0.82, 0.85, 0.0, 0.4, 0.0),
    **dict.fromkeys("aɑ", (1.0, 0.55, 0.05, 0.2, 0.0)),
    "ɐ": (0.84, 0.58, 0.05, 0.2, 0.0),
    "ʌ": (0.72, 0.50, 0.1, 0.2, 0.0),
    "ə": (0.46, 0.50, 0.1, 0.2, 0.0),
    "ɚ": (0.40, 0.30, 0.5, 0.2, 0.0),
    "ɜ": (0.50, 0.38, 0.4, 0.2, 0.0),
    "ɒ": (0.90, 0.30, 0.5, 0.1, 0.0),
    "ɔ": (0.80, 0.18, 0.7, 0.1, 0.0),
    "o": (0.60, 0.08, 0.9, 0.0, 0.0),
    "ʊ": (0.40, 0.10, 0.8, 0.0, 0.0),
    "u": (0.30, 0.0, 1.0, 0.0, 0.0),
    "ʉ": (0.30, 0.08, 0.9, 0.0, 0.0),
}
"""Mouth shape of each IPA symbol; diphthongs and affricates are sequences of symbols."""


@dataclass(frozen=True)
class Phone:
    """A sound with its time.

    Attributes:
        ipa: its IPA name as espeak-ng gives it, such as ``ˈoʊ``; empty for silence.
        start: seconds from the beginning of the clip; negative when the sound began before it.
        end: seconds.
    """

    ipa: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class MouthTrack:
    """How a mouth moves: float32 arrays of shape (T,), one value in [0, 1] for each frame.

    Attributes:
        opening: of jaw and lips; 0 is shut.
        width: 0 is rounded, 0.5 at rest, 1 spread.
        protrusion: how far the lips are pushed forward.
        teeth: how much of the upper teeth shows.
        tongue: how much of the tongue's tip shows.
    """

    opening: np.ndarray
    width: np.ndarray
    protrusion: np.ndarray
    teeth: np.ndarray
    tongue: np.ndarray


def symbols(ipa: str) -> str:
    """The IPA symbols of an espeak-ng phoneme without stress, length, diacritics and aspiration: ``oʊ`` of ``ˈoʊ``."""
    letters = "".join(c for c in ipa if unicodedata.category(c) in ("Ll", "Lo"))
    return letters if letters == "h" else letters.replace("h", "")


def viseme(symbol: str) -> tuple[float, float, float, float, float]:
    """Opening, width, protrusion, teeth and tongue of one IPA symbol.

    Raises:
        TddError: the table has no such symbol.
    """
    if symbol not in VISEMES:
        raise TddError(f"no mouth shape is known for the sound {symbol!r}; add it to VISEMES in tdd/synth/visemes.py.")
    return VISEMES[symbol]


def mouth_track(phones: Sequence[Phone], n_frames: int, fps: float = FPS, articulation: float = 1.0) -> MouthTrack:
    """Mouth movement of a sequence of sounds, sampled at the frame centres (t + 0.5) / fps.

    Args:
        phones: sounds in order of time; what they do not cover is silence.
        n_frames: T.
        fps: frames per second, Hz.
        articulation: how far the speaker moves away from rest; 1 is the table.

    Raises:
        TddError: a sound has no viseme.
    """
    margin = 0.2  # seconds before and after the clip, so that smoothing sees the neighbours
    times = (np.arange(round((n_frames / fps + 2 * margin) * GRID)) + 0.5) / GRID - margin
    shapes = np.tile(np.array(REST), (len(times), 1))
    for phone in phones:
        for symbol, start, end in _parts(phone):
            rest = np.array(REST)
            inside = (times >= start) & (times < end)
            shapes[inside] = rest + articulation * (np.array(viseme(symbol)) - rest)
    moved = np.stack([gaussian_filter1d(shapes[:, k], s * GRID, mode="nearest") for k, s in enumerate(SMOOTHING)])
    moved[0] *= 1 - _closures(phones, times)  # after smoothing, which would leave a short bilabial half open
    centres = (np.arange(n_frames) + 0.5) / fps
    sampled = (np.clip(np.interp(centres, times, row), 0, 1).astype(np.float32) for row in moved)
    return MouthTrack(*sampled)


def _parts(phone: Phone) -> list[tuple[str, float, float]]:
    """The symbols of a phone, each with an equal share of its time."""
    letters = symbols(phone.ipa)
    edges = np.linspace(phone.start, phone.end, len(letters) + 1)
    return list(zip(letters, edges[:-1], edges[1:], strict=True))


def _closures(phones: Sequence[Phone], times: np.ndarray) -> np.ndarray:
    """1 while the lips of a bilabial are shut, falling smoothly to 0 on both sides; shape of ``times``."""
    shut = np.zeros_like(times)
    for phone in phones:
        for symbol, start, end in _parts(phone):
            if symbol in BILABIALS:
                half = max(0.6 * (end - start), CLOSURE) / 2
                beyond = np.maximum(np.abs(times - (start + end) / 2) - half, 0)
                shut = np.maximum(shut, np.exp(-0.5 * (beyond / 0.018) ** 2))
    return shut
