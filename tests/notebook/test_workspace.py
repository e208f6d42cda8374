"""The notebooks' workspace: made once, found afterwards, and never mixed with other settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tdd.errors import TddError
from tdd.notebook.workspace import Workspace, original_folder, recorded_study, versions
from tdd.records.record import read_record
from tdd.weights.shipped import SHIPPED
from tests.stores import random_store

KIT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def work(folder):
    return Workspace("tiny", folder=folder)


@pytest.fixture(scope="module")
def run(work):
    return work.stage2("ssl_0.3")


def test_a_stage_2_brings_all_that_it_needs(work, run):
    assert json.loads((work.folder / "data/synth.json").read_text())["size"]["name"] == "tiny"
    assert read_record(run)["data"]["fingerprint"] == work.store().fingerprint
    assert read_record(work.folder / "stage1/cnn_gru_attention-seed0")["recipe"]["name"] == "tiny"


def test_what_is_there_is_found_and_not_made_anew(run, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    again = Workspace("tiny", folder=folder)
    assert again.stage2("ssl_0.3") == run and again.stage1().is_dir() and again.data().is_dir()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_study_takes_over_the_runs_that_single_calls_made(work, run):
    weights = (run / "weights.safetensors").stat().st_mtime_ns
    study = work.study("ssl_0.3")
    assert (study / "study.json").is_file() and (run / "weights.safetensors").stat().st_mtime_ns == weights


def test_real_data_need_a_folder_of_their_own(work, folder):
    real = Workspace("tiny", work.data(), folder=folder)
    assert real.folder.name == "tiny-data" and real.data() == work.data()
    with pytest.raises(TddError, match="set DATA"):
        Workspace("paper", folder=folder)


@pytest.mark.parametrize("started", ["notebooks", "notebooks/solutions", "notebooks/ko/solutions", "."])
def test_a_recorded_study_is_found_from_every_folder_of_notebooks(started, work, monkeypatch):
    monkeypatch.chdir(KIT / started)
    for study in ("table", "ssl-weight", "audit"):
        found = work.recorded(study)
        assert (found / "study.json").is_file() and not found.is_absolute()
    assert recorded_study("audit").resolve() == KIT / "benchmarks/results/2026-11-27-study/audit"


def test_with_real_data_a_recorded_study_is_the_workspaces_own(work, folder):
    assert Workspace("tiny", work.data(), folder=folder).recorded("audit") == folder / "tiny-data" / "audit"


def test_outside_of_the_kit_a_recorded_study_is_missed_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TddError, match="start the notebook in a copy of the kit"):
        recorded_study("audit")


def test_another_recipe_of_the_same_name_is_refused_by_the_setting_that_differs(work, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text("stage1: {epochs: 30}\n")
    with pytest.raises(TddError, match=r"clip\.canvas = 72, not 256"):
        Workspace(recipe, folder=work.folder.parent)


def test_runs_on_other_clips_are_refused(work, run, monkeypatch):
    record = read_record(run)
    monkeypatch.setattr("tdd.notebook.workspace.read_record", lambda _run: record | {"data": {"fingerprint": "other"}})
    with pytest.raises(TddError, match="other clips"):
        work.stage2("ssl_0.3")


def test_runs_with_other_labels_are_refused_and_those_of_older_versions_found(work, run, monkeypatch):
    record, data = read_record(run), read_record(run)["data"]
    monkeypatch.setattr("tdd.notebook.workspace.read_record", lambda _: record | {"data": data | {"labels": "other"}})
    with pytest.raises(TddError, match="other labels or splits"):
        work.stage2("ssl_0.3")
    older = {key: value for key, value in data.items() if key != "labels"}
    monkeypatch.setattr("tdd.notebook.workspace.read_record", lambda _: record | {"data": older})
    assert work.stage2("ssl_0.3") == run


def test_versions_name_recipe_seed_and_torch(work):
    said = versions(work).data
    assert "recipe tiny, synthetic benchmark, seed 0" in said and f"torch {torch.__version__.split('+')[0]}" in said


@pytest.mark.parametrize(
    ("started", "works"),
    [
        ("kit/notebooks/ko", "kit/notebooks"),
        ("kit/notebooks/ko/solutions", "kit/notebooks/solutions"),
        ("kit/notebooks", "kit/notebooks"),
        ("notebooks/solutions", "notebooks/solutions"),
        ("ko/kit", "ko/kit"),
        ("notebooks/korean", "notebooks/korean"),
    ],
)
def test_a_translation_works_where_its_original_does(started, works):
    assert original_folder(Path("/") / started) == Path("/") / works


def test_importing_moves_nothing_and_a_workspace_moves_a_translation_to_its_original(tmp_path):
    """In a process of its own: this one has imported the module."""
    started = tmp_path / "notebooks" / "ko"
    started.mkdir(parents=True)
    code = (
        "import os; from tdd.notebook.workspace import Workspace; print(os.getcwd())\n"
        "Workspace('tiny'); print(os.getcwd())"
    )
    alone = os.environ | {"PYTHONPATH": str(KIT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=started, env=alone, capture_output=True, text=True)
    assert done.stdout.splitlines() == [str(started), str(tmp_path / "notebooks")], done.stderr
    assert (tmp_path / "runs/notebooks/tiny/workspace.json").is_file()


def test_weights_that_come_with_the_kit_are_taken_without_data_where_settings_and_seed_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(Workspace, "store", lambda _: pytest.fail("no data are needed"))
    demo = Workspace("demo", folder=tmp_path)
    assert demo.detector("ssl_0.3") == SHIPPED / "demo-ssl_0.3"
    assert demo.stage1(shipped=True) == SHIPPED / "demo-stage1-cnn_gru_attention"
    other = Workspace("demo", seed=1, folder=tmp_path)
    monkeypatch.setattr(Workspace, "stage2", lambda _, row: Path(f"trained {row}"))
    assert other.detector("ssl_0.3") == Path("trained ssl_0.3") and demo.detector("ssl_0.5") == Path("trained ssl_0.5")
    assert Workspace("demo", "data", folder=tmp_path).detector("ssl_0.3") == Path("trained ssl_0.3")


def test_a_shipped_study_scores_the_videos_of_this_workspace(tmp_path, monkeypatch):
    store = random_store(tmp_path / "store", crop=64, canvas=110, faces=0, videos=2)
    monkeypatch.setattr(Workspace, "store", lambda _: store)
    work = Workspace("demo", folder=tmp_path)
    study = work.study("ssl_0.3", "scratch", shipped=True)
    for row in ("ssl_0.3", "scratch"):
        record = read_record(study / f"stage2/{row}-seed0")
        assert record["data"]["fingerprint"] == store.fingerprint and record["metrics"]["FaceShifter"]["fakes"] == 2
        assert (study / f"stage2/{row}-seed0/clip_logits.csv").is_file()
    assert not (work.folder / "stage2").exists()
