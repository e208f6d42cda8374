"""Scores that mean nothing are told; those of a detector at work are not. And weights that know their crops say so."""

import json

import numpy as np
import pandas as pd
import pytest

from tdd.cli import main
from tdd.config import load_recipe
from tdd.detect import detect
from tdd.errors import TddError
from tdd.evaluation.evaluate import evaluate_checkpoint
from tdd.evaluation.likeness import kept, look_at
from tdd.evaluation.sanity import UNKNOWN, apart_checks, sanity_lines, sign_checks
from tdd.evaluation.texts import evaluation_text
from tdd.machine.files import read_json, write_json
from tdd.records.plans import SCRATCH
from tests.faces import CROP, face_store, moved
from tests.stores import random_store


def scores(seed=0, count=40, **sets):
    """Logits of data sets: by name, the mean of reals and that of fakes; standard deviation 1."""
    rng = np.random.default_rng(seed)
    rows = []
    for dataset, means in sets.items():
        for label, mean in enumerate(means):
            method = "fakes" if label else "real"
            rows += [(dataset, method, label, mean + rng.normal()) for _ in range(count)]
    return pd.DataFrame(rows, columns=["dataset", "method", "label", "logit"])


def verdicts(checks):
    return {check.name: check.to_dict()["passed"] for check in checks}


def test_every_video_called_fake_is_told():
    (check,) = sign_checks(scores(LAV=(4, 4)))
    told = check.to_dict()
    assert told["passed"] is False and told["value"] > 0.95
    assert told["sentence"].startswith("100% of the 40 reals and 100% of the 40 fakes of LAV are called fake")
    assert told["sentence"].endswith("see crops.png")
    (check,) = sign_checks(scores(LAV=(-4, -4)))
    assert check.to_dict()["passed"] is False and "are called real" in check.sentence


@pytest.mark.parametrize("means", [(-1, 1), (0, 0), (-3, 3), (0.5, 1.5), (0.67, 1.45)])
def test_a_detector_at_work_or_one_that_guesses_is_not(means):
    """The last are those of a finished detector on Celeb-DF-v2, 1.6 and 3.5 with a deviation of 2.4."""
    assert verdicts(sign_checks(scores(A=means))) == {"one sign, A": True}


def test_classes_count_equally():
    """39 fakes to a real, all told apart: 97.5% of the videos are called fake, and rightly."""
    few = scores(A=(-6, 6))
    many = pd.concat([few[few["label"] == 0].head(10), *[few[few["label"] == 1]] * 10], ignore_index=True)
    assert (many["logit"] > 0).mean() > 0.97 and verdicts(sign_checks(many)) == {"one sign, A": True}


def test_the_threshold_is_that_of_the_calibration():
    assert verdicts(sign_checks(scores(A=(7, 9)), threshold=8.0)) == {"one sign, A": True}


def test_few_videos_say_nothing():
    assert sign_checks(scores(count=9, A=(5, 5))) == [] == apart_checks(scores(count=9, A=(0, 1), B=(5, 6)))
    assert apart_checks(scores(A=(0, 1))) == []


def test_real_sets_that_differ_more_than_the_classes_are_told():
    (check,) = apart_checks(scores(A=(-3, -1), B=(2, 3)))
    told = check.to_dict()
    assert told["passed"] is False and told["value"] == pytest.approx(5, abs=0.5)
    assert told["target"] == pytest.approx(1.5, abs=0.4)
    assert told["sentence"].startswith("reals of B score") and "above reals of A" in told["sentence"]
    assert verdicts(apart_checks(scores(A=(-1, 1), B=(-0.5, 1.5)))) == {"real sets apart": True}


def test_sets_alike_are_told_apart_by_chance_once_in_a_thousand_times():
    """A detector that sees nothing: no difference of classes to hide behind, 400 pairs of sets."""
    failed = [
        not next(iter(verdicts(apart_checks(scores(seed, 20, A=(0, 0), B=(0, 0)))).values())) for seed in range(400)
    ]
    assert np.mean(failed) <= 0.01


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A detector of random pixels, and its weights told to have been trained on drawn faces."""
    folder = tmp_path_factory.mktemp("sanity")
    store = random_store(folder / "store", crop=CROP, canvas=110, videos=3)
    recipe = load_recipe("tiny", [f"clip.crop={CROP}", "clip.canvas=110"])
    record = detect(store, SCRATCH, recipe, folder / "run", None)
    return folder, store, record


def test_a_run_keeps_what_its_crops_look_like(trained):
    folder, _, record = trained
    crops = read_json(folder / "run" / "weights.json")["crops"]
    assert record["crops"] == crops and crops["crop"] == CROP
    assert crops["videos"] == 15  # 3 reals and 3 fakes of 4 methods
    # Bytes drawn evenly: their mean is 127.5, and neighbours differ as much as any.
    low, middle, high = crops["numbers"]["brightness"]
    assert 126.5 < low <= middle <= high < 128.5
    assert crops["numbers"]["detail"][1] == pytest.approx(1, abs=0.01)


def test_wrong_crops_are_told_by_the_evaluation(trained, tmp_path, capsys):
    """The same network, and weights that say that they were trained on faces: enlarged ones are told, others not."""
    folder, _, _ = trained
    faces = face_store(tmp_path / "faces", 0, 30)
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "weights.safetensors").write_bytes((folder / "run" / "weights.safetensors").read_bytes())
    info = read_json(folder / "run" / "weights.json") | {"crops": kept(look_at(faces, faces.index))}
    write_json(weights / "weights.json", info)
    said = {}
    for name, change in (("good", None), ("wrong", moved(1.3))):
        new = face_store(tmp_path / name, 1, 24, change, "LAV-DF", "test", frames=25)
        arguments = ["evaluate", "--checkpoint", str(weights), "--store", str(new.folder)]
        assert main([*arguments, "--out", str(tmp_path / f"{name}-out")]) == 0
        said[name] = " ".join(capsys.readouterr().out.split())
        assert (tmp_path / f"{name}-out" / "crops.png").is_file()
    assert (
        "CHECK FAILED, size in the crops, LAV-DF: faces are 1.2" in said["wrong"] and "see crops.png" in said["wrong"]
    )
    assert "in the crops" not in said["good"].replace("size in the crops, place in the crops", "")


def test_older_weights_say_that_nothing_is_known(trained, tmp_path):
    folder, store, _ = trained
    old = tmp_path / "old"
    old.mkdir()
    (old / "weights.safetensors").write_bytes((folder / "run" / "weights.safetensors").read_bytes())
    info = read_json(folder / "run" / "weights.json")
    del info["crops"]
    write_json(old / "weights.json", info)
    record = evaluate_checkpoint(old, store, tmp_path / "out")
    assert sanity_lines(record)[-1] == UNKNOWN and record["crops"] == {}
    assert "is not known (an older version made these weights" in " ".join(evaluation_text(record).split())
    info["crops"] = {"videos": 3}
    write_json(old / "weights.json", info)
    with pytest.raises(TddError, match="keeps of its training crops is damaged"):
        evaluate_checkpoint(old, store, tmp_path / "again")


def test_older_records_are_read(trained):
    record = json.loads(json.dumps(trained[2]))
    for name in ("crops", "checks"):
        record.pop(name)
    assert sanity_lines(record)[-1] == UNKNOWN


def test_an_evaluation_without_its_logits_is_one_sentence(trained, tmp_path, capsys):
    folder, store, _ = trained
    arguments = ["evaluate", "--checkpoint", str(folder / "run"), "--store", str(store.folder), "--out"]
    evaluate_checkpoint(folder / "run", store, tmp_path / "out")
    (tmp_path / "out" / "clip_logits.csv").unlink()
    assert main([*arguments, str(tmp_path / "out")]) == 2
    assert "holds a record without its clip_logits.csv" in capsys.readouterr().err
