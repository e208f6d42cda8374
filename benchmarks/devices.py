"""Stage 1's step of recipe ``demo`` in one process and in two that train together, one thread each, in turn.

``python -m benchmarks.devices`` takes two minutes on two idle cores. Wall time shows what a user gains; processor time,
which other work on the machine changes little, shows the work that sharing adds.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tdd.config import load_recipe, override
from tdd.data.store import ClipStore
from tdd.machine.launch import run_ranks
from tdd.machine.ranks import gathered, leads
from tdd.pretrain import pretrain
from tests.stores import random_store

STEPS = 24
WARM = 4
"""First steps, which are not counted: memory is taken, the processes find each other."""


class _EnoughError(Exception):
    pass


def steps_of(store: Path, run: Path, report: Any) -> None:
    """In each process: seconds and processor seconds of a step, medians; the first one reports them, in ns."""
    ends: list[tuple[float, float]] = []

    def note(done: int, _total: int) -> None:
        ends.append((time.perf_counter(), time.process_time()))
        if done == STEPS:
            raise _EnoughError

    recipe = override(load_recipe("demo"), {"machine.threads": 1, "stage1.validation_clips": 8})
    with contextlib.suppress(_EnoughError):
        pretrain(ClipStore(store), "cnn_gru_attention", recipe, run, report=note)
    pairs = list(pairwise(ends[WARM:]))
    mine = tuple(statistics.median(after[i] - before[i] for before, after in pairs) for i in (0, 1))
    wall, busy = (max(values) for values in zip(*gathered(mine), strict=True))
    if leads():
        report(round(1e9 * wall), round(1e9 * busy))


def main() -> None:
    """Print the step of one and of two processes, twice in turn."""
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder) / "store", crop=64, faces=16 * (STEPS + 2), videos=1, canvas=110).folder
        for turn in range(2):
            found: list[tuple[float, float]] = []
            for count in (1, 2):
                run_ranks(
                    count, [], steps_of, store, Path(folder) / f"{turn}-{count}",
                    report=lambda wall, busy, found=found: found.append((wall / 1e6, busy / 1e6)),
                )  # fmt: skip
            (one, work), (two, share) = found
            print(  # noqa: T201
                f"one process {one:.0f} ms a step, two {two:.0f} ms: {one / two:.2f} times as fast; "
                f"processor time {work:.0f} and {share:.0f} ms each: at most {work / share:.2f}"
            )


if __name__ == "__main__":
    main()
