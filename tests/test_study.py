"""Running a study: shared runs, resumption, failures that are kept, and what is refused."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tdd.config import load_recipe, override
from tdd.errors import TddError
from tdd.machine.files import held_alone
from tdd.records.plans import PROPOSED, SCRATCH, TABLE, Plan, finding_rows, select_rows
from tdd.records.record import read_record
from tdd.records.results import STATED, STATED_LATER, load_study
from tdd.study import run_study, study_jobs
from tests.stores import random_store

RECIPE = override(load_recipe("tiny"), {"evaluation.batch_size": 5})
ROWS = select_rows(TABLE, ["ssl_0.0", "ssl_0.3", "scratch"])
A6 = next(row for row in finding_rows() if row.id == "A6")


def study(plan, store, folder, recipe=RECIPE, **options):
    return run_study(plan, [0], store, recipe, folder, folder / plan.name, **options)


def test_rows_of_one_backbone_share_its_stage_1():
    jobs = study_jobs(TABLE.rows, [0], RECIPE)
    assert [job.run for job in jobs if job.kind == "stage1"] == [
        "stage1/csn-seed0", "stage1/cnn_lstm-seed0", "stage1/cnn_gru_attention-seed0",
    ]  # fmt: skip
    needs = {job.row.id: job.needs for job in jobs if job.kind == "stage2"}
    assert needs["ssl_0.3"] == needs["cnn_gru_attention"] == "stage1/cnn_gru_attention-seed0"
    assert needs[SCRATCH.id] is None
    assert len(study_jobs(TABLE.rows, [0, 1], RECIPE)) == 2 * len(jobs)


def test_the_audit_trains_stage_1_anew_only_where_stage_1_differs():
    jobs = study_jobs((PROPOSED, *finding_rows()), [0], RECIPE)
    needs = {job.row.id: job.needs for job in jobs if job.kind != "stage1"}
    shared = needs["ssl_0.3"]
    assert {name for name, needed in needs.items() if needed == shared} == {"ssl_0.3", "A2", "A3", "A4"}
    assert len({needs[name] for name in ("A1", "A5", "A1-A7")} - {shared}) == 3
    assert [job.kind for job in jobs if job.row.id in ("A6", "A7")] == ["evaluation", "evaluation"]
    assert needs["A6"] == needs["A7"] == "stage2/ssl_0.3-seed0"


def test_the_detector_that_a_row_scores_is_trained_though_its_row_is_not_asked_for():
    jobs = study_jobs([A6], [3], RECIPE)
    assert [job.run for job in jobs] == [
        "stage1/cnn_gru_attention-seed3", "stage2/ssl_0.3-seed3", "stage2/A6-seed3",
    ]  # fmt: skip


def test_unknown_rows_are_refused_with_the_known_ones():
    with pytest.raises(TddError, match="Unknown row 'gru'; the rows are: csn, cnn_lstm"):
        select_rows(TABLE, ["gru"])
    assert [row.id for row in select_rows(TABLE, ["ssl_0.3", "csn"]).rows] == ["csn", "ssl_0.3"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    random_store(folder / "store")
    assert study(ROWS, folder / "store", folder, workers=2) == []
    return folder


def records(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("record.json")}


def test_every_job_leaves_a_record_and_a_second_call_runs_nothing(finished):
    before = records(finished)
    assert len(before) >= 4
    assert study(ROWS, finished / "store", finished, workers=1) == []
    assert records(finished) == before


def test_the_study_file_names_rows_and_runs_from_its_own_folder(finished):
    written = json.loads((finished / "table" / "study.json").read_text())
    assert (written["study"], written["reference"], written["rows"]) == (
        "table",
        "csn",
        ["ssl_0.0", "ssl_0.3", "scratch"],
    )
    assert written["described"]["scratch"]["from_stage1"] is False
    assert set(written["stage1"]) == {"ssl_0.0/seed0", "ssl_0.3/seed0"}
    for path in (*written["runs"].values(), *written["stage1"].values()):
        assert (finished / "table" / path / "record.json").is_file()


def test_another_study_in_the_folder_uses_the_runs_there_and_scores_without_training(finished):
    before = records(finished)
    assert study(Plan("audit", "", (PROPOSED, A6), PROPOSED.id), finished / "store", finished, workers=1) == []
    assert set(records(finished)) - set(before) == {finished / "stage2/A6-seed0/record.json"}
    assert before.items() <= records(finished).items()
    scored, anew = (pd.read_csv(finished / f"stage2/{row}-seed0/clip_logits.csv") for row in ("ssl_0.3", "A6"))
    both = anew.merge(scored, on=["video_id", "start"])
    assert 0 < len(both) == len(anew) < len(scored)
    np.testing.assert_allclose(both["logit_x"], both["logit_y"], rtol=1e-4, atol=1e-4)
    assert read_record(finished / "stage2/A6-seed0")["recipe"]["findings"]["drop_last_clips"]


def test_a_family_is_stated_before_its_runs_or_said_to_be_later(finished):
    store, other = finished / "store", (("scratch", "ssl_0.0"),)
    first = load_study(finished / "table")
    assert first.family == STATED and ("ssl_0.3", "ssl_0.0") in first.contrasts
    study(dataclasses.replace(ROWS, contrasts=other), store, finished)
    again = load_study(finished / "table")
    assert (again.contrasts, again.family) == (first.contrasts, STATED), "what was stated was changed after the runs"
    for contrasts in (other, ROWS.contrasts):
        study(dataclasses.replace(ROWS, name="later", contrasts=contrasts), store, finished)
        late = load_study(finished / "later")
        assert (late.contrasts, late.family) == (other, STATED_LATER)


def test_a_family_may_change_while_its_rows_have_no_run(tmp_path):
    random_store(tmp_path / "store")
    for contrasts in ((("ssl_0.3", "scratch"),), (("scratch", "ssl_0.3"),)):
        plan = dataclasses.replace(ROWS, contrasts=contrasts)
        run_study(plan, [], tmp_path / "store", RECIPE, tmp_path, tmp_path / "table")
        found = json.loads((tmp_path / "table/study.json").read_text())
        assert found["contrasts"] == [list(*contrasts)] and not found["contrasts_stated_later"]
    assert select_rows(TABLE, ["csn"]).contrasts == TABLE.contrasts, "rows that are run later are stated as well"


def test_a_run_in_another_process_gives_the_same_numbers(finished, tmp_path):
    study(select_rows(TABLE, ["ssl_0.3"]), finished / "store", tmp_path, workers=1)
    one, other = read_record(finished / "stage2/ssl_0.3-seed0"), read_record(tmp_path / "stage2/ssl_0.3-seed0")
    assert one["metrics"] == other["metrics"] and one["history"] == other["history"]


def test_runs_of_other_settings_or_data_are_not_mixed_in(finished, tmp_path):
    scratch = select_rows(TABLE, ["scratch"])
    with pytest.raises(TddError, match="with other settings"):
        longer = dataclasses.replace(RECIPE, stage2=dataclasses.replace(RECIPE.stage2, epochs=3))
        study(scratch, finished / "store", finished, longer)
    random_store(tmp_path / "store", videos=7)
    with pytest.raises(TddError, match="with other data"):
        study(scratch, tmp_path / "store", finished)


def test_a_record_from_before_a_setting_was_added_still_counts(finished):
    path = finished / "stage1/cnn_gru_attention-seed0/record.json"
    content = json.loads(path.read_text())
    del content["recipe"]["stage1"]["audio"]
    path.write_text(json.dumps(content))
    before = records(finished)
    assert study(ROWS, finished / "store", finished, workers=1) == []
    assert records(finished) == before


def test_a_failed_stage_1_stops_only_what_needs_it_and_is_kept(tmp_path):
    random_store(tmp_path / "store", faces=4)  # fewer than one batch of 8
    failures = study(select_rows(TABLE, ["ssl_0.3", "scratch"]), tmp_path / "store", tmp_path, workers=1)
    assert len(failures) == 2
    assert "fewer than one batch" in failures[0] and "for stage1/cnn_gru_attention-seed0 failed" in failures[1]
    assert read_record(tmp_path / "stage2/scratch-seed0") is not None
    kept = json.loads((tmp_path / "stage1/cnn_gru_attention-seed0/failure.json").read_text())
    assert "fewer than one batch" in kept["sentence"] and "Traceback" in kept["traceback"]


def test_any_error_of_a_run_is_kept_and_the_next_try_clears_it(tmp_path, monkeypatch):
    random_store(tmp_path / "store")
    scratch = select_rows(TABLE, ["scratch"])

    def broken(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("tdd.detect.detect", broken)
        assert study(scratch, tmp_path / "store", tmp_path, workers=1) == [
            "stage2/scratch-seed0: RuntimeError: out of memory"
        ]
    assert (tmp_path / "stage2/scratch-seed0/failure.json").is_file()
    assert study(scratch, tmp_path / "store", tmp_path, workers=1) == []
    assert not (tmp_path / "stage2/scratch-seed0/failure.json").exists()


def test_a_finding_that_leaves_no_clip_to_score_fails_in_words(finished, tmp_path):
    large = override(RECIPE, {"evaluation.batch_size": 500})
    said = study(Plan("audit", "", (A6,), "A6"), finished / "store", tmp_path, large, workers=1)
    assert said == [
        "stage2/A6-seed0: Finding A6 drops every clip, since no method has 500; lower evaluation.batch_size."
    ]


def test_one_process_at_a_time_writes_to_a_folder(tmp_path):
    random_store(tmp_path / "store")
    with held_alone(tmp_path, "tdd study"), pytest.raises(TddError, match="another tdd study is writing there"):
        study(ROWS, tmp_path / "store", tmp_path)


def test_a_store_of_other_crops_is_refused_before_anything_runs(tmp_path):
    random_store(tmp_path / "store", faces=4)
    with pytest.raises(TddError, match=r"prepared with clip\.canvas = 72 and 110 is needed"):
        study(TABLE, tmp_path / "store", tmp_path / "out", load_recipe("demo"))
    assert not (tmp_path / "out").exists()


def test_methods_that_are_not_there_are_refused_before_stage_1(tmp_path):
    store = random_store(tmp_path / "store", faces=1, videos=2)
    recipe = override(RECIPE, {"stage2.methods": ["FaceSwap", "FaceSwapp"]})
    with pytest.raises(TddError, match=r"no training fake of FaceSwapp, which stage2.methods names"):
        study(ROWS, store.folder, tmp_path, recipe)
    assert not (tmp_path / "stage1").exists()
