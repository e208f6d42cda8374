import io

import pytest
from rich.console import Console

from tdd.machine import progress


@pytest.mark.parametrize("terminal", [True, False])
def test_a_counted_step_shows_number_rate_and_time_left(terminal, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=160)
    with progress.step("Aligned faces", console, "videos") as told:
        told(0, 400)
        now[0] += 50
        told(100, 400)
    text = shown.getvalue()
    assert "25%" in text and "100 of 400 videos, 2.0 videos/s" in text and "left" in text
    assert terminal or "about 2 min 30 s left" in text


def test_a_step_that_counts_nothing_shows_the_share_alone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = io.StringIO()
    with progress.step("Training", Console(file=shown, width=160)) as told:
        now[0] += 60
        told(0.5, 1.5)
    assert "  Training: 33%, about 2 min 00 s left" in shown.getvalue()


def test_what_an_earlier_run_left_says_nothing_about_the_speed_of_this_one(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = io.StringIO()
    with progress.step("Aligned faces", Console(file=shown, width=160), "videos") as told:
        told(0, 400)
        told(300, 400)
        now[0] += 20
        told(340, 400)
    assert "  Aligned faces: 85%, 340 of 400 videos, 2.0 videos/s, about 30 s left" in shown.getvalue()


def test_so_little_done_says_nothing_about_the_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = io.StringIO()
    with progress.step("Study", Console(file=shown, width=160)) as told:
        told(44.0, 100)
        now[0] += 20
        told(44.1, 100)
        now[0] += 20
        told(46.0, 100)
    assert shown.getvalue().splitlines()[1:3] == ["  Study: 44%", "  Study: 46%, about 18 min 00 s left"]
