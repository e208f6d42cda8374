import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from tdd.config import load_recipe
from tdd.data import clips as clips_module
from tdd.data.augment import views
from tdd.data.clips import (
    CompanionBatches,
    DetectionClips,
    Draw,
    EpochBatches,
    PairBatches,
    PretrainingClips,
    ScoredClips,
    fixed_batches,
    loader,
    pick_words,
)
from tdd.data.loading import Loader, on_device
from tdd.errors import TddError
from tests.stores import random_store

RECIPE = load_recipe("tiny")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"))


def rows(batches):
    return [[draw.row for draw in batch] for batch in batches]


def test_an_epoch_shows_each_row_once_and_joined_rows_evenly():
    batches = EpochBatches(22, 4, seed=1)
    drawn = np.array(rows(batches))
    assert drawn.shape == (5, 4) and len(set(drawn.ravel())) == 20
    joined = np.array(rows(CompanionBatches(6, 2, batches)))
    assert joined.shape == (5, 2)
    counts = np.bincount(joined.ravel(), minlength=6)
    assert counts.sum() == 10 and counts.max() - counts.min() <= 1


def test_parts_of_a_batch_hold_the_clips_of_the_whole():
    whole, parts = EpochBatches(20, 8, seed=1), EpochBatches(20, 8, seed=1, parts=4)
    assert len(parts) == 4 * len(whole) == 8
    assert np.reshape(rows(parts), (2, 8)).tolist() == rows(whole)
    assert len(CompanionBatches(3, 4, parts)) == 8 and {len(b) for b in CompanionBatches(3, 4, parts)} == {1}


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_each_fake_comes_once_with_its_own_real(parts, alike):
    own = {fake: 100 + fake // 3 for fake in range(22)}
    lengths = [30] * 200 if alike else None
    drawn = list(PairBatches(own, 8, seed=1, parts=parts, lengths=lengths))
    assert len(drawn) == 5 * parts and {len(batch) for batch in drawn} == {8 // parts}
    pairs = [pair for batch in drawn for pair in zip(batch[::2], batch[1::2], strict=True)]
    assert len({fake.row for fake, _ in pairs}) == 20
    assert all(own[fake.row] == real.row for fake, real in pairs)
    assert {fake.seed == real.seed for fake, real in pairs} == {alike}
    whole = [draw for batch in PairBatches(own, 8, seed=1, lengths=lengths) for draw in batch]
    assert [draw for batch in drawn for draw in batch] == whole


@pytest.mark.parametrize("devices", [2, 4])
def test_devices_share_pairs_with_as_many_reals_each(devices, monkeypatch):
    own = {fake: 100 + fake // 4 for fake in range(24)}
    whole = list(PairBatches(own, 8, seed=1))
    shares = []
    for rank in range(devices):
        monkeypatch.setattr(clips_module, "world", lambda: devices)
        monkeypatch.setattr(clips_module, "my_share", lambda part, rank=rank: part[rank::devices])
        shares.append(list(PairBatches(own, 8, seed=1)))
    for part, parted in zip(whole, zip(*shares, strict=True), strict=True):
        assert {sum(draw.row >= 100 for draw in share) for share in parted} == {4 // devices}
        assert {draw for share in parted for draw in share} == set(part) and sum(map(len, parted)) == 8
    with pytest.raises(TddError, match=rf"{devices} devices cannot share 8 clips in 8 part"):
        PairBatches(own, 8, seed=1, parts=8)


def test_a_pair_by_the_same_draws_is_shown_alike(store):
    """A fake of the same pixels as its real gives the same views; by its own draws it does not."""
    table = store.index[store.index["method"] == "real"].head(1)
    pair = pd.concat([table.assign(label=1), table], ignore_index=True)
    clips = DetectionClips(store, pair, RECIPE)
    for alike in (True, False):
        lengths = pair["frames"].tolist() if alike else None
        fake, real = (clips[draw] for draw in next(iter(PairBatches({0: 1, 1: 1}, 4, seed=3, lengths=lengths)))[:2])
        same = [np.array_equal(fake[name], real[name]) for name in ("noisy", "clean")]
        assert same == [alike, alike] and (fake["label"], real["label"]) in ((1, 0), (0, 0))


def test_a_pair_of_different_lengths_shows_the_same_frames(store):
    """As in FaceForensics++, where a fake may be shorter than its real: frames of both, from the same one on."""
    table = store.index[(store.index["method"] == "real") & (store.index["dataset"] == "FaceForensics++")]
    pair = table.sort_values("frames").iloc[[0, -1]].assign(label=[1, 0])
    assert pair["frames"].nunique() == 2
    clips = DetectionClips(store, pair, RECIPE)
    shown = []
    clips.store = Spy(store, shown)
    for epoch in range(30):
        batches = PairBatches({0: 1, 1: 1}, 2, seed=3, lengths=pair["frames"].tolist())
        batches.set_epoch(epoch)
        for draw in next(iter(batches)):
            clips[draw]
    starts = np.array([start for _, start in shown]).reshape(-1, 2)
    assert (starts[:, 0] == starts[:, 1]).all() and len(set(starts[:, 0])) > 2


class Spy:
    """A store that notes from which frame on clips are read."""

    def __init__(self, store, shown):
        self.store, self.shown = store, shown

    def frames(self, video_id, start, count):
        self.shown.append((video_id, start))
        return self.store.frames(video_id, start, count)


def test_pairs_that_do_not_fill_a_batch_are_told():
    with pytest.raises(TddError, match=r"3 training fakes have the real video .* a batch of 8 wants 4"):
        PairBatches({0: 3, 1: 4, 2: 5}, 8, 0)


def test_draws_follow_seed_and_epoch_alone():
    one, two = EpochBatches(20, 4, seed=1), EpochBatches(20, 4, seed=1)
    list(one)
    for batches in (one, two):
        batches.set_epoch(3)
    assert list(one) == list(two)
    third = list(one)
    one.set_epoch(4)
    assert list(one) != third
    assert rows(EpochBatches(20, 4, seed=2)) != rows(EpochBatches(20, 4, seed=1))
    assert len({draw.seed for batch in third for draw in batch}) == 20


def test_pretraining_views_are_independent_and_repeatable(store):
    index = store.index
    table = index[(index["dataset"] == "LRW") & (index["split"] == "train")]
    clips = PretrainingClips(store, table, RECIPE, train=True)
    one, again, other = clips[Draw(0, (1,))], clips[Draw(0, (1,))], clips[Draw(0, (2,))]
    assert one["clean"].shape == (3, 25, 32, 32) and one["mel"].shape == (1, 100, 80)
    for name in one:
        np.testing.assert_array_equal(one[name], again[name])
    assert not np.array_equal(one["clean"], other["clean"])
    assert not np.array_equal(one["clean"], one["noisy"])


def test_the_validation_view_has_no_randomness(store):
    index = store.index
    clips = PretrainingClips(store, index[(index["dataset"] == "LRW") & (index["split"] == "val")], RECIPE, train=False)
    one, other = clips[Draw(0, (1,))], clips[Draw(0, (2,))]
    np.testing.assert_array_equal(one["clean"], other["clean"])
    np.testing.assert_array_equal(one["clean"], one["noisy"])
    assert one["time"].tolist() == [0, 0] and one["mel_bins"].tolist() == [0, 0]


def test_a_loaded_batch_has_the_documented_shapes(store):
    table = store.index[(store.index["dataset"] == "FaceForensics++") & (store.index["split"] == "train")]
    clips = DetectionClips(store, table, RECIPE)
    batch = next(iter(loader(clips, EpochBatches(len(clips), 8, 0), RECIPE)))
    assert batch["noisy"].shape == (8, 3, 25, 32, 32) and batch["noisy"].dtype == torch.uint8
    assert set(batch["label"].tolist()) <= {0, 1} and batch["erase"].shape == (8, 4)


def test_without_the_clean_view_all_else_is_drawn_the_same(store):
    table = store.index[(store.index["dataset"] == "FaceForensics++") & (store.index["split"] == "train")]
    whole, bare = (DetectionClips(store, table, RECIPE, clean)[Draw(0, (1,))] for clean in (True, False))
    assert set(whole) - set(bare) == {"clean"}
    for name, value in bare.items():
        np.testing.assert_array_equal(value, whole[name])


def test_fixed_batches_hold_every_row_once():
    assert [draw.row for batch in fixed_batches(10, 4) for draw in batch] == list(range(10))


def test_pick_words_takes_the_first_of_each():
    table = pd.DataFrame({"word": list("bbbaaacc"), "video_id": [f"{w}{i}" for i, w in enumerate("bbbaaacc")]})
    assert list(pick_words(table.sample(frac=1, random_state=0), 6)["video_id"]) == ["a3", "a4", "b0", "b1", "c6", "c7"]
    assert len(pick_words(table, 0)) == 8
    with pytest.raises(TddError, match="fewer than the 3 words"):
        pick_words(table, 2)


@pytest.mark.parametrize(("clips", "each", "pieces"), [(20, 2, 12), (23, 2, 15), (50, 5, 30), (6, 1, 2), (5, 1, 1)])
def test_pick_words_gives_clips_without_a_word_their_share_in_turn_over_their_videos(clips, each, pieces):
    words = [{"word": w, "video_id": f"{w}{i}", "start": -1} for w in "abcd" for i in range(10)]
    others = [{"word": "", "video_id": f"v{i}", "start": 29 * k} for i in range(6) for k in range(10)]
    table = pd.DataFrame(words + others)
    picked = pick_words(table.sample(frac=1, random_state=0), clips)
    named, wordless = picked[picked["word"] != ""], picked[picked["word"] == ""]
    assert len(picked) == clips and len(wordless) == pieces
    assert named["video_id"].tolist() == [f"{w}{i}" for w in "abcd" for i in range(each)]
    shown = wordless["video_id"].value_counts()
    assert len(shown) == min(6, pieces) and shown.max() - shown.min() <= 1
    assert wordless["start"].max() == 29 * ((pieces - 1) // 6)
    with pytest.raises(TddError, match="4 words, and one of those without a word"):
        pick_words(table, 4)


def test_too_little_data_is_refused(store):
    with pytest.raises(TddError, match="fewer than one batch"):
        EpochBatches(3, 4, 0)
    with pytest.raises(TddError, match="none in the store"):
        CompanionBatches(0, 4, EpochBatches(8, 4, 0))
    short = store.index.assign(frames=10)
    with pytest.raises(TddError, match="has 25 frames"):
        DetectionClips(store, short, RECIPE)


@pytest.mark.parametrize("kind", ["train", "val", "labelled", "scored"])
def test_a_stored_clip_and_its_draws_make_the_views_that_the_loader_makes(store, kind):
    index = store.index
    faces, films = (index[index["dataset"] == name] for name in ("LRW", "FaceForensics++"))
    scored = films.assign(start=2)
    build = {
        "train": lambda raw: PretrainingClips(store, faces, RECIPE, train=True, raw=raw),
        "val": lambda raw: PretrainingClips(store, faces, RECIPE, train=False, raw=raw),
        "labelled": lambda raw: DetectionClips(store, films, RECIPE, raw=raw),
        "scored": lambda raw: ScoredClips(store, scored, RECIPE, frame_step=1, raw=raw),
    }[kind]
    batches = [[3, 1], [0, 2]] if kind == "scored" else [[Draw(row, (7, row)) for row in (0, 5, 9, 2, 8, 1)]]
    for made, stored in zip(loader(build(False), batches, RECIPE), loader(build(True), batches, RECIPE), strict=True):
        assert stored["frames"].dtype == torch.uint8 and stored["frames"].shape[1:] == (25, 42, 42, 3)
        seen = views(stored, RECIPE.clip)
        assert set(seen) == set(made)
        for name, values in made.items():
            limit = 1 if name in ("clean", "noisy", "video") else 1e-6
            assert (seen[name].double() - values.double()).abs().max() <= limit, name


class Threads(torch.utils.data.Dataset):
    def __getitem__(self, number):
        return {"torch": torch.get_num_threads(), "opencv": cv2.getNumThreads()}


def test_each_loader_process_computes_on_one_thread():
    before = cv2.getNumThreads()
    (batch,) = Loader(Threads(), [[0]], 1, False)
    assert batch["torch"].item() == batch["opencv"].item() == 1
    assert cv2.getNumThreads() == before


def test_batches_for_a_cpu_are_handed_on_as_they_are():
    batch = {"part": {"row": torch.arange(3)}, "name": "x"}
    (moved,) = on_device([batch], torch.device("cpu"))
    assert moved["part"]["row"] is batch["part"]["row"] and moved["name"] == "x"
