"""What is built: the wheel's and the source archive's files and, marked ``package``, the demo from either."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BACKEND = 77
"""The first setuptools that takes pyproject.toml's licence; it stands there too."""

NAMED = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")

builds = pytest.mark.skipif(
    importlib.util.find_spec("build") is None or int(version("setuptools").split(".")[0]) < BACKEND,
    reason=f"needs build and setuptools {BACKEND} (requirements-dev.txt)",
)


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", str(folder), *NAMED, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The files that git knows here, or would take, with one commit."""
    folder = tmp_path_factory.mktemp("checkout") / "tdd"
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        wanted = name.startswith(("tdd/", "tests/", "notebooks/")) or "/" not in name
        if name and wanted and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / "tdd/weights/shipped").mkdir(exist_ok=True)
    (folder / "tdd/weights/shipped/net.safetensors").write_bytes(b"weights")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "all")
    return folder


@pytest.fixture(scope="module")
def built(checkout, tmp_path_factory):
    """The source archive, and the wheel that is built from it, as ``python -m build`` makes them."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (wheel,), (archive,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, archive


@builds
def test_the_wheel_holds_the_package_and_nothing_else(checkout, built):
    with zipfile.ZipFile(built[0]) as wheel:
        inside = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
        left = wheel.read("tdd/COMMIT").decode()
    tracked = set(git(checkout, "ls-files", "tdd").split())
    assert inside == tracked | {"tdd/COMMIT"}
    assert {"tdd/py.typed", "tdd/recipes/paper.yaml", "tdd/weights/shipped/net.safetensors"} <= inside
    assert left == git(checkout, "rev-parse", "HEAD")
    assert "License-Expression: MIT" in metadata and "OWNER" not in metadata


@builds
def test_the_source_archive_builds_the_same_and_holds_no_results(checkout, built):
    with tarfile.open(built[1]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert set(git(checkout, "ls-files", "tdd").split()) <= names
    assert {"tdd/COMMIT", "setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/", "benchmarks/", "runs/", "figures/"))]
    assert not (checkout / "tdd/COMMIT").exists()  # a checkout asks git


@builds
def test_an_archive_unpacked_without_git_keeps_its_commit(checkout, built, tmp_path):
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path / "dist"), str(source)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as wheel:
        assert wheel.read("tdd/COMMIT").decode() == git(checkout, "rev-parse", "HEAD")


def test_the_changelog_has_a_section_for_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    number = re.search(r'^version = "([^"]+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]" or sections[0].startswith(f"[{number}] - ")
    assert [one for one in sections if re.fullmatch(rf"\[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d", one)]


@pytest.mark.package
@builds
@pytest.mark.parametrize("kind", ["wheel", "archive"])
def test_the_tiny_demo_runs_from_what_was_built_in_an_empty_environment(kind, checkout, built, tmp_path):
    file = dict(zip(("wheel", "archive"), built, strict=True))[kind]
    venv, work = tmp_path / "venv", tmp_path / "work"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    (bin_,) = [venv / name for name in ("bin", "Scripts") if (venv / name).is_dir()]
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    install = [uv, "pip", "install", "-q", "--python", str(bin_ / "python")] if uv else [bin_ / "pip", "install", "-q"]
    subprocess.run([*install, f"{file}[synth]"], check=True)
    work.mkdir()
    alone = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def tdd(*arguments):
        return subprocess.run(
            [bin_ / "tdd", *arguments], cwd=work, env=alone, check=True, capture_output=True, text=True
        )

    assert tdd("--version").stdout.endswith(f", commit {git(checkout, 'rev-parse', 'HEAD')}")
    tdd("demo", "--size", "tiny", "--out", "out")
    table = next((work / "out").rglob("table.md")).read_text(encoding="utf-8")
    assert "ssl_weight 0.3" in table and "FaceShifter" in table
