"""One file under several names: real and fake, in two splits, or twice in one; found by contents, whatever the name."""

import shutil

import numpy as np
import pytest

from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess.crops import mean_face
from tdd.preprocess.duplicates import duplicate_notes
from tdd.preprocess.finding import LandmarkFinder, find_landmarks
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import add_video, face_points

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)


def row(path, digest, split="train", label=0, dataset="Own"):
    method = "swap" if label else "real"
    sources = {"video": {"sha256": digest}} if digest else {}
    return {"path": path, "split": split, "label": label, "method": method, "dataset": dataset, "sources": sources}


def test_each_harm_is_said_once_and_the_worst_first():
    rows = [
        row("a", "1"), row("b", "1", "test"), row("c", "2"), row("d", "2", label=1, split="test"), row("e", "3"),
        row("f", "3"), row("g", "4"), row("h", "5", "val"), row("i", "5", "test"), row("k", None), row("l", None),
    ]  # fmt: skip
    torn, leaking, twice = duplicate_notes(rows)
    assert torn.startswith("One file is called real and fake under different names: c (real) and d (swap). ")
    assert leaking.startswith("Leakage: 2 files are each in more than one split")
    assert "a (train) and b (test) for instance" in leaking
    assert twice.startswith("One file is in one split under different names") and "e (train) and f (train)." in twice
    assert duplicate_notes(rows[6:8] + rows[9:]) == []


def test_two_data_sets_may_share_their_reals():
    assert duplicate_notes([row("x/a", "1", "test"), row("y/a", "1", "test", dataset="Other")]) == []
    (said,) = duplicate_notes([row("x/a", "1"), row("y/a", "1", "test", dataset="Other")])
    assert said.startswith("Leakage: one file is in more than one split")


def test_prepare_says_it_again_though_nothing_is_made(tmp_path):
    root = tmp_path / "data"
    for seed, name in enumerate(("a", "b", "x")):
        add_video(root, f"Own/{name}.mp4", seed=seed)
    shutil.copy(root / "Own/a.mp4", root / "Own/other name.mp4")
    shutil.copy(root / "landmarks/Own/a.npy", root / "landmarks/Own/other name.npy")
    lines = ("path,label,split,method", "a.mp4,real,train,", "b.mp4,real,test,", "other name.mp4,real,test,")
    (root / "Own/manifest.csv").write_text("\n".join([*lines, "x.mp4,fake,test,swap", ""]))
    np.save(tmp_path / "mean.npy", mean_face(face_points(1), CLIP.canvas))
    for made in (4, 0):
        done = prepare(root, tmp_path / "store", CLIP, workers=1, mean_face_file=tmp_path / "mean.npy")
        assert done.made == made
        (said,) = [note for note in done.notes if "Leakage" in note]
        assert "Own/a.mp4 (train) and Own/other name.mp4 (test)." in said


def test_a_store_is_not_made_in_the_data_root(tmp_path):
    add_video(tmp_path, "Own/a.mp4")
    (tmp_path / "Own/manifest.csv").write_text("path,label,split\na.mp4,real,test\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TddError, match="is the data root itself"):
        prepare(tmp_path, tmp_path / "Own" / "..", CLIP, workers=1)
    with pytest.raises(TddError, match="is the data root itself"):
        find_landmarks(tmp_path, tmp_path, LandmarkFinder(), workers=1)
    assert sorted(tmp_path.rglob("*")) == before
