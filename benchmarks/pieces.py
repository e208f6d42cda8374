"""A measurement in parts, on a device that may be lent for minutes: what was found so far is always on the disk.

A part is a function that yields pieces, each a name and what is to be done. One piece after the other is done, and the
results are written after each. A piece that fails, or that takes too long, leaves a sentence and not the run.
"""

from __future__ import annotations

import contextlib
import gc
import json
import signal
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tdd.machine.files import write_json

PRECISIONS = {"fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Name -> what autocast computes in; ``tf32`` lets matrix products and convolutions round their operands."""

LONGEST = 120.0
"""Seconds after which a piece on a GPU is stopped; the deadline stops it earlier."""

Piece = tuple[str, Callable[[], Any]]
"""Name, and what finds a value. A name with ``/`` is one within another; a piece without a name gives a dictionary,
which joins those of its part."""


@dataclass
class Bench:
    """The device, how much work is wanted, and what was measured so far."""

    device: torch.device
    small: bool
    out: Path
    deadline: float
    workers: int
    longest: float = LONGEST
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU to wait for."""
        return self.device.type == "cuda"

    def sync(self) -> None:
        """Wait until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], Any], repeats: int = 5, warm: int = 2) -> float:
        """Median time of a piece of work, after ``warm`` that are not counted."""
        for _ in range(warm):
            work()
        self.sync()
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            self.sync()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def peak_gb(self, work: Callable[[], Any]) -> float | None:
        """Most device memory that tensors took during ``work``, GB of 1e9 bytes; ``None`` on a CPU."""
        if not self.cuda:
            work()
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        self.sync()
        return torch.cuda.max_memory_allocated() / 1e9

    def part(self, name: str, pieces: Callable[[Bench], Iterator[Piece]], least: float = 0) -> None:
        """Do the pieces of one part, each only where at least ``least`` seconds are left; see the module."""
        found = self.results.setdefault(name, {})
        start = time.monotonic()
        try:
            for piece, work in pieces(self):
                value = self._done(work, least)
                *outer, last = piece.split("/")
                place = found
                for key in outer:
                    place = place.setdefault(key, {})
                place.update({last: value} if last else value)
                self._write(name, start)
                print(f"== {name}/{piece}", json.dumps(value)[:1500], flush=True)  # noqa: T201
        except Exception as error:  # of what lies between the pieces
            found |= _told(error)
        self._write(name, start)

    def _done(self, work: Callable[[], Any], least: float) -> Any:
        left = self.deadline - time.monotonic()
        if left < least:
            return {"skipped": f"{left:.0f} s left, {least:.0f} needed"}
        try:
            with stopped_after(max(1.0, min(self.longest, left))):
                return work()
        except Exception as error:
            return _told(error)
        finally:
            gc.collect()  # what failed may hold its tensors in a circle
            with contextlib.suppress(Exception):  # of a device that has failed altogether
                if self.cuda:
                    torch.cuda.empty_cache()

    def _write(self, name: str, start: float) -> None:
        self.results.setdefault("seconds", {})[name] = round(time.monotonic() - start, 1)
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / "gpu.json", self.results)


def _told(error: Exception) -> dict[str, str]:
    traceback.print_exception(error)
    return {"error": f"{type(error).__name__}: {error}"[:600]}


@contextlib.contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer; where the system has no such alarm nothing is stopped."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Compute in one of ``PRECISIONS``."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    tf32 = name != "fp32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        with torch.autocast(device.type, PRECISIONS[name] or torch.bfloat16, enabled=PRECISIONS[name] is not None):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
