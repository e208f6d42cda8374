"""What the study of size ``study`` found, to be shown beside a demo's own numbers: few seeds beside many."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

FILE = "recorded_study.csv"
"""Beside this module; written by ``python -m benchmarks.recorded``, one line a row and test set."""


@dataclass(frozen=True)
class Recorded:
    """Mean areas of a recorded study over its seeds, in percent, by row and test set."""

    areas: dict[tuple[str, str], float]
    seeds: int
    """The most that a row has."""


@lru_cache(maxsize=1)
def recorded_study() -> Recorded:
    """The recorded study of the table."""
    text = (resources.files("tdd.records") / FILE).read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    areas = {(line["row"], line["test_set"]): float(line["auc_percent"]) for line in lines}
    return Recorded(areas, max(int(line["seeds"]) for line in lines))
