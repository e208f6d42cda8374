"""espeak-ng through ctypes: text in, 22,050 Hz samples and timed phonemes out.

The library keeps global state (the phase of its flutter, for one) that no call resets, so that the same words come
out a little different after other words. Each utterance therefore loads the library anew and unloads it: 5 ms, and
the same input gives the same samples whatever was spoken before.
It is not safe in two threads at once; a lock guards it.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from tdd.errors import TddError
from tdd.synth.visemes import Phone

RATE = 22_050
"""Samples per second, Hz, of espeak-ng's output."""

HOLD = 0.042
"""Seconds of silence that espeak-ng makes before the burst of a voiceless stop (measured on its output)."""

BURST = 0.01
"""Seconds after its mark that a voiceless stop lasts; the breath that follows is shaped by the next sound."""

_VOICELESS, _AFFRICATES = ("p", "t", "k"), ("tʃ", "tɕ")

# Constants of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 1, 2, 0x8000
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4
_CHARS_UTF8 = 1
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7

_LOCK = threading.Lock()


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Utterance:
    """What espeak-ng said.

    Attributes:
        samples: sound in [-1, 1], float32, shape (N,), at ``RATE`` Hz.
        phones: sounds and pauses with their times in seconds.
        words: for each phone, the number of the word in the text that it belongs to.
    """

    samples: np.ndarray
    phones: tuple[Phone, ...]
    words: tuple[int, ...]


@dataclass
class _Recording:
    """Collects what the library hands to its callback."""

    text: str
    pieces: list[np.ndarray] = field(default_factory=list)
    marks: list[tuple[int, str, int]] = field(default_factory=list)  # sample, IPA name, number of the word
    word: int = 0

    def __call__(self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wave and count > 0:
            self.pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())  # the library reuses its buffer
        index = 0
        while events[index].type != _EVENT_END:
            self._note(events[index])
            index += 1
        return 0  # go on; 1 would stop it

    def _note(self, event: _Event) -> None:
        if event.type == _EVENT_WORD:
            self.word = len(self.text[: event.text_position - 1].split())  # it counts characters from 1
        elif event.type == _EVENT_PHONEME:
            # The name has room for 8 bytes, and may end within a character.
            self.marks.append((event.sample, event.id.string.decode("utf-8", "ignore"), self.word))

    def utterance(self) -> Utterance:
        samples = np.concatenate(self.pieces).astype(np.float32) / 32768
        edges = np.array([sample for sample, _, _ in self.marks] + [len(samples)]) / RATE
        names = [ipa for _, ipa, _ in self.marks]
        phones = tuple(Phone(ipa, *span) for ipa, span in zip(names, _hold_stops(names, edges), strict=True))
        return Utterance(samples, phones, tuple(word for _, _, word in self.marks))


def _hold_stops(names: list[str], edges: np.ndarray) -> list[tuple[float, float]]:
    """Start and end in seconds of each phoneme, with voiceless stops moved to where the mouth makes them.

    espeak-ng marks a voiceless stop at its burst; the silence of its hold lies before the mark, at the end of the sound
    before. Here such a stop begins with its hold, and what follows the burst belongs to the next sound.
    """
    starts: list[float] = []
    for k, name in enumerate(names):
        start = edges[k]
        if name[:1] in _VOICELESS:
            # Never more than 0.6 of the sound before: a short one would else be used up.
            start -= min(HOLD, 0.6 * (edges[k] - edges[k - 1]) if k else edges[k])
        elif k and names[k - 1][:1] in _VOICELESS and names[k - 1][:2] not in _AFFRICATES:
            start = min(start, edges[k - 1] + BURST)
        starts.append(max(float(start), starts[-1] if starts else 0.0))
    return list(zip(starts, [*starts[1:], float(edges[-1])], strict=True))


def synthesise(text: str, voice: str, rate: int = 160, pitch: int = 50, pitch_range: int = 50) -> Utterance:
    """Speak a text.

    Args:
        text: words parted by single spaces; a comma after a word makes a pause.
        voice: espeak-ng voice, with a variant after ``+`` if wanted: ``en-us+f3``.
        rate: words per minute, 80 to 450.
        pitch: base pitch, 0 to 99.
        pitch_range: 0 (monotone) to 99.

    Raises:
        TddError: the library is missing or cannot be loaded, or does not know the voice.
    """
    recording = _Recording(text)
    callback = _Callback(recording)  # held by a name, for the library's pointer keeps nothing alive
    with _LOCK, _library() as library:
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise TddError(f"espeak-ng has no voice {voice!r}; see the lists in tdd/synth/speech.py.")
        parameters = ((_PARAMETER_RATE, rate), (_PARAMETER_PITCH, pitch), (_PARAMETER_RANGE, pitch_range))
        for number, value in parameters:
            library.espeak_SetParameter(number, value, 0)
        data = text.encode() + b"\0"
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 0, 0, _CHARS_UTF8, None, None)
    if not recording.pieces or not recording.marks:
        raise TddError(f"espeak-ng said nothing for {text!r} in the voice {voice!r}; check the text's language.")
    return recording.utterance()


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    """A freshly loaded and initialised espeak-ng, unloaded at the end."""
    mend = "run: pip install espeakng-loader"
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
    except ImportError as error:
        raise TddError(f"the synthetic benchmark needs espeak-ng to speak; {mend}") from error
    except OSError as error:
        raise TddError(f"the espeak-ng library does not load ({error}); {mend}") from error
    try:
        # Without _DONT_EXIT the library ends the whole process where its data are missing.
        options = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        if library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), options) != RATE:
            raise TddError(f"espeak-ng does not start with its data in {data}; {mend}")
        yield library
        library.espeak_Terminate()
    finally:
        _unload()(library._handle)


def _unload() -> Callable[[int], object]:
    """The system's call that unloads a shared library."""
    if sys.platform == "win32":
        free = ctypes.WinDLL("kernel32").FreeLibrary
        free.argtypes = [ctypes.c_void_p]
        return free
    import _ctypes  # ctypes has no public call for it

    return _ctypes.dlclose
