"""Scores of weights that lie in a folder: the same as those of the run that exported them."""

import copy
import dataclasses
import json

import numpy as np
import pytest

from tdd.checkpoints import WEIGHTS, import_weights
from tdd.cli import main
from tdd.config import load_recipe
from tdd.detect import detect
from tdd.errors import TddError
from tdd.evaluate import CLIP_LOGITS, evaluate_checkpoint, score_test_videos
from tdd.files import sha256
from tdd.study import SCRATCH
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
    assert f"FaceShifter: AUC {shifter['auc']:.4f} ({shifter['low']:.4f} to" in capsys.readouterr().out
    again = json.loads((tmp_path / "again" / "record.json").read_text())
    assert again["metrics"] == record["metrics"] and again["recipe"] == record["recipe"]
    assert (again["kind"], again["seed"], again["synthetic"]) == ("evaluation", 0, True)
    assert again["data"] == {"fingerprint": store.fingerprint, "weights": sha256(folder / "run" / WEIGHTS)}
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
        "tdd.evaluate.score_clips", lambda *args: args[2].assign(logit=args[2]["method"].map(logits).fillna(-1.0))
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
