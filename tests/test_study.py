import dataclasses

import pytest

from tdd.config import load_recipe
from tdd.errors import TddError
from tdd.records import read_record
from tdd.study import SCRATCH, TABLE, run_study, select_rows, table_jobs
from tests.stores import random_store

RECIPE = load_recipe("tiny")


def test_rows_of_one_backbone_share_its_stage_1():
    jobs = table_jobs(TABLE, [0])
    assert [job.run for job in jobs if job.stage == 1] == [
        "stage1/csn-seed0", "stage1/cnn_lstm-seed0", "stage1/cnn_gru_attention-seed0",
    ]  # fmt: skip
    needs = {job.row.id: job.needs for job in jobs if job.stage == 2}
    assert needs["ssl_0.3"] == needs["cnn_gru_attention"] == "stage1/cnn_gru_attention-seed0"
    assert needs[SCRATCH.id] is None
    assert len(table_jobs(TABLE, [0, 1])) == 2 * len(jobs)


def test_unknown_rows_are_refused_with_the_known_ones():
    with pytest.raises(TddError, match="Unknown row 'gru'; the rows are: csn, cnn_lstm"):
        select_rows(["gru"])
    assert [row.id for row in select_rows(["ssl_0.3", "csn"])] == ["csn", "ssl_0.3"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    random_store(folder / "store")
    rows = select_rows(["ssl_0.0", "ssl_0.3", "scratch"])
    assert run_study(folder / "store", folder, RECIPE, rows, [0], workers=2) == []
    return folder


def test_every_job_leaves_a_record_and_a_second_call_runs_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("record.json")}
    assert len(before) == 4
    rows = select_rows(["ssl_0.0", "ssl_0.3", "scratch"])
    assert run_study(finished / "store", finished, RECIPE, rows, [0], workers=1) == []
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("record.json")} == before


def test_a_run_in_another_process_gives_the_same_numbers(finished, tmp_path):
    run_study(finished / "store", tmp_path, RECIPE, select_rows(["ssl_0.3"]), [0], workers=1)
    one, other = read_record(finished / "stage2/ssl_0.3-seed0"), read_record(tmp_path / "stage2/ssl_0.3-seed0")
    assert one["metrics"] == other["metrics"] and one["history"] == other["history"]


def test_runs_of_other_settings_or_data_are_not_mixed_in(finished, tmp_path):
    with pytest.raises(TddError, match="with other settings"):
        longer = dataclasses.replace(RECIPE, stage2=dataclasses.replace(RECIPE.stage2, epochs=3))
        run_study(finished / "store", finished, longer, select_rows(["scratch"]), [0])
    random_store(tmp_path / "store", videos=7)
    with pytest.raises(TddError, match="with other data"):
        run_study(tmp_path / "store", finished, RECIPE, select_rows(["scratch"]), [0])


def test_a_failed_stage_1_stops_only_what_needs_it(tmp_path):
    random_store(tmp_path / "store", faces=4)  # fewer than one batch of 8
    failures = run_study(tmp_path / "store", tmp_path, RECIPE, select_rows(["ssl_0.3", "scratch"]), [0], workers=1)
    assert len(failures) == 2
    assert "fewer than one batch" in failures[0] and "for stage1/cnn_gru_attention-seed0 failed" in failures[1]
    assert read_record(tmp_path / "stage2/scratch-seed0") is not None


def test_a_store_of_other_crops_is_refused_before_anything_runs(tmp_path):
    random_store(tmp_path / "store", faces=4)
    with pytest.raises(TddError, match=r"prepared with clip\.canvas = 72 and 110 is needed"):
        run_study(tmp_path / "store", tmp_path / "out", load_recipe("demo"), select_rows(None), [0])
    assert not (tmp_path / "out").exists()
