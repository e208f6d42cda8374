"""What commands print: names as they stand, on a console of any encoding."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tdd
from tdd.cli import main
from tdd.machine.console import legible, make_console
from tdd.machine.progress import step
from tests.fake_study import write_study
from tests.preprocess.trees import write_dfdc

ODD = "[bold]é한글[/bold] :smile: [/] \\[x] ½"
"""A folder's name with rich's markup and emoji, and letters that no one encoding but Unicode's has."""

ENCODINGS = ("cp949", "ascii", "cp1252", "latin-1", "utf-8", "utf-16", "cp437", "shift_jis")


def printed(encoding, monkeypatch, *arguments, expected=0):
    """Exit code and text of a command whose console has that encoding."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    with monkeypatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        assert main(list(map(str, arguments))) == expected
    for stream in streams.values():
        stream.flush()
    return "".join(stream.buffer.getvalue().decode(encoding) for stream in streams.values())


def as_replaced(text, encoding):
    return text.encode(encoding, "replace").decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_kind_of_command_prints_on_every_console(encoding, tmp_path, monkeypatch):
    folder = tmp_path / ODD.replace("/", "\u2215")
    folder.mkdir()
    monkeypatch.setattr("tdd.plots.draw_figures", lambda _, out, *__: [out / "figure.png"])
    study = write_study(folder, rows=("csn", "cnn_gru_attention"), videos=6)
    said = printed(encoding, monkeypatch, "report", study)
    assert as_replaced(str(study / "figures" / "figure.png"), encoding) in said
    write_dfdc(folder / "data")
    said = printed(encoding, monkeypatch, "data", "check", folder / "data", "--workers", "1")
    assert as_replaced(f"{folder / 'data'}: complete", encoding) in said
    printed(encoding, monkeypatch, "recipe", "show", "tiny")
    said = printed(encoding, monkeypatch, "checkpoint", "show", folder / "none", expected=2)
    assert as_replaced(str(folder / "none"), encoding) in said


def test_a_korean_console_and_a_pipe(tmp_path):
    """As in ``PYTHONIOENCODING=cp949 tdd checkpoint show DIR > out.txt``, in a process of its own."""
    where = tmp_path / "é한글"
    done = subprocess.run(
        [sys.executable, "-m", "tdd.cli", "checkpoint", "show", str(where)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp949", "PYTHONUTF8": "0"},
        check=False,
    )
    assert done.returncode == 2 and "?한글" in done.stderr.decode("cp949") and b"Traceback" not in done.stderr


@given(text=st.text(st.characters(blacklist_characters="\r"), max_size=40))
def test_any_text_is_printed_as_it_stands(text):
    """Not only at the end of a line: tables and bars of progress take texts too."""
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", shown)
        make_console().print(legible(text))
        assert shown.getvalue() == legible(text) + "\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_step_is_announced_by_its_name(terminal, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    console = make_console()
    console._force_terminal = terminal
    with step(ODD, console, "[/videos]") as told:
        told(1, 2)
    assert f"{ODD}: done in" in shown.getvalue()


@given(st.text())
def test_a_legible_name_is_one_line_of_utf8(text):
    told = legible(text)
    told.encode("utf-8")
    assert len(told.splitlines()) <= 1
    if text.isprintable():
        assert told == text


def test_bytes_that_are_no_utf8_are_told_apart():
    names = [b"\xb0\xa1.mp4".decode("utf-8", "surrogateescape"), b"\xb0\xa2.mp4".decode("utf-8", "surrogateescape")]
    assert [legible(name) for name in names] == [r"\xb0\xa1.mp4", r"\xb0\xa2.mp4"]


def test_one_place_makes_consoles():
    """Any other console would read markup in a user's path."""
    package = Path(tdd.__file__).parent
    makers = [path.name for path in package.rglob("*.py") if " Console(" in path.read_text(encoding="utf-8")]
    assert makers == ["console.py"]
