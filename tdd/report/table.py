"""The numbers of a study's table: areas with intervals, and their differences to the row of reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from tdd.metrics import auc, compare_mean_areas, holm, mean_area_interval, paired_share
from tdd.names import LIP_RETIMING, SEEN_COLUMN
from tdd.records import paper
from tdd.records.plans import BASELINE
from tdd.records.results import (
    TEST_SETS,
    Run,
    Study,
    by_seeds,
    is_tested_on,
    on_test_set,
    other_sets,
    seeds_text,
    seen_methods,
)
from tdd.records.targets import own_reals, shared_targets

SEEN = SEEN_COLUMN
"""The column of the methods that stage 2 was trained on: the mean of their areas."""

COLUMNS = (*paper.TEST_SETS, SEEN)
"""The columns that every table shows; the methods by themselves are in its CSV and in a figure."""


def compared_on(study: Study) -> tuple[str, ...]:
    """Where the comparisons of a study are made: on ``COLUMNS``, and on re-timed lips where it was tested on them."""
    return (*COLUMNS, *(name for name in other_sets(study) if name == LIP_RETIMING))


@dataclass(frozen=True)
class Cell:
    """An AUC of one row on one test set, in percent.

    ``value`` is the mean over ``seeds`` runs and ``sd`` their standard deviation; ``low`` and ``high`` are 95% limits:
    over targets for one run, over targets and seeds for several (:mod:`tdd.metrics.seeds`).
    """

    value: float
    seeds: int
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    per_seed: tuple[float, ...] = ()
    which: tuple[int, ...] = ()
    """The seeds of ``per_seed``."""
    planned: int = 0
    """Seeds of the study; with fewer in the cell their number stands behind it."""
    own_real: float | None = None
    """How often a fake scores above the very real that it was made from, mean over seeds; ``None`` without pairs."""
    targets: int | None = None
    """Over how many targets the limits are; ``None``: over videos, taken for independent."""

    def text(self) -> str:
        """As a table shows it: ``87.1 [82.0, 91.0]``, ``87.1 ± 1.2``, or, of 3 seeds of 10, ``87.1 ± 1.2 (3)``."""
        found = f"{self.value:.1f} ± {self.sd:.1f}" if self.sd is not None else f"{self.value:.1f}{self.limits()}"
        return found + self.mark

    @property
    def mark(self) -> str:
        """`` (3)`` where 3 seeds of more are behind the cell."""
        return seeds_mark(self.seeds, self.planned)

    def limits(self) -> str:
        """`` [82.0, 91.0]``, or nothing where there are none."""
        return "" if self.low is None or self.high is None else f" [{self.low:.1f}, {self.high:.1f}]"


def seeds_mark(seeds: int, planned: int) -> str:
    """`` (3)`` where 3 seeds of more are there, else nothing."""
    return f" ({seeds})" if seeds < planned else ""


MIXED = "†"
"""Behind a difference whose runs were not all made alike."""

ONE_SEED = "one seed: no test"
"""In place of a p-value: what another training run would change is not known."""


@dataclass(frozen=True)
class Difference:
    """What one row's AUC has over that of another, in points of percent, over the seeds that both have.

    Limits and p-values are of the paired test on the same videos; ``None`` where ``untested`` says why there is none.
    Of one seed there are limits, over videos alone, and no p-value. ``p_holm`` is corrected over the family. Limits
    that lie beyond what two areas can differ by, -100 or +100, which few videos or seeds make, are cut there, as other
    programs do; p-values are those of the limits as computed.
    """

    value: float
    seeds: int
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    untested: str = ""
    mixed: tuple[str, ...] = ()
    """In what the runs behind it differ that is not the method: processors, precisions, data."""
    planned: int = 0
    """Seeds of the study; where both rows have fewer of the same, their number stands behind the difference."""

    def text(self) -> str:
        """For example ``+3.1 [−0.4, +6.6], p = 0.08``; the p-value is the corrected one, a dagger marks mixed runs."""
        limits = "" if self.low is None or self.high is None else f" [{signed(self.low)}, {signed(self.high)}]"
        end = self.untested if self.p_holm is None else f"p {p_text(self.p_holm)}"
        return f"{signed(self.value)}{limits}, {end}{self.mark}"

    def narrow(self) -> str:
        """The same for a terminal: ``+3.1 [−0.4, +6.6] 0.08``, without a p-value where there is none."""
        if self.low is None or self.high is None:
            return f"{signed(self.value)}, {self.untested}{self.mark}"
        tested = "" if self.p_holm is None else f" {p_text(self.p_holm).removeprefix('= ')}"
        return f"{signed(self.value)} [{signed(self.low)}, {signed(self.high)}]{tested}{self.mark}"

    def short(self) -> str:
        """The same without limits, for narrow tables: ``+3.1, 0.08``."""
        tested = "" if self.p_holm is None else f", {p_text(self.p_holm).removeprefix('= ')}"
        return signed(self.value) + tested + self.mark

    @property
    def mark(self) -> str:
        """A dagger where runs are mixed, and `` (3)`` where 3 seeds of more are behind it."""
        return (MIXED if self.mixed else "") + seeds_mark(self.seeds, self.planned)


@dataclass(frozen=True)
class ResultRow:
    """One row of the result table; ``state`` is empty, ``"missing"``, ``"failed"`` or ``"refused"``."""

    id: str
    label: str
    control: bool
    """Stands below the table's rows and is not ranked with them."""
    state: str
    cells: dict[str, Cell]
    paths: tuple[str, ...]
    paper: dict[str, float] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    """To the study's reference, where its family holds that."""


@dataclass(frozen=True)
class Contrast:
    """Two rows that are compared, first less second, with their differences by column."""

    first: str
    second: str
    label: str
    differences: dict[str, Difference]


def signed(value: float) -> str:
    """A number of points with its sign: ``+3.1``, ``−0.4``, ``0.0``."""
    text = f"{value:+.1f}".replace("-", "−")
    # What rounds to nothing has no direction.
    return "0.0" if text in ("+0.0", "−0.0") else text


def seeds_words(counts: Iterable[int]) -> str:
    """Numbers of seeds behind what is shown: ``10 seeds``, ``one seed``, ``3 to 10 seeds``; nothing without any."""
    found = sorted(set(counts))
    if not found:
        return ""
    if found == [1]:
        return "one seed"
    return f"{found[0]} seeds" if len(found) == 1 else f"{found[0]} to {found[-1]} seeds"


def p_text(value: float) -> str:
    """``= 0.08``, or ``< 0.001``."""
    # With two digits 0.004 would read as 0.00.
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.01 else f"= {value:.2f}"


# The report and each figure ask for the same rows and their tests. A study read anew is another key: it has no __eq__.
@lru_cache(maxsize=4)
def result_rows(study: Study) -> tuple[ResultRow, ...]:
    """The rows of a study in its order, each with its areas and its differences to the row of reference.

    The table always has the paper's seven rows first; its other rows are controls.
    """
    to_reference = {pair.first: pair.differences for pair in contrasts(study) if pair.second == study.reference}
    return tuple(replace(row, differences=to_reference.get(row.id, {})) for row in _plain_rows(study))


@lru_cache(maxsize=4)
def _plain_rows(study: Study) -> tuple[ResultRow, ...]:
    known = {row.id: row for row in paper.ROWS}
    names = [*known, *(name for name in study.rows if name not in known)] if study.name == "table" else study.rows
    return tuple(_result_row(study, name, known.get(name)) for name in names)


@lru_cache(maxsize=4)
def contrasts(study: Study) -> tuple[Contrast, ...]:
    """The comparisons of a study's family that have numbers; p-values corrected by Holm within it."""
    labels = {row.id: row.label for row in _plain_rows(study)}
    found = {
        (pair, column): difference
        for pair in study.contrasts
        for column in compared_on(study)
        if (difference := _difference(study, *pair, column))
    }
    tested = {key: difference.p_value for key, difference in found.items() if difference.p_value is not None}
    for key, p_holm in zip(tested, holm(list(tested.values())), strict=True):
        found[key] = replace(found[key], p_holm=float(p_holm))
    made = [
        Contrast(
            *pair,
            f"{labels.get(pair[0], pair[0])} − {labels.get(pair[1], pair[1])}",
            {column: found[pair, column] for column in compared_on(study) if (pair, column) in found},
        )
        for pair in study.contrasts
    ]
    return tuple(contrast for contrast in made if contrast.differences)


def ranking(values: Sequence[float | None]) -> list[int]:
    """1 for the best value, 2 for the second best, 0 for the rest and for missing ones; equal values share a rank."""
    order = sorted({value for value in values if value is not None}, reverse=True)
    return [1 + order.index(value) if value in order[:2] else 0 for value in values]


def _result_row(study: Study, name: str, published: paper.PaperRow | None) -> ResultRow:
    runs, usable = [run for run in study.runs if run.row == name], study.usable(name)
    columns, planned = (*TEST_SETS, SEEN, *other_sets(study)), len(study.seeds)
    cells = {
        column: replace(cell, planned=planned)
        for column in columns
        if (cell := _cell(scored_on(usable, column), column))
    }
    failed = any(run.problem.startswith("failed") for run in runs)
    state = "" if usable else "failed" if failed else "refused" if any(run.record for run in runs) else "missing"
    recorded = next((run.record["row"]["label"] for run in runs if run.record), name)
    label = study.described.get(name, {}).get("label") or (published.label if published else recorded)
    return ResultRow(
        id=name,
        label=label,
        control=(study.name == "table" and published is None) or name == BASELINE.id,
        state=state,
        cells=cells,
        paths=tuple(run.path for run in runs if run.record),
        paper=published.auc if published else {},
    )


def videos_of(run: Run, column: str) -> pd.DataFrame:
    """The test videos behind a column, all seen methods together for ``SEEN``.

    No rows for a run that was not tested on it; no columns either for one without scores.
    """
    if run.videos is None:
        return pd.DataFrame()
    if column not in run.columns:
        run.columns[column] = _find_videos(run, run.videos, column)
    return run.columns[column]


def _find_videos(run: Run, videos: pd.DataFrame, column: str) -> pd.DataFrame:
    names = seen_methods(run) if column == SEEN else (column,)
    parts = [on_test_set(videos, name) for name in names if is_tested_on(run, name)]
    if not parts:
        return videos.iloc[:0]
    whole = pd.concat(parts)
    return whole[~whole.index.duplicated()]  # the reals come with every method


def drawn_run(study: Study, row: ResultRow, column: str) -> Run:
    """The run that stands for a row where one is drawn: the first seed that has its cell."""
    seed = row.cells[column].which[0]
    return next(run for run in study.usable(row.id) if run.seed == seed)


def drawn_seeds(study: Study, rows: Iterable[ResultRow], columns: Iterable[str]) -> str:
    """The seed of :func:`drawn_run` in words, with the rows that have another: ``seed 0 (seed 1 of CSN)``."""
    found = {
        row.label: min(row.cells[name].which[0] for name in columns if name in row.cells)
        for row in rows
        if any(name in row.cells for name in columns)
    }
    if not found:
        return seeds_text(study.seeds[:1] or (0,))
    first = min(found.values())
    others = by_seeds((label, () if seed == first else (seed,)) for label, seed in found.items())
    return seeds_text([first]) + (f" ({others})" if others else "")


def class_counts(study: Study, column: str) -> tuple[int, int] | None:
    """Real and fake test videos behind a column; ``None`` where no run has scores.

    Runs may be tested on different methods: the first one that has both classes tells, else the first.
    """
    scored = [run for run in study.runs if run.videos is not None and not run.problem]
    if not scored:
        return None
    labels = max((videos_of(run, column)["label"] for run in scored), key=lambda found: found.nunique())
    return int((labels == 0).sum()), int((labels == 1).sum())


def scored_on(runs: Sequence[Run], column: str) -> list[Run]:
    """The runs that have videos of both classes on a column; on ``SEEN``, on each of their seen methods."""
    return [
        run
        for run in runs
        if (names := seen_methods(run) if column == SEEN else (column,))
        and all(_has_both(videos_of(run, name)) for name in names)
    ]


def _has_both(table: pd.DataFrame) -> bool:
    return "label" in table and table["label"].nunique() == 2


def _cell(runs: Sequence[Run], column: str) -> Cell | None:
    """The cell of a column over runs that are scored on it; ``None`` where there is none.

    The mean over methods of equally many fakes, against the same reals, is the area of all of them together, so that
    its interval is too; where their numbers differ the mean is given without one.
    """
    if not runs:
        return None
    tables, cell = [videos_of(run, column) for run in runs], _seed_cell([_area(run, column) for run in runs], runs)
    if column == SEEN and not _even(runs):
        return cell
    own = next((own for table in tables if len(own := own_reals(table))), ())
    if len(own) and _same_videos(tables):
        shares = [paired_share(table["logit"][own.index], table["logit"][own]) for table in tables]
        cell = replace(cell, own_real=100 * float(np.mean(shares)))
    if not _same_videos(tables) or tables[0]["label"].value_counts().min() < 2:  # a variance takes two of each class
        return cell
    targets = shared_targets(tables)
    found = mean_area_interval(tables[0]["label"], np.stack([table["logit"] for table in tables]), targets=targets)
    count = None if targets is None else int(targets.nunique())
    return replace(cell, low=100 * found.low, high=100 * found.high, targets=count)


def _even(runs: Sequence[Run]) -> bool:
    """Whether every seen method has as many fakes as the others, in every run."""
    for run in runs:
        fakes = {int(videos_of(run, method)["label"].sum()) for method in seen_methods(run)}
        if len(fakes) > 1:
            return False
    return bool(runs)


def _area(run: Run, column: str) -> float:
    if column == SEEN and not _even([run]):
        return float(np.mean([_area(run, method) for method in seen_methods(run)]))
    table = videos_of(run, column)
    return 100 * auc(table["label"], table["logit"])


def _same_videos(tables: Sequence[pd.DataFrame]) -> bool:
    return all(table.index.equals(tables[0].index) for table in tables[1:])


def _seed_cell(values: list[float], runs: Sequence[Run]) -> Cell:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    which = tuple(run.seed for run in runs)
    return Cell(float(np.mean(values)), len(values), sd=sd, per_seed=tuple(values), which=which)


def paired_runs(study: Study, first: str, second: str, column: str) -> tuple[list[Run], list[Run]]:
    """The runs of two rows with the seeds that both have on a column, in the order of the seeds."""
    own, other = ({run.seed: run for run in scored_on(study.usable(name), column)} for name in (first, second))
    seeds = sorted(own.keys() & other.keys())
    return [own[seed] for seed in seeds], [other[seed] for seed in seeds]


def mixed_in(runs: Sequence[Run]) -> tuple[str, ...]:
    """In what runs differ, by their records, that is not the method: ``processors``, ``precisions`` or ``data``."""
    machines = [run.record.get("machine") or {} for run in runs]
    data = [run.record.get("data") or {} for run in runs]
    kept = {
        "processors": [tuple(m.get(key) for key in ("device", "processor", "capability")) for m in machines if m],
        "precisions": [m["precision"] for m in machines if m.get("precision")],
        "data": [d["fingerprint"] for d in data if d.get("fingerprint")],
        "labels or splits": [d["labels"] for d in data if d.get("labels")],
    }
    return tuple(name for name, values in kept.items() if len(set(values)) > 1)


def _difference(study: Study, row: str, reference: str, column: str) -> Difference | None:
    """The difference over the seeds that both rows have on a column; ``None`` where there is none."""
    one, two = paired_runs(study, row, reference, column)
    seeds = [run.seed for run in one]
    about: dict[str, Any] = {"mixed": mixed_in([*one, *two]), "planned": len(study.seeds)}
    if not seeds:
        return None
    tables = [videos_of(run, column) for run in (*one, *two)]
    uneven = column == SEEN and not _even([*one, *two])
    if uneven or not _same_videos(tables) or tables[0]["label"].value_counts().min() < 2:
        first, second = (float(np.mean([_area(run, column) for run in runs])) for runs in (one, two))
        return Difference(first - second, len(seeds), untested="other videos", **about)
    scores = np.stack([table["logit"] for table in tables])
    # A row that scores another's detector anew may change no score. Holm's correction would count a test of that,
    # and be the harsher on all others.
    if np.array_equal(scores[: len(seeds)], scores[len(seeds) :]):
        return Difference(0.0, len(seeds), untested="same scores", **about)
    labels, targets = tables[0]["label"], shared_targets(tables)
    test = compare_mean_areas(labels, scores[: len(seeds)], scores[len(seeds) :], targets=targets)
    low, high = max(-1.0, test.low), min(1.0, test.high)
    found = Difference(100 * test.difference, len(seeds), 100 * low, 100 * high, **about)
    # A p-value of one training run each would be taken for one of the methods.
    return replace(found, untested=ONE_SEED) if len(seeds) == 1 else replace(found, p_value=test.p_value)
