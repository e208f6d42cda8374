"""A store follows what it is made from: lists, videos, landmarks, its own files; a copy of these costs nothing."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tdd.config import ClipConfig
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.preprocess.catalog import list_videos
from tdd.preprocess.crops import mean_face
from tdd.preprocess.prepare import prepare
from tdd.preprocess.sources import looks_same, renewed
from tests.preprocess.trees import add_video, face_points

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
LIST = "Celeb-DF-v2/List_of_testing_videos.txt"
REAL, OTHER, FAKE = "YouTube-real/00001", "Celeb-real/id0_0000", "Celeb-synthesis/id0_id1_0000"


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    for seed, name in enumerate((REAL, OTHER, FAKE)):
        add_video(root, f"Celeb-DF-v2/{name}.mp4", audio=seed == 0, seed=seed)
    write_list(root, (1, REAL), (1, OTHER), (0, FAKE))
    np.save(tmp_path / "mean.npy", mean_face(face_points(1), CLIP.canvas))
    return root


def write_list(root, *lines):
    (root / LIST).write_text("".join(f"{flag} {name}.mp4\n" for flag, name in lines))


def made(root, store):
    # Given, so that a store does not depend on the landmarks that there were when it was begun.
    return prepare(root, store, CLIP, workers=1, mean_face_file=root.parent / "mean.npy")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_as_new(root, store, tmp_path):
    made(root, tmp_path / "new")
    assert contents(store) == contents(tmp_path / "new")


def test_labels_and_splits_are_those_of_the_lists_now(root, tmp_path, monkeypatch):
    before = made(root, tmp_path / "store").store
    listed = list_videos(root, "Celeb-DF-v2")
    changes = {"split": "val", "identities": "x"}
    mended = [dataclasses.replace(video, label=1 - video.label, **changes) for video in listed]
    monkeypatch.setattr("tdd.preprocess.catalog.list_videos", lambda *_: mended)
    done = made(root, tmp_path / "store")
    assert done.made == 0 and done.store.fingerprint == before.fingerprint and done.store.labels != before.labels
    assert done.store.index["label"].tolist() == [1 - label for label in before.index["label"]]
    assert set(done.store.index["split"]) == {"val"} and set(done.store.index["identities"]) == {"x"}
    assert_as_new(root, tmp_path / "store", tmp_path)


def test_a_video_that_leaves_the_list_leaves_the_index_and_comes_back_unmade(root, tmp_path):
    made(root, tmp_path / "store")
    write_list(root, (1, REAL), (0, FAKE))
    done = made(root, tmp_path / "store")
    assert done.made == 0 and f"Celeb-DF-v2/{OTHER}" not in set(done.store.index["video_id"])
    assert any("1 videos that the store held are on no list" in note and OTHER in note for note in done.notes)
    assert (tmp_path / f"store/clips/Celeb-DF-v2/{OTHER}.npy").is_file()
    assert not any("on no list" in note for note in made(root, tmp_path / "store").notes)
    write_list(root, (1, REAL), (1, OTHER), (0, FAKE))
    assert made(root, tmp_path / "store").made == 0
    assert_as_new(root, tmp_path / "store", tmp_path)


def replace_landmarks(root):
    np.save(root / f"landmarks/Celeb-DF-v2/{OTHER}.npy", face_points(30, seed=7))  # of the same size


def longer_video(root):
    add_video(root, f"Celeb-DF-v2/{OTHER}.mp4", 41, seed=4)


@pytest.mark.parametrize("change", [replace_landmarks, longer_video])
def test_a_replaced_source_is_made_again(root, tmp_path, change):
    made(root, tmp_path / "store")
    change(root)
    assert made(root, tmp_path / "store").made == 1
    assert_as_new(root, tmp_path / "store", tmp_path)


def padded(content, size):
    """The same mp4 with a box at its end that players pass over."""
    return content + (size - len(content)).to_bytes(4, "big") + b"free" + bytes(size - len(content) - 8)


def test_a_video_replaced_by_one_of_the_same_size_is_made_again(root, tmp_path):
    path = root / f"Celeb-DF-v2/{OTHER}.mp4"
    add_video(tmp_path, "other.mp4", seed=9)
    first, other = path.read_bytes(), (tmp_path / "other.mp4").read_bytes()
    size = max(len(first), len(other)) + 8
    path.write_bytes(padded(first, size))
    before = made(root, tmp_path / "store").store
    path.write_bytes(padded(other, size))
    done = made(root, tmp_path / "store")
    assert done.made == 1 and done.store.fingerprint != before.fingerprint
    assert_as_new(root, tmp_path / "store", tmp_path)


def test_a_video_that_was_replaced_by_a_bad_one_is_no_longer_in_the_store(root, tmp_path):
    made(root, tmp_path / "store")
    (root / f"Celeb-DF-v2/{OTHER}.mp4").write_bytes(b"no video")
    for _ in range(2):
        done = made(root, tmp_path / "store")
        assert done.failed["video_id"].tolist() == [f"Celeb-DF-v2/{OTHER}"] and len(done.store.index) == 2


def copy(source, target):
    """As plain ``cp -r``: contents without times, in no order that matters."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(target.rglob("*"), key=lambda path: path.suffix)):
        if path.is_file():
            os.utime(path, ns=(10**18 + number, 10**18 + number))
    return target


def no_look(*_):
    raise AssertionError("a file was read though its size and time are known")


def test_copies_of_data_and_store_are_known_by_their_contents(root, tmp_path, monkeypatch):
    made(root, tmp_path / "store")
    moved, store = copy(root, tmp_path / "moved"), copy(tmp_path / "store", tmp_path / "copied")
    done = made(moved, store)
    assert done.made == 0 and len(done.store.index) == 3 and not done.notes
    assert json.loads((store / "root.json").read_text()) == {"root": str(moved)}
    assert_as_new(moved, store, tmp_path)
    monkeypatch.setattr("tdd.preprocess.sources.sha256", no_look)
    monkeypatch.setattr("tdd.preprocess.finished.clip_damage", no_look)
    assert made(moved, store).made == 0


def test_another_data_root_is_refused_and_nothing_is_lost(root, tmp_path):
    made(root, tmp_path / "store")
    before = contents(tmp_path / "store")
    other = tmp_path / "other"
    for seed, name in enumerate((REAL, OTHER, FAKE)):
        add_video(other, f"Celeb-DF-v2/{name}.mp4", 33, seed=seed + 10)
    write_list(other, (1, REAL), (1, OTHER), (0, FAKE))
    with pytest.raises(TddError, match=r"was made from the videos in .*data, and .*other holds others \(3 of the 3"):
        made(other, tmp_path / "store")
    add_video(tmp_path / "third", "LRW/lipread_mp4/WORD/train/WORD_00001.mp4", audio=True)
    with pytest.raises(TddError, match="they share none"):
        made(tmp_path / "third", tmp_path / "store")
    assert contents(tmp_path / "store") == before


def test_a_store_of_an_older_version_is_kept_and_that_is_said(root, tmp_path):
    made(root, tmp_path / "store")
    whole = contents(tmp_path / "store")
    for path in (tmp_path / "store/clips").rglob("*.json"):
        row = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in row.items() if key != "sources"}))
    for name in ("root.json", "listed.parquet"):
        (tmp_path / "store" / name).unlink()
    assert ClipStore(tmp_path / "store").listed is None
    done = made(root, tmp_path / "store")
    assert done.made == 0 and any("3 videos were stored by an older version" in note for note in done.notes)
    assert not made(root, tmp_path / "store").notes
    rows = {name: json.loads(text) for name, text in contents(tmp_path / "store/clips").items() if "json" in name}
    assert all(row["sources"] == json.loads(whole[f"clips/{name}"])["sources"] for name, row in rows.items())


def test_a_video_whose_file_is_gone_is_kept_and_that_is_said(root, tmp_path):
    made(root, tmp_path / "store")
    (root / f"Celeb-DF-v2/{OTHER}.mp4").unlink()
    done = made(root, tmp_path / "store")
    assert len(done.store.index) == 3 and any(
        "1 stored videos are kept whose files are no longer" in n for n in done.notes
    )


def emptied(path, _):
    path.write_bytes(b"")


def cut(path, _):
    os.truncate(path, path.stat().st_size - 1)


def swapped(path, other):
    shutil.copyfile(other, path)


def moved_in(path, other):
    """With its own, older time, as ``mv`` and ``cp -p`` leave it."""
    shutil.copy2(other, path.with_suffix(".spare"))
    path.with_suffix(".spare").replace(path)


def removed(path, _):
    path.unlink()


@pytest.mark.parametrize("harm", [emptied, cut, swapped, moved_in, removed])
def test_a_harmed_clip_is_made_again(root, tmp_path, harm):
    made(root, tmp_path / "store")
    clips = tmp_path / "store/clips/Celeb-DF-v2"
    harm(clips / f"{OTHER}.npy", clips / f"{FAKE}.npy")
    assert made(root, tmp_path / "store").made == 1
    harm(clips / f"{REAL}.wav.npy", clips / f"{FAKE}.npy")
    assert made(root, tmp_path / "store").made == 1
    assert_as_new(root, tmp_path / "store", tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"video_id": "other"}', "\x00"])
def test_a_row_that_is_no_row_is_made_again(root, tmp_path, text):
    made(root, tmp_path / "store")
    Path(tmp_path / f"store/clips/Celeb-DF-v2/{OTHER}.json").write_text(text)
    assert made(root, tmp_path / "store").made == 1
    assert_as_new(root, tmp_path / "store", tmp_path)


def test_a_file_that_may_not_be_looked_at_contradicts_nothing(tmp_path):
    known = {"bytes": 3, "modified": 5, "sha256": "x"}
    for path in (tmp_path / "gone", tmp_path / ("long" * 100), tmp_path / "store" / "below a folder that is none"):
        assert looks_same(path, known) and renewed(path, known) == known
