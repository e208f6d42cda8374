"""Commands as a user types them; what goes wrong is one sentence and exit code 2."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

import tdd
from tdd.cli import main
from tests.preprocess.trees import write_root


def sentence(capsys):
    captured = capsys.readouterr().err.strip()
    assert captured.startswith("tdd: ") and "Traceback" not in captured
    assert len(captured.splitlines()) == 1
    return captured


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--size", "huge", "--out", "{out}"], "tiny, demo, study, full"),
        (["demo", "--size", "tiny", "--rows", "gru", "--out", "{out}"], "the rows are: csn"),
        (["synth", "--size", "huge", "--out", "{out}"], "tiny, demo, study, full"),
        (["prepare", "--root", "{out}", "--out", "{out}"], ", which is no folder; give the one that holds"),
        (["prepare", "--root", "{out}", "--out", "{out}", "--recipe", "mine"], "known recipes"),
        (["study", "table", "--store", "{out}", "--out", "{out}"], "no finished clip store"),
        (["evaluate", "--checkpoint", "{out}", "--store", "{out}", "--out", "{out}"], "no finished clip store"),
        (["checkpoint", "show", "{out}"], "holds no finished weights"),
        (["checkpoint", "import", "{out}.pth", "--out", "{out}"], "cannot be read"),
        (["report", "{out}"], "holds no study"),
    ],
)
def test_wrong_arguments(arguments, expected, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main([argument.format(out=out) for argument in arguments]) == 2
    assert expected in sentence(capsys)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_no_write_access(tmp_path, capsys):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert main(["demo", "--size", "tiny", "--out", str(tmp_path / "out")]) == 2
    assert "can be written" in sentence(capsys)


def test_a_file_where_the_folder_should_be(tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert main(["demo", "--size", "tiny", "--out", str(tmp_path / "out" / "deeper")]) == 2
    assert "can be written" in sentence(capsys)


def test_too_little_disk_is_said_before_anything_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 5_000_000})())
    assert main(["demo", "--size", "demo", "--out", str(tmp_path / "out")]) == 2
    assert "GB are needed" in sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_prepare_says_what_it_made_and_what_it_left_out(tmp_path, capsys):
    root = write_root(tmp_path / "data")
    (root / "FaceForensics++/original_sequences/youtube/c23/videos/000.mp4").write_bytes(b"")
    assert (
        main(["prepare", "--root", str(root), "--out", str(tmp_path / "s"), "--recipe", "tiny", "--workers", "1"]) == 0
    )
    out = capsys.readouterr().out
    assert "24 videos" in out and "1 left out" in out and "real/c23/000" in out


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", LONG, "--checkpoint", "{out}"], ["predict", "a\0b", "--checkpoint", "{out}"],
        ["data", "check", LONG], ["report", LONG], ["inspect", LONG, "--out", "{out}"], ["checkpoint", "show", LONG],
        ["checkpoint", "import", LONG, "--out", "{out}"], ["recipe", "show", LONG],
        ["study", "table", "--store", LONG, "--out", "{out}"], ["demo", "--size", "tiny", "--out", LONG],
        ["synth", "--size", "tiny", "--out", LONG], ["data", "fetch-splits", LONG],
    ],
)  # fmt: skip
def test_names_that_no_file_can_have_are_one_sentence(arguments, tmp_path, capsys):
    assert main([argument.format(out=tmp_path) for argument in arguments]) == 2
    assert "xxx" in sentence(capsys) or LONG not in arguments


@pytest.mark.parametrize(
    ("arguments", "goes_on"),
    [(["synth", "--size", "tiny", "--out", "x"], True), (["recipe", "show", "demo"], False)],
)
def test_ctrl_c_promises_only_what_holds(arguments, goes_on, capsys, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    for name in ("synth", "show_recipe"):
        monkeypatch.setattr(f"tdd.commands.{name}", stopped)
    assert main(arguments) == 130
    said = capsys.readouterr().err
    assert said.startswith("Interrupted") and ("goes on" in said) == goes_on


def test_too_little_memory_is_one_sentence(capsys, monkeypatch):
    def hungry(*_):
        raise MemoryError("a.mp4")

    monkeypatch.setattr("tdd.commands.show_recipe", hungry)
    assert main(["recipe", "show", "demo"]) == 2
    assert "not enough memory" in sentence(capsys)


def test_the_version_comes_with_the_commit(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    root = Path(tdd.__file__).parents[1]
    head = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert end.value.code == 0
    assert re.fullmatch(rf"tdd \d+\.\d+\.\d+\S*, commit {head or 'unknown'}(\+changes)?\n", capsys.readouterr().out)


def test_help_names_every_study(capsys):
    from tdd.records.plans import STUDIES

    with pytest.raises(SystemExit):
        main(["study", "--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in STUDIES)
