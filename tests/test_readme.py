"""The READMEs: every file, heading and command that they name exists."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks import readme_table
from tdd.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
READMES = [
    ROOT / name
    for name in (
        "README.md", "README.ko.md", "data/README.md", "docs/LOG.md", "docs/departures.md", "docs/devices.md",
        "CHANGELOG.md",
        "docs/ko/departures.md", "docs/ko/devices.md",
    )
]  # fmt: skip
LINK = re.compile(r"\]\(([^)\s]+)\)")


def named(path):
    return path.relative_to(ROOT).as_posix()


def blocks(text):
    """The lines of the blocks of code."""
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]


def commands(text):
    """Every ``tdd`` command in a block or in a line of text, without its comment."""
    inline = re.findall(r"`(tdd [^`]+)`", text)
    return [command.split("  #")[0].strip() for command in (*blocks(text), *inline) if command.startswith("tdd ")]


def anchor(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", READMES, ids=named)
def test_links_lead_to_files_and_headings(path):
    text = path.read_text(encoding="utf-8")
    anchors = {anchor(line.lstrip("#")) for line in text.splitlines() if line.startswith("#")}
    links = [link for link in LINK.findall(text) if not link.startswith("http")]
    assert links or path.parent != ROOT
    for link in links:
        file, _, place = link.partition("#")
        assert not file or (path.parent / file).exists(), link
        assert not place or file or place in anchors, link


@pytest.mark.parametrize("path", READMES, ids=named)
def test_commands_and_their_options_exist(path):
    parser = build_parser()
    found = commands(path.read_text(encoding="utf-8"))
    assert found
    for command in found:
        for spelled in spellings(command):
            words = shlex.split(spelled)[1:]
            accepted(parser, [word for word in words if word != "…"], command)


def spellings(command):
    """``tdd study a | b --x`` stands for ``tdd study a --x`` and ``tdd study b --x``."""
    head = re.match(r"tdd study ((?:[\w-]+ \| )+[\w-]+)(.*)", command)
    return [f"tdd study {name}{head[2]}" for name in head[1].split(" | ")] if head else [command]


def spelled_commands(parser):
    return next(action.choices for action in parser._actions if action.choices and action.dest == "command")


def accepted(parser, words, command):
    numbers = {"N": "1", "SIZE": "demo", "DIR": "dir"}
    try:
        parser.parse_args([numbers.get(word, word) for word in words])
    except SystemExit as end:
        if end.code == 0:  # tdd --version
            return
        # a command named in a sentence may leave out what it needs; what it says must be known
        options = [word for word in words if word.startswith("--")]
        names = {option for sub in all_parsers(parser) for action in sub._actions for option in action.option_strings}
        assert words[0] in spelled_commands(parser) and set(options) <= names, (command, end)


def all_parsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for sub in action.choices.values():
                yield from all_parsers(sub)


@pytest.mark.parametrize("path", READMES[:2], ids=named)
def test_make_targets_exist(path):
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = set(re.findall(r"`make ([a-z]\w*)", path.read_text(encoding="utf-8")))
    assert {"demo", "test"} <= asked <= targets


def test_both_languages_show_the_same_commands_and_numbers():
    texts = [path.read_text(encoding="utf-8") for path in READMES[:2]]
    shown = [[line.split("  #")[0].rstrip() for line in blocks(text) if line.startswith("tdd ")] for text in texts]
    rows = [re.findall(r"\d+\.\d ± \d+\.\d \[[^\]]+\]", text) for text in texts]
    assert shown[0] and shown[0] == shown[1]
    assert rows[0] and rows[0] == rows[1]


@pytest.mark.parametrize("path", READMES[:2], ids=named)
def test_the_table_shows_the_recorded_numbers(path):
    text = path.read_text(encoding="utf-8")
    shown = list(readme_table.ROW.finditer(text))
    assert len(shown) == 9 and len({row["study"] for row in shown}) == 1
    assert readme_table.rewritten(text, ROOT / shown[0]["study"]) == text
    other = text.replace(shown[0][0], shown[0][0].replace(" ± ", " ± 1"))
    assert other != text
    assert readme_table.rewritten(other, ROOT / shown[0]["study"]) == text


@pytest.mark.parametrize("path", READMES[:2], ids=named)
def test_a_reader_is_told_where_tdd_is_before_the_first_command(path):
    """Make installs it into a folder that no shell looks into by itself."""
    text = path.read_text(encoding="utf-8")
    assert "BIN := .venv/bin" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert 0 < text.find("`source .venv/bin/activate`") < text.index("\ntdd ")
