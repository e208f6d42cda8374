"""Studies of which runs are missing or lack a method: what is said, and over which seeds numbers are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tdd.metrics import compare_mean_areas, video_scores
from tdd.names import SEEN_METHODS
from tdd.plots.curves import bars
from tdd.records.results import by_seeds, load_study, on_test_set, other_sets, seeds_text
from tdd.report.report import WIDTH
from tdd.report.table import drawn_run, drawn_seeds, result_rows
from tdd.report.write import make_report, write_report
from tests.fake_study import ROWS, write_study

SEEDS = (0, 1, 2, 3)


def scores(study: Path, row: str, seed: int, column: str) -> pd.DataFrame:
    return on_test_set(video_scores(pd.read_csv(study / f"stage2/{row}-seed{seed}/clip_logits.csv")), column)


def area(study: Path, row: str, seed: int, column: str) -> float:
    table = scores(study, row, seed, column)
    return 100 * roc_auc_score(table["label"], table["logit"])


def lose(study: Path, row: str, seed: int) -> None:
    (study / f"stage2/{row}-seed{seed}/record.json").unlink()


def drop_method(study: Path, row: str, seed: int, method: str) -> None:
    path = study / f"stage2/{row}-seed{seed}/clip_logits.csv"
    clips = pd.read_csv(path)
    clips[clips["method"] != method].to_csv(path, index=False)


def said(report) -> str:
    return " ".join(report.to_text().split())


@pytest.fixture
def partial(tmp_path):
    """Seeds 0 to 3 of three rows, of which csn lacks 2 and 3, and ssl_0.3 lacks 0."""
    pairs = [["cnn_lstm", "csn"], ["ssl_0.3", "csn"], ["ssl_0.3", "cnn_lstm"]]
    study = write_study(tmp_path, seeds=SEEDS, rows=("csn", "cnn_lstm", "ssl_0.3"), videos=20, contrasts=pairs)
    for row, seed in (("csn", 2), ("csn", 3), ("ssl_0.3", 0)):
        lose(study, row, seed)
    return study


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([3], "seed 3"),
        ([1, 3], "seeds 1 and 3"),
        ([9, 4, 5, 6, 7, 8], "seeds 4 to 9"),
        ([0, 2, 4, 5, 6, 7], "seeds 0, 2 and 4 to 7"),
        ([0, 1], "seeds 0 and 1"),
    ],
)
def test_seeds_are_named_in_words(seeds, words):
    assert seeds_text(seeds) == words


def test_what_lacks_the_same_seeds_is_named_together():
    lacking = [("csn", (4, 5)), ("cnn_lstm", ()), ("ssl_0.3", (3, 4, 5)), ("ssl_0.5", (5, 4))]
    assert by_seeds(lacking) == "seeds 4 and 5 of csn, ssl_0.5; seeds 3 to 5 of ssl_0.3"


def test_one_sentence_names_all_runs_that_are_missing(partial):
    text = said(make_report(load_study(partial)))
    assert text.count("csn-seed") < 12 and "csn/seed2" not in text
    sentence = (
        "No record yet of seeds 2 and 3 of csn; seed 0 of ssl_0.3 (the first is looked for at stage2/csn-seed2); run"
    )
    assert text.count(sentence) == 1 and "Without scores" not in text
    assert sentence in " ".join(load_study(partial).notes)


def test_numbers_of_fewer_seeds_are_marked_and_counted(partial):
    report = make_report(load_study(partial))
    rows = {row.id: row for row in report.rows}
    for name, seeds in (("csn", (0, 1)), ("cnn_lstm", SEEDS), ("ssl_0.3", (1, 2, 3))):
        cell = rows[name].cells["FaceShifter"]
        assert (cell.which, cell.seeds) == (seeds, len(seeds))
        assert cell.value == pytest.approx(np.mean([area(partial, name, seed, "FaceShifter") for seed in seeds]))
        mark = f" ({len(seeds)})" if len(seeds) < 4 else ""
        assert cell.text() == f"{cell.value:.1f} ± {cell.sd:.1f}{mark}"
    text = report.to_text()
    assert rows["csn"].cells["FaceShifter"].text() in text and max(map(len, text.splitlines())) <= WIDTH
    assert report.seeds == "2 to 4 seeds (of 4)" and f"over {report.seeds}" in said(report)
    assert "how many seeds are behind a number that has not all 4" in said(report)


def test_comparisons_are_over_the_seeds_that_both_rows_have(partial):
    report = write_report(partial)
    found = {(pair.first, pair.second): pair.differences["Celeb-DF-v2"] for pair in report.contrasts}
    for pair, seeds in ((("cnn_lstm", "csn"), (0, 1)), (("ssl_0.3", "cnn_lstm"), (1, 2, 3))):
        one, two = ([scores(partial, row, seed, "Celeb-DF-v2") for seed in seeds] for row in pair)
        test = compare_mean_areas(one[0]["label"], *([table["logit"] for table in tables] for tables in (one, two)))
        mine = found[pair]
        assert (mine.seeds, mine.p_value) == (len(seeds), pytest.approx(test.p_value))
        assert mine.low == pytest.approx(100 * test.low) and mine.narrow().endswith(f" ({len(seeds)})")
    alone = found["ssl_0.3", "csn"]
    assert (alone.seeds, alone.p_value) == (1, None) and alone.text().endswith("one seed: no test (1)")
    kept = pd.read_csv(report.files[3]).set_index(["first", "second", "test_set"])["seeds"]
    assert kept["ssl_0.3", "cnn_lstm", "seen"] == 3


def test_a_look_on_the_way_is_not_taken_for_the_stated_test(partial, tmp_path):
    look = "A look before all seeds are there"
    assert look in said(make_report(load_study(partial)))
    whole = write_study(tmp_path / "whole", seeds=(0, 1), rows=("csn", "ssl_0.3"), contrasts=[["ssl_0.3", "csn"]])
    text = said(make_report(load_study(whole)))
    assert look not in text and "round brackets" not in text and "Without scores" not in text


def test_a_failed_run_is_no_seed_either(partial):
    (partial / "stage2/csn-seed2/failure.json").write_text('{"sentence": "out of memory"}')
    text = said(make_report(load_study(partial)))
    assert "csn/seed2: failed: out of memory" in text and "No record yet of seed 3 of csn; seed 0 of ssl_0.3" in text
    assert "Without scores: seeds 2 and 3 of csn; seed 0 of ssl_0.3." in text


@pytest.mark.parametrize("method", ["FaceShifter", "FaceSwap"])
def test_a_seed_without_a_methods_scores_leaves_the_other_seeds(tmp_path, method):
    pairs = [["ssl_0.3", "csn"]]
    study = write_study(tmp_path, seeds=SEEDS, rows=("csn", "ssl_0.3"), videos=20, contrasts=pairs)
    drop_method(study, "csn", 1, method)
    report = write_report(study)
    csn, other = (next(row for row in report.rows if row.id == name) for name in ("csn", "ssl_0.3"))
    assert csn.cells[method].which == (0, 2, 3) and other.cells[method].which == SEEDS
    values = [area(study, "csn", seed, method) for seed in (0, 2, 3)]
    assert csn.cells[method].value == pytest.approx(np.mean(values))
    assert csn.cells[method].low is not None and csn.cells["Celeb-DF-v2"].which == SEEDS
    column = "FaceShifter" if method == "FaceShifter" else "seen"
    assert csn.cells["seen"].which == ((0, 2, 3) if method in SEEN_METHODS else SEEDS)
    assert report.contrasts[0].differences[column].seeds == 3
    names = [method] if method == "FaceShifter" else ["seen", method]
    assert all(f"csn on {name}" in said(report) for name in names) and "no paired test" not in said(report)
    table = pd.read_csv(report.files[1], dtype=str).set_index(["row", "test_set"])
    assert table.loc[("csn", method), ["which_seeds", "seeds"]].tolist() == ["0 2 3", "3"]


def test_a_seed_that_lacks_an_own_method_leaves_the_other_seeds(tmp_path):
    study = write_study(tmp_path, seeds=(0, 1, 2), rows=("csn", "ssl_0.3"), videos=20)
    for path in study.glob("stage2/*/clip_logits.csv"):
        clips = pd.read_csv(path)
        clips.assign(method=clips["method"].replace("FaceShifter", "Mine")).to_csv(path, index=False)
    drop_method(study, "csn", 0, "Mine")
    study = load_study(study)
    assert other_sets(study) == ("Mine",) and other_sets(study) is other_sets(study)
    cell = next(row for row in result_rows(study) if row.id == "csn").cells["Mine"]
    assert cell.which == (1, 2) and cell.low is not None


def test_a_study_that_the_paper_has_no_numbers_for_shows_none(tmp_path):
    pairs = [["ssl_0.3", "scratch"], ["ssl_0.0", "csn"]]
    for name in ("few-labels", "table"):
        study = write_study(tmp_path / name, seeds=(0, 1), rows=("csn", "ssl_0.0", "ssl_0.3", "scratch"),
                            study=name, reference="scratch", recipe="study", contrasts=pairs)  # fmt: skip
        text = make_report(load_study(study)).to_text()
        shown = next(line for line in text.splitlines() if line.startswith("ssl_weight 0.3"))
        assert ("89.87" in shown, "  paper" in text.splitlines()[0]) == (name == "table",) * 2
        assert "ssl_0.3 − scratch" in text


def test_figures_say_the_seeds_that_they_show(partial):
    study = load_study(partial)
    rows = [row for row in result_rows(study) if row.cells]
    assert drawn_seeds(study, rows, ("FaceShifter",)) == f"seed 0 (seed 1 of {ROWS['ssl_0.3'][0]})"
    proposed = next(row for row in rows if row.id == "ssl_0.3")
    assert drawn_run(study, proposed, "FaceShifter").seed == 1
    cells = [row.cells["FaceShifter"] for row in rows]
    assert "2 to 4 seeds" in bars(study, cells) and "3 seeds" in bars(study, [proposed.cells["FaceShifter"]])


def test_passed_checks_of_many_runs_are_counted_and_others_named(partial):
    path = partial / "stage1/csn-seed1/record.json"
    record = json.loads(path.read_text())
    record["checks"][0] |= {"passed": False, "sentence": "no sound is found"}
    path.write_text(json.dumps(record))
    report = write_report(partial)
    text, file = said(report), report.files[0].read_text()
    passed = file.count("Check passed")
    assert passed > 1 and f"{passed} of {passed + 1} checks passed; table.md names them" in text
    assert "Check FAILED: seed 1, no sound is found" in text and "Check passed" not in text
