"""The kit's own address, and the commands that install its extras: they work from a copy, for no index has the kit."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tdd.machine.kit import FOLDER, install_command, repository
from tdd.weights.card import _copy

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
OPTIONAL = PYPROJECT.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
EXTRAS = set(re.findall(r"^([\w-]+) = \[", OPTIONAL, re.MULTILINE))


def texts():
    """What users read: the package, the pages, the notebooks; not the log, which tells what was."""
    listed = subprocess.run(
        ["git", "ls-files", "tdd", "*.md", "*.ipynb", "*.txt", "*.yml", "website", "notebooks"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git repository")
    names = [name for name in listed.stdout.split() if name != "docs/LOG.md"]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names if not name.endswith(".safetensors")}


def test_nothing_that_users_read_asks_an_index_for_the_kit():
    """It is on none; a stranger could take the name."""
    assert {"app", "cluster", "faces", "synth"} <= EXTRAS
    for name, text in texts().items():
        assert not re.search(r"install[^\n]*tdd-deepfake", text), name
        for asked in re.findall(r"\.\[([\w,-]+)\]\\?\"", text):
            assert set(asked.split(",")) <= EXTRAS, (name, asked)
        for asked in re.findall(r"install_command\([\"'](\w[\w-]*)[\"']\)", text):
            assert asked in EXTRAS, (name, asked)
        for command in re.findall(r"pip install [^\n`]*\.\[[\w,-]+\]", text):
            assert " -e " in command, (name, command)  # a plain one puts a second copy beside the folder that is edited


def test_in_a_copy_of_the_kit_the_command_holds_from_any_folder():
    assert FOLDER == ROOT
    words = shlex.split(install_command("app"), posix=True) if "\\" not in str(ROOT) else []
    assert words in ([], ["pip", "install", "-e", f"{ROOT}[app]"])
    assert f'"{ROOT / "opencv-stand-in"}"' in install_command("faces") and "stand-in" not in install_command("cluster")


def test_elsewhere_the_command_says_where_it_holds(tmp_path):
    assert install_command("app", tmp_path) == 'pip install -e ".[app]" (in a copy of the kit)'
    assert install_command("faces", tmp_path) == 'pip install -e ".[faces]" ./opencv-stand-in (in a copy of the kit)'


def test_the_address_is_that_of_pyproject_or_of_the_installed_package(tmp_path, monkeypatch):
    assert repository() == (re.findall(r'^Repository = "(.+)"$', PYPROJECT, re.MULTILINE) or [None])[0]
    address = "https://github.com/some-one/kit"
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n', encoding="utf-8")
    assert repository(tmp_path) == address
    (tmp_path / "pyproject.toml").write_text("[project.urls]\n", encoding="utf-8")
    assert repository(tmp_path) is None

    class Installed:
        def get_all(self, name):
            return {"Project-URL": ["Homepage, https://example.org", f"Repository, {address}"]}[name]

    monkeypatch.setattr("tdd.machine.kit.metadata", lambda _: Installed())
    assert repository(tmp_path / "none") == address


def test_a_model_card_leads_to_the_kit_once_it_has_an_address(monkeypatch):
    monkeypatch.setattr("tdd.weights.card.repository", lambda: "https://github.com/some-one/kit")
    assert "git clone https://github.com/some-one/kit" in _copy()
    monkeypatch.setattr("tdd.weights.card.repository", lambda: None)
    assert "http" not in _copy() and "copy of the kit" in _copy()
