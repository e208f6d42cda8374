"""Do 95% intervals hold the truth 95 times of 100, and do the tests err 5 times of 100? On simulated test sets.

Three parts. *Targets and seeds*: what a report prints. Scores of a real and of the fakes of one target are alike (0.72,
as measured on FaceShifter), runs of one method agree in part, and every seed has an area of its own; counted are the
interval of one method's mean area, that of the paired difference of two, the test of it, and the band of an ROC curve.
*Few seeds*: what the test does far from the middle, where Holm's correction over dozens of tests looks, and
where two methods share what videos do to all their seeds, which the first part does not have. *Independent videos*: the
forms for data sets that do not say who is seen, on one run.

    python -m benchmarks.coverage
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

import tdd
from tdd.machine.parallel import parallel_map
from tdd.metrics import auc_interval, compare_areas, compare_mean_areas, mean_area_interval, roc_band
from tdd.metrics.spread import Spread

SIZES = ((40, 40), (140, 140), (340, 178))
"""Fakes and reals: small, FaceShifter's test set, Celeb-DF-v2's."""

AREAS = (0.6, 0.75, 0.9, 0.97)
PAIRS = ((0.75, 0.75), (0.9, 0.9), (0.85, 0.9))
CORRELATION = 0.6
"""Between the scores of two systems within a class."""

ALIKE = 0.72
"""Correlation of the scores of a fake and of its own real."""

AGREEMENT = 0.7
"""Correlation of the scores of two runs within a class."""

SEEDS = (1, 2, 3, 5, 10)
SPREADS = (0.0, 0.15, 0.5)
"""Standard deviation between seeds of how far fakes lie above reals, in standard deviations of scores: at an area of
0.75 about 0, 3.5 and 11 points of area."""

TAIL_SEEDS = (3, 5, 10)
TAIL_SHARES = (0.0, 0.1, 0.3, 0.5, 0.9)
"""Of the variance of a mean difference, what lies over videos and is the same in all seeds."""
TAIL_LEVELS = (0.05, 0.01, 0.001)
TAIL_TARGETS = 70
TAIL_TIMES = 20
"""Times as many trials as elsewhere: a share of 0.001 is to be seen."""

BAND_RATES = (0.05, 0.1, 0.3)
BAND_TRIALS, BAND_REPLICATES = 400, 400

AIM = (0.93, 0.97)
ERROR_AIM = (0.03, 0.07)
REPLICATES = 1000
"""Bootstrap samples of each data set."""


def _pairs(targets: int, methods: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    people = np.tile(np.arange(targets), methods + 1)
    return np.repeat([0] + [1] * methods, targets), people, people // 2


def _people() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As in Celeb-DF-v2's list: 52 people with 1 to 13 fakes and 2 or 3 reals each, and reals of nobody named."""
    fakes = np.linspace(12.6, 0.5, 52).round().astype(int)
    fakes[0] += 340 - fakes.sum()
    reals = np.where(np.arange(52) < 14, 3, 2)
    people = np.concatenate([np.repeat(np.arange(52), reals), 52 + np.arange(178 - reals.sum())])
    people = np.concatenate([people, np.repeat(np.arange(52), fakes)])
    return np.repeat([0, 1], [178, 340]), people, people


TEST_SETS = {
    "40 targets (20 pairs)": _pairs(40),
    "40 targets, four methods": _pairs(40, 4),
    "140 targets (70 pairs)": _pairs(140),
    "178 reals, 340 fakes of 52 people": _people(),
}
"""Name -> labels, the person of each video (who makes scores alike), and its target (what the interval is told)."""


def drawn(rng: np.random.Generator, areas: tuple[float, ...], fakes: int, reals: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and scores (K, N) of systems with the given true areas, correlated within each class."""
    labels = np.r_[np.ones(fakes, int), np.zeros(reals, int)]
    shared = rng.normal(size=fakes + reals)
    own = rng.normal(size=(len(areas), fakes + reals))
    noise = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
    return labels, noise + labels * np.sqrt(2) * norm.ppf(areas)[:, None]


def drawn_by_target(
    rng: np.random.Generator, labels: np.ndarray, people: np.ndarray, distances: np.ndarray, alike: float = ALIKE
) -> np.ndarray:
    """Scores (K, N), of unit variance in each class, of runs whose fakes lie ``distances`` (K,) above their reals."""

    def agreeing(size: int) -> np.ndarray:
        own = rng.normal(size=(len(distances), size))
        return np.sqrt(AGREEMENT) * rng.normal(size=size) + np.sqrt(1 - AGREEMENT) * own

    common, single = agreeing(people.max() + 1), agreeing(len(labels))
    return np.sqrt(alike) * common[:, people] + np.sqrt(1 - alike) * single + np.outer(distances, labels)


def mean_coverage(
    name: str, area: float, seeds: int, spread: float, trials: int, alike: float = ALIKE, iid: bool = False
) -> dict[str, float]:
    """Of one method's mean area and of the difference of two equal ones: shares of intervals that hold the truth.

    The mean of Phi(d / sqrt 2) over d ~ N(m, s^2) is Phi(m / sqrt(2 + s^2)), in closed form.

    Returns:
        ``coverage``, ``coverage_difference`` and ``rejected`` (p-values below 0.05).
    """
    labels, people, targets = TEST_SETS[name]
    rng, held, both, found = np.random.default_rng(13), 0, 0, 0
    middle = np.sqrt(2 + spread**2) * norm.ppf(area)
    how: dict[str, Any] = {"method": "delong"} if iid else {"targets": targets}
    for _ in range(trials):
        distances = middle + spread * rng.normal(size=2 * seeds)
        scores = drawn_by_target(rng, labels, people, distances, alike)
        one = mean_area_interval(labels, scores[:seeds], **how)
        pair = compare_mean_areas(labels, scores[:seeds], scores[seeds:], **how)
        held += one.low <= area <= one.high
        both += pair.low <= 0 <= pair.high
        found += pair.p_value < 0.05
    return {"coverage": held / trials, "coverage_difference": both / trials, "rejected": found / trials}


def tail(seeds: int, share: float, trials: int) -> dict[str, float]:
    """How often the test of no difference has a p-value below each of ``TAIL_LEVELS``, of normal differences.

    Args:
        seeds: 3 or more.
        share: of the variance of the mean, over ``TAIL_TARGETS`` targets and the same in all seeds; the rest is between
            seeds.
        trials: differences drawn.
    """
    rng, freedom = np.random.default_rng(16), TAIL_TARGETS - 1
    videos = share * rng.chisquare(freedom, trials) / freedom
    between = (1 - share) * rng.chisquare(seeds - 1, trials) / (seeds - 1)
    p_values = np.array([
        Spread(v, freedom, b, seeds).p_value(distance)
        for v, b, distance in zip(videos, between, rng.normal(size=trials), strict=True)
    ])  # fmt: skip
    return {f"below {level:g}": float((p_values < level).mean()) for level in TAIL_LEVELS}


def bootstrap_coverage(name: str, area: float, trials: int) -> dict[str, float]:
    """The same of one run's interval by drawing targets again."""
    labels, people, targets = TEST_SETS[name]
    rng, held = np.random.default_rng(14), 0
    for trial in range(trials):
        scores = drawn_by_target(rng, labels, people, np.sqrt(2) * norm.ppf([area]))
        found = auc_interval(
            labels, scores[0], method="clustered_bootstrap", targets=targets, seed=trial, replicates=REPLICATES
        )
        held += found.low <= area <= found.high
    return {"coverage": held / trials}


def band_coverage(name: str, area: float, trials: int) -> dict[str, float]:
    """Share of pointwise bands that hold the true positive rate, at each of ``BAND_RATES``."""
    labels, people, targets = TEST_SETS[name]
    rng, held, distance = np.random.default_rng(15), np.zeros(len(BAND_RATES)), np.sqrt(2) * norm.ppf(area)
    truth = norm.cdf(distance + norm.ppf(BAND_RATES))
    for trial in range(trials):
        scores = drawn_by_target(rng, labels, people, np.array([distance]))[0]
        low, high = roc_band(labels, scores, BAND_RATES, targets=targets, seed=trial, replicates=BAND_REPLICATES)
        held += (low <= truth) & (truth <= high)
    return {f"at {rate}": float(share) for rate, share in zip(BAND_RATES, held / trials, strict=True)}


def interval_coverage(area: float, size: tuple[int, int], method: str, trials: int) -> float:
    """Share of 95% intervals over independent videos that hold the true area."""
    rng, held = np.random.default_rng(11), 0
    for trial in range(trials):
        labels, scores = drawn(rng, (area,), *size)
        found = auc_interval(labels, scores[0], method=method, seed=trial, replicates=REPLICATES)  # type: ignore[arg-type]
        held += found.low <= area <= found.high
    return held / trials


def paired_test(areas: tuple[float, float], size: tuple[int, int], trials: int) -> tuple[float, float]:
    """Over independent videos: share of p-values below 0.05, and of 95% intervals that hold the true difference."""
    rng, found, held = np.random.default_rng(12), 0, 0
    for _ in range(trials):
        labels, scores = drawn(rng, areas, *size)
        pair = compare_areas(labels, *scores)
        found += pair.p_value < 0.05
        held += pair.low <= areas[0] - areas[1] <= pair.high
    return found / trials, held / trials


def cases() -> list[dict[str, Any]]:
    """Every row to measure."""
    rows: list[dict[str, Any]] = []
    for name in TEST_SETS:
        plain = {"kind": "seeds", "test set": name, "seeds": 1, "spread": 0.0}
        rows += [plain | {"area": area} for area in AREAS[:3]]
        rows += [plain | {"area": 0.75, "how": how} for how in ("unlike", "iid", "bootstrap")]
        rows += [
            plain | {"area": area, "seeds": seeds, "spread": spread}
            for seeds in SEEDS[1:]
            for spread in SPREADS
            for area in ((0.75, 0.9) if seeds in (3, 10) else (0.75,))
        ]
        rows += [{"kind": "band", "test set": name, "area": 0.75}]
    rows += [{"kind": "tail", "seeds": seeds, "share": share} for seeds in TAIL_SEEDS for share in TAIL_SHARES]
    for kind in ("delong", "bootstrap"):
        rows += [{"kind": kind, "size": size, "area": area} for size in SIZES for area in AREAS]
    return [*rows, *({"kind": "paired", "size": size, "areas": pair} for size in SIZES for pair in PAIRS)]


def measure(trials: int, case: dict[str, Any]) -> dict[str, Any]:
    """One row of a table."""
    kind, name = case["kind"], case.get("test set", "")
    if kind == "paired":
        share, held = paired_test(case["areas"], case["size"], trials)
        found = {"rejected": share if len(set(case["areas"])) == 1 else None, "coverage": held, "power": share}
    elif kind == "tail":
        found = tail(case["seeds"], case["share"], TAIL_TIMES * trials)
    elif kind == "band":
        found = band_coverage(name, case["area"], min(trials, BAND_TRIALS))
    elif kind != "seeds":
        found = {"coverage": interval_coverage(case["area"], case["size"], kind, trials)}
    elif case.get("how") == "bootstrap":
        found = bootstrap_coverage(name, case["area"], min(trials, BAND_TRIALS))
    else:
        alike = 0.0 if case.get("how") == "unlike" else ALIKE
        found = mean_coverage(
            name, case["area"], case["seeds"], case["spread"], trials, alike, case.get("how") == "iid"
        )
    return case | {"found": found}


HOW = {"unlike": ", targets not alike", "iid": ", DeLong (wrong here)", "bootstrap": ", bootstrap of targets"}


def tables(rows: list[dict[str, Any]], trials: int) -> str:
    """The measurements as markdown."""
    error = 100 * np.sqrt(0.95 * 0.05 / trials)
    lines = [
        f"# Coverage of intervals and error rates of tests (tdd {tdd.__version__})",
        "",
        f"`python -m benchmarks.coverage --trials {trials}`: {trials:,} simulated test sets a row (band and bootstrap: "
        f"{min(trials, BAND_TRIALS)}), normal scores; the standard error of a share of 95% is {error:.1f} points. "
        f"Aims: {AIM[0]:.0%} to {AIM[1]:.0%} of intervals hold the truth, {ERROR_AIM[0]:.0%} to {ERROR_AIM[1]:.0%} of "
        "tests of equal methods find a difference.",
        "",
        *_outside(rows),
        "",
        "## Over targets and seeds, %",
        "",
        f"A fake and its real are alike ({ALIKE}). Spread: between seeds, of the distance of the classes.",
        "",
        "| test set | seeds | spread | true area | interval of the mean area | of the difference | difference found |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in (row for row in rows if row["kind"] == "seeds"):
        shares = [_share(row["found"].get(key)) for key in ("coverage", "coverage_difference", "rejected")]
        name = row["test set"] + HOW.get(row.get("how", ""), "")
        lines.append(f"| {name} | {row['seeds']} | {row['spread']} | {row['area']} | {' | '.join(shares)} |")
    lines += ["", "## Band of an ROC curve, at each false positive rate by itself, area 0.75, %", ""]
    lines += [
        "| test set | " + " | ".join(f"rate {rate}" for rate in BAND_RATES) + " |",
        "|---" + "|---:" * len(BAND_RATES) + "|",
    ]
    for row in (row for row in rows if row["kind"] == "band"):
        lines.append(f"| {row['test set']} | " + " | ".join(map(_share, row["found"].values())) + " |")
    return "\n".join([*lines, *_tails(rows, trials), *_independent(rows)])


def _tails(rows: list[dict[str, Any]], trials: int) -> Iterable[str]:
    yield from (
        "", "## The test of equal methods at small p-values: share found, %", "",
        f"{TAIL_TIMES * trials:,} normal differences, {TAIL_TARGETS} targets. Share over videos: of the variance of "
        "the mean difference, what is the same in all seeds.", "",
        "| seeds | share over videos | " + " | ".join(f"at {100 * level:g}" for level in TAIL_LEVELS) + " |",
        "|---:" * (2 + len(TAIL_LEVELS)) + "|",
    )  # fmt: skip
    for row in (row for row in rows if row["kind"] == "tail"):
        found = " | ".join(f"{100 * value:.2f}" for value in row["found"].values())
        yield f"| {row['seeds']} | {row['share']} | {found} |"


def _independent(rows: list[dict[str, Any]]) -> Iterable[str]:
    yield from (
        "", "## Over independent videos: interval of one area, %", "",
        f"Percentiles of {REPLICATES:,} samples.", "",
        "| fakes / reals | true area | DeLong, logit scale | bootstrap |", "|---|---:|---:|---:|",
    )  # fmt: skip
    found = {
        (row["kind"], row["size"], row["area"]): row["found"] for row in rows if row["kind"] in ("delong", "bootstrap")
    }
    for size in SIZES:
        for area in AREAS:
            shares = [_share(found[kind, size, area]["coverage"]) for kind in ("delong", "bootstrap")]
            yield f"| {size[0]} / {size[1]} | {area} | {shares[0]} | {shares[1]} |"
    yield from (
        "", f"## Over independent videos: two systems (correlation {CORRELATION} within a class), %", "",
        "| fakes / reals | true areas | difference found | interval holds the true difference |",
        "|---|---:|---:|---:|",
    )  # fmt: skip
    for row in (row for row in rows if row["kind"] == "paired"):
        kind = "" if row["found"]["rejected"] is not None else " (power)"
        size, (one, two) = row["size"], row["areas"]
        yield (
            f"| {size[0]} / {size[1]} | {one}, {two} | {_share(row['found']['power'])}{kind} | "
            f"{_share(row['found']['coverage'])} |"
        )


def _outside(rows: list[dict[str, Any]]) -> Iterable[str]:
    """What misses the aims, by name."""
    said = []
    rows = [row for row in rows if row["kind"] != "tail"]  # these have aims of their own
    for row in rows:
        place = row.get("test set") or f"{row['size'][0]} / {row['size'][1]} independent"
        what = ", ".join(f"{key} {row[key]}" for key in ("how", "seeds", "spread", "area", "areas") if key in row)
        for key, share in row["found"].items():
            low, high = ERROR_AIM if key == "rejected" else AIM
            if key != "power" and share is not None and not low <= share <= high:
                said.append(f"- {row['kind']}, {place}, {what}: {key.replace('_', ' of the ')} {_share(share)}")
    yield f"Outside the aims: {len(said)} of {sum(len(row['found']) for row in rows)} numbers."
    yield ""
    yield from said


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def main() -> None:
    """Measure, print, and write ``results/coverage.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=1000, help="simulated test sets a row")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    order = [json.dumps(case) for case in cases()]
    rows = list(parallel_map(partial(measure, options.trials), cases(), options.workers))
    rows.sort(key=lambda row: order.index(json.dumps({key: row[key] for key in row if key != "found"})))
    text = tables(rows, options.trials)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "coverage.md").write_text(text + "\n", encoding="utf-8")
    (options.out / "coverage.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
