"""How many seeds and targets it takes to see a difference, from the records of a study that had some of each.

The mean difference of S seeds on I targets varies by ``(tau^2 + a - b) / S + b``: tau is the standard deviation between
seeds of the true differences, a the mean variance over targets of one seed's difference, b the mean covariance of two
seeds' (:mod:`tdd.metrics.spread`). a and b fall with the number of targets as 1 / I, tau does not fall at all. Power is
that of the report's own test from three seeds on: noncentral t with Satterthwaite's degrees of freedom. With two seeds
that test has other limits (Howe's), which see far less, and no power is given. With three, simulated tests see what is
said within some 6 points of percent, with more closer (tests/report/test_power.py).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm
from scipy.stats import t as student

from tdd.errors import TddError
from tdd.metrics import paired_differences
from tdd.names import CELEB_DF, FACESHIFTER
from tdd.records.results import Study
from tdd.records.targets import shared_targets
from tdd.report.report import WIDTH, shorten
from tdd.report.table import COLUMNS, SEEN, contrasts, paired_runs, videos_of

LEAST_SEEDS = 3
"""With fewer no power is given."""

MOST_SEEDS = 200
"""More are not looked for."""

FULL_TARGETS = {FACESHIFTER: 70, CELEB_DF: 112, SEEN: 70}
"""Of the paper's test sets: the 70 pairs of 140 + 140 videos, and of Celeb-DF-v2's 178 + 340 the people that its list
names and its reals of nobody named (52 + 60)."""

FULL_VIDEOS = {FACESHIFTER: 140, CELEB_DF: 178, SEEN: 140}
"""The same where a video counts as a target: of the smaller class."""

MANY_SEEDS = 10
"""With which the number of targets is sought."""

MOST_TARGETS = 5000

_QUANTILES = 200


@dataclass(frozen=True)
class Variation:
    """How a difference varies, in points; ``shared`` and ``own`` are variances of it over ``targets`` targets."""

    between: float
    """Standard deviation between seeds, without what the test videos add to it."""
    highest: float
    """Upper limit of that, which one study in ten exceeds."""
    own: float
    """What each seed has by itself over targets: a - b."""
    shared: float
    """What seeds have in common over targets: b."""
    targets: int
    known: bool
    """Whether records say who is seen; else a video of the smaller class counts as a target."""
    freedom: float
    seeds: int


def variation(study: Study, first: str, second: str, column: str) -> Variation | None:
    """How the difference of two rows varies over seeds and targets; ``None`` with fewer than two seeds.

    Where records do not say who is seen, videos are taken for independent.
    """
    one, two = paired_runs(study, first, second, column)
    tables = [videos_of(run, column) for run in (*one, *two)]
    if len(one) < 2 or any(not table.index.equals(tables[0].index) for table in tables):
        return None
    counts = tables[0]["label"].value_counts()
    if len(counts) < 2 or counts.min() < 2:
        return None
    targets = shared_targets(tables)
    scores = np.stack([table["logit"] for table in tables])
    found = paired_differences(tables[0]["label"], scores[: len(one)], scores[len(one) :], targets)
    covariance, seeds = 1e4 * found.covariance, len(one)
    shared = max(0.0, float(covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1)))
    own = max(0.0, float(np.trace(covariance)) / seeds - shared)
    seen = float((100 * found.areas).var(ddof=1))
    upper = seen * (seeds - 1) / chi2.ppf(0.1, seeds - 1)
    count = int(counts.min()) if targets is None else int(targets.nunique())
    freedom = count - 1.0 if np.isinf(found.freedom) else found.freedom
    between, highest = (float(np.sqrt(max(0.0, variance - own))) for variance in (seen, upper))
    return Variation(between, highest, own, shared, count, targets is not None, freedom, seeds)


def power_of(
    known: Variation, difference: float, seeds: int, targets: int, between: float, level: float = 0.05
) -> float:
    """Share of studies of ``seeds`` seeds and ``targets`` targets whose test sees ``difference`` points.

    Args:
        known: how differences vary.
        difference: the true one, in points.
        seeds: 3 or more.
        targets: of the test set.
        between: standard deviation between seeds, in points.
        level: of the test, two-sided.

    Raises:
        TddError: fewer seeds.
    """
    if seeds < LEAST_SEEDS:
        raise TddError(f"The power of a test of {seeds} seeds is not known; give {LEAST_SEEDS} or more.")
    scale = known.targets / targets
    over_seeds, over_targets = (between**2 + known.own * scale) / seeds, known.shared * scale
    total = over_seeds + over_targets
    if total <= 0:
        return 1.0
    freedom = total**2 / max(over_seeds**2 / (seeds - 1) + over_targets**2 / (known.freedom / scale), 1e-30)
    freedom = min(freedom, 1e6)  # beyond, the law is the normal one
    edge, away = student.ppf(1 - level / 2, freedom), abs(difference) / np.sqrt(total)
    # The noncentral t is a normal law over the root of a chi-square: its mean over quantiles of that, for scipy's own
    # has no digits left where the difference is many standard errors.
    wide = edge * np.sqrt(chi2.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES, freedom) / freedom)
    return float((norm.cdf(away - wide) + norm.cdf(-away - wide)).mean())


def seeds_needed(known: Variation, difference: float, power: float, targets: int, between: float) -> int | None:
    """Fewest seeds, from three on, with which the test has ``power``; ``None`` beyond ``MOST_SEEDS``."""
    return _fewest(lambda seeds: power_of(known, difference, seeds, targets, between) >= power, LEAST_SEEDS, MOST_SEEDS)


def targets_needed(known: Variation, difference: float, power: float, seeds: int, between: float) -> int | None:
    """Fewest targets with which the test of ``seeds`` seeds has ``power``; ``None`` beyond ``MOST_TARGETS``.

    There may be no such number: what seeds differ in, no number of targets takes away.
    """
    return _fewest(lambda targets: power_of(known, difference, seeds, targets, between) >= power, 2, MOST_TARGETS)


def _fewest(enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """The least number from ``least`` to ``most`` that is enough, where more are never worse."""
    few, many = least, most
    if not enough(many):
        return None
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle + 1, many)
    return many


def power_text(study: Study, difference: float, power: float) -> str:
    """A line a comparison and test set: how it varies, the power at hand, the seeds and the targets that are needed.

    Raises:
        TddError: no difference to be seen, a power outside (0.05, 1), or no comparison with two seeds or more.
    """
    if not difference > 0 or not np.isfinite(difference):
        raise TddError(f"A difference to be seen is above 0 points, got {difference}; 2 is usual.")
    if not 0.05 < power < 1:
        raise TddError(f"A power lies between 0.05 (the test's level) and 1, got {power}; 0.8 is usual.")
    rows = [
        (f"{pair.first} − {pair.second}", column, known)
        for pair in contrasts(study)
        for column in COLUMNS
        if (known := variation(study, pair.first, pair.second, column))
    ]
    if not rows:
        raise TddError(
            f"{study.folder} has no comparison of two rows with two seeds each, and one seed says nothing about "
            "another; run it with --seeds 0 1 2, or more."
        )
    head = ["difference", "test set", "seeds", "targets", "s.d.", "power", "seeds here", "full sets", "targets"]
    body = [_line(*row, difference, power) for row in rows]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
    lines = [
        "  ".join([shorten(what, widths[0]).ljust(widths[0]), name.ljust(widths[1]), *map(str.rjust, rest, widths[2:])])
        for what, name, *rest in [head, *body]
    ]
    notes = _notes(study, rows, difference, power)
    wrapped = [line for sentence in notes for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")]
    return "\n".join([lines[0].rstrip(), "─" * len(lines[0]), *(line.rstrip() for line in lines[1:]), "", *wrapped])


def _line(label: str, column: str, known: Variation, difference: float, power: float) -> list[str]:
    enough = known.seeds >= LEAST_SEEDS
    now = f"{power_of(known, difference, known.seeds, known.targets, known.between):.0%}" if enough else "–"
    full = (FULL_TARGETS if known.known else FULL_VIDEOS)[column]

    def seeds(targets: int) -> str:
        found = (seeds_needed(known, difference, power, targets, s) for s in (known.between, known.highest))
        return _both(list(found), MOST_SEEDS)

    many = (targets_needed(known, difference, power, MANY_SEEDS, s) for s in (known.between, known.highest))
    return [
        label, column, str(known.seeds), str(known.targets), f"{known.between:.1f} ({known.highest:.1f})", now,
        seeds(known.targets), seeds(full), _both(list(many), MOST_TARGETS),
    ]  # fmt: skip


def _both(counts: list[int | None], most: int) -> str:
    """The likely number, and the cautious one in brackets where it is another."""
    low, high = (f"> {most}" if count is None else str(count) for count in counts)
    return low if low == high else f"{low} ({high})"


def _notes(study: Study, rows: Sequence[tuple[str, str, Variation]], difference: float, power: float) -> Iterator[str]:
    named = {column for _, column, known in rows if known.known}
    unnamed = {column for _, column, known in rows if not known.known}
    full = [f"{name} {count}" for name, count in FULL_TARGETS.items() if name in named]
    full += [
        f"{name} {count}{', of videos' if named else ''}" for name, count in FULL_VIDEOS.items() if name in unnamed
    ]
    yield (
        f"Asked: {difference:g} points seen by {power:.0%} of studies (two-sided, 0.05, one test: more where Holm "
        "corrects several). S.d.: of the paired difference between seeds, in points, without what the videos add; in "
        "brackets, here and on the right, the limit that one study in ten exceeds. Power: of this study; of two "
        "seeds it is not known."
    )
    yield (
        f"Seeds of each row: with the targets here, and on full test sets (targets: {'; '.join(full)}). Targets: with "
        f"{MANY_SEEDS} seeds. A target is a pair of FaceForensics++ or a person."
    )
    if unnamed:
        whose = "these records"
        if named:
            whose = "the records of " + "; ".join(f"{what}, {name}" for what, name, known in rows if not known.known)
        yield f"Who is seen is not in {whose}: videos are taken for independent, and each counts as a target."
    mixed = [pair.label for pair in contrasts(study) if any(found.mixed for found in pair.differences.values())]
    if mixed:
        yield f"Runs made with different processors, precisions or data stand behind: {'; '.join(mixed)}."
