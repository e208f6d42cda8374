"""A finished run is taken for the run that is asked for only where it is that one."""

import copy

import pytest

from tdd.config import load_recipe, override
from tdd.detect import detect, rescore
from tdd.errors import TddError
from tdd.pretrain import pretrain
from tdd.records.plans import TABLE
from tdd.training.finished import other_settings
from tests.stores import random_store

TINY = override(load_recipe("tiny"), {"stage1.epochs": 2, "stage2.epochs": 2})
ROWS = {row.id: row for row in TABLE.rows}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    pretrain(store, "cnn_gru_attention", TINY, folder / "one")
    detect(store, ROWS["ssl_0.3"], TINY, folder / "two", folder / "one")
    rescore(store, ROWS["ssl_0.3"], TINY, folder / "again", folder / "two")
    return folder


def other_labels(store):
    changed = copy.copy(store)
    changed.__dict__.pop("labels", None)  # kept from the other index
    changed.index = store.index.assign(split=store.index["split"].mask(store.index["method"] == "FaceSwap", "val"))
    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": override(TINY, {"noise.flip": 0.1})}, r"with other settings \(noise\.flip = 0\.5, not 0\.1\)"),
        (
            {"recipe": override(TINY, {"stage1.centre_targets": "both"})},
            r"with other settings \(stage1\.centre_targets = 'none', not 'both'\)",
        ),
        ({"seed": 1}, "with seed = 0, not 1"),
        ({"run": "two"}, r"with another purpose \(stage2\)"),
        ({"backbone": "cnn_lstm"}, "with backbone = 'cnn_gru_attention', not 'cnn_lstm'"),
    ],
)
def test_another_stage_1_is_not_taken_for_the_one_that_is_asked_for(store, runs, change, said):
    asked = {"backbone": "cnn_gru_attention", "recipe": TINY, "seed": 0, "run": "one"} | change
    with pytest.raises(TddError, match=f"{asked['run']} is a finished run {said}; choose another folder or delete"):
        pretrain(store, asked["backbone"], asked["recipe"], runs / asked["run"], asked["seed"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": override(TINY, {"stage2.epochs": 3})}, r"with other settings \(stage2\.epochs = 2, not 3\)"),
        ({"row": ROWS["ssl_0.5"]}, r"with ssl_weight = 0\.3, not 0\.5"),
        ({"seed": 1}, "with seed = 0, not 1"),
        ({"run": "again"}, r"with another purpose \(evaluation\)"),
    ],
)
def test_another_stage_2_is_not_taken_for_the_one_that_is_asked_for(store, runs, change, said):
    asked = {"row": ROWS["ssl_0.3"], "recipe": TINY, "seed": 0, "run": "two"} | change
    with pytest.raises(TddError, match=f"is a finished run {said}"):
        detect(store, asked["row"], asked["recipe"], runs / asked["run"], runs / "one", asked["seed"])


def test_the_first_of_many_other_settings_are_named_and_the_rest_counted():
    changes = {"noise.flip": 0.1, "stage1.datasets": ["Own", "LRW"], "model.audio": {"width": 4}, "stage2.epochs": 9}
    one, other = (recipe.read_by("stage2", "csn") for recipe in (TINY, override(TINY, changes)))
    layers = TINY.model.audio["layers"]
    assert other_settings(one, other) == (
        f"noise.flip = 0.5, not 0.1; model.audio.layers = {layers}, not unset; "
        "stage1.datasets = ('LRW',), not ('Own', 'LRW'); and 1 more"
    )
    assert other_settings(one, one) == ""
    assert other_settings({"a": {"b": 1.0}}, {"a": {"b": 1}, "c": None}) == "c = unset, not None"


def test_other_clips_or_labels_are_not_those_of_the_run(store, runs, tmp_path):
    with pytest.raises(TddError, match="with other labels or splits of its videos"):
        rescore(other_labels(store), ROWS["ssl_0.3"], TINY, runs / "again", runs / "two")
    another = random_store(tmp_path / "store", videos=3)
    with pytest.raises(TddError, match="with other data"):
        detect(another, ROWS["ssl_0.3"], TINY, runs / "two", runs / "one")


def test_what_a_run_does_not_read_is_no_other_setting(store, runs):
    one = pretrain(store, "cnn_gru_attention", override(TINY, {"stage2.epochs": 9, "machine.workers": 1}), runs / "one")
    two = detect(store, ROWS["ssl_0.3"], override(TINY, {"machine.loggers": []}), runs / "two", runs / "one")
    assert (one["kind"], two["kind"]) == ("stage1", "stage2")


def test_a_store_of_other_crops_is_refused_before_anything_is_trained(tmp_path):
    """Cut out of smaller faces, a view would lack its edge and be stretched, and nothing would say so."""
    small = random_store(tmp_path / "store", crop=40)
    trainings = {
        "stage 1": lambda run: pretrain(small, "cnn_gru_attention", TINY, run),
        "stage 2": lambda run: detect(small, ROWS["ssl_0.0"], TINY, run, None),
        "scores": lambda run: rescore(small, ROWS["ssl_0.0"], TINY, run, tmp_path / "none"),
    }
    for name, train in trainings.items():
        with pytest.raises(TddError, match=r"was prepared with clip\.crop = 40 and 42 is needed"):
            train(tmp_path / name)
        assert not (tmp_path / name).exists()
