"""Damaged test videos, scored: level 0 is what the store gives, nothing is done twice, wrong input is told."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tdd.cli import main
from tdd.config import load_recipe
from tdd.errors import TddError
from tdd.evaluation.evaluate import evaluate_checkpoint
from tdd.evaluation.perturb import CorruptedVideo
from tdd.evaluation.robustness import Condition, conditions, draw_videos, measure_robustness
from tdd.evaluation.selection import Protocol
from tdd.evaluation.texts import robustness_notes, robustness_text, untouched
from tdd.metrics import auc, video_scores
from tdd.plots.robustness import draw_robustness
from tdd.preprocess.prepare import prepare
from tdd.weights.checkpoints import Weights, export_weights, weights_info
from tdd.weights.detector import Detector
from tests.preprocess.trees import write_root

RECIPE = load_recipe("tiny")
FACES = Protocol(datasets=("FaceForensics++",))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data root, its store, and untrained weights."""
    folder = tmp_path_factory.mktemp("robustness")
    root = write_root(folder / "data")
    store = prepare(root, folder / "store", RECIPE.clip, workers=1).store
    torch.manual_seed(0)
    detector = Detector("cnn_gru_attention", RECIPE)
    parts = {"backbone": detector.backbone.state_dict(), "head": detector.head.state_dict()}
    info = weights_info(RECIPE, 0, {}, None)
    export_weights(folder / "weights", Weights("stage2", "cnn_gru_attention", parts, info))
    return root, store, folder / "weights"


def measured(made, out, **settings):
    return measure_robustness(*made, out, **{"protocol": FACES, "workers": 1} | settings)


@pytest.fixture(scope="module")
def record(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "out"
    return out, measured(made, out, corruptions=("CS", "GNC"), levels=(1, 5))


def logits(out, name):
    return pd.read_csv(out / "clip_logits" / f"{name}.csv").set_index(["video_id", "start"])["logit"]


def test_undamaged_videos_score_as_in_the_store(made, record, tmp_path):
    _, store, checkpoint = made
    plain = evaluate_checkpoint(checkpoint, store, tmp_path / "plain", FACES)
    wanted = pd.read_csv(tmp_path / "plain" / "clip_logits.csv").set_index(["video_id", "start"])["logit"]
    found = logits(record[0], "none-0")
    assert found.index.is_unique and set(found.index) == set(wanted.index)
    pd.testing.assert_series_equal(found.sort_index(), wanted.sort_index(), atol=1e-4, rtol=0)
    for method, values in plain["metrics"].items():
        assert record[1]["metrics"]["none-0"]["methods"][method]["auc"] == values["auc"]


def test_a_damaged_frame_reaches_the_network(record):
    out, _ = record
    plain = logits(out, "none-0")
    apart = {name: np.abs(logits(out, name) - plain).max() for name in ("GNC-1", "GNC-5")}
    assert apart["GNC-5"] > apart["GNC-1"] > 1e-3
    # the small videos of this test are grey, so that there is no colour to take away
    assert np.abs(logits(out, "CS-5") - plain).max() < np.abs(logits(out, "GNC-5") - plain).max()


def test_table_and_record_hold_the_areas_of_the_logits(record):
    out, content = record
    assert list(content["metrics"]) == ["none-0", "CS-1", "CS-5", "GNC-1", "GNC-5"]
    assert content["kind"] == "robustness" and content["data"]["seed"] == 0
    table = pd.read_csv(out / "levels.csv")
    videos = video_scores(pd.read_csv(out / "clip_logits" / "GNC-5.csv"))
    row = table[(table["corruption"] == "GNC") & (table["level"] == 5) & (table["test_set"] == "FaceForensics++")]
    assert row["auc_percent"].item() == pytest.approx(100 * auc(videos["label"], videos["logit"]), abs=1e-3)
    assert row["strength"].item() == 0.05 and row["fakes"].item() == 4 and row["kind"].item() == "dataset"
    assert len(table) == 5 * 3 and table["strength"].isna().sum() == 3


def test_what_is_finished_is_not_done_again(made, record, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(record[0], out)
    opened = []

    class Counted(CorruptedVideo):
        def __init__(self, *args):
            opened.append(args[1:3])
            super().__init__(*args)

    monkeypatch.setattr("tdd.evaluation.robustness.CorruptedVideo", Counted)
    same = measured(made, out, corruptions=("CS", "GNC"), levels=(1, 5))
    assert not opened and same["metrics"] == record[1]["metrics"]
    (out / "clip_logits" / "GNC-1.csv").unlink()
    assert measured(made, out, corruptions=("CS", "GNC"), levels=(1, 5))["metrics"] == record[1]["metrics"]
    assert set(opened) == {("GNC", 1)} and len(opened) == 6  # two reals, four fakes
    more = measured(made, out, corruptions=("BW",), levels=(2,))
    assert list(more["metrics"]) == ["none-0", "BW-2"] and set(opened[6:]) == {("BW", 2)}
    assert more["metrics"]["BW-2"]["too_small_for_blocks"] == 6
    assert "left 6 of 6 videos as they are" in " ".join(robustness_notes(more))
    assert untouched(more) == {"BW"} and not untouched(same)
    draw_robustness(more, tmp_path / "blocks.png")


def test_stopped_in_the_middle_it_goes_on_to_the_same_numbers(made, record, tmp_path):
    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(made, tmp_path, corruptions=("CS", "GNC"), levels=(1, 5), progress=stop)
    finished = sorted(path.name for path in (tmp_path / "clip_logits").iterdir())
    assert finished and len(finished) < 5 and not (tmp_path / "record.json").exists()
    assert measured(made, tmp_path, corruptions=("CS", "GNC"), levels=(1, 5))["metrics"] == record[1]["metrics"]


def test_the_same_number_of_every_class_is_drawn_by_the_seed():
    rows = [(d, m, f"{d}/{m}/{n}", s) for d in "AB" for m in ("real", "x", "y") for n in range(9) for s in (0, 25)]
    clips = pd.DataFrame(rows, columns=["dataset", "method", "video_id", "start"])
    drawn = draw_videos(clips, 4, 0)
    assert set(drawn.groupby(["dataset", "method"])["video_id"].nunique()) == {4}
    assert set(drawn.groupby("video_id").size()) == {2}
    assert drawn.equals(draw_videos(clips, 4, 0)) and not drawn.equals(draw_videos(clips, 4, 1))
    assert draw_videos(clips, 0, 0).equals(clips) and draw_videos(clips, 99, 0).equals(clips)
    with pytest.raises(TddError, match="2 videos of each class at least, not 1"):
        draw_videos(clips, 1, 0)


def test_all_conditions_are_the_suite_and_the_undamaged_videos_come_first():
    every = conditions()
    assert every[0] == Condition("none", 0) and len(every) == 1 + 7 * 5 == len(set(every))
    assert conditions(("VC", "VC"), (5,)) == [Condition("none", 0), Condition("VC", 5)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"corruptions": ("JPEG",)}, "'JPEG'; the suite has: CS"),
        ({"levels": (0,)}, "Level 0 is not one of 1, 2, 3, 4, 5"),
        ({"videos": 1}, "not 1"),
        ({"protocol": Protocol(datasets=("DFDC",))}, "data set 'DFDC'"),
        ({"protocol": Protocol()}, "Celeb-DF has 2 real and 1 fake test videos"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_is_written(made, tmp_path, settings, words):
    with pytest.raises(TddError, match=words):
        measured(made, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_another_folder_of_results_or_another_data_root_is_refused(made, record, tmp_path):
    root, store, checkpoint = made
    with pytest.raises(TddError, match="was begun with seed = 0, not 1"):
        measured(made, record[0], seed=1)
    with pytest.raises(TddError, match="lacks 6 of the 6 test videos, such as FaceForensics"):
        measured((tmp_path, store, checkpoint), tmp_path / "out")
    moved = tmp_path / "data"
    shutil.copytree(root, moved)
    video = moved / "FaceForensics++/original_sequences/youtube/c23/videos/002.mp4"
    video.write_bytes(video.read_bytes()[:300])
    with pytest.raises(TddError, match=r"002\.mp4 is cut off"):
        measured((moved, store, checkpoint), tmp_path / "out", corruptions=("CS",), levels=(1,))
    assert not (tmp_path / "out" / "record.json").exists()


def test_the_command_prints_a_table_and_draws_a_figure(made, record, tmp_path, capsys):
    root, store, checkpoint = made
    command = ["robustness", "--root", str(root), "--store", str(store.folder), "--checkpoint", str(checkpoint)]
    chosen = ["--corruptions", "CS", "GNC", "--levels", "1", "5", "--datasets", "FaceForensics++", "--workers", "1"]
    shutil.copytree(record[0], tmp_path / "out")
    assert main([*command, "--out", str(tmp_path / "out"), *chosen]) == 0
    shown = capsys.readouterr().out
    value = 100 * record[1]["metrics"]["CS-5"]["datasets"]["FaceForensics++"]["auc"]
    row = next(line for line in shown.splitlines() if line.startswith("CS saturation"))
    assert row.split()[4] == f"{value:.1f}" and "RealForensics" in shown
    assert Image.open(tmp_path / "out" / "robustness.png").size[0] > 300
    assert main([*command, "--out", str(tmp_path / "no"), "--levels", "9"]) == 2
    assert "Level 9 is not one of" in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_a_synthetic_record_says_so_and_has_no_published_numbers(record, tmp_path):
    content = json.loads((record[0] / "record.json").read_text()) | {"synthetic": True}
    text = robustness_text(content)
    assert "synthetic benchmark" in text and "RealForensics" not in text
    assert max(map(len, text.splitlines())) <= 118
    chosen = content["data"] | {"protocol": content["data"]["protocol"] | {"methods": ["FaceShifter"]}}
    assert "Forgery methods: FaceShifter alone." in robustness_text(content | {"data": chosen})
    only = content | {"metrics": {"none-0": content["metrics"]["none-0"]}}
    assert "undamaged: AUC" in robustness_text(only)
    assert draw_robustness(content, tmp_path / "a.png").stat().st_size < 200_000
