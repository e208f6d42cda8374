"""Catalog to landmarks to crops to store where no landmarks are given; discs play the faces."""

import json
import os
import shutil

import numpy as np
import pytest

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess import finders, finding
from tdd.preprocess.faces import FaceLandmarker, FaceSettings
from tdd.preprocess.finding import Finding, LandmarkFinder, find_landmarks, landmarks_of, without_landmarks
from tdd.preprocess.landmarks import landmark_path
from tdd.preprocess.prepare import prepare
from tests.preprocess.discs import GREEN, RED, disc_finders, disc_points, film
from tests.preprocess.test_interrupted import contents, kill, stop_before, stopped_process

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
START = "LRW/lipread_mp4/WORD/train/WORD_"
PLACES = [(60 + n, 80) for n in range(30)]


class DiscFinder(LandmarkFinder):
    def plan(self, report=None):  # noqa: ARG002
        return {"detector": "discs"}

    def landmarker(self):
        return FaceLandmarker(self.settings, finders=disc_finders())


@pytest.fixture
def root(tmp_path):
    """Two videos to find landmarks in, one whose landmarks are given, one without a face, one that is no video."""
    root = tmp_path / "data"
    shown = [[(RED, x, y, 24)] for x, y in PLACES]
    for number in range(3):
        film(root / f"{START}{number:05d}.mp4", [[(GREEN, 200, 80, 15)] * (number == 1) + discs for discs in shown])
    marks = landmark_path(root, f"{START}00002.mp4")
    marks.parent.mkdir(parents=True)
    np.save(marks, np.stack([disc_points(x, y, 12) for x, y in PLACES]))
    film(root / f"{START}00003.mp4", [[]] * 30)
    (root / f"{START}00004.mp4").write_bytes(b"not a video")
    return root


def row(number):
    return {"path": f"{START}{number:05d}.mp4", "video_id": f"LRW/train/WORD_{number:05d}"}


def test_landmarks_are_found_where_none_are_given_and_given_ones_win(root, tmp_path):
    out = tmp_path / "store"
    assert find_landmarks(root, out, DiscFinder(), workers=1) == Finding(found=2, refused=2)
    points, facts = landmarks_of(root, out, row(1))
    true = np.stack([disc_points(x, y, 24) for x, y in PLACES])
    assert np.linalg.norm(points - true, axis=-1).mean(-1).max() < 1.2
    assert facts["landmarks"] == "found" and facts["faces"] == 2 and facts["found_share"] == 1.0
    points, facts = landmarks_of(root, out, row(2))
    np.testing.assert_array_equal(points, np.load(landmark_path(root, row(2)["path"])))
    assert facts == {"landmarks": "given", "face_px": pytest.approx(np.ptp(points[0], 0).mean())}

    done = prepare(root, out, CLIP, workers=1)
    index = done.store.index.set_index("video_id")
    assert index["landmarks"].tolist() == ["found", "found", "given"] and index["fps"].tolist() == [25.0] * 3
    assert index["confidence"].notna().tolist() == [True, True, False]
    assert done.store.plan["landmarks"] == {"detector": "discs"}
    reasons = done.failed.set_index("video_id")["reason"]
    assert "no face was found in any of its 30 frames" in reasons[row(3)["video_id"]]
    assert "cannot be decoded" in reasons[row(4)["video_id"]]


def test_nothing_is_looked_at_twice_unless_its_file_changes(root, tmp_path):
    out = tmp_path / "store"
    find_landmarks(root, out, DiscFinder(), workers=1)
    assert without_landmarks(root, out) == [] and find_landmarks(root, out, DiscFinder()) == Finding(0, 0)
    film(root / row(4)["path"], [[(RED, *place, 24)] for place in PLACES])
    (out / "landmarks/LRW/train/WORD_00000.npy").unlink()
    assert [r["path"] for r in without_landmarks(root, out)] == [row(0)["path"], row(4)["path"]]
    assert find_landmarks(root, out, DiscFinder(), workers=1) == Finding(2, 0)


def test_a_copy_is_known_by_its_contents_and_a_file_of_the_same_size_is_not_taken_for_it(root, tmp_path):
    out, path = tmp_path / "store", root / row(0)["path"]
    film(root / row(1)["path"], [[(RED, 60, 100, 24)]] * 30)
    first, other = path.read_bytes(), (root / row(1)["path"]).read_bytes()
    size = max(len(first), len(other))
    path.write_bytes(first + bytes(size - len(first)))
    find_landmarks(root, out, DiscFinder(), workers=1)
    prepare(root, out, CLIP, workers=1)
    os.utime(path, ns=(10**18, 10**18))
    assert without_landmarks(root, out) == []
    assert json.loads((out / "landmarks/LRW/train/WORD_00000.json").read_text())["modified"] == 10**18
    path.write_bytes(other + bytes(size - len(other)))
    done = prepare(root, out, CLIP, workers=1)
    assert "found in another version" in done.failed.set_index("video_id").loc[row(0)["video_id"], "reason"]
    assert [r["path"] for r in without_landmarks(root, out)] == [row(0)["path"]]
    find_landmarks(root, out, DiscFinder(), workers=1)
    done = prepare(root, out, CLIP, workers=1)
    assert done.made == 1 and row(0)["video_id"] in set(done.store.index["video_id"])


def test_landmarks_found_in_another_way_are_not_mixed(root, tmp_path):
    class Other(DiscFinder):
        def plan(self, report=None):  # noqa: ARG002
            return {"detector": "other"}

    find_landmarks(root, tmp_path / "store", DiscFinder(), workers=1)
    film(root / row(4)["path"], [[]] * 30)
    with pytest.raises(TddError, match="was begun with detector = 'discs', not 'other'"):
        find_landmarks(root, tmp_path / "store", Other(), workers=1)


def _find_and_stop(root, out, name, number):
    stop_before(out, name, number)
    find_landmarks(root, out, DiscFinder(), workers=1)


def test_killed_again_and_again_the_landmarks_end_up_the_same(root, tmp_path):
    find_landmarks(root, tmp_path / "whole", DiscFinder(), workers=1)
    for name, number in (("plan.json", 1), ("1.npy", 1), ("3.json", 1)):
        kill(stopped_process(root, tmp_path / "broken", name, number, _find_and_stop))
        assert any("partial" in left for left in contents(tmp_path / "broken"))
    find_landmarks(root, tmp_path / "broken", DiscFinder(), workers=1)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_two_processes_find_the_same_as_one(root, tmp_path):
    seen = []
    find_landmarks(root, tmp_path / "one", DiscFinder(), workers=1)
    find_landmarks(root, tmp_path / "two", DiscFinder(), workers=2, progress=lambda *done: seen.append(done))
    assert contents(tmp_path / "one") == contents(tmp_path / "two") and seen[-1] == (4, 4)


def test_networks_that_are_not_to_be_had_end_in_a_sentence(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    small = tmp_path / "small.yaml"
    small.write_text("clip: {canvas: 72, crop: 42, view_crop: 40, input_size: 32}")
    arguments = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--recipe", str(small)]
    assert main([*arguments, "--workers", "1", "--weights", str(tmp_path / "mine")]) == 2
    said = capsys.readouterr().err
    assert "4 videos below" in said and "--landmarks given" in said
    pytest.importorskip("face_alignment")
    assert "s3fd-619a316812.pth from https://" in said and str(tmp_path / "mine") in said
    assert "--detector dlib" in said and "excludes commercial use" in said
    assert not (tmp_path / "store/landmarks").exists()
    assert main([*arguments, "--workers", "1", "--landmarks", "given"]) == 0
    assert "1 videos in" in capsys.readouterr().out
    assert main([*arguments, "--detector", "hog"]) == 2
    assert "detector 'hog' is unknown" in capsys.readouterr().err


def test_what_makes_the_landmarks_is_in_the_plan(tmp_path, monkeypatch):
    pytest.importorskip("face_alignment")
    files = {"a.pth": tmp_path / "a.pth"}
    files["a.pth"].write_bytes(b"weights")
    monkeypatch.setattr(finders, "find_weights", lambda *_: files)
    plan = LandmarkFinder(FaceSettings("retinaface", longest_gap=0.2), tmp_path).plan()
    assert json.loads(json.dumps(plan)) == plan and plan["detector"] == "retinaface" and plan["longest_gap"] == 0.2
    assert plan["package"].startswith("face-alignment 1.") and plan["weights"] == {"a.pth": "9a129038d9a00aed"}


class Stumbles(FaceLandmarker):
    """Fails on one video, in a way that nobody foresaw."""

    def __init__(self, raised, once=False):
        super().__init__(finders=disc_finders())
        self.raised, self.once = raised, once

    def video(self, path):
        if path.name.endswith("00000.mp4") and self.raised:
            raised, self.raised = self.raised, None if self.once else self.raised
            raise raised
        return super().video(path)


class StumblingFinder(DiscFinder):
    def landmarker(self):
        return self.stumbles


def stumble(root, out, raised, once=False):
    finding._landmarker.cache_clear()
    finder = StumblingFinder()
    object.__setattr__(finder, "stumbles", Stumbles(raised, once))
    return find_landmarks(root, out, finder, workers=1)


@pytest.mark.parametrize(
    "raised", [IndexError("list index out of range"), RuntimeError("NMS of nothing"), OSError(5, "I/O")]
)
def test_whatever_one_video_raises_sets_that_one_aside_until_the_next_call(root, tmp_path, raised):
    out = tmp_path / "store"
    assert stumble(root, out, raised) == Finding(found=1, refused=3)
    with pytest.raises(TddError, match=rf"WORD_00000\.mp4: looking for faces failed \({type(raised).__name__}: "):
        landmarks_of(root, out, row(0))
    assert [r["path"] for r in without_landmarks(root, out)] == [row(0)["path"]]
    assert stumble(root, out, None) == Finding(found=1, refused=0)


@pytest.mark.parametrize(
    "raised", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_a_video_for_which_memory_lacks_is_tried_again_and_named_at_last(root, tmp_path, raised):
    assert stumble(root, tmp_path / "once", raised, once=True) == Finding(found=2, refused=2)
    assert stumble(root, tmp_path / "always", raised) == Finding(found=1, refused=3)
    with pytest.raises(TddError, match="was killed or found no memory at each of 3 tries"):
        landmarks_of(root, tmp_path / "always", row(0))


def test_a_video_too_small_to_look_at_stops_nothing(root, tmp_path):
    film(root / row(0)["path"], [[(RED, 5, 5, 4)]] * 30, height=20, width=60)
    assert find_landmarks(root, tmp_path / "store", DiscFinder(), workers=1) == Finding(found=1, refused=3)
    with pytest.raises(TddError, match="is 60 x 20 px, and faces can be looked for in pictures from 32 px"):
        landmarks_of(root, tmp_path / "store", row(0))


def test_given_and_found_landmarks_lie_side_by_side_whichever_came_first(root, tmp_path):
    out = tmp_path / "store"
    given = prepare(root, out, CLIP, workers=1)
    assert given.made == 1 and "landmarks" not in given.store.plan
    find_landmarks(root, out, DiscFinder(), workers=1)
    both = prepare(root, out, CLIP, workers=1)
    assert both.made == 2 and both.store.plan["landmarks"] == {"detector": "discs"}
    assert both.store.index.set_index("video_id")["landmarks"].to_dict() == {
        "LRW/train/WORD_00000": "found", "LRW/train/WORD_00001": "found", "LRW/train/WORD_00002": "given",
    }  # fmt: skip
    shutil.rmtree(out / "landmarks")  # what was made from them stays
    assert prepare(root, out, CLIP, workers=1).made == 0
    assert json.loads((out / "plan.json").read_text())["landmarks"] == {"detector": "discs"}
    (out / "landmarks").mkdir()
    (out / "landmarks/plan.json").write_text('{"detector": "others"}')
    with pytest.raises(TddError, match=r"begun with landmarks = .*discs.*others"):
        prepare(root, out, CLIP, workers=1)
    with pytest.raises(TddError, match="begun with canvas"):
        prepare(root, out, ClipConfig(), workers=1)
