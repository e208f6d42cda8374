"""Do 95% intervals of an AUC hold the true area 95 times of 100, and does the paired test err 5 times of 100?

Simulates test sets whose true areas are known (normal scores of unit variance, classes as far apart as the area asks)
and counts: how often the interval holds the true area, by DeLong and by bootstrap; how often the paired test finds a
difference at the level 0.05 between two systems of the same true area, whose scores correlate within each class; and
how often the interval of their difference holds the true one where they differ.

    python benchmarks/coverage.py
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

import tdd
from tdd.machine.parallel import parallel_map
from tdd.metrics import auc_interval, compare_areas

SIZES = ((40, 40), (140, 140), (340, 178))
"""Fakes and reals: small, FaceShifter's test set, Celeb-DF-v2's."""

AREAS = (0.6, 0.75, 0.9, 0.97)
PAIRS = ((0.75, 0.75), (0.9, 0.9), (0.85, 0.9))
CORRELATION = 0.6
"""Between the scores of two systems within a class."""

AIM = (0.93, 0.97)
REPLICATES = 1000
"""Bootstrap samples of each data set."""


def drawn(rng: np.random.Generator, areas: tuple[float, ...], fakes: int, reals: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and scores (K, N) of systems with the given true areas, correlated within each class."""
    labels = np.r_[np.ones(fakes, int), np.zeros(reals, int)]
    shared = rng.normal(size=fakes + reals)
    own = rng.normal(size=(len(areas), fakes + reals))
    noise = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
    return labels, noise + labels * np.sqrt(2) * norm.ppf(areas)[:, None]


def interval_coverage(area: float, size: tuple[int, int], method: str, trials: int) -> float:
    """Share of 95% intervals that hold the true area."""
    rng, held = np.random.default_rng(11), 0
    for trial in range(trials):
        labels, scores = drawn(rng, (area,), *size)
        found = auc_interval(labels, scores[0], method=method, seed=trial, replicates=REPLICATES)  # type: ignore[arg-type]
        held += found.low <= area <= found.high
    return held / trials


def paired_test(areas: tuple[float, float], size: tuple[int, int], trials: int) -> tuple[float, float]:
    """Share of p-values below 0.05, and share of 95% intervals that hold the true difference."""
    rng, found, held = np.random.default_rng(12), 0, 0
    for _ in range(trials):
        labels, scores = drawn(rng, areas, *size)
        pair = compare_areas(labels, *scores)
        found += pair.p_value < 0.05
        held += pair.low <= areas[0] - areas[1] <= pair.high
    return found / trials, held / trials


def measure(trials: int, case: tuple[Any, ...]) -> dict[str, Any]:
    """One row of a table."""
    kind, areas, (fakes, reals) = case
    facts = {"kind": kind, "areas": areas, "fakes": fakes, "reals": reals, "trials": trials}
    if kind == "paired":
        share, held = paired_test(areas, (fakes, reals), trials)
        return facts | {"rejected": share, "coverage": held}
    return facts | {"coverage": interval_coverage(areas[0], (fakes, reals), kind, trials)}


def cases() -> list[tuple[Any, ...]]:
    """Every row to measure: kind, true areas, size."""
    single = [(kind, (area,), size) for kind in ("delong", "bootstrap") for size in SIZES for area in AREAS]
    return [*single, *(("paired", pair, size) for size in SIZES for pair in PAIRS)]


def tables(rows: list[dict[str, Any]], trials: int) -> str:
    """The measurements as markdown."""
    error = np.sqrt(0.95 * 0.05 / trials)
    lines = [
        f"# Coverage of the intervals and of the paired test (tdd {tdd.__version__})",
        "",
        f"`python benchmarks/coverage.py --trials {trials}`: {trials:,} simulated test sets a row, normal scores; "
        f"the standard error of a share of 95% is {100 * error:.1f} points. Percentiles of {REPLICATES:,} samples.",
        "",
        "## 95% interval of one AUC: share that holds the true area, %",
        "",
        "| fakes / reals | true area | DeLong, logit scale | bootstrap |",
        "|---|---:|---:|---:|",
    ]
    found = {(row["kind"], row["areas"], row["fakes"]): row for row in rows}
    for fakes, reals in SIZES:
        for area in AREAS:
            shares = [100 * found[kind, (area,), fakes]["coverage"] for kind in ("delong", "bootstrap")]
            lines.append(f"| {fakes} / {reals} | {area} | {shares[0]:.1f} | {shares[1]:.1f} |")
    outside = [row for row in rows if not AIM[0] <= row["coverage"] <= AIM[1]]
    lines += ["", f"Outside {AIM[0]:.0%} to {AIM[1]:.0%}, here or below: " + ("none." if not outside else "; ".join(
        f"{row['kind']} at {', '.join(map(str, row['areas']))} on {row['fakes']} / {row['reals']}" for row in outside
    ) + ".")]  # fmt: skip
    lines += [
        "",
        f"## Paired test of two systems (correlation {CORRELATION} within a class), level 0.05, %",
        "",
        "| fakes / reals | true areas | difference found | interval holds the true difference |",
        "|---|---:|---:|---:|",
    ]
    for fakes, reals in SIZES:
        for pair in PAIRS:
            row = found["paired", pair, fakes]
            kind = "" if pair[0] == pair[1] else " (power)"
            lines.append(
                f"| {fakes} / {reals} | {pair[0]}, {pair[1]} | {100 * row['rejected']:.1f}{kind} | "
                f"{100 * row['coverage']:.1f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write ``results/coverage.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=2000, help="simulated test sets a row")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    rows = list(parallel_map(partial(measure, options.trials), cases(), options.workers))
    rows.sort(key=lambda row: cases().index((row["kind"], row["areas"], (row["fakes"], row["reals"]))))
    text = tables(rows, options.trials)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "coverage.md").write_text(text + "\n", encoding="utf-8")
    (options.out / "coverage.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
