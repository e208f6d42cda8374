"""The main job in its smallest form: real mp4 files to table and figures."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tdd.cli import main
from tdd.config import load_recipe
from tdd.demo import run_demo, study_checks
from tdd.errors import TddError
from tdd.machine.files import write_json
from tdd.records.plans import TABLE, select_rows
from tdd.study import study_jobs

ROWS = ["csn", "ssl_0.0", "ssl_0.3", "scratch"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    console = Console(record=True, width=120)
    return out, run_demo("tiny", out, console, ROWS, workers=1), console.export_text()


def test_table_figures_and_records_are_written(finished):
    out, report, said = finished
    text = report.to_text()
    assert "cannot confirm or refute the paper" in text
    assert "87.05" in text and "89.87" in text  # the paper's numbers beside ours
    table = pd.read_csv(out / "report" / "table.csv")
    assert table.loc[table["row"] == "ssl_0.3", "auc_percent"].between(0, 100).all()
    figures = {path.name for path in (out / "figures").iterdir()}
    names = "table differences roc methods scores stage1 stage2 ssl_weight attention contact_sheet"
    assert figures == {f"{name}.png" for name in names.split()}
    assert all(name in said for name in ("1/4", "2/4", "3/4", "4/4"))
    for name in ("stage2/csn-seed0", "stage2/ssl_0.3-seed0", "stage1/csn-seed0"):
        record = json.loads((out / name / "record.json").read_text())
        assert record["synthetic"] and record["packages"]["torch"] and record["recipe"]["name"] == "tiny"


def test_every_test_video_is_scored_in_every_row(finished):
    out, _, _ = finished
    ids = [set(pd.read_csv(path)["video_id"]) for path in sorted(out.glob("stage2/*/clip_logits.csv"))]
    assert len(ids) == 4 and all(found == ids[0] for found in ids)
    listed = json.loads((out / "data/FaceForensics++/splits/test.json").read_text())
    celeb = (out / "data/Celeb-DF-v2/List_of_testing_videos.txt").read_text().splitlines()
    assert len(ids[0]) == 6 * 2 * len(listed) + len(celeb)


def test_the_command_ends_with_where_its_results_lie(finished, capsys, monkeypatch):
    out, report, _ = finished
    monkeypatch.setattr("tdd.demo.run_demo", lambda *_: report)
    assert main(["demo", "--size", "tiny", "--out", str(out)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    table, figures, scores = re.findall(re.escape(str(out)) + r"[^ ;]*", last)
    assert Path(table).is_file() and Path(figures, "roc.png").is_file()
    assert len([*out.glob(Path(scores).relative_to(out).as_posix())]) == len(ROWS)


def test_the_same_command_again_makes_nothing_anew(finished):
    out, report, _ = finished
    before = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".mp4", ".npy", ".safetensors")
    }
    again = run_demo("tiny", out, Console(quiet=True), ROWS, workers=1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert again.to_text() == report.to_text()


def test_another_size_in_the_same_folder_is_refused(finished):
    with pytest.raises(TddError, match="other settings"):
        run_demo("demo", finished[0], Console(quiet=True), ROWS, workers=1)


def test_a_failed_check_is_recorded_as_failed(tmp_path):
    jobs = study_jobs(select_rows(TABLE, ["ssl_0.0", "scratch"]).rows, [0], load_recipe("tiny"))
    for job in jobs:
        auc = {"ssl_0.0": 0.6, "scratch": 0.7}[job.row.id]
        record = {
            "recipe": {"stage2": {"methods": ["Deepfakes"]}},
            "metrics": {"Deepfakes": {"auc": auc, "low": 0.5, "high": 0.8, "reals": 9, "fakes": 9}},
            "checks": [],
        }
        write_json(tmp_path / job.run / "record.json", record)
    (check,) = study_checks(tmp_path, jobs)
    assert check["passed"] is None and re.search(r"0\.600 from stage 1 and 0\.700 from scratch", check["sentence"])
