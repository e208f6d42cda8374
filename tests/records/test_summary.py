"""The copy of studies that is small enough to publish."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.readme_table import table_row
from benchmarks.recorded import read_table, recorded_csv
from tdd.errors import TddError
from tdd.metrics import video_scores
from tdd.records.results import load_study
from tdd.records.summary import write_summary
from tdd.report.write import write_report
from tests.fake_study import write_study

SEEDS = tuple(range(10))


def logits(study: Path, run: str) -> pd.Series:
    return video_scores(pd.read_csv(study / "stage2" / run / "clip_logits.csv"))["logit"]


@pytest.fixture
def runs(tmp_path):
    return write_study(tmp_path / "runs", seeds=(0, 1), rows=("csn", "ssl_0.3"), videos=40)


def test_scores_are_kept_to_four_places_in_half_the_bytes_of_text(runs, tmp_path):
    (copy,) = write_summary(runs, tmp_path / "copy")
    kept = {f"{run.row}-seed{run.seed}": run.videos for run in load_study(copy).runs}
    text = pd.DataFrame({name: logits(runs, name).round(4) for name in kept}).to_csv()
    assert len(kept) == 4
    for name, videos in kept.items():
        wanted = logits(runs, name)
        assert videos.index.equals(wanted.index) and (videos["logit"] - wanted).abs().max() <= 0.00005 + 1e-9
    assert (copy / "scores.parquet").stat().st_size < len(text) / 2


def test_a_summary_of_a_summary_is_the_same_and_replaces_an_older_one(runs, tmp_path):
    (copy,) = write_summary(runs, tmp_path / "copy")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "scores.csv").write_text("of an older version")
    (again,) = write_summary(copy, tmp_path / "again")
    one, two = (pd.read_parquet(place / "scores.parquet") for place in (copy, again))
    pd.testing.assert_frame_equal(one, two)
    assert not (again / "scores.csv").exists()


def test_a_video_that_a_run_did_not_score_stays_without_a_score(runs, tmp_path):
    path = runs / "stage2/csn-seed0/clip_logits.csv"
    clips = pd.read_csv(path)
    gone = clips["video_id"].iloc[0]
    clips[clips["video_id"] != gone].to_csv(path, index=False)
    (copy,) = write_summary(runs, tmp_path / "copy")
    held = {(run.row, run.seed): gone in run.videos.index for run in load_study(copy).runs}
    assert [key for key, there in held.items() if not there] == [("csn", 0)]


def test_checks_between_runs_are_copied(runs, tmp_path):
    (runs / "checks.json").write_text(json.dumps([{"passed": None, "sentence": "0.61 from stage 1, 0.66 without"}]))
    (copy,) = write_summary(runs, tmp_path / "copy")
    assert load_study(copy).checks == load_study(runs).checks != ()


def test_runs_that_disagree_on_a_label_are_refused(runs, tmp_path):
    path = runs / "stage2/ssl_0.3-seed1/clip_logits.csv"
    clips = pd.read_csv(path)
    first = clips["video_id"].iloc[0]
    clips.assign(label=clips["label"].mask(clips["video_id"] == first, 1)).to_csv(path, index=False)
    with pytest.raises(
        TddError, match=r"ssl_0.3-seed1 has another .*label.* of 1 videos .*'FaceForensics\+\+/real/000'"
    ):
        write_summary(runs, tmp_path / "copy")
    assert not (tmp_path / "copy" / "scores.parquet").exists()


def test_a_damaged_table_of_scores_is_one_sentence_a_run(runs, tmp_path):
    (copy,) = write_summary(runs, tmp_path / "copy")
    (copy / "scores.parquet").write_bytes(b"nothing")
    assert all("cannot be read as a table" in run.problem for run in load_study(copy).runs)


def test_ten_seeds_reach_the_package_and_the_readme(tmp_path):
    study = write_study(tmp_path / "table", seeds=SEEDS, rows=("csn", "ssl_0.3"), videos=8)
    report = write_report(study)
    lines = recorded_csv(study).splitlines()
    kept = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert {line["seeds"] for line in kept} == {"10"} and {line["row"] for line in kept} == {"csn", "ssl_0.3"}
    cells = {(line["row"], line["test_set"]): line for line in read_table(study)}
    root = Path(__file__).parents[2] / "benchmarks/results/any"
    text = table_row("the label", "csn", root, cells)
    assert [f"[{seed}](benchmarks/results/any/stage2/csn-seed{seed}/record.json)" in text for seed in SEEDS] == [
        True
    ] * 10
    cell = report.rows[0].cells["FaceShifter"]
    assert f"{cell.value:.1f} ± {cell.sd:.1f} [{cell.low:.1f}, {cell.high:.1f}]" in text


def test_a_study_without_a_report_is_one_sentence(tmp_path):
    study = write_study(tmp_path / "table", rows=("csn",), videos=8)
    with pytest.raises(TddError, match=r"table\.csv is not there; make it with `tdd report"):
        recorded_csv(study)
