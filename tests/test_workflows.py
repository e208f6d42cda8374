"""GitHub's workflows test what they should, and call what exists. ``make workflows`` runs actionlint on them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {name for line in re.findall(r"^([a-z][a-z -]*):(?!=)", MAKEFILE, re.MULTILINE) for name in line.split()}

every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def jobs(name):
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))["jobs"]


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_tests_run_on_three_systems_and_at_both_ends_of_python_and_packages():
    matrix = jobs("tests")["test"]["strategy"]["matrix"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    first = re.search(r'requires-python = ">=(\d\.\d+)"', project)[1]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == [first, "3.13"] and all(isinstance(one, str) for one in matrix["python"])
    bounds = {one["packages"]: one["python"] for one in jobs("tests")["bounds"]["strategy"]["matrix"]["include"]}
    assert bounds == {"lowest": first, "newest": "3.13"} and set(bounds) <= TARGETS
    assert {"make package"} <= set(commands(jobs("tests")["package"]))
    assert {"make notebooks"} <= set(commands(jobs("notebooks")["run"]))
    assert any("links.py --check" in command for command in commands(jobs("links")["own"]))


def test_every_marked_test_is_run_by_a_workflow():
    """``pytest`` alone leaves them out; a test that nothing runs is none."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    markers = re.findall(r'^  "(\w+): ', project.partition("\nmarkers = [\n")[2].partition("\n]")[0], re.MULTILINE)
    run = set()
    for path in PATHS:
        for job in jobs(path.stem).values():
            axis = job.get("strategy", {}).get("matrix", {}).get("tests", [])
            asked = "\n".join(commands(job))
            run |= {*re.findall(r"^make ([a-z]+)$", asked, re.MULTILINE), *(axis if "matrix.tests" in asked else ())}
    assert len(markers) >= 7
    for marker in markers:
        assert re.search(rf"^{marker}: setup-dev\n\t\$\(BIN\)/pytest -m {marker}\b", MAKEFILE, re.MULTILINE), marker
        assert marker in run, f"no workflow runs  make {marker}"


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize("ci", [True, False])
def test_setting_up_is_silent_in_ci_alone(ci, tmp_path):
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "opencv-stand-in", tmp_path / "opencv-stand-in")
    known = {name: value for name, value in os.environ.items() if name != "CI"} | ({"CI": "true"} if ci else {})
    told = subprocess.run(
        ["make", "-n", "setup-dev", "lowest"], cwd=tmp_path, env=known, capture_output=True, text=True, check=True
    )
    installs = [line for line in told.stdout.splitlines() if "pip install" in line]
    assert len(installs) == 4 and all((" -q " in line) == ci for line in installs)
    waits = told.stdout.splitlines().index(installs[0]) - 1
    assert "GB" in told.stdout.splitlines()[waits]


BROUGHT = {
    "dlib": "dlib-bin", "face_alignment": "face-alignment", "gradio_client": "gradio", "huggingface_hub": "gradio",
}  # fmt: skip
"""Modules that tests ask for, to the package of the requirements that brings them, where its name is another."""


def test_no_test_is_skipped_everywhere_for_want_of_a_package():
    files = [(ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-dev.txt")]
    pinned = {line.partition("==")[0] for text in files for line in text.splitlines() if "==" in line}
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    asked = set(re.findall(r'importorskip\("(\w+)', tests)) - {"tomllib"}  # of Python 3.11
    assert {"gradio", "ray"} <= asked and {BROUGHT.get(name, name) for name in asked} <= pinned


@every
def test_what_a_workflow_calls_exists(path):
    for job in jobs(path.stem).values():
        for command in commands(job):
            called = re.findall(r"^make ([a-z-]+)$", command, re.MULTILINE)
            assert set(called) <= TARGETS, command
            for script in re.findall(r"\bpython ([\w/]+\.py)", command):
                assert (ROOT / script).is_file()
            for file in re.findall(r"-r (\S+\.txt)", command):
                assert (ROOT / file).is_file()


@every
def test_a_workflow_may_only_read_and_ends_by_itself(path):
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert text["permissions"] == {"contents": "read"} or path.stem == "site"
    for job in text["jobs"].values():
        assert path.stem == "site" or 0 < job["timeout-minutes"] <= 360
