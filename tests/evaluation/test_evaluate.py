"""Scores of weights that lie in a folder: the same as those of the run that exported them."""

import copy
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as reference

from tdd.cli import main
from tdd.config import load_recipe
from tdd.data.augment import eval_view, normalise
from tdd.detect import detect
from tdd.errors import TddError
from tdd.evaluation.evaluate import CLIP_LOGITS, evaluate_checkpoint, score_clips, score_test_videos
from tdd.evaluation.selection import Protocol, evaluation_clips
from tdd.evaluation.texts import evaluation_text
from tdd.machine.files import sha256
from tdd.metrics import auc_interval, video_scores
from tdd.records.plans import SCRATCH
from tdd.weights.checkpoints import WEIGHTS, import_weights
from tests.stores import random_store


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    store = random_store(folder / "store")
    return folder, store, detect(store, SCRATCH, load_recipe("tiny"), folder / "run", None)


def test_the_scores_are_those_of_the_run(trained, tmp_path, capsys):
    folder, store, record = trained
    command = ["evaluate", "--checkpoint", str(folder / "run"), "--store", str(store.folder), "--out"]
    assert main([*command, str(tmp_path / "again")]) == 0
    shifter = record["metrics"]["FaceShifter"]
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    limits = f"{100 * shifter['low']:.1f} to {100 * shifter['high']:.1f}"
    assert any(line.startswith(f"FaceShifter {100 * shifter['auc']:.1f} {limits} ") for line in shown)
    again = json.loads((tmp_path / "again" / "record.json").read_text())
    assert again["metrics"] == record["metrics"] and again["recipe"] == record["recipe"]
    assert (again["kind"], again["seed"], again["synthetic"]) == ("evaluation", 0, True)
    protocol = {"datasets": [], "methods": [], "whole_video": False, "clip_stride": 0, "frame_step": 1}
    weights = sha256(folder / "run" / WEIGHTS)
    assert again["data"] == store.identity() | {"weights": weights, "protocol": protocol}
    assert (tmp_path / "again" / CLIP_LOGITS).read_bytes() == (folder / "run" / CLIP_LOGITS).read_bytes()


def test_deeperforensics_is_scored_as_faceforensics_against_its_reals(trained, monkeypatch):
    store = copy.copy(trained[1])
    moved = store.index["method"] == "FaceShifter"
    columns = {"dataset": "DeeperForensics-1.0", "method": "DeeperForensics"}
    store.index = store.index.assign(**{name: store.index[name].mask(moved, to) for name, to in columns.items()})
    recipe = load_recipe("tiny")
    short = dataclasses.replace(recipe.evaluation, faceforensics_frames=recipe.clip.frames)
    logits = {"real": 0.0, "DeeperForensics": 1.0}
    monkeypatch.setattr(
        "tdd.evaluation.evaluate.score_clips",
        lambda *args: args[2].assign(logit=args[2]["method"].map(logits).fillna(-1.0)),
    )
    clips, metrics = score_test_videos(None, store, dataclasses.replace(recipe, evaluation=short))
    assert (metrics["DeeperForensics"]["auc"], metrics["DeeperForensics"]["reals"]) == (1.0, 6)
    assert metrics["Deepfakes"]["auc"] == 0.0
    assert (clips[clips["method"] == "DeeperForensics"].groupby("video_id").size() == 1).all()


def test_weights_say_where_they_come_from(trained):
    folder, store, record = trained
    info = import_weights(folder / "run").info
    assert info["data"] == {"fingerprint": store.fingerprint, "synthetic": True} and info["seed"] == 0
    assert info["code"]["version"] and info["packages"] == record["packages"] and info["metrics"] == record["metrics"]


def test_weights_keep_the_mean_face_of_their_store(trained):
    folder, store, _ = trained
    np.testing.assert_array_equal(import_weights(folder / "run").mean_face, np.load(store.folder / "mean_face.npy"))


def test_show_says_what_a_run_holds(trained, capsys):
    folder, store, _ = trained
    assert main(["checkpoint", "show", str(folder / "run")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("stage2 weights of cnn_gru_attention\n")
    assert "  head: 1 tensor, 32 parameters" in shown  # the tiny recipe has 32 channels
    assert "recipe: tiny, which differs from the paper's in" in shown and "  clip.crop = 42" in shown
    assert "stage2.methods" not in shown  # as in the paper
    assert "mean face: kept" in shown and f"data: {store.fingerprint}" in shown and "6 reals and 6 fakes" in shown


def test_a_finished_evaluation_is_not_made_again_nor_mixed_with_another(trained, tmp_path):
    folder, store, record = trained
    first = evaluate_checkpoint(folder / "run", store, tmp_path / "out")
    assert evaluate_checkpoint(folder / "run", store, tmp_path / "out") == first
    with pytest.raises(TddError, match="holds results of other weights or data"):
        evaluate_checkpoint(folder / "run", random_store(tmp_path / "store", videos=7), tmp_path / "out")
    with pytest.raises(TddError, match="holds results of other"):
        evaluate_checkpoint(folder / "run", store, folder / "run")
    assert json.loads((folder / "run" / "record.json").read_text()) == record


def test_what_cannot_be_scored_is_refused_and_nothing_is_written(trained, tmp_path):
    folder, store, _ = trained
    out = tmp_path / "out"
    with pytest.raises(TddError, match=r"prepared with clip\.crop = 64 and 42 is needed"):
        evaluate_checkpoint(folder / "run", random_store(tmp_path / "crop", crop=64, videos=2), out)
    with pytest.raises(TddError, match=r"None of the 0 videos"):
        evaluate_checkpoint(folder / "run", random_store(tmp_path / "faces", videos=0), out)
    with pytest.raises(TddError, match="holds no finished stage2 weights"):
        evaluate_checkpoint(tmp_path, store, out)
    assert not out.exists()


def test_the_metrics_of_a_method_are_those_of_scikit_learn(trained):
    folder, _, record = trained
    videos = video_scores(pd.read_csv(folder / "run" / CLIP_LOGITS))
    chosen = videos[(videos["method"] == "NeuralTextures") | videos.index.str.contains("\\+/real")]
    found, labels, logits = record["metrics"]["NeuralTextures"], chosen["label"], chosen["logit"]
    assert (found["reals"], found["fakes"]) == (6, 6)
    assert found["auc"] == pytest.approx(reference.roc_auc_score(labels, logits))
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(labels, logits))
    assert found["partial_auc_fpr_0.1"] == pytest.approx(reference.roc_auc_score(labels, logits, max_fpr=0.1))
    false_rate, true_rate, _ = reference.roc_curve(labels, logits)
    assert found["tpr_at_fpr_0.05"] == true_rate[false_rate <= 0.05].max()
    assert logits.nunique() == 12  # so that each of the 15 bins of equal mass holds one video at most
    assert found["ece"] == pytest.approx(abs(1 / (1 + np.exp(-logits)) - labels).mean())
    assert not {"ece_calibrated", "false_positive_rate", "targets", "own_real"} & set(found)


def test_who_is_seen_enters_intervals_and_pairs(trained, tmp_path):
    """Named people: limits over targets, and how often a fake scores above its own real."""
    folder, store, _ = trained
    named = copy.copy(store)
    number = store.index["video_id"].str.extract(r"(\d+)$")[0]
    seen = store.index["dataset"] != "LRW"
    people = ("id" + number).where(store.index["label"] == 0, "id" + number + " x" + number)
    named.index = store.index.assign(identities=people.where(seen, ""))
    record = evaluate_checkpoint(folder / "run", named, tmp_path / "out")
    clips = pd.read_csv(tmp_path / "out" / CLIP_LOGITS)
    videos = video_scores(clips)
    celeb = videos[videos["dataset"] == "Celeb-DF-v2"]
    fakes, reals = (celeb.loc[celeb["label"] == label, "logit"].to_numpy() for label in (1, 0))
    found = record["metrics"]["Celeb-DF"]
    assert (found["targets"], found["pairs"]) == (6, 6) and found["own_real"] == (fakes > reals).mean()
    people = celeb["identities"].str.split().str[0]
    wanted = auc_interval(celeb["label"], celeb["logit"], targets=people)
    assert (found["low"], found["high"]) == pytest.approx((wanted.low, wanted.high))
    shown = " ".join(evaluation_text(record).split())
    assert "over targets" in shown and "above the very real" in shown
    assert "take videos for independent" in " ".join(evaluation_text(trained[2] | {
        "datasets": {}, "data": trained[2]["data"] | {"protocol": record["data"]["protocol"]}}).split())  # fmt: skip


class Counting(torch.nn.Module):
    """Gives each clip its brightest pixel as logit, and keeps what it saw."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, video):
        self.seen += [clip.numpy().tobytes() for clip in video]
        return video.flatten(1).amax(1)


@pytest.mark.parametrize("size", [1, 7, 32])
def test_every_clip_is_scored_exactly_once(trained, size):
    store, recipe = trained[1], load_recipe("tiny")
    recipe = dataclasses.replace(recipe, evaluation=dataclasses.replace(recipe.evaluation, batch_size=size))
    clips, detector, told = evaluation_clips(store, recipe), Counting(), []
    scored = score_clips(detector, store, clips, recipe, progress=lambda *done: told.append(done))
    assert len(detector.seen) == len(set(detector.seen)) == len(clips) == len(scored)
    assert not clips.duplicated(["video_id", "start"]).any()
    assert told[-1] == (len(clips), len(clips)) and len(told) == -(-len(clips) // size)
    # by the rule of the paper, counted by hand: FaceForensics++ 30 to 35 frames, two clips each; Celeb-DF 60, three
    assert len(clips) == 6 * 6 * 2 + 2 * 6 * 3


def test_no_clips_get_no_logits(trained):
    clips = evaluation_clips(trained[1], load_recipe("tiny")).iloc[:0]
    scored = score_clips(Counting(), trained[1], clips, load_recipe("tiny"))
    assert scored.empty and scored["logit"].dtype == np.float32


def test_a_lost_clip_is_never_passed_over(trained, monkeypatch):
    store, recipe = trained[1], load_recipe("tiny")
    clips = evaluation_clips(store, recipe)
    first = {"video": torch.zeros(2, 3, 1, 1, 1), "number": torch.tensor([0, 1])}
    monkeypatch.setattr("tdd.evaluation.evaluate.loader", lambda *_: [first])
    with pytest.raises(TddError, match=f"{len(clips)} clips were to be scored once each, and 2 scores came back"):
        score_clips(Counting(), store, clips, recipe)


def test_a_selection_takes_the_reals_along(trained):
    store, recipe = trained[1], load_recipe("tiny")

    def methods(**chosen):
        return set(evaluation_clips(store, recipe, Protocol(**chosen)).value_counts(["dataset", "method"]).index)

    real = ("FaceForensics++", "real")
    assert methods(methods=("FaceSwap",)) == {("FaceForensics++", "FaceSwap"), real}
    assert methods(datasets=("Celeb-DF-v2",)) == {("Celeb-DF-v2", "real"), ("Celeb-DF-v2", "Celeb-DF")}
    assert methods(datasets=("FaceForensics++",), methods=("FaceShifter",)) == {
        ("FaceForensics++", "FaceShifter"),
        real,
    }
    moved = copy.copy(store)
    moved.index = store.index.assign(
        dataset=store.index["dataset"].mask(store.index["method"] == "FaceShifter", "DeeperForensics-1.0")
    )
    only = evaluation_clips(moved, recipe, Protocol(datasets=("DeeperForensics-1.0",)))
    assert set(only.value_counts(["dataset", "method"]).index) == {("DeeperForensics-1.0", "FaceShifter"), real}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"datasets": ("DFDC",)}, "data set 'DFDC'; the store has: Celeb-DF-v2, FaceForensics"),
        ({"methods": ("faceswap",)}, "method 'faceswap'; the store has: Celeb-DF, Deepfakes"),
        ({"datasets": ("Celeb-DF-v2",), "methods": ("FaceSwap",)}, "method 'FaceSwap'; the store has: Celeb-DF"),
        ({"frame_step": 3}, "None of the .* videos for this step has 73 frames"),
    ],
)
def test_what_the_store_has_not_cannot_be_chosen(trained, tmp_path, chosen, words):
    folder, store, _ = trained
    with pytest.raises(TddError, match=words):
        evaluate_checkpoint(folder / "run", store, tmp_path / "out", Protocol(**chosen))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("values", [{"clip_stride": -1}, {"frame_step": 0}])
def test_strides_and_steps_that_no_clip_has_are_refused(values):
    with pytest.raises(TddError, match="1 frame at least"):
        Protocol(**values)


def test_stride_step_and_whole_videos_are_what_they_say(trained):
    store, recipe = copy.copy(trained[1]), load_recipe("tiny")
    store.index = store.index.assign(frames=200)

    def starts(dataset="FaceForensics++", **protocol):
        clips = evaluation_clips(store, recipe, Protocol(**protocol))
        return clips[clips["dataset"] == dataset].groupby("video_id")["start"].apply(list).iloc[0]

    assert starts() == [0, 25, 50, 75, 85] == starts(clip_stride=25)
    assert starts(whole_video=True) == [0, 25, 50, 75, 100, 125, 150, 175]
    assert starts(clip_stride=40) == [0, 40, 80, 85]
    assert starts(clip_stride=10)[:3] == [0, 10, 20]
    assert starts(frame_step=2) == [0, 49, 61]  # 49 frames from the first seen to the last
    assert starts("Celeb-DF-v2", frame_step=4, clip_stride=100) == [0, 100, 103]


def test_a_frame_step_shows_every_nth_frame(trained):
    store, recipe = trained[1], load_recipe("tiny")
    clips = evaluation_clips(store, recipe, Protocol(datasets=("Celeb-DF-v2",), frame_step=2))
    detector = Counting()
    score_clips(detector, store, clips, recipe, 2)
    wide = store.frames(clips.iloc[0]["video_id"], 0, 49)
    view = normalise(torch.from_numpy(eval_view(wide[::2], recipe.clip))[None])[0]
    assert detector.seen[0] == view.numpy().tobytes()


def test_the_record_says_what_was_not_the_papers_protocol(trained, tmp_path, capsys):
    folder, store, _ = trained
    command = ["evaluate", "--checkpoint", str(folder / "run"), "--store", str(store.folder)]
    out = ["--out", str(tmp_path / "out"), "--methods", "Celeb-DF"]
    assert main([*command, *out, "--clip-stride", "5", "--frame-step", "2", "--whole-video"]) == 0
    shown = capsys.readouterr().out
    assert "Clips: all frames of every video, a clip every 5 frames, one frame in 2 (12.5 fps)." in shown
    assert "FaceSwap" not in shown and "all of Celeb-DF-v2" in shown and "not calibrated" in shown
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["data"]["protocol"]["clip_stride"] == 5 and set(record["datasets"]) == {"Celeb-DF-v2"}
    assert record["datasets"]["Celeb-DF-v2"] == record["metrics"]["Celeb-DF"]
    assert main([*command, *out]) == 2
    assert "or of another protocol" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "no"), "--clip-stride", "-2"]) == 2
    assert "not -2" in capsys.readouterr().err and not (tmp_path / "no").exists()


def relabelled(store, dataset, methods):
    """The same store with its FaceForensics++ test videos as another data set's."""
    moved = copy.copy(store)
    test = (store.index["dataset"] == "FaceForensics++") & (store.index["split"] == "test")
    table = store.index[test].assign(dataset=dataset)
    moved.index = table.assign(method=table["method"].map(methods)).dropna(subset="method").reset_index(drop=True)
    return moved


@pytest.mark.parametrize("dataset", ["DFDC", "FakeAVCeleb"])
def test_other_data_sets_are_scored_whole_against_their_own_reals(trained, tmp_path, dataset):
    folder, store, _ = trained
    names = {
        "DFDC": {"FaceSwap": "DFDC"},
        "FakeAVCeleb": {"FaceSwap": "FakeAVCeleb-FVRA-fsgan", "Deepfakes": "FakeAVCeleb-RVFA-rtvc"},
    }
    store = relabelled(store, dataset, {"real": "real"} | names[dataset])
    record = evaluate_checkpoint(folder / "run", store, tmp_path / "out")
    assert set(record["metrics"]) == set(names[dataset].values()) and set(record["datasets"]) == {dataset}
    assert record["datasets"][dataset] == record["metrics"][names[dataset]["FaceSwap"]]  # the unseen are not in it
    shown = evaluation_text(record)
    assert ("labelled fake for their sound alone" in shown) == (dataset == "FakeAVCeleb")
    assert max(map(len, shown.splitlines())) <= 118


def test_a_method_without_reals_is_refused_before_anything_is_scored(trained, tmp_path):
    folder, store, _ = trained
    alone = relabelled(store, "DFDC", {"FaceSwap": "DFDC"})
    with pytest.raises(TddError, match=r"DFDC has 0 real and 6 fake test videos"):
        evaluate_checkpoint(folder / "run", alone, tmp_path / "out")
    with pytest.raises(TddError, match=r"DFDC has 0 real and 6 fake test videos"):
        detect(mixed(store, alone), SCRATCH, load_recipe("tiny"), tmp_path / "run", None)
    assert not (tmp_path / "out").exists() and not list((tmp_path / "run").glob("*"))


def mixed(store, other):
    both = copy.copy(store)
    both.index = pd.concat([store.index, other.index], ignore_index=True)
    return both


def test_a_data_set_of_reals_alone_is_refused_in_one_sentence(trained):
    store = copy.copy(trained[1])
    fakes = (store.index["dataset"] == "Celeb-DF-v2") & (store.index["label"] == 1)
    store.index = store.index[~fakes]
    with pytest.raises(TddError, match="The test videos of Celeb-DF-v2 are all real, and an AUC needs fakes too"):
        evaluation_clips(store, load_recipe("tiny"), Protocol(datasets=("Celeb-DF-v2",)))
