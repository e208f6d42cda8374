"""A study that is told to stop, by Ctrl-C, SIGTERM or SIGKILL to its main process alone, stops: nobody works on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tdd import cli, commands
from tdd.machine.stopping import Terminated, termination_raised
from tests.stores import random_store

SECONDS = 60
"""Within which all must have ended; without a stop the study would take hours."""

PROC = Path("/proc")


def alive(pid):
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def below(pid):
    """The processes that a process has begun, and those that these have."""
    found = []
    for folder in PROC.iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) if folder.name.isdigit() else 0
        except OSError:
            continue
        if parent == pid:
            found += [int(folder.name), *below(int(folder.name))]
    return found


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """A store, and a recipe of so many epochs that no run of it ends here."""
    folder = tmp_path_factory.mktemp("endless")
    random_store(folder / "store")
    tiny = Path("tdd/recipes/tiny.yaml").read_text()
    (folder / "endless.yaml").write_text(re.sub(r"  epochs: \d+", "  epochs: 100000", tiny))
    return folder


@pytest.mark.skipif(not PROC.is_dir(), reason="only Linux shows the processes of others")
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "Interrupted; the same command goes on from here."),
        pytest.param(
            signal.SIGTERM, 143, "Ended by SIGTERM; the same command goes on from here.", marks=pytest.mark.slow
        ),
        pytest.param(signal.SIGKILL, -9, "", marks=pytest.mark.slow),
    ],
)
def test_a_study_ends_soon_with_all_its_processes(endless, number, code, said):
    out = endless / f"out-{number}"
    command = [sys.executable, "-m", "tdd.cli", "study", "table", "--rows", "scratch", "ssl_0.3", "--workers", "2"]
    command += ["--store", endless / "store", "--recipe", endless / "endless.yaml", "--out", out]
    study = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 600  # two runs begin within seconds, on a busy machine minutes
    while len(list(out.rglob("history.jsonl"))) < 2:
        assert study.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    family = below(study.pid)
    assert len(family) >= 2
    os.kill(study.pid, number)
    end = time.monotonic() + SECONDS
    _, stderr = study.communicate(timeout=SECONDS)
    assert study.returncode == code and stderr.strip().endswith(said) and "Traceback" not in stderr
    while any(map(alive, family)):
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.1)


def ended(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def test_sigterm_is_one_sentence_and_its_own_exit_code(monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(commands, "prepare_store", ended)
    monkeypatch.setattr(commands, "inspect", ended)
    assert cli.main(["prepare", "--root", "a", "--out", "b"]) == 143
    assert capsys.readouterr().err == "Ended by SIGTERM; the same command goes on from here.\n"
    assert cli.main(["inspect", "a", "--out", "b"]) == 143
    assert capsys.readouterr().err == "Ended by SIGTERM.\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_sigterm_does_not_stop_the_tidying_up():
    tidied = []
    with pytest.raises(Terminated), termination_raised():
        try:
            ended()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            tidied.append(True)
    assert tidied


@pytest.mark.parametrize("workers", ["-1", "0", "x", "1.5", "", "9" * 5000])
def test_workers_that_are_no_number_of_processes_are_refused_at_once(workers, capsys):
    with pytest.raises(SystemExit) as ended_with:
        cli.main(["prepare", "--root", "a", "--out", "b", "--workers", workers])
    said = capsys.readouterr().err
    assert ended_with.value.code == 2 and "--workers" in said and "Traceback" not in said
