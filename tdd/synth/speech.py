"""Speech for the embedded benchmark: real words spoken by espeak-ng, with timed phonemes and a moving mouth.

espeak-ng (GPL-3.0) is not part of this package: the ``espeakng-loader`` wheel carries it as a shared library, which is
loaded at run time, and only to make the benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import resample_poly

from tdd.data.video import FPS, SAMPLE_RATE
from tdd.errors import TddError
from tdd.synth import espeak
from tdd.synth.visemes import MouthTrack, Phone, mouth_track
from tdd.synth.words import WORDS

ACCENTS: dict[str, tuple[str, ...]] = {
    "en": ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd", "en-us-nyc", "en-029"),
    "ko": ("ko",),
}
"""espeak-ng voices of each language."""

VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7"),
    *("f1", "f4", "Andrea", "Annie", "aunty", "belinda", "linda"),
)
"""espeak-ng's male and female timbres that go with every accent.

Those with breath (f2, f3, f5) are left out: it is drawn from the C library's random numbers, which nothing here seeds.
"""


@dataclass(frozen=True)
class Voice:
    """How one speaker sounds; drawn without regard to the face.

    Attributes:
        name: espeak-ng voice and variant, such as ``en-us+f3``.
        rate: words per minute.
        pitch: base pitch, 0 to 99 (espeak-ng's scale; 50 is its default).
        pitch_range: liveliness of the pitch, 0 to 99.
        articulation: how far the mouth moves away from rest; 1 is the viseme table.
    """

    name: str
    rate: int
    pitch: int
    pitch_range: int
    articulation: float


@dataclass(frozen=True)
class Speech:
    """A spoken clip.

    Attributes:
        samples: mono sound in [-1, 1] at 16 kHz, float32, shape (N,).
        phones: the sounds with their times in seconds from the clip's beginning.
        mouth: movement of the mouth at 25 frames per second.
        word: the word in the middle of the clip, or ``""`` in running speech.
        word_start: seconds.
        word_end: seconds.
    """

    samples: np.ndarray
    phones: tuple[Phone, ...]
    mouth: MouthTrack
    word: str = ""
    word_start: float = 0.0
    word_end: float = 0.0


def known_language(language: str) -> str:
    """The language, where the benchmark speaks it.

    Raises:
        TddError: it does not.
    """
    if language not in WORDS:
        raise TddError(f"language {language!r} is unknown to the synthetic benchmark; it speaks {', '.join(WORDS)}.")
    return language


def draw_voice(rng: np.random.Generator, language: str = "en") -> Voice:
    """Draw a speaker's voice.

    Raises:
        TddError: the language has no voices here.
    """
    accents = ACCENTS[known_language(language)]
    name = f"{accents[rng.integers(len(accents))]}+{VARIANTS[rng.integers(len(VARIANTS))]}"
    return Voice(
        name=name,
        rate=int(rng.integers(135, 186)),
        pitch=int(rng.integers(25, 76)),
        pitch_range=int(rng.integers(25, 76)),
        articulation=float(rng.uniform(1.0, 1.3)),
    )


def speak(
    rng: np.random.Generator, voice: Voice, word: str, n_frames: int, language: str = "en", fps: int = FPS
) -> Speech:
    """Say ``word`` in the middle of a clip, most often between other words, as LRW cuts its clips from running speech.

    Args:
        rng: draws the neighbouring words, the level, the noise and the word's small offset from the middle.
        voice: the speaker.
        word: any word that espeak-ng can say in this language.
        n_frames: length of the clip in video frames.
        language: where neighbouring words are drawn from.
        fps: video frames per second, Hz.

    Raises:
        TddError: the language is unknown, or espeak-ng is missing.
    """
    spoken, index = _in_context(rng, voice, word, language)
    start, end = _word_span(spoken, index)
    duration = n_frames / fps
    shift = duration / 2 + rng.uniform(-0.03, 0.03) - (start + end) / 2
    samples, phones, mouth = _clip(rng, voice, spoken, shift, n_frames, fps)
    return Speech(samples, phones, mouth, word, start + shift, end + shift)


def speak_running(
    rng: np.random.Generator, voice: Voice, n_frames: int, language: str = "en", fps: int = FPS
) -> Speech:
    """Running speech of random words with a pause now and then, cut at a random instant.

    Args:
        rng: draws the words, the pauses, the level and the noise.
        voice: the speaker.
        n_frames: length of the clip in video frames.
        language: where words are drawn from.
        fps: video frames per second, Hz.

    Raises:
        TddError: the language is unknown, or espeak-ng is missing.
    """
    words = WORDS[known_language(language)]
    duration = n_frames / fps
    count = int(np.ceil(2.6 * duration)) + 2  # a word takes about 0.45 s
    drawn = [words[k] for k in rng.integers(len(words), size=count)]
    pauses = rng.random(count) < 0.2
    text = " ".join(word + ("," if pause else "") for word, pause in zip(drawn, pauses, strict=True))
    spoken = espeak.synthesise(text, voice.name, voice.rate, voice.pitch, voice.pitch_range)
    spare = max(0.0, len(spoken.samples) / espeak.RATE - duration)
    samples, phones, mouth = _clip(rng, voice, spoken, -rng.uniform(0, spare), n_frames, fps)
    return Speech(samples, phones, mouth)


def _in_context(rng: np.random.Generator, voice: Voice, word: str, language: str) -> tuple[espeak.Utterance, int]:
    """Say a word with neighbours; returns the utterance and the word's number in it.

    Where two like sounds meet, espeak-ng may not mark the border of the words; then other neighbours are drawn.
    """
    for attempt in range(9):
        chance = 0.8 if attempt < 8 else 0.0  # the last try has no neighbours, and so no border to lose
        before, after = _neighbours(rng, language, chance), _neighbours(rng, language, chance)
        text = [*before, word, *after]
        spoken = espeak.synthesise(" ".join(text), voice.name, voice.rate, voice.pitch, voice.pitch_range)
        if set(spoken.words) == set(range(len(text))):
            break
    return spoken, len(before)


def _neighbours(rng: np.random.Generator, language: str, probability: float) -> list[str]:
    words = WORDS[known_language(language)]
    chosen = [words[k] for k in rng.integers(len(words), size=2)]
    return chosen if rng.random() < probability else []


def _word_span(spoken: espeak.Utterance, index: int) -> tuple[float, float]:
    """Start and end in seconds of the ``index``-th word of an utterance."""
    # A pause counts to the word before it, and has no name.
    inside = [phone for phone, word in zip(spoken.phones, spoken.words, strict=True) if word == index and phone.ipa]
    return inside[0].start, inside[-1].end


def _clip(
    rng: np.random.Generator, voice: Voice, spoken: espeak.Utterance, shift: float, n_frames: int, fps: int
) -> tuple[np.ndarray, tuple[Phone, ...], MouthTrack]:
    """Move an utterance by ``shift`` seconds, cut it to the clip, draw level and room noise, and move the mouth."""
    phones = tuple(Phone(p.ipa, p.start + shift, p.end + shift) for p in spoken.phones)
    length = round(n_frames / fps * SAMPLE_RATE)
    sound = _resample(spoken.samples)
    clip = np.zeros(length, np.float64)
    offset = round(shift * SAMPLE_RATE)
    first, last = max(0, offset), min(length, offset + len(sound))
    clip[first:last] = sound[first - offset : last - offset]
    return _room(rng, clip), phones, mouth_track(phones, n_frames, fps, voice.articulation)


def _resample(samples: np.ndarray) -> np.ndarray:
    """From 22,050 Hz to 16 kHz: the ratio is 320 / 441."""
    return resample_poly(samples.astype(np.float64), 320, 441)


def _room(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Draw the peak level and add a little noise, partly hiss and partly hum-like rumble; float32."""
    level = rng.uniform(0.35, 0.8) / max(float(np.abs(clip).max()), 1e-6)  # a clip may hold nothing but a pause
    hiss = rng.standard_normal(len(clip))
    rumble = gaussian_filter1d(rng.standard_normal(len(clip)), 12.0)  # what is left lies below some 200 Hz
    noise = hiss + rng.uniform(0, 2) * rumble / rumble.std()
    mixed = level * clip + 10 ** rng.uniform(-3.3, -2.4) * noise / noise.std()  # -66 to -48 dB
    return np.clip(mixed, -1, 1).astype(np.float32)


def words_of(language: str, count: int) -> Sequence[str]:
    """The first ``count`` words of a language.

    Raises:
        TddError: the language is unknown or has fewer words.
    """
    words = WORDS[known_language(language)]
    if not 1 <= count <= len(words):
        raise TddError(
            f"{count} words were asked for; the list of {language!r} has {len(words)}: take 1 to {len(words)}."
        )
    return words[:count]
