"""The report from run records that were written by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from benchmarks.recorded import TARGET, recorded_csv
from tdd.cli import main
from tdd.config import load_recipe
from tdd.errors import TddError
from tdd.metrics import compare_mean_areas, holm, video_scores
from tdd.names import LIP_RETIMING, SEEN_METHODS
from tdd.records import paper
from tdd.records.plans import STUDIES, TABLE
from tdd.records.recorded import recorded_study
from tdd.records.results import SYNTHETIC_SENTENCE, TEST_SETS, find_studies, load_study, on_test_set
from tdd.records.summary import write_summary
from tdd.report.formats import _latex
from tdd.report.report import WIDTH
from tdd.report.table import ranking, result_rows
from tdd.report.write import write_report
from tdd.synth.sizes import SIZES
from tests.fake_study import ROWS, edit_json, write_stage1, write_study


def area(study: Path, row: str, test_set: str, seed: int = 0) -> float:
    """AUC in percent from the clip logits, with scikit-learn and plain pandas."""
    clips = pd.read_csv(study / "stage2" / f"{row}-seed{seed}" / "clip_logits.csv")
    videos = clips.groupby("video_id").agg({"dataset": "first", "method": "first", "label": "first", "logit": "mean"})
    if test_set == "Celeb-DF-v2":
        videos = videos[videos["dataset"] == "Celeb-DF-v2"]
    else:
        videos = videos[(videos["dataset"] == "FaceForensics++") & videos["method"].isin([test_set, "real"])]
    return 100 * roc_auc_score(videos["label"], videos["logit"])


def test_the_papers_table_holds_its_known_extremes():
    assert len(paper.ROWS) == 7
    best = {name: max(paper.ROWS, key=lambda row: row.auc[name]) for name in paper.TEST_SETS}
    assert (best["FaceShifter"].id, best["FaceShifter"].auc["FaceShifter"]) == ("ssl_0.3", 89.87)
    assert (best["Celeb-DF-v2"].id, best["Celeb-DF-v2"].auc["Celeb-DF-v2"]) == ("ssl_0.5", 75.43)
    assert sum(row.auc["FaceShifter"] for row in paper.ROWS) == pytest.approx(612.13)
    assert sum(row.auc["Celeb-DF-v2"] for row in paper.ROWS) == pytest.approx(505.68)


def test_areas_are_those_of_the_clip_logits(tmp_path):
    study = write_study(tmp_path)
    report = write_report(study)
    assert [row.id for row in report.rows] == list(ROWS)
    assert report.complete
    for row in report.rows:
        for name in TEST_SETS:
            assert row.cells[name].value == pytest.approx(area(study, row.id, name))
            assert row.cells[name].low < row.cells[name].value < row.cells[name].high
        seen = sum(area(study, row.id, name) for name in SEEN_METHODS) / 4
        assert row.cells["seen"].value == pytest.approx(seen)


def test_text_shows_every_row_beside_the_paper_within_its_width(tmp_path):
    report = write_report(write_study(tmp_path))
    text = report.to_text()
    assert max(map(len, text.splitlines())) <= WIDTH
    for row in report.rows:
        line = next(line for line in text.splitlines() if line.startswith(row.label) and " − " not in line)
        assert row.cells["FaceShifter"].text() in line
        assert all(f"{number:.2f}" in line for number in row.paper.values())
    rules = [i for i, line in enumerate(text.splitlines()) if line.startswith("──")]
    control = next(i for i, line in enumerate(text.splitlines()) if line.startswith("from scratch"))
    assert control > rules[1], "the control stands below the rule"
    assert "Check passed: clip retrieval in 32 of csn" in text


def test_a_failed_check_between_runs_is_shown_as_failed(tmp_path):
    study = write_study(tmp_path, rows=("csn",))
    (study / "checks.json").write_text(json.dumps([{"passed": False, "sentence": "0.61 from stage 1, 0.66 without"}]))
    text = write_report(study).to_text()
    assert "Check FAILED: 0.61 from stage 1, 0.66 without" in text
    assert "clip retrieval" not in text, "the study's own list replaces those of its runs"


def test_checks_of_stage_1_runs_of_one_backbone_are_told_apart_by_their_row(tmp_path):
    described = {"ssl_0.3": {"label": "baseline"}, "ssl_0.0": {"label": "A1: a label"}}
    study = write_study(tmp_path, rows=list(described), study="audit", reference="ssl_0.3", described=described)
    write_stage1(study, "cnn_gru_attention", 0, name="cnn_gru_attention-a1")
    firsts = {"ssl_0.3/seed0": "stage1/cnn_gru_attention-seed0", "ssl_0.0/seed0": "stage1/cnn_gru_attention-a1-seed0"}
    edit_json(study / "study.json", stage1=firsts)
    sentences = [check["sentence"] for check in load_study(study).checks]
    assert [sentence.partition(", clip")[0] for sentence in sentences] == ["A1: a label", "baseline"]


def test_synthetic_numbers_say_so_and_real_ones_do_not(tmp_path):
    report = write_report(write_study(tmp_path / "a"))
    assert SYNTHETIC_SENTENCE in report.to_text()
    assert SYNTHETIC_SENTENCE in report.files[0].read_text()
    other = write_study(tmp_path / "b", synthetic=False)
    for path in other.glob("stage1/*/record.json"):
        edit_json(path, synthetic=False)
    assert "synthetic" not in write_report(other).to_text()


def test_files_link_to_the_records(tmp_path):
    study = write_study(tmp_path / "study")
    out = tmp_path / "elsewhere" / "report"
    report = write_report(study, out)
    markdown = report.files[0].read_text()
    links = [part.split(")")[0] for part in markdown.split("](")[1:]]
    assert len(links) == len(ROWS)
    assert all((out / link).is_file() for link in links)
    table = pd.read_csv(report.files[1])
    assert len(table) == len(ROWS) * (len(TEST_SETS) + 1)
    csn = table[(table["row"] == "csn") & (table["test_set"] == "FaceShifter")].iloc[0]
    assert csn["auc_percent"] == pytest.approx(area(study, "csn", "FaceShifter"), abs=1e-3)
    assert (csn["paper_percent"], csn["reals"], csn["fakes"]) == (87.05, 30, 30)


def test_several_seeds_give_mean_and_standard_deviation(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1, 2), rows=("csn", "ssl_0.3"))
    values = pd.Series([area(study, "csn", "Celeb-DF-v2", seed) for seed in range(3)])
    report = write_report(study)
    cell = report.rows[0].cells["Celeb-DF-v2"]
    assert (cell.value, cell.sd) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    assert cell.text() == f"{values.mean():.1f} ± {values.std():.1f}"
    assert len(report.rows[0].paths) == 3


def test_rows_without_runs_are_shown_as_missing(tmp_path):
    study = write_study(tmp_path, rows=[row for row in ROWS if row != "ssl_0.5"])
    (study / "stage2" / "csn-seed0" / "record.json").unlink()
    report = write_report(study)
    states = {row.id: row.state for row in report.rows}
    assert {row for row, state in states.items() if state == "missing"} == {"csn", "ssl_0.5"}
    assert not report.complete
    assert report.to_text().count("missing") >= 6
    said = report.to_text().replace("\n  ", " ")
    assert "No record yet of seed 0 of csn (the first is looked for at stage2/csn-seed0)" in said
    assert "The paper's rows ssl_0.5 are not of this study." in said


def test_a_row_from_other_data_is_refused_in_words(tmp_path):
    study = write_study(tmp_path)
    edit_json(study / "stage2" / "ssl_0.7-seed0" / "record.json", data={"fingerprint": "another"})
    report = write_report(study)
    assert {row.id: row.state for row in report.rows if row.state} == {"ssl_0.7": "refused"}
    assert "ssl_0.7/seed0: refused: made from other data (another" in report.to_text().replace("\n  ", " ")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.assign(logit=t["logit"].where(t.index > 0)), "1 of 420 clip logits are not finite"),
        (lambda t: pd.concat([t, t.iloc[:3]]), "3 clips are scored more than once"),
        (lambda t: t.drop(columns="method"), "lacks method"),
    ],
)
def test_broken_scores_refuse_their_row_and_leave_the_rest(tmp_path, spoil, words):
    study = write_study(tmp_path, rows=("csn", "cnn_lstm"))
    path = study / "stage2" / "csn-seed0" / "clip_logits.csv"
    clips = pd.read_csv(path)
    spoil(clips.iloc[:420]).to_csv(path, index=False)
    report = write_report(study)
    assert [row.state for row in report.rows[:2]] == ["refused", ""]
    assert words in report.to_text().replace("\n  ", " ")


def test_other_test_videos_and_absent_classes_are_said(tmp_path):
    study = write_study(tmp_path, rows=("csn", "cnn_lstm"))
    for row in ("csn", "cnn_lstm"):
        path = study / "stage2" / f"{row}-seed0" / "clip_logits.csv"
        clips = pd.read_csv(path)
        kept = clips[(clips["dataset"] != "Celeb-DF-v2") | (clips["label"] == 0)]
        (kept.iloc[2:] if row == "csn" else kept).to_csv(path, index=False)
    text = write_report(study).to_text().replace("\n  ", " ")
    assert "Celeb-DF-v2: no AUC, since its test set holds 30 real and 0 fake videos" in text
    assert "NeuralTextures: cnn_lstm/seed0 not scored on the same videos as csn/seed0; no paired test" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "holds no study.json"), ("{", "damaged"), ('{"schema": 9}', "schema 1"), ('{"schema": 1}', "lacks recipe")],
)
def test_a_folder_that_is_no_study_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(TddError, match=words):
        load_study(tmp_path)


def test_the_same_records_give_the_same_bytes(tmp_path):
    study = write_study(tmp_path / "study", rows=("csn", "ssl_0.3"))
    first = [path.read_bytes() for path in write_report(study, tmp_path / "one").files]
    assert first == [path.read_bytes() for path in write_report(study, tmp_path / "two").files]
    assert json.loads((study / "study.json").read_text())["recipe"] == "demo"


def test_ranking_marks_best_and_second_best():
    assert ranking([3.0, None, 5.0, 4.0, 5.0]) == [0, 0, 1, 2, 1]
    assert ranking([None, None]) == [0, 0]


def scores(study: Path, row: str, test_set: str, seed: int) -> pd.DataFrame:
    return on_test_set(video_scores(pd.read_csv(study / f"stage2/{row}-seed{seed}/clip_logits.csv")), test_set)


def test_differences_are_paired_tests_corrected_over_their_family(tmp_path):
    seeds = (0, 1, 2)
    study = write_study(tmp_path, seeds=seeds, rows=("csn", "cnn_lstm", "ssl_0.3"))
    rows = {row.id: row for row in write_report(study).rows}
    assert rows["csn"].differences == {}
    columns = (*paper.TEST_SETS, "seen")
    found = [rows[name].differences[column] for name in ("cnn_lstm", "ssl_0.3") for column in columns]
    one, two = ([scores(study, row, "Celeb-DF-v2", seed) for seed in seeds] for row in ("ssl_0.3", "csn"))
    test = compare_mean_areas(one[0]["label"], *([table["logit"] for table in tables] for tables in (one, two)))
    mine = rows["ssl_0.3"].differences["Celeb-DF-v2"]
    assert (mine.value, mine.p_value) == (pytest.approx(100 * test.difference), pytest.approx(test.p_value))
    assert [f.p_holm for f in found] == pytest.approx(list(holm([f.p_value for f in found])))
    assert mine.text() in (study / "report" / "table.md").read_text()


def test_no_interval_that_is_shown_goes_beyond_what_areas_can_be(tmp_path):
    study = load_study(write_study(tmp_path, seeds=(0, 1), videos=2, rows=("csn", "ssl_0.3")))
    one, two = ([scores(tmp_path, row, "Celeb-DF-v2", seed) for seed in (0, 1)] for row in ("ssl_0.3", "csn"))
    test = compare_mean_areas(one[0]["label"], *([table["logit"] for table in tables] for tables in (one, two)))
    assert max(-test.low, test.high) > 1  # else this shows nothing
    found = result_rows(study)
    limits = [(d.low, d.high) for row in found for d in row.differences.values() if d.low is not None]
    assert limits and all(-100 <= low <= high <= 100 for low, high in limits)
    assert "100.0" in next(row for row in found if row.id == "ssl_0.3").differences["Celeb-DF-v2"].text()
    areas = [cell for row in found for cell in row.cells.values() if cell.low is not None]
    assert areas and all(0 <= cell.low <= cell.value <= cell.high <= 100 for cell in areas)


def test_several_seeds_widen_the_interval_beyond_that_of_videos(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1, 2), rows=("csn", "ssl_0.3"))
    for seed, shift in ((0, -1.5), (1, 0.0), (2, 1.5)):  # one row whose seeds differ widely
        path = study / f"stage2/ssl_0.3-seed{seed}/clip_logits.csv"
        clips = pd.read_csv(path)
        clips.assign(logit=clips["logit"] + shift * clips["label"]).to_csv(path, index=False)
    report = write_report(study)
    rows = {row.id: row for row in report.rows}
    wide, narrow = rows["ssl_0.3"].cells["FaceShifter"], rows["csn"].cells["FaceShifter"]
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert rows["ssl_0.3"].differences["FaceShifter"].seeds == 3
    assert "over videos and seeds" in report.to_text().replace("\n  ", " ")


def test_rows_scored_on_other_videos_have_a_difference_and_no_test(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1), rows=("csn", "cnn_lstm"))
    path = study / "stage2/cnn_lstm-seed0/clip_logits.csv"
    pd.read_csv(path).iloc[2:].to_csv(path, index=False)  # one real of FaceForensics++ less
    rows = {row.id: row for row in write_report(study).rows}
    assert rows["cnn_lstm"].differences["FaceShifter"].p_value is None
    assert rows["cnn_lstm"].differences["FaceShifter"].text().endswith("other videos")
    assert rows["cnn_lstm"].differences["Celeb-DF-v2"].p_value is not None


def test_rows_of_the_same_scores_differ_by_nothing_and_are_not_tested(tmp_path):
    study = write_study(tmp_path, rows=("csn", "cnn_lstm"))
    scored = (study / "stage2/csn-seed0/clip_logits.csv").read_bytes()
    (study / "stage2/cnn_lstm-seed0/clip_logits.csv").write_bytes(scored)
    rows = {row.id: row for row in write_report(study).rows}
    assert rows["cnn_lstm"].differences["seen"].text() == "0.0, same scores"


def test_other_studies_compare_with_their_own_reference_and_show_no_paper_columns(tmp_path):
    described = {"ssl_0.3": {"label": "baseline"}, "ssl_0.0": {"label": "A2: a label"}}
    study = write_study(tmp_path, rows=list(described), study="audit", reference="ssl_0.3", described=described)
    report = write_report(study)
    assert [row.label for row in report.rows] == ["baseline", "A2: a label"]
    text = report.to_text()
    assert "to baseline" in text and "89.87" not in text and max(map(len, text.splitlines())) <= WIDTH
    assert "89.87" not in report.files[0].read_text() and "LipForensics" not in report.files[0].read_text()


def test_failed_runs_and_failed_stage_1_are_shown_with_their_reason(tmp_path):
    study = write_study(tmp_path, rows=("csn", "cnn_lstm", "ssl_0.3"))
    for path in ("stage2/csn-seed0", "stage2/cnn_lstm-seed0", "stage1/cnn_lstm-seed0"):
        (study / path / "record.json").unlink()
    (study / "stage2/csn-seed0/failure.json").write_text('{"sentence": "out of memory"}')
    (study / "stage1/cnn_lstm-seed0/failure.json").write_text('{"sentence": "too few clips"}')
    report = write_report(study)
    assert [row.state for row in report.rows[:2]] == ["failed", "failed"]
    text = report.to_text().replace("\n  ", " ")
    assert "csn/seed0: failed: out of memory" in text
    assert "cnn_lstm/seed0: failed, its stage 1: too few clips" in text


def test_published_systems_stand_beside_the_table(tmp_path):
    text = write_report(write_study(tmp_path)).files[0].read_text()
    assert "| RealForensics (CSN, all of LRW) | 99.7 | 86.9 | 75.9 | 99.3 |" in text
    assert "| AltFreezing | – | 89.5 | – | – |" in text


def test_latex_holds_the_numbers_and_escapes_its_signs(tmp_path):
    report = write_report(write_study(tmp_path))
    text = report.files[2].read_text()
    best = max(report.rows[:7], key=lambda row: row.cells["FaceShifter"].value)
    assert r"\textbf{" + best.cells["FaceShifter"].text() in text and r"ssl\_weight 0.3" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and line.startswith("ssl")]
    assert len(rows) == 4 and all(line.count("&") == 5 for line in rows)
    assert SYNTHETIC_SENTENCE in text


def test_every_sign_of_latex_is_escaped():
    assert _latex(r"50% of a_b & {x} #1 $ ~^\\") == (
        r"50\% of a\_b \& \{x\} \#1 \$ \textasciitilde{}\textasciicircum{}\textbackslash{}\textbackslash{}"
    )
    assert _latex("−2.6 – ±") == "$-$2.6 – ±"  # the last two are set where the dash and the sign are known


def test_every_study_below_a_folder_is_found(tmp_path):
    for name in ("audit", "table"):
        write_study(tmp_path / name, rows=("csn",))
    assert [path.name for path in find_studies(tmp_path)] == ["audit", "table"]
    with pytest.raises(TddError, match="holds no study"):
        find_studies(tmp_path / "audit" / "stage2")


def test_a_summary_gives_the_same_table_without_clip_logits(tmp_path):
    study = write_study(tmp_path / "runs", seeds=(0, 1), rows=("csn", "ssl_0.3", "scratch"))
    (study / "stage2" / "scratch-seed1" / "record.json").unlink()
    (copy,) = write_summary(study, tmp_path / "summary")
    assert not list(copy.rglob("clip_logits.csv"))
    one, two = (pd.read_csv(write_report(place).files[1]) for place in (study, copy))
    pd.testing.assert_frame_equal(one, two, atol=2e-3)
    assert sum(path.stat().st_size for path in copy.rglob("*.*") if path.is_file()) < 200_000
    table = pd.read_parquet(copy / "scores.parquet").rename(columns={"stage2/csn-seed0": "stage2/other"})
    table.to_parquet(copy / "scores.parquet", index=False)
    assert "has no column stage2/csn-seed0" in write_report(copy).to_text().replace("\n  ", " ")


def test_test_videos_are_counted_as_found_of_listed(tmp_path):
    study = write_study(tmp_path)
    plain = write_report(study)
    assert "listed" not in plain.to_text() and "reals_listed" not in pd.read_csv(plain.files[1])
    reals, fakes = plain.counts["FaceShifter"]
    celeb = plain.counts["Celeb-DF-v2"]
    listed = {
        "methods": {name: {"reals": reals + 1, "fakes": fakes} for name in ("FaceShifter", *SEEN_METHODS)},
        "datasets": {"Celeb-DF-v2": {"reals": celeb[0], "fakes": celeb[1]}},
    }
    for path in study.glob("stage2/*/record.json"):
        edit_json(path, listed=listed)
    report = write_report(study)
    words = f"{reals} of {reals + 1} real, {fakes} fake"
    text = " ".join(report.to_text().split())
    assert words in text and f"{celeb[0]} real, {celeb[1]} fake" in text
    assert f"Test videos found of listed: FaceShifter {words}; Deepfakes" in text and "Celeb-DF-v2 1 of" not in text
    assert max(map(len, report.to_text().splitlines())) <= WIDTH
    table = pd.read_csv(report.files[1])
    shifter = table[table["test_set"] == "FaceShifter"]
    assert set(shifter["reals_listed"]) == {reals + 1} and set(shifter["reals"]) == {reals}
    assert words in report.files[0].read_text()


@pytest.mark.parametrize(
    "name",
    [
        *(f"2026-11-26-study/{name}" for name in ("table", "ssl-weight", "audit", "ablation")),
        *(f"2026-11-27-study/{name}" for name in ("table", "few-labels", "ssl-weight", "audit", "ablation")),
    ],
)
def test_the_published_studies_still_give_their_published_numbers(tmp_path, name):
    place = Path(__file__).parents[2] / "benchmarks/results" / name
    # Empty cells as NaN: numbers beside empty strings would compare as text, to the last digit of one processor.
    kept = pd.read_csv(place / "report" / "table.csv")
    made = pd.read_csv(write_report(place, tmp_path).files[1])
    pd.testing.assert_frame_equal(made[kept.columns], kept, check_dtype=False, rtol=1e-3)


def test_a_summary_never_leaves_its_folder(tmp_path):
    study = write_study(tmp_path / "runs" / "table")
    plan = json.loads((study / "study.json").read_text())
    for name, path in plan["runs"].items():
        (study / path).rename(tmp_path / "runs" / path.replace("/", "-"))
        plan["runs"][name] = "../" + path.replace("/", "-")
    (study / "study.json").write_text(json.dumps(plan))
    with pytest.raises(TddError, match=r"lie outside .*; give the folder that holds both"):
        write_summary(study, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
    write_summary(tmp_path / "runs", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*/record.json"))) == len(plan["runs"])


def named(study: Path) -> Path:
    """The same study with identities: video n of every method is of person n, pairs as FaceForensics++ has them."""
    for path in study.glob("stage2/*/clip_logits.csv"):
        clips = pd.read_csv(path)
        number = clips["video_id"].str.rsplit("/", n=1).str[1].astype(int)
        people = number.map("{:03d}".format)
        both = people + " " + (number ^ 1).map("{:03d}".format)
        clips.assign(identities=both.where(clips["label"] == 1, people)).to_csv(path, index=False)
    return study


def test_the_family_of_the_papers_table_is_reported_and_nothing_else(tmp_path):
    stated = [list(pair) for pair in paper.CONTRASTS]
    report = write_report(write_study(tmp_path / "new", seeds=(0, 1), contrasts=stated))
    older = write_report(write_study(tmp_path / "old", seeds=(0, 1)))
    assert older.contrasts == report.contrasts and "only after some or all of these runs" in " ".join(
        older.to_text().split()
    )
    assert [(pair.first, pair.second) for pair in report.contrasts] == list(paper.CONTRASTS)
    tests = [found for pair in report.contrasts for found in pair.differences.values()]
    assert len(tests) == 33 and [f.p_holm for f in tests] == pytest.approx(list(holm([f.p_value for f in tests])))
    said = " ".join(report.to_text().split())
    assert "stated before the study was run" in said and "over the 33 tests of this family" in said
    assert max(map(len, report.to_text().splitlines())) <= WIDTH
    kept = pd.read_csv(report.files[3])
    assert (
        len(kept) == 33
        and set(kept["family"]) == {"stated before the study was run"}
        and set(kept["test_set"]) == {"FaceShifter", "Celeb-DF-v2", "seen"}
    )


def test_another_reference_is_another_family_and_said_to_be(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1), rows=("csn", "ssl_0.3", "ssl_0.0"))
    report = write_report(study, reference="ssl_0.0")
    assert [(pair.first, pair.second) for pair in report.contrasts] == [("csn", "ssl_0.0"), ("ssl_0.3", "ssl_0.0")]
    assert "asked for afterwards, not stated before" in " ".join(report.to_text().split())
    with pytest.raises(TddError, match=r"has no row 'vivit'; its rows are: csn, ssl_0\.3, ssl_0\.0"):
        write_report(study, reference="vivit")


def test_another_reference_leaves_the_stated_familys_files(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1), rows=("csn", "ssl_0.3", "ssl_0.0"))
    assert main(["report", str(study)]) == 0
    kept = {path: path.read_bytes() for path in study.glob("[rf]*/*")}
    assert main(["report", str(study), "--reference", "ssl_0.0"]) == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert "ssl_0.0" in set(pd.read_csv(study / "report-vs-ssl_0.0/contrasts.csv")["second"])
    assert (study / "figures-vs-ssl_0.0/differences.png").is_file()
    assert write_report(study, reference="csn").files[0].parent == study / "report-vs-csn"


@pytest.mark.parametrize("command", [["report"], ["power", "--records"]])
def test_a_reference_that_one_study_lacks_is_refused_before_anything_is_made(tmp_path, capsys, command):
    for name, rows in (("audit", ("csn", "ssl_0.3")), ("table", ("csn", "cnn_lstm"))):
        write_study(tmp_path / name, seeds=(0, 1, 2), rows=rows)
    assert main([*command, str(tmp_path), "--reference", "ssl_0.3"]) == 2
    said = capsys.readouterr()
    place = str(tmp_path / "table")
    assert f"1 of 2 studies have no row 'ssl_0.3': {place};" in " ".join(said.err.split())
    assert not said.out.strip() and not list(tmp_path.glob("*/report*"))


def test_a_study_names_its_own_family(tmp_path):
    pairs = [["ssl_0.3", "csn"], ["ssl_0.3", "vivit"]]
    report = write_report(write_study(tmp_path, seeds=(0, 1), rows=("csn", "ssl_0.3", "ssl_0.0"), contrasts=pairs))
    assert [(pair.first, pair.second) for pair in report.contrasts] == [("ssl_0.3", "csn")]


def test_the_row_that_a_family_compares_with_is_named_by_its_own_label(tmp_path):
    pairs = [["ssl_0.3", "cnn_gru_attention"]]
    study = write_study(tmp_path, seeds=(0, 1), rows=("csn", "cnn_gru_attention", "ssl_0.3"), contrasts=pairs)
    report = write_report(study)
    label = next(row.label for row in report.rows if row.id == "cnn_gru_attention")
    assert f"Differences to {label}, a family" in " ".join(report.to_text().split())


def test_the_written_statement_is_what_is_run_and_reported():
    text = (Path(__file__).parents[2] / "benchmarks/studies/table.md").read_text(encoding="utf-8")
    stated = yaml.safe_load(text.split("---")[1])
    assert [tuple(pair) for pair in stated["contrasts"]] == list(paper.CONTRASTS) == list(TABLE.contrasts)
    assert {name for pair in paper.CONTRASTS for name in pair} <= {row.id for row in TABLE.rows}
    assert stated["study"] == TABLE.name and set(stated["test_sets"]) == {*paper.TEST_SETS, "seen"}


def test_the_statement_of_the_large_study_is_what_is_run():
    text = (Path(__file__).parents[2] / "benchmarks/studies/study.md").read_text(encoding="utf-8")
    stated = yaml.safe_load(text.split("---")[1])
    assert set(stated["study"]) == set(STUDIES) == set(stated["seeds"])
    few = STUDIES["few-labels"](None, None)
    assert [tuple(pair) for pair in stated["few-labels"]] == list(few.contrasts)
    assert {name for pair in few.contrasts for name in pair} <= {row.id for row in few.rows}
    assert set(stated["test_sets"]) == {*paper.TEST_SETS, "seen", LIP_RETIMING}
    assert stated["size"] in SIZES and load_recipe(stated["recipe"]).stage2.patience == 3


def test_a_test_set_of_the_benchmark_alone_is_shown_and_counted_where_a_study_has_it(tmp_path):
    plain = write_study(tmp_path / "plain", seeds=(0, 1), rows=("csn", "ssl_0.3"), contrasts=[["ssl_0.3", "csn"]])
    report = write_report(plain)
    assert "LipRetiming" not in "".join(path.read_text() for path in report.files)
    study = write_study(tmp_path / "more", seeds=(0, 1), rows=("csn", "ssl_0.3"), contrasts=[["ssl_0.3", "csn"]])
    for path in study.glob("stage2/*/clip_logits.csv"):
        clips = pd.read_csv(path)
        lips = clips[clips["method"] == "Deepfakes"].assign(method="LipRetiming")
        lips = lips.assign(video_id=lips["video_id"].str.replace("Deepfakes", "LipRetiming"), logit=-lips["logit"])
        pd.concat([clips, lips]).to_csv(path, index=False)
    report = write_report(study)
    found = report.contrasts[0].differences
    assert list(found) == ["FaceShifter", "Celeb-DF-v2", "seen", "LipRetiming"]
    ps = [difference.p_value for difference in found.values()]
    assert [difference.p_holm for difference in found.values()] == pytest.approx(list(holm(ps)))
    assert "Holm over the 4 tests" in " ".join(report.to_text().split())
    table = pd.read_csv(study / "report/table.csv").set_index(["row", "test_set"])
    videos = scores(study, "csn", "LipRetiming", 0)
    one = float(table.loc[("csn", "LipRetiming"), "per_seed_percent"].split()[0])
    assert one == pytest.approx(100 * roc_auc_score(videos["label"], videos["logit"]), abs=1e-3)
    assert table.loc[("csn", "LipRetiming"), ["reals", "fakes"]].tolist() == [30, 30]
    assert (
        "| difference | FaceShifter | Celeb-DF-v2 | seen methods, mean | LipRetiming |" in report.files[0].read_text()
    )


def test_one_seed_has_no_p_value(tmp_path):
    report = write_report(write_study(tmp_path, rows=("csn", "ssl_0.3")))
    found = report.contrasts[0].differences["FaceShifter"]
    assert found.p_value is None and found.low < found.value < found.high
    assert found.text().endswith("one seed: no test") and "no p-value" in report.to_text().replace("\n  ", " ")


def test_videos_of_one_target_belong_together_and_unknown_ones_are_said(tmp_path):
    plain = write_report(write_study(tmp_path / "a", seeds=(0, 1), rows=("csn", "ssl_0.3")))
    study = named(write_study(tmp_path / "b", seeds=(0, 1), rows=("csn", "ssl_0.3")))
    report = write_report(study)
    cell = report.rows[0].cells["FaceShifter"]
    assert cell.targets == 15 and report.rows[0].cells["Celeb-DF-v2"].targets == 30
    assert (cell.low, cell.value) != (plain.rows[0].cells["FaceShifter"].low, cell.value)
    said, unsaid = (" ".join(one.to_text().split()) for one in (report, plain))
    assert "numbers of targets: FaceShifter 15, Celeb-DF-v2 30, seen 15" in said and "independent" not in said
    assert "FaceShifter, Celeb-DF-v2, seen: who is seen is not in these records" in unsaid
    clips = pd.read_csv(study / "stage2/csn-seed0/clip_logits.csv")
    videos = clips[clips["dataset"] == "Celeb-DF-v2"].groupby(["identities", "label"])["logit"].mean().reset_index()
    pair = videos.assign(person=videos["identities"].str[:3]).pivot(index="person", columns="label", values="logit")
    first = load_study(study)
    one_seed = result_rows(replace(first, runs=first.runs[:1]))[0].cells["Celeb-DF-v2"]
    assert one_seed.own_real == pytest.approx(100 * (pair[1] > pair[0]).mean())
    assert "above the very real that it was made from" in report.files[0].read_text()
    write_summary(study, tmp_path / "summary")
    assert write_report(tmp_path / "summary", tmp_path / "out").rows[0].cells["FaceShifter"].targets == 15


def unnamed(study: Path, pattern: str, dataset: str = "") -> None:
    """Take the identities away from some runs: of all videos, or of those of one data set."""
    for path in study.glob(f"stage2/{pattern}/clip_logits.csv"):
        clips = pd.read_csv(path)
        clips.assign(identities=clips["identities"].mask(clips["dataset"].str.contains(dataset))).to_csv(
            path, index=False
        )


def test_targets_come_from_any_run_of_the_same_videos_that_knows_them(tmp_path):
    options = {"seeds": (0, 1), "rows": ("csn", "cnn_lstm", "ssl_0.3")}
    whole = write_report(named(write_study(tmp_path / "whole", **options)))
    study = named(write_study(tmp_path / "part", **options))
    unnamed(study, "csn-seed0")
    unnamed(study, "ssl_0.3-*")
    report = write_report(study)
    assert report.contrasts == whole.contrasts, "one row of each pair knows them"
    cells, known = ({row.id: row.cells for row in one.rows} for one in (report, whole))
    assert cells["csn"] == known["csn"], "its second run knows them"
    assert cells["ssl_0.3"]["seen"].targets is None and cells["ssl_0.3"]["seen"] != known["ssl_0.3"]["seen"]
    label = next(row.label for row in report.rows if row.id == "ssl_0.3")
    said = " ".join(report.to_text().split())
    assert "in every other interval and test (Obuchowski); numbers of targets: FaceShifter 15, Celeb-DF-v2 30" in said
    assert f"FaceShifter, Celeb-DF-v2, seen, of {label}: who is seen is not in these records" in said


def test_mixed_runs_behind_a_comparison_are_marked(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1), rows=("csn", "cnn_lstm", "ssl_0.3"))
    for row, seed, processor, precision in (("csn", 0, "A", "32"), ("csn", 1, "A", "32"), ("ssl_0.3", 0, "B", "32"),
                                            ("ssl_0.3", 1, "A", "bf16"), ("cnn_lstm", 0, "A", "32")):  # fmt: skip
        machine = {"device": "cpu", "processor": processor, "capability": "AVX2", "precision": precision}
        edit_json(study / f"stage2/{row}-seed{seed}/record.json", machine=machine)
    report = write_report(study)
    marks = {pair.first: pair.differences["FaceShifter"].mixed for pair in report.contrasts}
    assert marks == {"cnn_lstm": (), "ssl_0.3": ("processors", "precisions")}
    said = " ".join(report.to_text().split())
    assert "† The runs behind 1 of 2 comparisons were made with different precisions" in said
    assert said.count("†") == 5  # three columns, and a sentence for each kind


def test_a_demo_shows_the_recorded_study_beside_its_own_numbers_and_no_other_table_does(tmp_path):
    recorded = recorded_study()
    for name, more in (("demo", {}), ("paper", {"recipe": "paper"}), ("large", {"recipe": "study"})):
        study = write_study(tmp_path / name, rows=("csn", "ssl_0.3"), **more)
        text = write_report(study).to_text()
        shown = next(line for line in text.splitlines() if line.startswith("CSN (baseline)")).split()
        areas = [f"{recorded.areas['csn', column]:.1f}" for column in paper.TEST_SETS]
        assert [shown[6:8] == areas, "  study  " in text.splitlines()[0]] == [name == "demo"] * 2
        assert max(map(len, text.splitlines())) <= WIDTH


def test_the_recorded_study_is_that_of_the_committed_summary():
    folder = Path(__file__).parents[2] / "benchmarks/results/2026-11-27-study/table"
    assert recorded_csv(folder) == TARGET.read_text(encoding="utf-8")
    assert recorded_study().areas["ssl_0.3", "FaceShifter"] == pytest.approx(
        result_rows(load_study(folder))[4].cells["FaceShifter"].value, abs=1e-3
    )
