"""One video's trouble stays its own, whatever it raises, and is named; the machine's ends the run."""

import errno
import os
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.data.clip_files import audio_path, frames_path
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.machine.limits import limit_reached, out_of_memory
from tdd.preprocess import prepare as preparing
from tdd.preprocess.landmarks import landmark_path
from tdd.preprocess.prepare import prepare
from tdd.preprocess.set_aside import kind_of, reason_of, reason_table
from tests.data.test_streams import with_damaged_sound
from tests.preprocess.trees import add_video, face_points

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
FOLDER = "LRW/lipread_mp4/WORD/train"
FIRST, SECOND = "LRW/train/WORD_00001", "LRW/train/WORD_00002"


@pytest.fixture
def root(tmp_path):
    for number in (1, 2):
        add_video(tmp_path / "data", f"{FOLDER}/WORD_{number:05d}.mp4", audio=True, seed=number)
    return tmp_path / "data"


def made(root, store):
    return prepare(root, store, CLIP, workers=1)


def raising(monkeypatch, error, times=99):
    """The second video raises ``error`` when its faces are cut, so many times."""
    cut, left = preparing.face_crops, [times]

    def crops(video, *rest):
        if "00002" in str(video.path) and left[0]:
            left[0] -= 1
            raise error
        return cut(video, *rest)

    monkeypatch.setattr(preparing, "face_crops", crops)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("Frame does not match\nmore"), "ValueError: Frame does not match (not foreseen"),
        (RecursionError(), "RecursionError: no message"),
        (KeyError("x"), "KeyError: 'x'"),
        (cv2.error("bad size"), "error: bad size"),
        (OverflowError("int too large"), "OverflowError: int too large"),
        (TddError("It is bad; mend it."), "It is bad; mend it."),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "does not take its name (File name too long); rename"),
    ],
)
def test_whatever_one_video_raises_sets_that_one_aside(root, tmp_path, monkeypatch, error, said):
    raising(monkeypatch, error)
    done = made(root, tmp_path / "store")
    assert done.store.index["video_id"].tolist() == [FIRST]
    assert done.failed["video_id"].tolist() == [SECOND] and said in done.failed["reason"][0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError(errno.EMFILE, "Too many open files"), r"may not open more files.*ulimit -n"),
    ],
)
def test_what_the_machine_lacks_ends_the_run_in_a_sentence(root, tmp_path, monkeypatch, error, said):
    raising(monkeypatch, error)
    with pytest.raises(TddError, match=said):
        made(root, tmp_path / "store")
    assert not (tmp_path / "store/index.parquet").exists()


def test_too_many_open_files_are_never_taken_for_a_damaged_video():
    error = TddError("v.mp4 cannot be decoded (Too many open files); copy it again from its source.")
    error.__cause__ = av.error.OSError(errno.EMFILE, "Too many open files")
    with pytest.raises(TddError) as told:
        reason_of(error)
    assert told.value is error and "ulimit -n" in str(limit_reached(error))


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_lack_of_memory_is_tried_again_alone(root, tmp_path, monkeypatch, error, times):
    raising(monkeypatch, error, times)
    done = made(root, tmp_path / "store")
    if times < 3:
        assert done.failed.empty and len(done.store.index) == 2
    else:
        assert done.failed["video_id"].tolist() == [SECOND] and "found no memory" in done.failed["reason"][0]


def test_a_decoders_lack_of_memory_is_told_from_damage():
    error = TddError("v.mp4 cannot be decoded (Cannot allocate memory); copy it again from its source.")
    error.__cause__ = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
    with pytest.raises(TddError) as told:
        reason_of(error)
    assert told.value is error and out_of_memory(error)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_names_that_no_store_can_hold(root, tmp_path):
    odd = os.fsdecode(b"WORD_\xff")
    longest = "WORD_" + "x" * 231
    for name in (odd, longest):
        for path in (root / f"{FOLDER}/{name}.mp4", landmark_path(root, f"{FOLDER}/{name}.mp4")):
            path.write_bytes((path.parent / f"WORD_00001{path.suffix}").read_bytes())
    for _ in range(2):
        done = made(root, tmp_path / "store")
        reasons = done.failed.set_index("video_id")["reason"]
        assert len(done.store.index) == 2 and len(reasons) == 2
        assert "bytes that are not UTF-8; rename" in reasons[r"LRW/train/WORD_\xff"]
        assert "does not take its name" in reasons[f"LRW/train/{longest}"]
        assert pd.read_csv(tmp_path / "store/quarantine.csv").equals(done.failed)
        assert len(ClipStore(tmp_path / "store").listed) == 4


def test_a_video_never_shares_a_file_with_anothers_sound(root, tmp_path):
    for name in ("WORD_00001.wav", "WORD_00001%2Ewav"):
        add_video(root, f"{FOLDER}/{name}.mp4", 40, audio=True, seed=3)
    done = made(root, tmp_path / "store")
    frames = done.store.index.set_index("video_id")["frames"]
    assert frames.to_dict() == {FIRST: 30, SECOND: 30, f"{FIRST}.wav": 40, f"{FIRST}%2Ewav": 40}
    for video_id, count in frames.items():
        assert done.store.frames(video_id, 0, count).shape == (count, 42, 42, 3)
        assert done.store.audio(video_id, 0, count).shape == (count * 640,)
    assert made(root, tmp_path / "store").made == 0


parts = some.lists(some.sampled_from(["a", "%", "2", "E", "5", ".wav", ".WAV", ".npy", "."]), min_size=1).map("".join)


@given(parts, parts)
def test_no_two_videos_share_a_file(one, other):
    base = Path("clips")
    files = {frames_path(base / one), audio_path(base / one)}
    assert len(files) == 2
    if one != other:
        assert not files & {frames_path(base / other), audio_path(base / other)}


def test_sound_that_nothing_uses_and_that_cannot_be_read_is_told(root, tmp_path, monkeypatch):
    monkeypatch.setattr("tdd.preprocess.prepare.SpeechWatch.columns", lambda _, whole: {"speech": "0" if whole else ""})
    names = ("YouTube-real/00001", "Celeb-synthesis/id0_id1_0000")
    for name in names:
        add_video(root, f"Celeb-DF-v2/{name}.mp4", audio=True)
    with_damaged_sound(root / f"Celeb-DF-v2/{names[0]}.mp4", -1)
    (root / "Celeb-DF-v2/List_of_testing_videos.txt").write_text(f"1 {names[0]}.mp4\n0 {names[1]}.mp4\n")
    done = made(root, tmp_path / "store")
    index, kept = done.store.index.set_index("video_id"), f"Celeb-DF-v2/{names[0]}"
    assert done.failed.empty and index["audio"].all()
    assert "is damaged" in index.loc[kept, "sound_problem"]
    assert index["sound_problem"].notna().sum() == 1
    assert index.loc[kept, "speech"] == ""  # stage 1 hears no piece of it
    assert any("The sound of 1 stored videos, which nothing uses" in note and kept in note for note in done.notes)


@pytest.mark.parametrize("value", [-1e39, -1e20, 1e5, np.nan])
def test_a_wild_landmark_costs_one_video_and_changes_no_other(root, tmp_path, value):
    add_video(root, f"{FOLDER}/WORD_00000.mp4", audio=True, seed=8)
    path = root / f"landmarks/{FOLDER}/WORD_00000.npy"
    points = np.load(path).astype(np.float64)
    path.rename(tmp_path / "good.npy")
    without = made(root, tmp_path / "without").store
    points[len(points) // 2, 5] = value
    np.save(path, points)
    done = made(root, tmp_path / "store")
    assert done.store.fingerprint == without.fingerprint
    (reason,) = done.failed["reason"]
    assert any(words in reason for words in ("far outside the picture", "no place in a picture", "not finite"))
    (tmp_path / "good.npy").replace(path)
    assert made(root, tmp_path / "store").made == 1


@pytest.mark.parametrize("content", [b"", b"PK\3\4junk", b"\x93NUMPY\1\0v\0{'descr': '<f4'", bytes(672)])
def test_a_landmark_file_that_is_none_costs_one_video(root, tmp_path, content):
    landmark_path(root, f"{FOLDER}/WORD_00002.mp4").write_bytes(content)
    done = made(root, tmp_path / "store")
    assert done.failed["video_id"].tolist() == [SECOND] and done.store.index["video_id"].tolist() == [FIRST]


def damaged_mean_faces(store):
    path = store / "mean_face.npy"
    good = np.load(path)
    for bad in (np.full_like(good, np.nan), good * [1, -1] + [0, 72], good[:, :1], good * 9):
        np.save(path, bad)
        yield path
    for content in (b"", b"junk", path.read_bytes()[:100]):
        path.write_bytes(content)
        yield path


def test_a_damaged_mean_face_is_told_where_faces_were_aligned_to_it(root, tmp_path):
    add_video(root, f"{FOLDER}/WORD_00003.mp4", 20, audio=True)  # too short, so tried again each time
    store = made(root, tmp_path / "store").store
    for path in damaged_mean_faces(tmp_path / "store"):
        before = path.read_bytes()
        with pytest.raises(TddError, match=r"mean_face\.npy, is damaged .*copy it from another copy of the store, or"):
            made(root, tmp_path / "store")
        assert path.read_bytes() == before
    assert store.fingerprint == ClipStore(tmp_path / "store").fingerprint


def test_a_damaged_mean_face_that_nothing_depends_on_is_made_again(root, tmp_path):
    whole = made(root, tmp_path / "whole").store
    (tmp_path / "store").mkdir()
    np.save(tmp_path / "store/mean_face.npy", np.full((68, 2), np.nan, np.float32))
    assert made(root, tmp_path / "store").store.fingerprint == whole.fingerprint


def test_reasons_of_one_kind_are_counted_together():
    folder = Path("/a data/root")
    said = [
        ("x/1.mp4", "/a data/root/landmarks/x/1.npy is missing; every video needs its 68 landmarks per frame there."),
        ("x/2.mp4", "/a data/root/landmarks/x/2.npy is missing; every video needs its 68 landmarks per frame there."),
        ("x/3.mp4", "/a data/root/x/3.mp4 has 30 frames and its landmarks 7; one is cut short: copy it."),
        ("x/4.mp4", "/a data/root/x/4.mp4 has 9 frames and its landmarks 31; one is cut short: copy it."),
        ("x/5.mp4", "/a data/root/x/5.mp4, frame 3: landmark 5 lies at (-1e+39, 2.5) px, far outside; mend it."),
        ("x/6.mp4", "ValueError: bad (not foreseen; the video may be damaged: copy it again)."),
        ("x/7.mp4", "/a data/root/x/7.mp4 has 24 frames at 25 fps, and a clip takes 25."),
    ]
    kinds = [(kind_of(reason, (folder / "landmarks" / path, folder / path)), path) for path, reason in said]
    table = reason_table(kinds)
    assert list(table.itertuples(index=False, name=None)) == [
        (2, "has N frames and its landmarks N", "x/3.mp4"),
        (2, "is missing", "x/1.mp4"),
        (1, "ValueError: bad", "x/6.mp4"),
        (1, "frame N: landmark N lies at (N, N) px, far outside", "x/5.mp4"),
        (1, "has N frames at N fps, and a clip takes N", "x/7.mp4"),
    ]


def test_the_table_of_reasons_counts_all(root, tmp_path):
    for number in (3, 4, 5):
        add_video(root, f"{FOLDER}/WORD_{number:05d}.mp4", 20, audio=True)
    landmark_path(root, f"{FOLDER}/WORD_00005.mp4").unlink()
    np.save(landmark_path(root, f"{FOLDER}/WORD_00004.mp4"), face_points(21))
    done = made(root, tmp_path / "store")
    assert done.reasons["videos"].sum() == len(done.failed) == 3
    assert set(done.reasons["reason"]) == {
        "has N frames at N fps, and a clip takes N", "has N frames and its landmarks N", "is missing",
    }  # fmt: skip


def test_prepare_says_found_of_listed_and_counts_the_reasons(root, tmp_path, capsys):
    for number in (3, 4):
        add_video(root, f"{FOLDER}/WORD_{number:05d}.mp4", 20, audio=True)
    small = tmp_path / "small.yaml"
    small.write_text("clip: {canvas: 72, crop: 42, view_crop: 40, input_size: 32}")
    arguments = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--recipe", str(small)]
    assert main([*arguments, "--landmarks", "given", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "LRW     real    2 of 4" in said and "2 videos in" in said and "2 left out." in said
    assert "2  has N frames at N fps, and a clip takes N: LRW/train/WORD_00003 for instance" in said
