"""The repository's address: it stands in one place, every link comes from it, and without it no link is shown."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from notebooks import links

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/some-one/their.kit"
LINK = "https://colab.research.google.com/github/some-one/their.kit/blob/main/"


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A copy of what holds the address, as if unpublished, with a notebook in each folder, one of another language."""
    monkeypatch.setattr(links, "ROOT", tmp_path)
    for name in ("pyproject.toml", "CITATION.cff", *links.READMES):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("notebooks", "notebooks/solutions", "notebooks/ko"):
        (tmp_path / folder).mkdir()
        shutil.copy(ROOT / "notebooks/solutions/07_reproduction_audit.ipynb", tmp_path / folder)  # a small one
    run(monkeypatch, "--unset")
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["links.py", *arguments])
    return links.main()


def texts(kit):
    return {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}


def test_this_checkout_agrees_with_its_address(capsys, monkeypatch):
    assert run(monkeypatch, "--check") == 0
    said = capsys.readouterr().out
    assert (links.repository() or "make publish REPO=name/tdd") in said
    if links.repository() is None:
        pytest.skip(links.UNSET)


def test_publishing_sets_every_link_and_nothing_else(kit, monkeypatch):
    without = texts(kit)
    shown = [text for path, text in without.items() if path.suffix != ".toml" and b"github.com/" in text]
    assert not [text for text in shown if b"colab.research" in text or b"OWNER" in text or b"git clone" in text]
    assert run(monkeypatch, "--set", "some-one/their.kit") == 0
    assert links.repository() == ADDRESS
    for folder in ("notebooks", "notebooks/solutions", "notebooks/ko"):
        notebook = nbformat.read(kit / folder / "07_reproduction_audit.ipynb", as_version=4)
        title, badge, _ = notebook.cells[0].source.split("\n\n", 2)
        assert title.startswith("# 07 ")
        assert badge == f"[![Open in Colab]({links.BADGE})]({LINK}{folder}/07_reproduction_audit.ipynb)"
        lines = [line.strip() for line in notebook.cells[1].source.splitlines()]
        assert f"!test -d /content/tdd || git clone -q --depth 1 {ADDRESS} /content/tdd" in lines
        assert f"%cd -q /content/tdd/{folder.replace('/ko', '')}" in lines
    for name in links.READMES:
        text = (kit / name).read_text(encoding="utf-8")
        badge, *opened = re.findall(r"\((https://[^)\s]*some-one[^)\s]*)\)", text)
        assert badge == f"{ADDRESS}/actions/workflows/tests.yml/badge.svg" and text.index(badge) < 400
        assert opened[0] == f"{ADDRESS}/actions/workflows/tests.yml"
        assert [link.removeprefix(LINK) for link in opened[1:]] == re.findall(
            r"^\| \[\w+\]\((\S+\.ipynb)\)", text, re.M
        )
        assert len(opened) == 10
    assert yaml.safe_load((kit / "CITATION.cff").read_text(encoding="utf-8"))["repository-code"] == ADDRESS
    # Back again: every byte as before, so that nothing but links was touched.
    assert run(monkeypatch, "--unset") == 0 and links.repository() is None and texts(kit) == without


def test_python_alone_is_enough(kit):
    """In an interpreter that sees no installed package, which has to find the kit from its own place."""
    shutil.copy(ROOT / "notebooks/links.py", kit / "notebooks")

    def alone(*arguments):
        command = [sys.executable, "-I", "-S", str(kit / "notebooks/links.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")

    before = texts(kit)
    done = alone("--set", "some-one/their.kit")
    assert done.returncode == 0 and ADDRESS in done.stdout, done.stderr
    assert alone("--check").returncode == 0 and texts(kit) != before
    assert alone("--unset").returncode == 0 and texts(kit) == before


@pytest.mark.parametrize("path", links.notebooks(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_notebook_is_written_as_nbformat_writes_it(path):
    expected = nbformat.writes(nbformat.read(path, as_version=4)) + "\n"
    assert links.notebook_text(path, links.repository()) == expected


def test_the_address_is_metadata_of_the_package(kit, monkeypatch):
    tomllib = pytest.importorskip("tomllib")
    run(monkeypatch, "--set", "some-one/their.kit")
    project = tomllib.loads((kit / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"] == {"Repository": ADDRESS}


def test_a_check_names_what_differs_and_changes_nothing(kit, monkeypatch, capsys):
    run(monkeypatch, "--set", "some-one/their.kit")
    readme, path = kit / "README.md", kit / "notebooks/ko/07_reproduction_audit.ipynb"
    readme.write_text(readme.read_text(encoding="utf-8").replace("some-one", "OWNER", 1), encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("some-one", "OWNER", 1), encoding="utf-8")
    before = texts(kit)
    capsys.readouterr()
    assert run(monkeypatch, "--check") == 1 and texts(kit) == before
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" differs")[0] for line in said[1:]] == ["notebooks/ko/07_reproduction_audit.ipynb", "README.md"]
    assert run(monkeypatch) == 0 and run(monkeypatch, "--check") == 0


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/some-one/their.kit", "https://github.com/some-one/their.kit.git",
        "https://someone:word@github.com/some-one/their.kit.git", "git@github.com:some-one/their.kit.git",
        "ssh://git@github.com/some-one/their.kit.git", "https://github.com/some-one/their.kit/",
    ],
)  # fmt: skip
def test_without_a_name_the_git_remote_gives_the_address(remote, kit, monkeypatch):
    subprocess.run(["git", "init", "-q", str(kit)], check=True)
    subprocess.run(["git", "-C", str(kit), "remote", "add", "origin", remote], check=True)
    assert run(monkeypatch, "--set", "") == 0 and links.repository() == ADDRESS


@pytest.mark.parametrize(
    "remote", ["", "https://gitlab.com/some-one/kit.git", "/srv/kit.git", "https://github.com/kit"]
)
def test_a_remote_elsewhere_is_one_sentence(remote, kit, monkeypatch):
    before = texts(kit)
    monkeypatch.setattr(links, "_origin", lambda: remote)
    with pytest.raises(SystemExit, match="make publish REPO=name/tdd"):
        run(monkeypatch, "--set", "")
    assert texts(kit) == before


@pytest.mark.parametrize("name", ["tdd", "a/b/c", "https://github.com/a/b", "a b/c", 'a/b"', "-a/b"])
def test_a_name_that_github_cannot_have_changes_nothing(name, kit, monkeypatch):
    before = texts(kit)
    with pytest.raises(SystemExit, match="is no repository of GitHub"):
        run(monkeypatch, f"--set={name}")
    assert texts(kit) == before


def test_a_pyproject_whose_address_is_broken_is_refused():
    with pytest.raises(SystemExit, match=r"needs the line \[project.urls\]"):
        links.repository("[project]\n")
    with pytest.raises(SystemExit, match="is no address such as"):
        links.repository('[project.urls]\nRepository = "https://gitlab.com/a/b"\n')
