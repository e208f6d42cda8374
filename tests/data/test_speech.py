"""Where somebody speaks, and what stage 1 hears of it."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from tdd.config import load_recipe
from tdd.data.clips import Draw, PretrainingClips, pick_words, spread_words
from tdd.data.speech import PIECE, SpeechWatch, speech_notes, speech_pieces, talking_faces
from tdd.data.store import ClipStore, write_clip, write_index
from tdd.errors import TddError
from tdd.machine.files import write_json
from tdd.pretrain import Pretraining, pretrain, word_loss


def sound(*parts, level=0.2, noise=0.0):
    """Noise of ``level`` for (frames, True), or only ``noise``, one part after the other; samples at 16 kHz."""
    rng = np.random.default_rng(0)
    return np.concatenate([
        rng.normal(0, level if spoken else max(noise, 1e-9), frames * 640) for frames, spoken in parts
    ]).astype(np.float32)  # fmt: skip


def starts(samples, frames=None):
    watch = SpeechWatch()
    count = len(samples) // 640 if frames is None else frames
    assert len(list(watch.frames(range(count)))) == count
    pieces = np.array_split(samples, 7)
    assert np.array_equal(np.concatenate(list(watch.sound(pieces))), samples)
    return watch.columns()["speech"]


def test_pieces_lie_where_there_is_sound_and_do_not_overlap():
    talk = sound((20, False), (60, True), (50, False), (40, True), (5, False))
    assert starts(talk) == "20 49 130"  # 78 to 79 are two frames, too few of a piece; 159 to 169 are eleven
    assert (
        starts(sound((100, True))) == "0 29 58"
    )  # steady sound has no pauses, and 87 to 99 hold no piece of their own
    assert starts(sound((100, False))) == ""
    assert starts(sound((10, True), (20, False))) == ""  # a word in thirty frames of silence


@pytest.mark.parametrize("noise", [0.001, 0.02, 0.05])
def test_background_noise_moves_no_piece(noise):
    parts = ((31, False), (29, True), (40, False), (29, True), (31, False))
    assert starts(sound(*parts, noise=noise)) == "31 100"


def test_whispers_are_heard_and_hiss_alone_is_not():
    parts = ((31, False), (29, True), (31, False))
    assert starts(sound(*parts, level=0.01, noise=1e-4)) == "31"
    assert starts(sound(*parts, level=0.001, noise=1e-4)) == ""


def test_sound_beyond_the_last_frame_and_short_videos_give_no_piece():
    assert starts(sound((200, True)), frames=60) == "0 29"
    assert starts(sound((28, True))) == "" and speech_pieces(np.ones(PIECE)) == [0]
    assert SpeechWatch().columns() == {"speech": None}


@pytest.mark.parametrize("length", [1, 5, 29])
def test_pieces_of_any_sound_hold_speech_and_lie_within(length):
    rng = np.random.default_rng(length)
    for _ in range(50):
        energies = np.where(rng.random(rng.integers(0, 120)) < 0.4, 0.04, 1e-12)
        found = speech_pieces(energies, length)
        assert all(b - a >= length for a, b in itertools.pairwise(found))
        assert all(start >= 0 and (energies[start : start + length] > 1e-6).mean() >= 0.5 for start in found)
        assert not found or found[-1] + length <= len(energies)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Talking faces of one data set, of which the frames count: frame k of a video is of grey level k."""
    folder = tmp_path_factory.mktemp("faces")
    rows = []
    for number in range(8):
        for split in ("train", "val"):
            frames = np.broadcast_to(np.arange(70, dtype=np.uint8)[:, None, None, None], (70, 42, 42, 3))
            samples = [np.random.default_rng(number).uniform(-0.5, 0.5, 70 * 640).astype(np.float32)]
            row = {"video_id": f"F/{split}{number}", "dataset": "Faces", "method": "real", "split": split, "word": ""}
            row |= {"label": 0, "path": "", "identities": "", "speech": "3 41" if number else "10"}
            rows.append(write_clip(folder, row, frames, samples))
    write_json(folder / "plan.json", {"synthetic": True, "canvas": 72, "crop": 42, "frame_rate": "timestamps"})
    write_index(folder, rows)
    return ClipStore(folder)


def test_each_piece_is_a_clip_and_a_clip_stays_within_it(store):
    faces = talking_faces(store.index, ("Faces",), "train")
    assert faces[["video_id", "start"]].values.tolist()[:3] == [["F/train0", 10], ["F/train1", 3], ["F/train1", 41]]
    assert len(faces) == 15
    clips = PretrainingClips(store, faces, load_recipe("tiny"), train=True, raw=True)
    assert clips.words == {}
    first = {int(clips[Draw(2, (seed,))]["frames"][0, 0, 0, 0]) for seed in range(60)}
    assert first == set(range(41, 41 + PIECE - 25 + 1))
    held = PretrainingClips(store, faces, load_recipe("tiny"), train=False, raw=True)
    assert int(held[Draw(0, (0,))]["frames"][0, 0, 0, 0]) == 10 + 2


def test_fewer_pieces_are_spread_over_the_videos(store):
    faces = talking_faces(store.index, ("Faces",), "train")
    assert pick_words(faces, 8)["video_id"].nunique() == 8
    assert set(pick_words(faces, 8)["start"]) == {10, 3}
    assert spread_words(faces, 8)["video_id"].nunique() == 8 and len(spread_words(faces, 0)) == 15


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(("datasets", "absent"), [(("LRW",), "LRW"), (("Faces", "Vox"), "Vox"), ((), "any data set")])
def test_what_is_not_heard_is_told_with_the_setting_and_what_there_is(store, datasets, absent, split):
    """Of the default too: who has no LRW has to learn that there is a setting."""
    said = (
        rf"^The store has no real video with sound in split {split} of {absent}, which stage1\.datasets names; "
        r"it has such videos of: Faces\. Name those to hear, as --set 'stage1\.datasets=\[A, B\]'\.$"
    )
    if split == "val" and "Faces" in datasets:  # validation need not be of every data set
        assert set(talking_faces(store.index, datasets, split)["dataset"]) == {"Faces"}
        return
    with pytest.raises(TddError, match=said):
        talking_faces(store.index, datasets, split)


def test_a_data_set_without_sound_is_not_one_that_is_heard(store):
    mute = store.index.assign(audio=False)
    with pytest.raises(TddError, match=r"of Faces, which stage1\.datasets names; it has such videos of: none"):
        talking_faces(mute, ("Faces",), "train")


def test_where_people_speak_has_to_be_known(store):
    with pytest.raises(TddError, match="does not say where people speak in the videos of Faces"):
        talking_faces(store.index.drop(columns="speech"), ("Faces",), "train")


def test_a_store_says_what_it_has_to_hear(store):
    (said,) = speech_notes(store.index)
    assert said.startswith(
        "Faces: 15 pieces of 29 frames at speech in 8 real videos with sound (stage1.datasets=[Faces]"
    )
    quiet = store.index.assign(speech=["", None, *store.index["speech"][2:]])
    assert (
        "12 pieces of 29 frames at speech in 7 real videos with sound; in 1 of them nobody is heard"
        in speech_notes(quiet)[0]
    )
    assert speech_notes(store.index.drop(columns="speech")) == []


def test_fakes_and_mute_videos_are_not_heard(store):
    index = store.index.assign(label=[1] + [0] * 15, audio=[True, False] + [True] * 14)
    assert len(talking_faces(index, ("Faces",), "train")) == 15 - 1 - 2


def test_stage_1_runs_without_words_and_has_no_prober(store, tmp_path):
    tiny = load_recipe("tiny")
    recipe = dataclasses.replace(tiny, stage1=dataclasses.replace(tiny.stage1, datasets=("Faces",), epochs=2))
    assert Pretraining("cnn_gru_attention", recipe, 0, 1).prober is None
    record = pretrain(store, "cnn_gru_attention", recipe, tmp_path / "run")
    assert record["data"]["words"] == 0 and record["data"]["clips"] == 15
    assert "prober" not in record["metrics"] and np.isfinite(record["metrics"]["loss"])


def test_clips_longer_than_a_piece_are_refused(store):
    recipe = load_recipe("tiny")
    long = dataclasses.replace(recipe, clip=dataclasses.replace(recipe.clip, frames=30))
    with pytest.raises(TddError, match="pieces of 29"):
        PretrainingClips(store, talking_faces(store.index, ("Faces",), "train"), long, train=True)


def test_words_are_known_of_some_clips_alone(store):
    faces = pd.concat([talking_faces(store.index, ("Faces",), "train")] * 2, ignore_index=True)
    faces["word"] = ["hello", ""] * 15
    clips = PretrainingClips(store, faces, load_recipe("tiny"), train=True)
    assert clips.words == {"hello": 0}
    assert [clips[Draw(row, (0,))]["word"] for row in (0, 1)] == [0, -1]


def test_the_prober_learns_from_known_words_alone():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.cross_entropy(logits[[0, 3]], torch.tensor([2, 1]))
    assert torch.allclose(word_loss(logits, torch.tensor([2, -1, -1, 1, -1])), wanted)
    assert word_loss(logits, torch.full((5,), -1)) == 0
