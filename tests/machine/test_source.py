"""Which commit the code is of, held against git itself, in repositories of the test's own."""

import subprocess

import pytest

from tdd.machine.source import COMMIT, commit


def git(folder, *arguments):
    named = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", str(folder), *named, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package in a checkout of one commit."""
    folder = tmp_path / "kit" / "tdd"
    folder.mkdir(parents=True)
    (folder / "names.py").write_text("A = 1\n")
    (folder.parent / "README.md").write_text("kit\n")
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", "first")
    return folder


def test_a_checkout_is_asked(package):
    head = git(package, "rev-parse", "HEAD")
    assert len(head) == 40 and commit(package) == head
    (package.parent / "README.md").write_text("other\n")  # no code
    assert commit(package) == head


@pytest.mark.parametrize("name", ["names.py", "new.py"])
def test_code_that_differs_from_the_commit_is_marked(name, package):
    head = git(package, "rev-parse", "HEAD")
    (package / name).write_text("A = 2\n")
    assert commit(package) == f"{head}+changes"


def test_an_installed_package_reads_what_its_build_left(package):
    head, installed = git(package, "rev-parse", "HEAD"), package.parent / "venv" / "tdd"
    installed.mkdir(parents=True)  # inside a repository, which is not its own
    assert commit(installed) is None
    (installed / COMMIT).write_text("0123\n")
    assert commit(installed) == "0123" != head


def test_a_checkout_without_a_commit_or_without_git_says_nothing(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "tdd").mkdir()
    assert commit(tmp_path / "tdd") is None
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path / "tdd") is None
