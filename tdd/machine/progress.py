"""Progress on a terminal as bars, elsewhere as plain lines: what, how far, how fast, how long, how much longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 15.0
"""Seconds between lines where there is no terminal."""

TELLING = 0.005
"""Share of a step that must be done by this run before its speed says how much longer it takes."""

FOUND_SECONDS = 3.0
"""What is done so soon after the start was found from an earlier run, and says nothing about how fast this one is."""


class Step:
    """One step of a command, told how far it is."""

    def __init__(self, title: str, console: Console, bars: Progress | None, unit: str) -> None:
        self.title, self.console, self.bars, self.unit = title, console, bars, unit
        self.started = self.spoken = time.monotonic()
        self.found, self.since = 0.0, self.started
        self.task = bars.add_task(title, total=None, count="") if bars else None

    def __call__(self, done: float, total: float) -> None:
        """Show that ``done`` of ``total`` is done."""
        now = time.monotonic()
        if now - self.started < FOUND_SECONDS:
            self.found, self.since = done, now
        if self.bars and self.task is not None:
            self.bars.update(self.task, completed=done, total=total, count=self._count(done, total))
            return
        # No line before something new is done: time left would be a division by zero.
        if now - self.spoken >= PLAIN_SECONDS and self.found < done < total:
            self.spoken = now
            left = (now - self.since) * (total - done) / (done - self.found)
            told = f", about {duration(left)} left" if done - self.found >= TELLING * total else ""
            count = self._count(done, total)
            self.console.print(f"  {self.title}: {done / total:.0%}{count and ', ' + count}{told}")

    def _count(self, done: float, total: float) -> str:
        """``610 of 1356 videos, 8.1 videos/s``; empty for a step that counts nothing a reader knows."""
        if not self.unit:
            return ""
        count = f"{done:.0f} of {total:.0f} {self.unit}"
        if done <= self.found:
            return count
        return f"{count}, {(done - self.found) / max(time.monotonic() - self.since, 1e-3):.1f} {self.unit}/s"


@contextmanager
def step(title: str, console: Console, unit: str = "") -> Iterator[Step]:
    """Announce a step, show its progress, and say at the end how long it took.

    Args:
        title: what is being made.
        console: where it is shown.
        unit: what is counted, for number and rate (``videos``); empty shows the share alone.
    """
    started = time.monotonic()
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[count]}", markup=False), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as bars:
            yield Step(title, console, bars, unit)
    else:
        console.print(f"{title} ...")
        yield Step(title, console, None, unit)
    console.print(f"{title}: done in {duration(time.monotonic() - started)}")


def duration(seconds: float) -> str:
    """Seconds as people say them: ``41 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
