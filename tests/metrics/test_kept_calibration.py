"""Calibration after training: on validation videos alone, kept with the weights, said of weights without it."""

import json

import numpy as np
import pandas as pd
import pytest

from tdd.cli import main
from tdd.config import load_recipe
from tdd.detect import calibration_of, detect
from tdd.evaluation.evaluate import score_clips
from tdd.evaluation.selection import validation_clips
from tdd.metrics import Calibration, fit_calibration, video_scores
from tdd.metrics.kept_calibration import (
    calibrate,
    calibration_error,
    calibration_text,
    false_positives_text,
    known_calibration,
    with_false_positives,
)
from tdd.records.plans import SCRATCH
from tdd.weights.checkpoints import import_weights
from tdd.weights.detector import load_detector
from tests.stores import random_store


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated")
    store = random_store(folder / "store", val=5)
    return folder, store, detect(store, SCRATCH, load_recipe("tiny"), folder / "run", None)


def test_it_is_fitted_on_the_validation_videos_of_the_seen_methods(trained):
    folder, store, _ = trained
    clips = validation_clips(store, load_recipe("tiny"))
    assert set(clips["split"]) == {"val"} and set(clips["dataset"]) == {"FaceForensics++"}
    assert set(clips["method"]) == {"real", "Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures"}
    detector, recipe = load_detector(import_weights(folder / "run"))
    videos = video_scores(score_clips(detector, store, clips, recipe))
    kept = json.loads((folder / "run" / "weights.json").read_text())["calibration"]
    assert kept == calibrate(videos) == calibration_of(detector, store, recipe)


def drawn(count=400, seed=0):
    """Videos whose logits are four times as large as their chances allow."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=count)
    labels = (rng.uniform(size=count) < 1 / (1 + np.exp(-logits))).astype(int)
    return pd.DataFrame({"dataset": "FaceForensics++", "label": labels, "logit": 4 * logits})


def test_temperature_and_bias_are_those_of_equal_classes_and_lower_the_error():
    videos = drawn()
    kept = calibrate(videos)
    assert known_calibration(kept) == fit_calibration(videos["label"], videos["logit"], 0.5)
    assert kept["temperature"] == pytest.approx(4, rel=0.25) and kept["prior"] == 0.5
    assert (kept["reals"], kept["fakes"]) == tuple(videos["label"].value_counts().loc[[0, 1]])
    assert kept["ece_after"] < 0.6 * kept["ece_before"]
    fresh = drawn(4000, seed=1)
    errors = [
        calibration_error(fresh["label"], fresh["logit"], known)
        for known in (Calibration(1, 0), known_calibration(kept))
    ]
    assert errors[1] < errors[0] / 2


def test_fewer_than_fifty_of_a_class_are_no_calibration():
    videos = drawn(2000)
    few = pd.concat([videos[videos["label"] == 0].head(49), videos[videos["label"] == 1]])
    kept = calibrate(few)
    assert list(kept) == ["reason"] and known_calibration(kept) is None
    assert "49 real and" in calibration_text(kept) and "scores are ranks" in calibration_text(kept)
    enough = pd.concat([videos[videos["label"] == 0].head(50), videos[videos["label"] == 1].head(50)])
    assert known_calibration(calibrate(enough)) is not None
    older = calibrate(enough) | {"reals": 4, "fakes": 16}
    assert known_calibration(older) is None and "not calibrated: validation has 4 real" in calibration_text(older)


def test_false_positives_are_told_by_data_set():
    kept = calibrate(drawn())
    videos = pd.DataFrame({
        "dataset": ["FaceForensics++"] * 5 + ["Celeb-DF-v2"] * 4,
        "label": [0, 0, 0, 0, 1, 0, 0, 1, 1],
        "logit": [-90.0, -80.0, -70.0, 90.0, 80.0, 70.0, 60.0, 90.0, -90.0],
    })  # fmt: skip
    found = with_false_positives(kept, videos)["false_positives"]
    assert found == {"FaceForensics++": {"share": 0.25, "reals": 4}, "Celeb-DF-v2": {"share": 1.0, "reals": 2}}
    words = false_positives_text(found)
    assert "25% of the 4 reals of FaceForensics++" in words and "100% of the 2 reals of Celeb-DF-v2 (another" in words
    assert with_false_positives({"reason": "few"}, videos) == {"reason": "few"} and false_positives_text({}) == ""


def test_record_weights_and_screen_tell_of_it(trained, capsys):
    folder, _, record = trained
    kept = import_weights(folder / "run").info["calibration"]
    assert record["calibration"] == kept
    main(["checkpoint", "show", str(folder / "run")])
    assert f"calibration: {calibration_text(kept)}" in capsys.readouterr().out
    if "temperature" in kept:
        assert all("ece_calibrated" in values for values in record["metrics"].values())


def test_a_calibration_in_the_weights_enters_the_metrics_of_an_evaluation(trained, tmp_path, capsys):
    folder, store, record = trained
    kept = calibrate(drawn())
    (tmp_path / "weights").mkdir()
    for name in ("weights.safetensors", "weights.json"):
        (tmp_path / "weights" / name).write_bytes((folder / "run" / name).read_bytes())
    info = json.loads((tmp_path / "weights" / "weights.json").read_text()) | {"calibration": kept}
    (tmp_path / "weights" / "weights.json").write_text(json.dumps(info))
    command = ["evaluate", "--checkpoint", str(tmp_path / "weights"), "--store", str(store.folder)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    again = json.loads((tmp_path / "out" / "record.json").read_text())
    videos = video_scores(pd.read_csv(tmp_path / "out" / "clip_logits.csv"))
    celeb = videos[videos["dataset"] == "Celeb-DF-v2"]
    wanted = calibration_error(celeb["label"], celeb["logit"], Calibration(kept["temperature"], kept["bias"]))
    assert again["metrics"]["Celeb-DF"]["ece_calibrated"] == pytest.approx(wanted)
    assert again["metrics"]["Celeb-DF"]["ece"] == record["metrics"]["Celeb-DF"]["ece"]
    shown = capsys.readouterr().out
    assert 0 <= again["metrics"]["Celeb-DF"]["false_positive_rate"] <= 1 and " FP " in shown
    assert set(again["calibration"]["false_positives"]) == {"FaceForensics++", "Celeb-DF-v2"}
    assert "reals of Celeb-DF-v2 (another data set than it was calibrated on)" in " ".join(shown.split())
    assert "calib." in shown and f"Calibration: temperature {kept['temperature']:.4g}" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("videos", "words"),
    [
        (pd.DataFrame({"label": [1, 1], "logit": [1.0, 2.0]}), "both classes"),
        (pd.DataFrame({"label": [1, 0], "logit": [1.0, 2.0]}), "do not rise from real to fake"),
    ],
)
def test_what_cannot_be_calibrated_on_does_not_stop_a_run_and_says_why(videos, words):
    kept = calibrate(videos)
    assert list(kept) == ["reason"] and words in kept["reason"]
    assert known_calibration(kept) is None
    assert calibration_text(kept).startswith("not calibrated: ") and words in calibration_text(kept)
    assert not calibration_text(kept).endswith(".")  # whoever writes it ends the sentence


def test_a_store_without_validation_videos_and_imported_weights_are_not_calibrated(trained, tmp_path):
    store = random_store(tmp_path / "store", val=0, videos=2)
    detector, recipe = load_detector(import_weights(trained[0] / "run"))
    assert "no validation videos" in calibration_of(detector, store, recipe)["reason"]
    for nothing in (None, {}):
        assert known_calibration(nothing) is None and calibration_text(nothing) == "not calibrated"
