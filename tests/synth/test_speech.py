import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from tdd.errors import TddError
from tdd.synth import espeak
from tdd.synth.speech import ACCENTS, VARIANTS, WORDS, draw_voice, speak, speak_running, words_of
from tdd.synth.visemes import BILABIALS, VISEMES, Phone, mouth_track, symbols

LANGUAGES = ("en", "ko")


def running(seed, language="en", n_frames=50):
    rng = np.random.default_rng(seed)
    return speak_running(rng, draw_voice(rng, language), n_frames, language)


def fine_opening(phones, seconds):
    """Mouth opening at 1,000 Hz."""
    return mouth_track(phones, round(1000 * seconds), fps=1000).opening


@pytest.mark.parametrize("language", LANGUAGES)
def test_word_lists_are_long_and_without_repeats(language):
    assert len(WORDS[language]) == len(set(WORDS[language])) >= 64


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sound_of_every_accent_has_a_mouth_shape(language):
    words = WORDS[language]
    for accent in ACCENTS[language]:
        alone = [phone.ipa for word in words[::2] for phone in espeak.synthesise(word, accent).phones]
        flowing = [phone.ipa for phone in espeak.synthesise(" ".join(words), accent).phones]
        sounds = {symbol for ipa in alone + flowing for symbol in symbols(ipa)}
        assert len(sounds) > 20
        assert sounds <= set(VISEMES)


def test_mouth_shapes_lie_in_the_unit_interval_and_use_it():
    table = np.array(list(VISEMES.values()))
    assert table.min(0).tolist() == [0, 0, 0, 0, 0]
    assert table.max(0).tolist() == [1, 1, 1, 1, 1]


def test_symbols_drop_stress_length_diacritics_and_aspiration():
    assert [symbols(ipa) for ipa in ("ˈoʊ", "ɔːɹ", "a:", "t̪", "k-", "ph", "h", "ʲ", "")] == [
        *("oʊ", "ɔɹ", "a", "t", "k", "p", "h", "", "")
    ]


def test_an_unknown_sound_is_named():
    with pytest.raises(TddError, match="no mouth shape is known for the sound 'ʘ'"):
        mouth_track([Phone("ʘ", 0, 1)], 25)


@pytest.mark.parametrize("language", LANGUAGES)
def test_lips_are_shut_in_the_middle_of_every_bilabial(language):
    shut = []
    for seed in range(8):
        speech = running(seed, language)
        opening = fine_opening(speech.phones, 2.0)
        for phone in speech.phones:
            middle = (phone.start + phone.end) / 2
            if symbols(phone.ipa) in BILABIALS and 0 < middle < 2:
                shut.append(opening[int(1000 * middle)])
    assert len(shut) > 15
    assert max(shut) < 0.02


@pytest.mark.parametrize("language", LANGUAGES)
def test_lips_and_sound_are_in_step(language):
    """Pooled over many utterances, loudness and mouth opening correlate best without a lag."""
    loudness, opening = [], []
    for seed in range(40):
        speech = running(seed, language)
        loud = np.log(np.sqrt((speech.samples.reshape(50, -1) ** 2).mean(1)) + 0.01)
        loudness.append(loud - loud.mean())
        opening.append(speech.mouth.opening - speech.mouth.opening.mean())
    lags = range(-5, 6)
    a, b = np.array(loudness)[:, 5:-5], np.array(opening)
    r = [np.corrcoef(a.ravel(), b[:, 5 + lag : 45 + lag].ravel())[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(r))]) <= 1
    assert max(r) > 0.45
    assert r[5] > 0.9 * max(r)


def test_vowels_open_more_than_consonants():
    opening = {"vowel": [], "consonant": []}
    for seed in range(5):
        speech = running(seed)
        track = fine_opening(speech.phones, 2.0)
        for phone in speech.phones:
            middle = int(500 * (phone.start + phone.end))
            kind = {"ɑ": "vowel", "æ": "vowel", "ʌ": "vowel", "s": "consonant", "f": "consonant", "v": "consonant"}
            if 0 <= middle < 2000 and symbols(phone.ipa) in kind:
                opening[kind[symbols(phone.ipa)]].append(track[middle])
    assert min(map(len, opening.values())) >= 5
    assert np.mean(opening["vowel"]) > np.mean(opening["consonant"]) + 0.3


def test_rounding_narrows_and_spreading_widens():
    middle = [mouth_track([Phone(ipa, 0.3, 0.6)], 25).width[11] for ipa in ("uː", "iː")]
    assert middle[0] < 0.1 < 0.9 < middle[1]


def test_a_short_bilabial_still_shuts_one_frame():
    for offset in np.linspace(0, 0.04, 9):
        phones = [
            Phone("ɑː", 0.1, 0.5 + offset),
            Phone("b", 0.5 + offset, 0.51 + offset),
            Phone("ɑː", 0.51 + offset, 1),
        ]
        assert mouth_track(phones, 25).opening[10:16].min() < 0.02


def test_silence_rests():
    track = mouth_track([], 4)
    np.testing.assert_allclose(track.opening, 0.03, atol=1e-6)
    np.testing.assert_allclose(track.width, 0.5, atol=1e-6)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_word_is_in_the_middle_of_its_clip(language):
    for seed, word in enumerate(WORDS[language][:12]):
        rng = np.random.default_rng(seed)
        speech = speak(rng, draw_voice(rng, language), word, 29, language)
        assert speech.word == word
        assert abs((speech.word_start + speech.word_end) / 2 - 0.58) <= 0.031
        assert 0.15 < speech.word_end - speech.word_start < 1.0
        assert speech.samples.shape == (18_560,)
        assert speech.samples.dtype == np.float32
        assert 0.3 < np.abs(speech.samples).max() <= 1
        assert speech.mouth.opening.shape == (29,)


def test_the_spoken_word_is_the_word_asked_for():
    """The sounds inside the word's span are those of the word alone."""
    agree = 0
    for seed, word in enumerate(WORDS["en"][:20]):
        rng = np.random.default_rng(seed)
        voice = draw_voice(rng)
        speech = speak(rng, voice, word, 29)
        inside = [p.ipa for p in speech.phones if speech.word_start <= p.start < speech.word_end]
        alone = [p.ipa for p in espeak.synthesise(word, voice.name, voice.rate).phones if p.ipa]
        agree += "".join(map(symbols, inside)) == "".join(map(symbols, alone))
    assert agree >= 18  # neighbours may link or weaken a sound


def test_the_same_seed_gives_the_same_samples_whatever_was_spoken_before():
    voice = draw_voice(np.random.default_rng(5))
    first = speak(np.random.default_rng(1), voice, "summer", 29)
    for seed in range(4):
        running(seed)
        running(seed, "ko", 20)
        again = speak(np.random.default_rng(1), voice, "summer", 29)
        np.testing.assert_array_equal(again.samples, first.samples)
        assert again.phones == first.phones


def test_every_timbre_repeats_its_samples():
    for variant in VARIANTS:
        takes = [espeak.synthesise(text, f"en-us+{variant}") for text in ("whisper", "zebra", "whisper")]
        np.testing.assert_array_equal(takes[0].samples, takes[2].samples)


def test_another_seed_gives_another_clip():
    voice = draw_voice(np.random.default_rng(5))
    a, b = (speak(np.random.default_rng(seed), voice, "summer", 29) for seed in (1, 2))
    assert not np.array_equal(a.samples, b.samples)


def test_voices_vary():
    voices = [draw_voice(np.random.default_rng(seed)) for seed in range(60)]
    assert len({voice.name for voice in voices}) > 30
    assert len({voice.pitch for voice in voices}) > 15


def test_phones_follow_one_another():
    phones = espeak.synthesise("popcorn took teacher, happy cat", "en-us").phones
    assert all(p.start <= p.end for p in phones)
    assert all(a.end == b.start for a, b in pairwise(phones))


def test_a_voiceless_stop_begins_with_its_silence():
    spoken = espeak.synthesise("papa", "en-us")
    stop = [phone for phone in spoken.phones if phone.ipa == "p"][1]
    middle = int((stop.start + 0.021) * espeak.RATE)
    around = np.abs(spoken.samples[middle - 110 : middle + 110]).max()
    assert around < 0.1 * np.abs(spoken.samples).max()


def test_running_speech_fills_the_clip():
    speech = running(0, n_frames=120)
    assert speech.samples.shape == (76_800,)
    assert speech.phones[-1].end > 4.0
    assert speech.mouth.opening[60:].std() > 0.1


def test_unknown_language_voice_and_word_count_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(TddError, match="language 'fr' is unknown"):
        draw_voice(rng, "fr")
    with pytest.raises(TddError, match="no voice 'xx-none'"):
        espeak.synthesise("word", "xx-none")
    with pytest.raises(TddError, match="1 to 72"):
        words_of("en", 73)


def test_a_missing_wheel_is_named_with_its_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(TddError, match="pip install espeakng-loader"):
        espeak.synthesise("word", "en-us")


def test_a_library_that_does_not_load_is_named_with_its_mend(monkeypatch, tmp_path):
    broken = SimpleNamespace(get_library_path=lambda: str(tmp_path / "libespeak-ng.so"), get_data_path=lambda: "")
    monkeypatch.setitem(sys.modules, "espeakng_loader", broken)
    with pytest.raises(TddError, match=r"does not load .* pip install espeakng-loader"):
        espeak.synthesise("word", "en-us")
