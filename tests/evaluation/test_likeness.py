"""Crops that are not those of training are told, each by its own check; honest other crops are not."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
from scipy.stats import binom

from tdd.cli import main
from tdd.errors import TddError
from tdd.evaluation.likeness import (
    BEYOND,
    LEAST_VIDEOS,
    RANGE,
    SETTLED,
    against,
    crop_checks,
    kept,
    lay_over,
    look_at,
    mean_face_check,
    restored,
    training_rows,
)
from tdd.evaluation.sanity import checks_text
from tdd.synth.trees import write_benchmark
from tests.faces import CROP, blurred, face_store, moved, swapped_colours
from tests.stores import random_store


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    store = face_store(tmp_path_factory.mktemp("training"), 0, 40)
    return store, restored(json.loads(json.dumps(kept(look_at(store, training_rows(store.index))))), "weights")


def failed(training, store, name="new"):
    checks = crop_checks(training[1], look_at(store, store.index), name, "crops.png")
    return {check["name"].removesuffix(f", {name}"): check for c in checks if not (check := c.to_dict())["passed"]}


@pytest.mark.parametrize("seed", range(1, 5))
def test_honest_other_faces_raise_no_alarm(training, tmp_path, seed):
    store = face_store(tmp_path, seed, (10, 24, 60)[seed % 3], dataset="Celeb-DF-v2", split="test")
    assert failed(training, store) == {}


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (moved(1.3), "size in the crops", "faces are 1.2"),
        (moved(1 / 1.3), "size in the crops", "faces are 0.7"),
        (moved(right=6), "place in the crops", "px to the right"),
        (moved(down=-7), "place in the crops", "px up"),
        (moved(turned=40), "likeness of the crops", "may show no face, or a turned one"),
        (moved(turned=180), "likeness of the crops", "half of the variance"),
        (blurred(1.5), "fine detail", "softer, as if blurred, than"),
        (swapped_colours, "red less blue", "swapped colours"),
        (lambda frames: frames // 4, "brightness", "darker"),
    ],
)
def test_wrong_crops_are_told_with_how_far_and_where_to_look(training, tmp_path, change, check, words):
    found = failed(training, face_store(tmp_path, 1, 24, change, "LAV-DF", "test"), "LAV-DF")
    assert check in found
    sentence = found[check]["sentence"]
    assert words in sentence and "LAV-DF" in sentence and sentence.endswith("see crops.png")


@pytest.mark.parametrize(
    ("columns", "check", "words"),
    [
        ({"face_px": 30.0}, "size of the face in the video", "30 in the middle"),
        ({"align_residual": 0.2}, "misfit", "worse aligned"),
    ],
)
def test_what_only_the_index_knows_is_told(training, tmp_path, columns, check, words):
    found = failed(training, face_store(tmp_path, 1, 24, None, **columns))
    assert len(found) == 1 and next(iter(found)).startswith(check) and words in next(iter(found.values()))["sentence"]


def test_the_fit_is_that_of_the_picture(training):
    """A mean picture that is warped by a known similarity is found there."""
    own = training[1].picture
    assert lay_over(own, own).likeness == pytest.approx(1, abs=1e-3) and lay_over(own, own).scale == 1
    for scale, right, down in ((1.25, 0, 0), (0.8, 4, -3), (1.1, -5, 2)):
        matrix = cv2.getRotationMatrix2D((23.5, 23.5), 0, scale)
        matrix[:, 2] += (right, down)
        fit = lay_over(own, cv2.warpAffine(own, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE))
        assert fit.likeness > 0.97
        assert fit.scale == pytest.approx(scale, rel=0.03)
        assert (fit.right, fit.down) == (pytest.approx(right / 48, abs=0.012), pytest.approx(down / 48, abs=0.012))


def test_small_shifts_that_training_drew_too_are_no_alarm(training, tmp_path):
    assert failed(training, face_store(tmp_path, 2, 24, moved(right=1))) == {}


def test_by_chance_half_beyond_the_range_is_rare():
    """What the limit is said to come from."""
    chance = max(binom.sf(np.ceil(BEYOND * n) - 1, n, RANGE[0]) for n in range(LEAST_VIDEOS, 200))
    assert 2 * chance < 1e-5


def test_pictures_that_show_nothing_are_not_compared(training, tmp_path):
    noise = random_store(tmp_path / "noise", crop=CROP, videos=8)
    known = restored(kept(look_at(noise, training_rows(noise.index))), "weights")
    assert known.agreement**2 < 0.5
    names = {check.name for check in crop_checks(known, look_at(noise, noise.index), "x", "p")}
    assert names == {f"{what}, x" for what in ("fine detail", "brightness", "red less blue")}
    # Noise against faces is no likeness.
    assert "likeness of the crops" in failed(training, noise)


def test_size_and_place_are_asked_of_settled_mean_pictures_alone(training):
    known, crops = training[1], look_at(training[0], training[0].index)
    names = {check.name for check in crop_checks(known, crops, "x", "p")}
    unsettled = dataclasses.replace(crops, agreement=SETTLED - 0.01)
    assert names - {check.name for check in crop_checks(known, unsettled, "x", "p")} == {
        "size in the crops, x", "place in the crops, x",
    }  # fmt: skip


def test_few_videos_are_not_compared(training, tmp_path):
    few = face_store(tmp_path, 3, LEAST_VIDEOS - 1, moved(1.5))
    assert crop_checks(training[1], look_at(few, few.index), "few", "p") == []


def test_crops_of_another_size_in_px_are_refused(training, tmp_path):
    other = random_store(tmp_path, crop=42)
    with pytest.raises(TddError, match="42 px wide and those of training 64 px"):
        against(other, training[0], "p")


def test_training_rows_are_the_videos_that_a_detector_trains_on(tmp_path):
    index = random_store(tmp_path, videos=2).index
    chosen = training_rows(index)
    assert set(chosen["split"]) == {"train"} and set(chosen["dataset"]) == {"FaceForensics++"}
    assert "FaceShifter" not in set(chosen["method"])
    assert set(training_rows(index, ["FaceSwap"])["method"]) == {"real", "FaceSwap"}
    assert set(training_rows(index[index["split"] == "test"])["split"]) == {"test"}
    lrw = index[index["dataset"] == "LRW"]
    assert len(training_rows(lrw)) == (lrw["split"] == "train").sum()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("picture"),
        lambda v: v.update(picture="nothing"),
        lambda v: v.update(numbers={"detail": [3, 2, 1]}),
        lambda v: v.update(numbers={"colour": [1, 2, 3]}),
        lambda v: v.update(numbers=None),
        lambda v: v.update(crop="wide"),
    ],
)
def test_a_damaged_memory_is_one_sentence(training, spoil):
    values = kept(look_at(training[0], training[0].index))
    spoil(values)
    with pytest.raises(TddError, match=r"What run keeps of its training crops is damaged .*; make the weights again"):
        restored(values, "run")


def test_what_is_kept_is_small(training):
    assert len(json.dumps(kept(look_at(training[0], training[0].index)))) < 10_000


def test_another_mean_face_is_told(tmp_path):
    store = face_store(tmp_path, 4, 4)
    points = store.mean_face()
    assert mean_face_check(points, store)[0].to_dict()["passed"]
    check = mean_face_check((points - 55) * 1.3 + 55, store)[0].to_dict()
    assert not check["passed"] and check["value"] == pytest.approx(1.3) and "27.5 px apart" in check["sentence"]
    assert mean_face_check(None, store) == []


def test_inspect_against_a_store_says_and_draws_it(training, tmp_path, capsys):
    wrong = face_store(tmp_path / "wrong", 5, 24, moved(1.3), "LAV-DF", "test")
    out = tmp_path / "out"
    command = ["inspect", str(wrong.folder), "--against", str(training[0].folder), "--out", str(out)]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "CHECK FAILED, size in the crops, LAV-DF: faces are 1.2" in said and (out / "crops.png").is_file()


def test_a_store_against_itself_passes_every_check(training):
    checks = [check.to_dict() for check in against(training[0], training[0], "p").checks]
    assert len(checks) == 9 and checks_text(checks)[0].startswith("Sanity: 9 of 9 checks passed: mean face, likeness")


@pytest.mark.slow
def test_another_seed_of_the_benchmark_raises_no_alarm(tmp_path):
    """The benchmark twice, from other seeds and through the whole of prepare; and the second with wrong crops."""
    from tdd.config import load_recipe
    from tdd.preprocess.prepare import prepare
    from tdd.synth.sizes import SynthSize

    size = SynthSize("some", 96, 4, 0, 0, 0, (0, 0, 0), (6, 0, 6), (29, 30), 0, 0, 0, 0)
    stores = []
    for seed in (0, 1):
        root = write_benchmark(tmp_path / f"data{seed}", size, seed, methods=("Deepfakes",))
        stores.append(prepare(root, tmp_path / f"store{seed}", load_recipe("tiny").clip).store)
    for store, other in (stores, stores[::-1]):
        checks = against(store, other, "p").checks
        # A dozen people are too few for size and place.
        assert len(checks) == 7 and all(check.to_dict()["passed"] for check in checks)
