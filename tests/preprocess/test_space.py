"""What a store takes is told before it is made, and it may keep fewer frames or smaller ones."""

import json

import numpy as np
import pandas as pd
import pytest

from tdd.cli import main
from tdd.config import ClipConfig, load_recipe
from tdd.errors import TddError
from tdd.evaluation.selection import Protocol, evaluation_clips
from tdd.preprocess.catalog import catalog_rows, read_catalog
from tdd.preprocess.prepare import prepare
from tdd.preprocess.space import Storing, expected, lengths, told_before
from tests.preprocess.trees import write_root

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("space") / "data")


@pytest.fixture(scope="module")
def whole(root):
    return prepare(root, root.parent / "whole", CLIP, workers=1).store


def test_a_compact_store_holds_the_same_and_goes_on_where_it_stopped(root, whole, tmp_path):
    out, compact = tmp_path / "store", Storing(compact=True)
    done = prepare(root, out, CLIP, workers=1, storing=compact)
    assert done.store.fingerprint == whole.fingerprint
    assert not [path for path in (out / "clips").rglob("*.npy") if not path.name.endswith(".wav.npy")]
    assert len([*(out / "clips").rglob("*.utv")]) == len(whole.index)
    (out / "clips/LRW/train/ABOUT_00001.utv").write_bytes(b"")
    again = prepare(root, out, CLIP, workers=1, storing=compact)
    assert again.made == 1 and again.store.fingerprint == whole.fingerprint
    with pytest.raises(TddError, match="was begun with compact = 'UT Video', not None"):
        prepare(root, out, CLIP, workers=1)
    assert main(["data", "check", "--store", str(out)]) == 0


def test_only_videos_that_are_not_scored_whole_are_cut(root, whole, tmp_path):
    store = prepare(root, tmp_path / "store", CLIP, workers=1, storing=Storing(most_frames=27)).store
    assert store.plan["most_frames"] == 27
    for row, before in zip(store.index.itertuples(), whole.index.itertuples(), strict=True):
        cut = row.split == "train" or row.dataset == "FaceForensics++"
        assert row.frames == (27 if cut else before.frames) and before.frames > 27
        kept = whole.frames(row.video_id, 0, int(row.frames))  # the same faces, to the bit
        np.testing.assert_array_equal(store.frames(row.video_id, 0, int(row.frames)), kept)
    np.testing.assert_array_equal(
        store.audio("LRW/train/ABOUT_00001", 2, 25), whole.audio("LRW/train/ABOUT_00001", 2, 25)
    )


def test_too_few_frames_are_refused(root, tmp_path, capsys):
    with pytest.raises(TddError, match="--frames 24 keeps too little: a clip has 25 frames; ask for 25 or more"):
        prepare(root, tmp_path / "store", CLIP, workers=1, storing=Storing(most_frames=24))
    command = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--frames", "100"]
    assert main(command) == 2
    assert "scores of a FaceForensics++ video 110 frames; ask for 110 or more" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "store").exists()


def as_rows(dataset, label, count=2, split="train"):
    return [{"dataset": dataset, "label": label, "split": split, "audio": False, "path": "none.mp4"}] * count


def test_talking_faces_are_kept_whole_and_what_has_fakes_is_cut():
    rows = as_rows("Talks", 0) + as_rows("Own", 0) + as_rows("Own", 1) + as_rows("DF40-cdf", 1)
    rows += as_rows("Celeb-DF-v2", 0) + as_rows("FaceForensics++", 0)
    told = expected([(row, 500) for row in rows], 42, Storing(most_frames=110).among(rows))
    assert told.by_dataset == {
        "Talks": (2, 1000), "Own": (4, 440), "DF40-cdf": (2, 220), "Celeb-DF-v2": (2, 220), "FaceForensics++": (2, 220)
    }  # fmt: skip


def test_frames_that_are_scored_are_asked_for_where_there_are_such_videos(tmp_path):
    few = Storing(most_frames=50)
    assert "0 videos" in told_before(tmp_path, tmp_path / "store", as_rows("Own", 1), ClipConfig(), few, 110)
    with pytest.raises(TddError, match=r"by evaluation\.faceforensics_frames the recipe scores of a Face"):
        told_before(tmp_path, tmp_path / "store", as_rows("FaceForensics++", 1), ClipConfig(), few, 110)


def test_a_cut_store_is_not_scored_whole(whole, monkeypatch):
    recipe = load_recipe("paper")
    monkeypatch.setitem(whole.plan, "most_frames", 110)
    assert len(evaluation_clips(whole, recipe, Protocol(datasets=("FaceForensics++",))))
    with pytest.raises(
        TddError, match=r"first 110 frames .*and all are to be scored; prepare a store without --frames"
    ):
        evaluation_clips(whole, recipe, Protocol(whole_video=True))
    monkeypatch.setitem(whole.plan, "most_frames", 50)
    with pytest.raises(TddError, match=r"first 50 frames .*and 110 are to be scored"):
        evaluation_clips(whole, recipe, Protocol())


@pytest.mark.parametrize(("storing", "tolerance"), [(Storing(), 0.02), (Storing(most_frames=27), 0.02)])
def test_what_is_told_is_what_it_takes(root, tmp_path, storing, tolerance):
    rows = catalog_rows(read_catalog(root))
    told = expected(lengths(root, tmp_path, rows, CLIP.frame_rate), CLIP.crop, storing)
    store = prepare(root, tmp_path / "store", CLIP, workers=1, storing=storing).store
    assert told.frames == store.index["frames"].sum()
    taken = sum(path.stat().st_size for path in (tmp_path / "store/clips").rglob("*.npy"))
    assert told.bytes == pytest.approx(taken, rel=tolerance)


def test_without_landmarks_a_few_videos_tell(root, tmp_path, monkeypatch):
    rows = catalog_rows(read_catalog(root))
    monkeypatch.setattr("tdd.preprocess.space.count_frames", lambda _: None)
    monkeypatch.setattr("tdd.preprocess.space.LOOKED_AT", 2)
    found = lengths(root, tmp_path, rows, "timestamps")
    for row, frames in found:
        # Sound, whose last packet is longer than a frame, may end after the picture.
        assert frames == pytest.approx(29 if row["dataset"] == "LRW" else 30, abs=2)
    (root / "LRW/lipread_mp4/ABOUT/val/ABOUT_00001.mp4").rename(tmp_path / "away.mp4")
    try:
        assert len(lengths(root, tmp_path, rows, "timestamps")) == len(rows) - 1
    finally:
        (tmp_path / "away.mp4").rename(root / "LRW/lipread_mp4/ABOUT/val/ABOUT_00001.mp4")


def large(monkeypatch, free):
    """As if every video had 60,000 frames, and the disk so many bytes free."""
    monkeypatch.setattr("tdd.preprocess.space.count_frames", lambda _: 60_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free})())


def test_a_large_store_is_told_with_what_would_make_it_smaller(root, tmp_path, monkeypatch):
    large(monkeypatch, 2 * 10**11)
    rows = catalog_rows(read_catalog(root))
    text = told_before(root, tmp_path / "store", rows, ClipConfig(), Storing(), 110)
    raw = 25 * 60_000 * 150 * 150 * 3 / 1e9
    kept = [*pd.DataFrame(rows).query("split == 'test' and dataset == 'Celeb-DF-v2'").itertuples()]
    assert f"25 videos, about 1,500,000 frames, {raw + 4 * 60_000 * 1280 / 1e9:.0f} GB; 200 GB free." in text
    cut = len(kept) * 60_000 + (25 - len(kept)) * 110
    assert "FaceForensics++: 18 videos" in text and "With --compact it would take 30." in text
    assert text.count("; training then draws its clips from fewer frames.") == 2
    val = [row for row in rows if row["dataset"] == "LRW" and row["split"] == "val"]
    assert f"With --frames 110 it would take {(cut + len(val) * 59_890) * 67_500 / 1e9:.0f}" in text


def test_a_new_store_that_the_disk_cannot_hold_is_refused_before_faces_are_looked_for(root, tmp_path, monkeypatch):
    large(monkeypatch, 10**9)
    rows = catalog_rows(read_catalog(root))
    with pytest.raises(TddError, match=r"1\.0 GB free and 101\.\d GB are needed"):
        told_before(root, tmp_path / "store", rows, ClipConfig(), Storing(), 110)


def test_the_command_keeps_what_it_was_asked_to(root, tmp_path, capsys):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(json.dumps({"clip": {"canvas": 72, "crop": 42, "view_crop": 40, "input_size": 32}}))
    command = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--recipe", str(recipe)]
    assert main([*command, "--compact", "--frames", "110", "--workers", "1"]) == 0
    assert "The whole store: 25 videos" in capsys.readouterr().out
    plan = json.loads((tmp_path / "store/plan.json").read_text())
    assert plan["compact"] == "UT Video" and plan["most_frames"] == 110
