"""Nothing that stage 2 reads is tied to the names of FaceForensics++: any data set's methods are trained and tested."""

import dataclasses

import pandas as pd
import pytest

from tdd.config import load_recipe
from tdd.data.store import INDEX, ClipStore
from tdd.detect import training_clips
from tdd.errors import TddError
from tdd.evaluation.evaluate import dataset_metrics, method_metrics
from tdd.evaluation.selection import PAPER_PROTOCOL, evaluation_clips, seen_videos, validation_clips
from tdd.evaluation.texts import evaluation_notes
from tdd.metrics import video_scores
from tdd.metrics.kept_calibration import calibrate, false_positives_text, with_false_positives
from tdd.records.targets import own_reals
from tests.stores import random_store

THEIRS = ("FaceForensics++", ("Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures"))
OWN = ("Own faces", ("one", "two", "three", "four"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"), named=True, val=3).folder


def renamed(folder):
    """The store with another data set's name, and other methods' names; the clips are the same files."""
    store = ClipStore(folder)
    names = {THEIRS[0]: OWN[0], **dict(zip(THEIRS[1], OWN[1], strict=True))}
    store.index = store.index.assign(**{c: store.index[c].replace(names) for c in ("dataset", "method")})
    return store


def recipe(methods, **stage2):
    tiny = load_recipe("tiny")
    return dataclasses.replace(tiny, stage2=dataclasses.replace(tiny.stage2, methods=methods, **stage2))


@pytest.mark.parametrize("pairs", ["none", "draws"])
def test_training_and_validation_are_those_of_faceforensics_under_other_names(folder, pairs):
    theirs, own = ClipStore(folder), renamed(folder)
    first, second = recipe(THEIRS[1], pairs=pairs), recipe(OWN[1], pairs=pairs)
    one, two = training_clips(theirs, first, 0), training_clips(own, second, 0)
    assert (one.clips, one.steps, one.shift) == (two.clips, two.steps, two.shift) and one.clips
    shown = [list(clips.loaders["labelled"].batch_sampler) for clips in (one, two)]
    assert shown[0] == shown[1]
    columns = ["video_id", "label", "start"]
    assert validation_clips(theirs, first)[columns].equals(validation_clips(own, second)[columns])
    assert validation_clips(own, second)["video_id"].nunique() == 5 * 3
    assert evaluation_clips(theirs, first)[columns].equals(evaluation_clips(own, second)[columns])


def test_metrics_are_those_of_faceforensics_under_other_names(folder):
    def measured(store, methods):
        clips = evaluation_clips(store, recipe(methods))
        scores = clips.assign(logit=clips["video_id"].map(lambda name: hash(name) % 97 / 10))
        videos = video_scores(scores)
        return method_metrics(videos), dataset_metrics(videos)

    (theirs, their_sets), (own, own_sets) = measured(ClipStore(folder), THEIRS[1]), measured(renamed(folder), OWN[1])
    # Not the intervals: of FaceForensics++ a whole pair counts as one target, of other data sets one person.
    same = ("auc", "reals", "fakes", "average_precision", "eer", "ece", "own_real", "pairs")
    for first, second in zip(THEIRS[1], OWN[1], strict=True):
        assert [theirs[first][name] for name in same] == [own[second][name] for name in same]
    assert their_sets[THEIRS[0]]["fakes"] == own_sets[OWN[0]]["fakes"] == 5 * 6
    assert 0 < own["one"]["auc"] < 1 and own["one"]["pairs"] == 6


@pytest.mark.parametrize("methods", [
    ("one", "too"),  # a misspelled name beside a right one
    ("one", "real"), ("one", "Celeb-DF"),  # no method; one without training videos
    (*THEIRS[1], "one"), (),
])  # fmt: skip
def test_a_list_with_a_method_that_has_no_training_fake_is_refused(folder, methods):
    index = renamed(folder).index
    there = "FaceShifter, four, one, three, two"
    absent = ", ".join(name for name in methods if name != "one") or "any method"
    said = rf"^The store has no training fake of {absent}, which stage2.methods names; it has .* of: {there}\. Name"
    with pytest.raises(TddError, match=said):
        seen_videos(index, recipe(methods))


def test_the_papers_methods_may_be_there_in_part_and_that_is_told(folder, caplog):
    store, half = ClipStore(folder), THEIRS[1][:2]
    store.index = store.index[~store.index["method"].isin(THEIRS[1][2:])].reset_index(drop=True)
    clips = training_clips(store, recipe(THEIRS[1]), 0)
    assert caplog.text.count("No training video is of Face2Face, NeuralTextures, which stage2.methods names") == 1
    assert clips.clips == training_clips(store, recipe(half), 0).clips
    store.index = store.index[~store.index["method"].isin(half)].reset_index(drop=True)
    with pytest.raises(TddError, match=r"no training fake of Deepfakes, .*, NeuralTextures, .* of: FaceShifter"):
        training_clips(store, recipe(THEIRS[1]), 0)


def test_the_reals_are_those_of_the_data_sets_of_the_methods(folder):
    index = renamed(folder).index.assign(split="train")
    seen = seen_videos(index, recipe(("Celeb-DF", "two")))
    assert set(seen["method"]) == {"real", "Celeb-DF", "two"} and set(seen["dataset"]) == {OWN[0], "Celeb-DF-v2"}
    assert set(seen_videos(index, recipe(("Celeb-DF",)))["dataset"]) == {"Celeb-DF-v2"}


def test_a_real_that_is_named_wins_over_the_identities():
    rows = [
        ("r1", 0, "ann", ""), ("r2", 0, "ann", ""), ("r3", 0, "bob", ""),
        ("f1", 1, "ann bob", "r2"), ("f2", 1, "bob ann", ""), ("f3", 1, "bob", "gone"), ("f4", 1, "ann bob", ""),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["video_id", "label", "identities", "made_from"]).set_index("video_id")
    found = own_reals(table.assign(dataset="D")).to_dict()
    assert found == {"f1": "r2", "f2": "r3", "f3": "r3"}
    assert own_reals(table.assign(dataset="D", made_from="").drop(columns="identities")).empty
    assert own_reals(table.assign(dataset="D").drop(columns="identities")).to_dict() == {"f1": "r2"}


def test_a_calibration_says_on_whose_videos_it_was_found():
    rows = [
        {"dataset": "Own faces", "label": label, "logit": float(label) + n / 40} for n in range(60) for label in (0, 1)
    ]
    videos = pd.DataFrame(rows)
    kept = with_false_positives(calibrate(videos), videos.assign(dataset=["Own faces", "LRW"] * 60))
    assert kept["datasets"] == ["Own faces"]
    said = false_positives_text(kept["false_positives"], kept["datasets"])
    assert said.count("another data set") == 0  # all reals are of it
    assert "Own faces (another" in false_positives_text(kept["false_positives"])


def test_a_store_that_was_made_before_is_read(tmp_path):
    folder = random_store(tmp_path / "store", faces=2, videos=2).folder
    index = pd.read_parquet(folder / INDEX)
    assert "made_from" not in index and set(ClipStore(folder).index["made_from"]) == {""}


@pytest.mark.parametrize(("method", "told"), [("FakeAVCeleb-FVFA-x", 1), ("AV-Deepfake1M-both", 1), ("LAV-DF-both", 0)])
def test_the_leading_silence_is_told_beside_the_scores(method, told):
    metrics = {method: {"targets": 4, "reals": 2, "fakes": 2}}
    protocol = dataclasses.asdict(PAPER_PROTOCOL)
    record = {"synthetic": False, "metrics": metrics, "data": {"protocol": protocol}, "calibration": {}}
    assert sum("short silence" in sentence for sentence in evaluation_notes(record)) == told
