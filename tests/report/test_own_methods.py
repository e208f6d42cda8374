"""Studies on data sets that are not the paper's: their methods have numbers too, and "seen" is what was trained on."""

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tdd.errors import TddError
from tdd.records.results import load_study, on_test_set, other_sets, seen_methods
from tdd.report.write import write_report
from tests.fake_study import edit_json, write_study

OWN = {"Deepfakes": "swap", "FaceSwap": "lips", "Face2Face": "late", "FaceForensics++": "Own faces"}


def own_study(folder, rows=("ssl_0.3", "scratch")):
    """A study on the data set ``Own faces``, which trained on swap and lips."""
    write_study(folder, rows=rows)
    for row in rows:
        run = folder / f"stage2/{row}-seed0"
        clips = pd.read_csv(run / "clip_logits.csv")
        clips = clips[~clips["method"].isin(("NeuralTextures", "FaceShifter")) & (clips["dataset"] != "Celeb-DF-v2")]
        clips.replace(OWN).to_csv(run / "clip_logits.csv", index=False)
        edit_json(run / "record.json", recipe={"stage2": {"methods": ["swap", "lips"]}})
    return folder


def test_methods_of_any_data_set_are_in_the_report(tmp_path):
    study = load_study(own_study(tmp_path))
    assert other_sets(study) == ("late", "lips", "swap")
    assert seen_methods(study.runs[0]) == ("swap", "lips")
    report = write_report(tmp_path)
    videos = study.usable("ssl_0.3")[0].videos
    own = {}
    for method in ("late", "lips", "swap"):
        table = videos[videos["method"].isin(("real", method))]
        own[method] = 100 * roc_auc_score(table["label"], table["logit"])
    row = next(row for row in report.rows if row.id == "ssl_0.3")
    assert {name: row.cells[name].value for name in own} == pytest.approx(own)
    assert row.cells["seen"].value == pytest.approx((own["swap"] + own["lips"]) / 2)
    assert row.cells["late"].low < own["late"] < row.cells["late"].high
    assert report.counts["seen"] == (30, 60) and report.counts["swap"] == (30, 30)
    shown = f"{own['late']:.1f}"
    assert shown in report.to_text() and "late (30 real, 30 fake)" in report.to_text()
    assert "Methods that are not of the paper's table" in (tmp_path / "report/table.md").read_text()
    frame = pd.read_csv(tmp_path / "report/table.csv")
    chosen = frame[(frame["row"] == "ssl_0.3") & (frame["test_set"] == "late")]
    assert chosen["auc_percent"].tolist() == pytest.approx([own["late"]], abs=0.01)


def test_studies_of_the_paper_have_no_such_table(tmp_path):
    study = load_study(write_study(tmp_path, rows=("csn", "scratch")))
    assert other_sets(study) == () and len(seen_methods(study.runs[0])) == 4
    assert "not of the paper's table" not in (write_report(tmp_path).files[0]).read_text()


def test_a_name_that_nothing_has_is_refused_with_those_there_are(tmp_path):
    videos = load_study(own_study(tmp_path)).usable("scratch")[0].videos
    with pytest.raises(TddError, match=r"'soap' is unknown; known are .*swap"):
        on_test_set(videos, "soap")


def without(folder, run, *methods):
    """A run of the study that was not tested on some methods."""
    path = folder / f"stage2/{run}/clip_logits.csv"
    clips = pd.read_csv(path)
    clips[~clips["method"].isin(methods)].to_csv(path, index=False)


def test_a_run_that_was_tested_on_none_of_what_it_was_trained_on_has_no_such_cell(tmp_path):
    own_study(tmp_path)
    for row in ("ssl_0.3", "scratch"):
        edit_json(tmp_path / f"stage2/{row}-seed0/record.json", recipe={"stage2": {"methods": ["elsewhere"]}})
    report = write_report(tmp_path)
    assert all("seen" not in row.cells and "late" in row.cells for row in report.rows if not row.state)
    assert report.counts["seen"] == (0, 0)


def test_a_run_that_was_not_tested_on_the_method_of_another_has_all_its_other_numbers(tmp_path):
    own_study(tmp_path, rows := ("ssl_0.3", "cnn_lstm", "scratch"))
    without(tmp_path, "ssl_0.3-seed0", "late", "lips")
    report = write_report(tmp_path)
    cells = {row.id: row.cells for row in report.rows}
    assert [name for name in rows if "late" in cells[name]] == ["cnn_lstm", "scratch"]
    assert all("swap" in cells[name] for name in rows)
    assert report.counts["late"] == report.counts["lips"] == (30, 30)
    assert "late (30 real, 30 fake)" in report.to_text()
    for name in rows[1:]:
        videos = load_study(tmp_path).usable(name)[0].videos
        table = videos[videos["method"].isin(("real", "late"))]
        assert cells[name]["late"].value == pytest.approx(100 * roc_auc_score(table["label"], table["logit"]))


def test_a_data_set_whose_methods_have_the_papers_names_is_held_against_its_own_reals(tmp_path):
    write_study(tmp_path, rows=("csn",))
    path = tmp_path / "stage2/csn-seed0/clip_logits.csv"
    clips = pd.read_csv(path)
    clips[clips["dataset"] != "Celeb-DF-v2"].replace({"FaceForensics++": "Own faces"}).to_csv(path, index=False)
    videos = load_study(tmp_path).runs[0].videos
    assert videos["dataset"].unique().tolist() == ["Own faces"]
    report = write_report(tmp_path)
    row = next(row for row in report.rows if row.id == "csn")
    table = videos[videos["method"].isin(("real", "Deepfakes"))]
    assert row.cells["Deepfakes"].value == pytest.approx(100 * roc_auc_score(table["label"], table["logit"]))
    assert report.counts["FaceShifter"] == (30, 30) and report.counts["seen"] == (30, 120)


def test_fakes_without_reals_of_their_own_are_held_against_those_that_they_were_made_from(tmp_path):
    own_study(tmp_path)
    videos = load_study(tmp_path).runs[0].videos.replace({"Own faces": "FaceForensics++"})
    videos.loc[videos["method"] == "late", ["dataset", "method"]] = "DF40-ff", "Face2Face"
    assert on_test_set(videos, "Face2Face")["label"].value_counts().tolist() == [30, 30]
