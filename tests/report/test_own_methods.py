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
