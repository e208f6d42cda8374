"""Some random inputs in every run; many with  pytest -m fuzz --fuzz-minutes 60  (see tests/fuzz.py)."""

import pytest

from tests import fuzz
from tests.fuzz import ATTACKS, Failure, Reader, run

LIGHT = ["video", "landmarks", "list"]
"""Kinds whose reader need not load torch."""


def told(kinds, count, seconds):
    results = list(run(kinds, 0, count, seconds))
    assert results, "no input was read"
    return "\n".join(str(failure) for failure in results if failure)


def test_random_inputs_are_handled():
    assert told(LIGHT, 45, 12) == ""


@pytest.mark.fuzz
def test_many_random_inputs_are_handled(request):
    assert told(list(ATTACKS), None, 60 * request.config.getoption("--fuzz-minutes")) == ""


@pytest.mark.parametrize(
    ("source", "symptom"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crash: SIGSEGV"),
        ("import os; os._exit(3)", "crash: exit code 3"),
        ("import time; time.sleep(60)", "hangs: not done"),
        ("import signal; signal.setitimer(signal.ITIMER_PROF, 0.2)\nwhile True: pass", "hangs: computes"),
    ],
)
def test_the_reader_itself_tells_crashes_and_hangs(source, symptom, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 10.0)
    monkeypatch.setattr(fuzz.subprocess, "Popen", _instead(fuzz.subprocess.Popen, source))
    reader = Reader()
    try:
        assert symptom in reader.read("video", 0)
    finally:
        reader.close()


def _instead(begin, source):
    return lambda command, **options: begin([command[0], "-c", source], **options)


def test_a_failure_says_how_it_is_made_again():
    assert str(Failure("video", 3, "hangs")) == "hangs  (python -m tests.fuzz --kind video --seed 3)"
