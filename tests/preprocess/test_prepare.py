import hashlib
from collections import Counter

import numpy as np
import pytest

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.data.video import read_audio
from tdd.errors import TddError
from tdd.preprocess import finished, layouts
from tdd.preprocess.crops import mean_face
from tdd.preprocess.landmarks import read_landmarks
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import face_points, write_root

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path / "data root")


def contents(folder):
    files = (path for path in sorted(folder.rglob("*.npy")))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_video_becomes_clips_with_its_sound(root, tmp_path):
    done = prepare(root, tmp_path / "store", CLIP, workers=1)
    store = done.store
    assert len(store.index) == done.made == 25 and done.failed.empty
    assert store.frames("FaceForensics++/real/c23/000", 0, 30).shape == (30, 42, 42, 3)
    sound = read_audio(root / "LRW/lipread_mp4/ABOUT/train/ABOUT_00001.mp4")
    np.testing.assert_allclose(store.audio("LRW/train/ABOUT_00001", 2, 25) / 32767, sound[1280 : 27 * 640], atol=1e-4)
    assert not store.index.set_index("video_id").loc["FaceForensics++/real/c23/000", "audio"]


def test_an_interrupted_call_goes_on_and_ends_the_same(root, tmp_path):
    whole = prepare(root, tmp_path / "whole", CLIP, workers=1).store
    prepare(root, tmp_path / "broken", CLIP, workers=1)
    (tmp_path / "broken" / "index.parquet").unlink()
    clips = tmp_path / "broken" / "clips"
    (clips / "LRW/train/ABOUT_00001.json").unlink()
    (clips / "FaceForensics++/real/c23/000.npy").unlink()
    resumed = prepare(root, tmp_path / "broken", CLIP, workers=1)
    assert resumed.made == 2
    assert resumed.store.fingerprint == whole.fingerprint
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert prepare(root, tmp_path / "broken", CLIP, workers=1).made == 0


def test_bad_videos_are_set_aside_with_the_reason_and_stop_nothing(root, tmp_path):
    home = root / "FaceForensics++"
    (home / "original_sequences/youtube/c23/videos/000.mp4").write_bytes(b"")
    (home / "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4").write_bytes(bytes(999))
    marks = root / "landmarks/FaceForensics++/manipulated_sequences/FaceShifter/c23/videos"
    (marks / "000_003.npy").unlink()
    np.save(marks / "003_000.npy", face_points(7))
    done = prepare(root, tmp_path / "store", CLIP, workers=2)
    reasons = done.failed.set_index("video_id")["reason"]
    assert len(reasons) == 4 and len(done.store.index) == 21
    assert "is empty" in reasons["FaceForensics++/real/c23/000"]
    assert "is missing" in reasons["FaceForensics++/FaceShifter/c23/000_003"]
    assert "has 30 frames and its landmarks 7" in reasons["FaceForensics++/FaceShifter/c23/003_000"]
    assert (tmp_path / "store" / "quarantine.csv").is_file()


def test_a_store_of_another_size_is_not_mixed_in(root, tmp_path):
    prepare(root, tmp_path / "store", CLIP, workers=1)
    with pytest.raises(TddError, match="was begun with canvas = 72, not 256"):
        prepare(root, tmp_path / "store", ClipConfig(), workers=1)


def test_too_little_space_is_said_before_anything_is_written(root, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(TddError, match=r"0\.2 GB are needed"):
        prepare(root, tmp_path / "store", CLIP, workers=1)
    assert not (tmp_path / "store").exists()


def test_a_given_mean_face_is_the_one_aligned_to_and_stays_the_stores(root, tmp_path):
    given = mean_face(face_points(1), 72) * np.float32(0.8)  # only its size and turn show: crops are centred
    np.save(tmp_path / "mean.npy", given.astype(np.float64))
    done = prepare(root, tmp_path / "store", CLIP, workers=1, mean_face_file=tmp_path / "mean.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "store" / "mean_face.npy"), given)
    assert prepare(root, tmp_path / "store", CLIP, workers=1, mean_face_file=tmp_path / "mean.npy").made == 0
    computed = prepare(root, tmp_path / "other", CLIP, workers=1).store
    assert done.store.fingerprint != computed.fingerprint and computed.plan["mean_face"] == "computed"
    with pytest.raises(TddError, match="was begun with mean_face"):
        prepare(root, tmp_path / "store", CLIP, workers=1)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((68, 3)), "real numbers of shape \\(68, 2\\)"),
        (np.full((68, 2), "a"), "real numbers"),
        (np.full((68, 2), np.nan), "outside the canvas of 72 px"),
        (np.full((68, 2), 200.0), "outside the canvas of 72 px"),
        (np.full((68, 2), None), "not a readable"),
    ],
)
def test_a_mean_face_that_does_not_fit_is_refused_before_anything_is_written(root, tmp_path, capsys, array, sentence):
    np.save(tmp_path / "mean.npy", array)
    with pytest.raises(TddError, match=sentence):
        prepare(root, tmp_path / "store", CLIP, workers=1, mean_face_file=tmp_path / "mean.npy")
    arguments = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--recipe", "tiny"]
    assert main([*arguments, "--mean-face", str(tmp_path / "absent.npy")]) == 2
    assert "absent.npy is not a readable" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_one_video_without_a_shape_does_not_spoil_the_mean_face(root, tmp_path):
    np.save(root / "landmarks/LRW/lipread_mp4/ABOUT/train/ABOUT_00001.npy", np.full((29, 68, 2), 40.0))
    done = prepare(root, tmp_path / "store", CLIP, workers=1)
    assert done.failed["video_id"].tolist() == ["LRW/train/ABOUT_00001"] and len(done.store.index) == 24


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((5, 68, 3)), "shape"),
        (np.zeros((68, 2)), "shape"),
        (np.where(np.arange(5)[:, None, None] < 3, np.zeros((5, 68, 2)), np.nan), "not finite, first in frame 3"),
        (np.array([["a"] * 2] * 68 * 5).reshape(5, 68, 2), "numbers of shape"),
        (np.zeros((5, 68, 2), complex), "real numbers"),
        (np.zeros((5, 68, 2), bool), "real numbers"),
        (np.zeros((5, 68, 2), object), "not a readable"),
        (np.zeros((0, 68, 2)), "real numbers"),
    ],
)
def test_wrong_landmarks_are_named(tmp_path, array, sentence):
    (tmp_path / "landmarks").mkdir()
    np.save(tmp_path / "landmarks" / "a.npy", array)
    with pytest.raises(TddError, match=sentence):
        read_landmarks(tmp_path, "a.mp4")


def test_lists_and_finished_rows_are_read_once_a_call(root, tmp_path, monkeypatch):
    lists, rows = Counter(), Counter()

    def counted(function, counts, what):
        def count(*args):
            counts[args[what]] += 1
            return function(*args)

        return count

    monkeypatch.setattr("tdd.preprocess.layouts.read_list", counted(layouts.read_list, lists, 0))
    monkeypatch.setattr("tdd.preprocess.finished.finished_row", counted(finished.finished_row, rows, 1))
    command = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--recipe", "tiny", "--workers", "1"]
    assert main(command) == 0
    lists.clear()
    rows.clear()
    assert main(command) == 0
    assert set(lists.values()) == {1} and len(lists) == 4  # three splits of FaceForensics++, one list of Celeb-DF-v2
    assert set(rows.values()) == {1} and len(rows) > 9
