"""A video file scored by itself: the same clips and logits as through a store, and all that is said beside them."""

import dataclasses
import json
import math
import os
import shutil
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from tdd.cli import main
from tdd.config import FindingsConfig, load_recipe
from tdd.data.augment import eval_view, normalise
from tdd.data.video import VideoFile
from tdd.errors import TddError
from tdd.evaluation.evaluate import CLIP_LOGITS, clip_starts, evaluate_checkpoint
from tdd.evaluation.predict import COLUMNS, VideoScorer, predict_folder, predict_video, running_clips
from tdd.evaluation.prediction import mean_span
from tdd.machine.files import read_json, sha256
from tdd.metrics import Calibration
from tdd.preprocess.faces import FaceLandmarker
from tdd.preprocess.prepare import prepare
from tdd.weights.checkpoints import STAGE1_PARTS, Weights, export_weights, import_weights, weights_info
from tdd.weights.detector import Detector, load_detector
from tests.preprocess.discs import GREEN, RED, disc_finders, film
from tests.preprocess.trees import SIZE, add_video, face_points, write_root
from tests.videos import encode

RECIPE = load_recipe("tiny")
FAKE = "Celeb-DF-v2/Celeb-synthesis/id0_id1_0000"


def export(folder, backbone="cnn_gru_attention", recipe=RECIPE, mean_face=None, **info):
    """A detector that nobody trained, as stage-2 weights."""
    torch.manual_seed(0)
    detector = Detector(backbone, recipe)
    parts = {"backbone": detector.backbone.state_dict(), "head": detector.head.state_dict()}
    known = weights_info(recipe, 0, {}, None, synthetic=info.pop("synthetic", False)) | info
    export_weights(folder, Weights("stage2", backbone, parts, known, mean_face))
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data root, the store prepared from it, and weights that know the store's mean face."""
    folder = tmp_path_factory.mktemp("predict")
    root = write_root(folder / "data")
    add_video(root, f"{FAKE}.mp4", 80, seed=3)
    add_video(root, "Celeb-DF-v2/Celeb-synthesis/id1_id0_0000.mp4", 33, seed=4)
    with (root / "Celeb-DF-v2" / "List_of_testing_videos.txt").open("a", encoding="utf-8") as listing:
        listing.write("0 Celeb-synthesis/id1_id0_0000.mp4\n")  # an interval takes two of each class
    store = prepare(root, folder / "store", RECIPE.clip, workers=1).store
    return root, store, export(folder / "weights", mean_face=store.mean_face())


def command(world, *arguments, video=FAKE):
    root, _, weights = world
    landmarks = root / "landmarks" / f"{video}.npy"
    given = ["predict", str(root / f"{video}.mp4"), "--checkpoint", str(weights), "--landmarks", str(landmarks)]
    return main([*given, *map(str, arguments)])


def score(world, video=FAKE, weights=None):
    root, _, own = world
    return predict_video(root / f"{video}.mp4", weights or own, root / "landmarks" / f"{video}.npy")


@pytest.mark.parametrize("backbone", ["cnn_gru_attention", "cnn_lstm", "csn"])
def test_the_logits_are_those_of_the_evaluation(world, backbone, tmp_path):
    _, store, _ = world
    weights = export(tmp_path / "weights", backbone, mean_face=store.mean_face())
    evaluate_checkpoint(weights, store, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / CLIP_LOGITS)
    paths = store.index.set_index("video_id")["path"]
    whole = table[table["dataset"] == "Celeb-DF-v2"].groupby("video_id")
    assert len(whole) == 4
    for video_id, clips in whole:
        prediction = score(world, paths[video_id].removesuffix(".mp4"), weights)
        np.testing.assert_allclose(prediction.clips["logit"], clips["logit"], atol=1e-4)
        np.testing.assert_allclose(prediction.clips["start"] * 25, clips["start"])
        assert prediction.logit == pytest.approx(clips["logit"].mean(), abs=1e-4)
        assert prediction.score == pytest.approx(1 / (1 + math.exp(-clips["logit"].mean())), abs=1e-4)
        assert (prediction.attention is None) == (backbone != "cnn_gru_attention")


@given(n_frames=st.integers(1, 60), length=st.integers(1, 20))
def test_running_clips_are_those_of_the_evaluation(n_frames, length):
    frames = [np.full((1, 1, 3), number) for number in range(n_frames)]
    if n_frames < length:
        return
    clips = list(running_clips(iter(frames), length))
    assert [start for start, _ in clips] == clip_starts(n_frames, length)
    for start, clip in clips:
        np.testing.assert_array_equal(clip[:, 0, 0, 0], np.arange(start, start + length))


def test_attention_is_what_each_frame_receives(world):
    _, store, weights = world
    prediction = score(world)
    detector, recipe = load_detector(import_weights(weights))
    row = store.index[store.index["path"] == f"{FAKE}.mp4"].iloc[0]
    views = np.stack([eval_view(store.frames(row["video_id"], start, 25), recipe.clip) for start in (0, 25, 50, 55)])
    with torch.inference_mode():
        expected = detector.backbone.attention_map(normalise(torch.from_numpy(views))).mean(1)
    np.testing.assert_allclose(prediction.attention, expected, atol=1e-5)
    np.testing.assert_allclose(prediction.attention.sum(1), 1, atol=1e-5)


def test_recurrent_steps_that_are_not_frames_show_no_attention(world, tmp_path):
    released = dataclasses.replace(RECIPE, findings=FindingsConfig(channels_as_time=True))
    weights = export(tmp_path / "weights", recipe=released, mean_face=world[1].mean_face())
    assert score(world, weights=weights).attention is None


def test_the_driving_clips_are_the_highest_and_show_what_was_scored(world):
    _, store, _ = world
    prediction = score(world)
    order = prediction.clips["logit"].sort_values(ascending=False).index[:3]
    assert [clip.clip for clip in prediction.driving] == list(order)
    video_id = store.index.loc[store.index["path"] == f"{FAKE}.mp4", "video_id"].item()
    for clip in prediction.driving:
        start = round(prediction.clips["start"][clip.clip] * 25)
        np.testing.assert_array_equal(clip.faces, store.frames(video_id, start, 25))


def test_the_interval_is_students(world):
    logits = score(world).clips["logit"]
    low, high = scipy.stats.t.interval(0.95, len(logits) - 1, logits.mean(), scipy.stats.sem(logits))
    span = mean_span(logits.to_numpy())
    assert (span.low, span.high) == pytest.approx((low, high))
    assert mean_span([1.0]) is None


def test_a_calibrated_score_is_said_to_be_one(world, tmp_path):
    stored = {"temperature": 20.0, "bias": 0.3}
    kept = stored | {"reals": 50, "fakes": 160, "ece_before": 0.3, "ece_after": 0.05}
    kept["false_positives"] = {
        "FaceForensics++": {"share": 0.12, "reals": 140}, "Celeb-DF-v2": {"share": 0.8, "reals": 178},
    }  # fmt: skip
    weights = export(tmp_path / "weights", mean_face=world[1].mean_face(), calibration=kept)
    plain, calibrated = score(world), score(world, weights=weights)
    assert calibrated.score == pytest.approx(1 / (1 + math.exp(-(plain.logit / 20 + 0.3))))
    assert calibrated.score_span.low == pytest.approx(float(Calibration(**stored).probability(plain.logit_span.low)))
    assert calibrated.calibrated and "calibrated chance" in calibrated.meaning
    assert "12% of the 140 reals of FaceForensics++, 80% of the 178 reals of Celeb-DF-v2 (another" in calibrated.meaning
    assert calibrated.to_dict()["score_is"] == "chance"
    assert calibrated.to_dict()["false_positives"] == kept["false_positives"]
    assert not plain.calibrated and "not calibrated" in plain.meaning


def test_without_enough_validation_videos_a_score_is_a_rank(world, tmp_path):
    """Also of weights of an older version, which were calibrated on however few there were."""
    kept = {"temperature": 20.0, "bias": 0.3, "reals": 49, "fakes": 160, "ece_before": 0.3, "ece_after": 0.05}
    found = score(world, weights=export(tmp_path / "weights", mean_face=world[1].mean_face(), calibration=kept))
    assert found.score == score(world).score and "The score is a rank" in found.to_text()
    assert (found.to_dict()["score_is"], found.to_dict()["false_positives"]) == ("rank", None)


def test_one_clip_has_no_interval(world, tmp_path):
    add_video(tmp_path, "short.mp4", 25)
    prediction = predict_video(tmp_path / "short.mp4", world[2], tmp_path / "landmarks" / "short.npy")
    assert prediction.logit_span is None and prediction.score_span is None and "interval" not in prediction.to_text()
    assert prediction.to_dict()["interval"] is None


def test_the_json_keeps_its_keys(world, tmp_path, capsys):
    assert command(world, "--json", tmp_path / "a" / "out.json", "--csv", tmp_path / "out.csv") == 0
    said, written = capsys.readouterr().out, read_json(tmp_path / "a" / "out.json")
    assert list(written) == [
        "schema", "video", "seconds", "frames", "score", "calibrated", "score_is", "false_positives", "logit",
        "interval", "meaning", "clips", "driving", "attention", "landmarks", "detector", "warnings",
    ]  # fmt: skip
    assert written["schema"] == 1 and (written["frames"], written["seconds"]) == (80, 3.2)
    assert list(written["clips"][0]) == ["start", "end", "logit", "score"]
    assert list(written["interval"]) == ["level", "logit", "score"]
    assert written["detector"] == {
        "backbone": "cnn_gru_attention", "recipe": "tiny", "weights": sha256(world[2] / "weights.safetensors"),
    }  # fmt: skip
    assert np.shape(written["attention"]) == (4, 25)
    assert f"score {written['score']:.3f}, 95% interval" in said and written["meaning"] in " ".join(said.split())
    table = pd.read_csv(tmp_path / "out.csv")
    assert table.columns.tolist() == list(COLUMNS) and table["score"][0] == pytest.approx(written["score"])


def test_what_weakens_a_score_is_said(world, tmp_path):
    small = face_points(40, scale=0.25)
    frames = [np.full((SIZE, SIZE, 3), 90, np.uint8)] * 40
    encode(tmp_path / "small.mp4", frames, rate=30)
    np.save(tmp_path / "small.npy", small)
    weights = export(tmp_path / "weights", mean_face=world[1].mean_face(), synthetic=True)
    warnings = predict_video(tmp_path / "small.mp4", weights, tmp_path / "small.npy").warnings
    assert [
        any(words in warning for warning in warnings)
        for words in ("says nothing about videos of people", "2 clips", "30.00 frames per second", "face is small")
    ] == [True] * 4
    assert score(world).warnings == ()
    unknown = export(tmp_path / "unknown", mean_face=world[1].mean_face(), synthetic=None)
    assert "not recorded" in score(world, weights=unknown).warnings[0]


def disc_finder():
    return FaceLandmarker(finders=disc_finders())


def test_landmarks_are_found_where_none_are_given(world, tmp_path):
    """The larger of two discs, away for 8 frames, is scored as with the landmarks that its finder gives."""
    path = tmp_path / "two.mp4"
    shown = [[(GREEN, 190, 80, 18)] + [(RED, 60 + n, 80, 24)] * (n not in range(21, 29)) for n in range(50)]
    film(path, shown)
    found = VideoScorer(world[2], load_landmarker=disc_finder).score(path)
    np.save(tmp_path / "two.npy", disc_finder().video(path).points)
    given = predict_video(path, world[2], tmp_path / "two.npy")
    assert found.logit == given.logit and given.landmarks == "given"
    assert found.landmarks == "found with face-alignment (sfd) in 84% of the frames"
    said = " ".join(found.warnings)
    assert "shows 2 faces" in said and "8 of 50 frames" in said and "8 frames in a row" in said


def test_a_video_without_a_face_is_refused(world, tmp_path):
    film(tmp_path / "none.mp4", [[]] * 30)
    with pytest.raises(TddError, match="no face was found"):
        VideoScorer(world[2], load_landmarker=disc_finder).score(tmp_path / "none.mp4")


def test_missing_networks_are_said_once_and_before_the_first_video(world, tmp_path, capsys):
    add_video(tmp_path, "a.mp4", 30)
    command = ["predict", str(tmp_path), "--checkpoint", str(world[2]), "--csv", str(tmp_path / "out.csv")]
    assert main([*command, "--detector", "mine"]) == 2
    assert "choose one of sfd" in capsys.readouterr().err and not (tmp_path / "out.csv").exists()


def test_a_folder_becomes_a_table_and_a_bad_video_a_row(world, tmp_path, capsys):
    weights = world[2]
    for name, length in (("b/long", 60), ("a", 30), ("short", 10)):
        add_video(tmp_path, f"{name}.mp4", length)
    (tmp_path / "broken.avi").write_bytes(b"no video")
    (tmp_path / "notes.txt").write_text("not looked at")
    np.save(tmp_path / "landmarks" / "broken.npy", face_points(30))
    given = ["predict", str(tmp_path), "--checkpoint", str(weights), "--landmarks", str(tmp_path / "landmarks")]
    assert main([*given, "--csv", str(tmp_path / "out.csv")]) == 0
    table = pd.read_csv(tmp_path / "out.csv").set_index("video")
    assert table.index.tolist() == ["a.mp4", "b/long.mp4", "broken.avi", "short.mp4"]
    own = predict_video(tmp_path / "b/long.mp4", weights, tmp_path / "landmarks/b/long.npy")
    assert table.loc["b/long.mp4", "score"] == pytest.approx(own.score) and table.loc["b/long.mp4", "clips"] == 3
    assert table["score"].isna().tolist() == table["reason"].notna().tolist() == [False, False, True, True]
    assert "10 frames" in table.loc["short.mp4", "reason"] and "cannot be decoded" in table.loc["broken.avi", "reason"]
    assert "2 of 4 videos scored" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_odd_names_are_scored_and_told_apart(world, tmp_path, capsys):
    add_video(tmp_path, "good.mp4", 30)
    video = (tmp_path / "good.mp4").read_bytes()
    odd = [os.fsdecode(name) for name in (b"\xb0\xa1.mp4", b"\xb0\xa2.mkv", b"a\nb$x_$ .mp4 ", b"c[/bold]:smile:.3gp")]
    for name in odd:
        (tmp_path / "v" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "v" / name).write_bytes(video)
    (tmp_path / "v/._a.mp4").write_bytes(video)
    shutil.copy(tmp_path / "landmarks/good.npy", tmp_path / "landmarks" / os.fsdecode(b"\xb0\xa1.npy"))
    (tmp_path / "landmarks" / os.fsdecode(b"\xb0\xa2.npy")).write_bytes(b"PK\3\4junk")
    shutil.copy(tmp_path / "landmarks/good.npy", tmp_path / "landmarks" / f"{odd[2]}.npy")
    given = ["predict", str(tmp_path / "v"), "--checkpoint", str(world[2]), "--landmarks", str(tmp_path / "landmarks")]
    assert main([*given, "--csv", str(tmp_path / "out.csv")]) == 0
    table = pd.read_csv(tmp_path / "out.csv").set_index("video")
    assert table.index.tolist() == [r"a\nb$x_$ .mp4 ", "c[/bold]:smile:.3gp", r"\xb0\xa1.mp4", r"\xb0\xa2.mkv"]
    assert table["score"].notna().tolist() == [True, False, True, False]
    said = capsys.readouterr().out
    assert "1 hidden files" in said and "c[/bold]:smile:.npy is missing" in said and "zip archive" in said
    alone = ["predict", str(tmp_path / "v" / odd[2]), *given[2:4], "--landmarks", str(tmp_path / "landmarks/good.npy")]
    assert main([*alone, "--png", str(tmp_path / "p.png"), "--csv", str(tmp_path / "one.csv")]) == 0


def test_two_videos_do_not_share_landmarks_in_silence(world, tmp_path):
    add_video(tmp_path, "v/a.mp4", 30)
    shutil.copy(tmp_path / "v/a.mp4", tmp_path / "v/a.mkv")
    scorer = VideoScorer(world[2])
    rows = predict_folder(tmp_path / "v", scorer, tmp_path / "landmarks/v")
    assert [row["video"] for row in rows if "could be of" in row["reason"]] == ["a.mkv", "a.mp4"]
    shutil.copy(tmp_path / "landmarks/v/a.npy", tmp_path / "landmarks/v/a.mkv.npy")
    assert all("score" in row for row in predict_folder(tmp_path / "v", scorer, tmp_path / "landmarks/v"))


def test_whatever_one_video_raises_the_others_are_scored(world, tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        add_video(tmp_path, f"v/{name}.mp4", 30)
    whole = VideoScorer.score
    errors = {"a.mp4": ZeroDivisionError("by zero"), "b.mp4": MemoryError("8K")}

    def score(self, path, landmarks=None):
        if path.name in errors:
            raise errors[path.name]
        return whole(self, path, landmarks)

    monkeypatch.setattr(VideoScorer, "score", score)
    rows = predict_folder(tmp_path / "v", VideoScorer(world[2]), tmp_path / "landmarks/v")
    assert rows[0]["reason"].startswith("ZeroDivisionError: by zero") and "not enough memory" in rows[1]["reason"]
    assert "score" in rows[2]


def test_a_folder_of_nothing_usable_is_an_error_with_its_table(world, tmp_path, capsys):
    add_video(tmp_path, "short.mp4", 10)
    given = ["predict", str(tmp_path), "--checkpoint", str(world[2]), "--landmarks", str(tmp_path / "landmarks")]
    assert main([*given, "--csv", str(tmp_path / "out.csv")]) == 2
    assert "reasons are in" in capsys.readouterr().err and len(pd.read_csv(tmp_path / "out.csv")) == 1
    with pytest.raises(TddError, match=r"none is no folder; for a folder of videos"):
        predict_folder(tmp_path, VideoScorer(world[2]), tmp_path / "none")


def test_weights_without_a_mean_face_take_one(world, tmp_path, capsys):
    root, store, _ = world
    bare = export(tmp_path / "bare")
    assert command((root, store, bare)) == 2
    assert "--mean-face" in capsys.readouterr().err
    assert command((root, store, bare), "--mean-face", store.folder / "mean_face.npy", "--json", tmp_path / "o") == 0
    assert json.loads((tmp_path / "o").read_text())["logit"] == pytest.approx(score(world).logit, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"video": "missing.mp4"}, "is no file"),
        ({"video": "text.mp4"}, "cannot be decoded"),
        ({"video": "short.mp4", "--landmarks": "landmarks/short.npy"}, "10 frames at 25 fps, and a clip takes 25"),
        ({"--landmarks": "landmarks/short.npy"}, "30 frames and its landmarks 10"),
        ({"--landmarks": "missing.npy"}, "is missing"),
        ({"--landmarks": "text.mp4"}, "not a readable .npy array"),
        ({"--landmarks": "flat.npy"}, "lie in one place"),
        ({"--landmarks": "nan.npy"}, "not finite"),
        ({"--checkpoint": "landmarks"}, "holds no finished stage2 weights"),
        ({"--checkpoint": "stage1"}, "stage2 weights of csn are needed"),
        ({"--mean-face": "flat.npy"}, "a mean face is"),
        ({"video": "landmarks"}, "is a folder: give --csv"),
        ({"video": "landmarks", "--csv": "out.csv"}, "holds no video"),
        ({"video": "empty.mp4"}, "is empty"),
        ({"video": "half.mp4"}, "is cut off"),
        ({"video": "picture.mp4"}, "is a picture"),
        ({"video": "http:/example.org/a.mp4"}, "is an address"),
        ({"--json": "text.mp4/deeper/out.json"}, "cannot be written"),
        ({"--json": "landmarks"}, "is a folder"),
        ({"--json": "good.mp4"}, "is not replaced; give --json another name"),
        ({"--png": "landmarks/good.npy"}, "is not replaced; give --png another name"),
        ({"video": "landmarks", "--csv": "good.mp4"}, "is not replaced; give --csv another name"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(world, tmp_path, change, expected, capsys):
    add_video(tmp_path, "good.mp4", 30)
    add_video(tmp_path, "short.mp4", 10)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    whole = (tmp_path / "good.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "picture.mp4").write_bytes(cv2.imencode(".png", np.full((SIZE, SIZE, 3), 90, np.uint8))[1].tobytes())
    np.save(tmp_path / "flat.npy", np.full((30, 68, 2), 40.0))
    np.save(tmp_path / "nan.npy", np.full((30, 68, 2), np.nan))
    export_weights(tmp_path / "stage1", Weights("stage1", "csn", {part: {} for part in STAGE1_PARTS}, {}))
    paths = {"video": "good.mp4", "--landmarks": "landmarks/good.npy", "--checkpoint": None} | change
    name = paths.pop("video")
    given = [name if ":" in name else str(tmp_path / name)]
    for option, name in paths.items():
        given += [option, str(world[2] if name is None else tmp_path / name)]
    assert main(["predict", *given]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("tdd: ") and len(said.splitlines()) == 1 and expected in said
    assert not (tmp_path / "out.csv").exists() and (tmp_path / "good.mp4").read_bytes() == whole
    assert not list(tmp_path.rglob(".tdd-*"))


def test_outputs_are_refused_before_the_scoring(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VideoScorer, "score", lambda *_: pytest.fail("scored first"))
    (tmp_path / "file").write_text("")
    for option, kind in (("--json", "json"), ("--png", "png"), ("--csv", "csv")):
        assert command(world, option, tmp_path / f"file/a.{kind}") == 2
        assert f"give {option} another name" in capsys.readouterr().err


def test_a_long_video_tells_how_far_it_is(world, tmp_path):
    path = tmp_path / "disc.mp4"
    film(path, [[(RED, 60, 80, 24)]] * 60)
    told = []
    VideoScorer(world[2], load_landmarker=disc_finder).score(
        path, progress=lambda done, total: told.append((done, total))
    )
    assert {total for _, total in told} == {120} and told[-1] == (120, 120)
    counts = [done for done, _ in told]
    assert counts == sorted(counts) and len([n for n in counts if n < 60]) > 4


def test_the_length_of_a_video_is_looked_up_only_for_who_watches(world, monkeypatch):
    looks, look = [], VideoFile.look
    monkeypatch.setattr(VideoFile, "look", lambda self, **how: looks.append(self.path) or look(self, **how))
    root, _, weights = world
    video = root / f"{FAKE}.mp4", root / "landmarks" / f"{FAKE}.npy"
    for watch, times in ((None, 0), (lambda *_: None, 1)):
        VideoScorer(weights).score(*video, progress=watch)
        assert len(looks) == times


def test_ctrl_c_keeps_what_was_scored_of_a_folder(world, tmp_path, monkeypatch, capsys):
    for name in "abc":
        add_video(tmp_path, f"{name}.mp4", 30)
    whole = VideoScorer.score

    def interrupted(self, path, *rest):
        if path.name == "c.mp4":
            raise KeyboardInterrupt
        return whole(self, path, *rest)

    monkeypatch.setattr(VideoScorer, "score", interrupted)
    given = ["predict", str(tmp_path), "--checkpoint", str(world[2]), "--landmarks", str(tmp_path / "landmarks")]
    assert main([*given, "--csv", str(tmp_path / "out.csv")]) == 130
    assert pd.read_csv(tmp_path / "out.csv")["video"].tolist() == ["a.mp4", "b.mp4"]
    said = capsys.readouterr()
    assert "2 of 3 videos scored" in said.out and said.err == "Interrupted.\n"


@pytest.mark.parametrize(("transfer", "said"), [("1", ""), ("16", "(PQ)"), ("18", "HLG")])
def test_pictures_of_high_dynamic_range_are_warned_of(world, tmp_path, transfer, said):
    frames = np.full((30, SIZE, SIZE, 3), 90, np.uint8)
    options = {"color_trc": transfer, "color_primaries": "9", "colorspace": "9"}
    encode(tmp_path / "a.mp4", list(frames), pixels="yuv420p10le", options=options)
    np.save(tmp_path / "a.npy", face_points(30))
    warnings = predict_video(tmp_path / "a.mp4", world[2], tmp_path / "a.npy").warnings
    assert [said in warning for warning in warnings if "(SDR)" in warning] == [True] * bool(said)


def test_weights_that_give_no_number_are_refused(world, tmp_path):
    weights = import_weights(export(tmp_path / "weights", mean_face=world[1].mean_face()))
    weights.parts["head"]["weight"][0] = math.nan
    export_weights(tmp_path / "weights", weights)
    with pytest.raises(TddError, match="gives no number"):
        score(world, weights=tmp_path / "weights")


def test_a_scorer_is_used_again(world):
    """Two videos one after the other give what each gives alone."""
    scorer = VideoScorer(world[2])
    names = [FAKE, "Celeb-DF-v2/Celeb-real/id0_0000"]
    found = [scorer.score(world[0] / f"{n}.mp4", world[0] / "landmarks" / f"{n}.npy").logit for n in names]
    assert found == [score(world, name).logit for name in names]


def test_crops_that_may_be_wrong_are_warned_of(world, tmp_path):
    root, _, weights = world
    points = np.load(root / "landmarks" / f"{FAKE}.npy")
    assert not any("crops may be wrong" in warning for warning in score(world).warnings)
    middle = points.mean(1, keepdims=True)
    np.save(tmp_path / "turned.npy", middle - (points - middle))
    turned = predict_video(root / f"{FAKE}.mp4", weights, tmp_path / "turned.npy")
    assert "The face stands on its head (in 100% of the frames): the crops may be wrong" in " ".join(turned.warnings)
    points[3, 4] = -9e4
    np.save(tmp_path / "wild.npy", points)
    with pytest.raises(TddError, match=r"frame 3: landmark 4 lies at .* far outside the picture"):
        predict_video(root / f"{FAKE}.mp4", weights, tmp_path / "wild.npy")
