"""A study folder read back: run records and clip logits become areas with intervals, row by row.

Nothing here trains, scores or draws. ``report`` and ``plots`` both start from :func:`load_study`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd import paper
from tdd.errors import TddError
from tdd.files import read_json
from tdd.metrics import auc, auc_interval, video_scores
from tdd.names import CELEB_DF, FACEFORENSICS, SEEN_METHODS
from tdd.records import RECORD, SCHEMA

CHECKS = "checks.json"
TEST_SETS = (*paper.TEST_SETS, *SEEN_METHODS)
SYNTHETIC_SENTENCE = "These numbers come from the synthetic benchmark; they cannot confirm or refute the paper's."


@dataclass(frozen=True)
class Run:
    """One stage-2 run: where its record lies, what it holds, and why it cannot be used, if it cannot."""

    row: str
    seed: int
    path: str
    record: dict[str, Any] = field(default_factory=dict)
    videos: pd.DataFrame | None = None
    problem: str = ""


@dataclass(frozen=True)
class Study:
    """Everything a report is made from.

    ``notes`` are sentences a reader of its numbers must see; ``checks`` are numbers held against their targets.
    """

    folder: Path
    recipe: str
    synthetic: bool
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    runs: tuple[Run, ...]
    stage1: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    checks: tuple[dict[str, Any], ...] = ()

    def usable(self, row: str) -> tuple[Run, ...]:
        """Runs of ``row`` whose scores may be shown, in the order of their seeds."""
        return tuple(run for run in self.runs if run.row == row and run.videos is not None and not run.problem)


@dataclass(frozen=True)
class Cell:
    """An AUC of one row on one test set, in percent.

    One seed: ``low`` and ``high`` are 95% limits over videos. Several: ``value`` is their mean, ``sd`` their standard
    deviation, ``seeds`` their number.
    """

    value: float
    seeds: int
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    per_seed: tuple[float, ...] = ()

    def text(self) -> str:
        """The cell as a table shows it, for example ``87.1 [82.0, 91.0]`` or ``87.1 ± 1.2``."""
        if self.sd is not None:
            return f"{self.value:.1f} ± {self.sd:.1f}"
        limits = "" if self.low is None or self.high is None else f" [{self.low:.1f}, {self.high:.1f}]"
        return f"{self.value:.1f}{limits}"


@dataclass(frozen=True)
class Row:
    """One row of the result table; ``state`` is empty, ``"missing"`` or ``"refused"``."""

    id: str
    label: str
    in_paper: bool
    state: str
    cells: dict[str, Cell]
    paths: tuple[str, ...]
    paper: dict[str, float] = field(default_factory=dict)


def load_study(folder: Path) -> Study:
    """Read ``study.json``, every run record it names, and the stage-1 records beside them.

    A run without a record, with a broken one, or made from other data than the rest stays in the study with its
    ``problem`` in words; it does not stop the others.

    Raises:
        TddError: ``study.json`` is absent, not JSON, of another schema, or lacks a field.
    """
    if not (folder / "study.json").is_file():
        raise TddError(f"{folder} holds no study.json; give the folder of a study, as `tdd demo` writes it.")
    plan = _read_checked(folder / "study.json")
    absent = [name for name in ("recipe", "synthetic", "seeds", "rows", "runs") if name not in plan]
    if absent:
        raise TddError(f"{folder / 'study.json'} lacks {', '.join(absent)}; run the study again to write it anew.")
    runs = [_read_run(folder, name, path) for name, path in plan["runs"].items()]
    planned = {(run.row, run.seed) for run in runs}
    runs += [_absent_run(row, seed) for row in plan["rows"] for seed in plan["seeds"] if (row, seed) not in planned]
    runs = _refuse_other_data(runs)
    stage1, notes = _read_stage1(folder)
    records = [*stage1, *(run.record for run in runs)]
    notes += [f"{run.row}/seed{run.seed}: {run.problem}" for run in runs if run.problem]
    return Study(
        folder=folder,
        recipe=str(plan["recipe"]),
        synthetic=bool(plan["synthetic"]) or any(record.get("synthetic") for record in records),
        seeds=tuple(plan["seeds"]),
        rows=tuple(plan["rows"]),
        runs=tuple(sorted(runs, key=lambda run: run.seed)),
        stage1=tuple(stage1),
        notes=(*notes, *_uneven_tests(runs)),
        checks=_read_checks(folder, records),
    )


def on_test_set(videos: pd.DataFrame, name: str) -> pd.DataFrame:
    """The test videos behind one column of the table, from the result of :func:`tdd.metrics.video_scores`.

    A method of FaceForensics++ (FaceShifter too) is set against the FaceForensics++ test reals; Celeb-DF-v2 is used
    whole.

    Raises:
        TddError: ``name`` is not one of ``TEST_SETS``.
    """
    if name not in TEST_SETS:
        raise TddError(f"Test set {name!r} is unknown; known are {', '.join(TEST_SETS)}.")
    test = videos[videos["split"] == "test"]
    if name == CELEB_DF:
        return test[test["dataset"] == name]
    reals = (test["dataset"] == FACEFORENSICS) & (test["label"] == 0)
    return test[reals | ((test["method"] == name) & (test["label"] == 1))]


def result_rows(study: Study) -> tuple[Row, ...]:
    """The paper's seven rows in its order, then the study's further rows (controls)."""
    known = {row.id: row for row in paper.ROWS}
    return tuple(
        _result_row(study, name, known.get(name)) for name in (*known, *(r for r in study.rows if r not in known))
    )


def ranking(values: Sequence[float | None]) -> list[int]:
    """1 for the best value, 2 for the second best, 0 for the rest and for missing ones; equal values share a rank."""
    order = sorted({value for value in values if value is not None}, reverse=True)
    return [1 + order.index(value) if value in order[:2] else 0 for value in values]


def _result_row(study: Study, name: str, published: paper.PaperRow | None) -> Row:
    runs = [run for run in study.runs if run.row == name]
    usable = study.usable(name)
    label = published.label if published else next((r.record["row"]["label"] for r in runs if r.record), name)
    cells: dict[str, Cell] = {}
    for column in TEST_SETS:
        tables = [on_test_set(run.videos, column) for run in usable if run.videos is not None]
        if tables and all(table["label"].nunique() == 2 for table in tables):
            cells[column] = _cell(tables)
    if all(method in cells for method in SEEN_METHODS):
        cells["seen"] = _mean_cell([cells[method] for method in SEEN_METHODS])
    state = "" if usable else "refused" if any(run.record for run in runs) else "missing"
    return Row(
        id=name,
        label=label,
        in_paper=published is not None,
        state=state,
        cells=cells,
        paths=tuple(run.path for run in runs if run.record),
        paper=published.auc if published else {},
    )


def _cell(tables: list[pd.DataFrame]) -> Cell:
    if len(tables) > 1:
        return _seed_cell([100 * auc(table["label"], table["logit"]) for table in tables])
    labels = tables[0]["label"]
    if min(labels.sum(), (1 - labels).sum()) < 2:
        return _seed_cell([100 * auc(labels, tables[0]["logit"])])
    found = auc_interval(labels, tables[0]["logit"])
    return Cell(100 * found.value, 1, 100 * found.low, 100 * found.high, per_seed=(100 * found.value,))


def _mean_cell(cells: list[Cell]) -> Cell:
    """Mean over methods, seed by seed; without an interval, since the methods share their reals."""
    return _seed_cell(np.mean([cell.per_seed for cell in cells], axis=0).tolist())


def _seed_cell(values: list[float]) -> Cell:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Cell(float(np.mean(values)), len(values), sd=sd, per_seed=tuple(values))


def _read_checked(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise TddError(f"{path} is not of schema {SCHEMA}; it was written by another version of tdd: run it again.")
    return content


def _absent_run(row: str, seed: int) -> Run:
    return Run(row, seed, "", problem="missing: no run is listed; run the study again to complete it.")


def _read_run(folder: Path, name: str, path: str) -> Run:
    row, _, seed = name.rpartition("/seed")
    if not row or not seed.isdigit():
        raise TddError(f"{folder / 'study.json'} lists a run {name!r}; expected a name such as 'csn/seed0'.")
    where = folder / path
    if not (where / RECORD).exists():
        return Run(row, int(seed), path, problem=f"missing: no record at {path}; run the study again to complete it.")
    record: dict[str, Any] = {}
    try:
        record = _read_checked(where / RECORD)
        return Run(row, int(seed), path, record, video_scores(_read_clips(where / "clip_logits.csv")))
    except TddError as error:
        return Run(row, int(seed), path, record, problem=f"refused: {error}")


def _read_clips(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path,
            dtype={"video_id": str, "dataset": str, "method": str, "split": str},
            keep_default_na=False,  # a method may be called "None"
            na_values={"logit": ["", "nan", "NaN"]},
        )
    except (OSError, ValueError) as error:
        raise TddError(f"{path} cannot be read as a table ({error}); evaluate the run again.") from error


def _read_stage1(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    records, notes = [], []
    for path in sorted((folder / "stage1").glob(f"*/{RECORD}")):
        try:
            records.append(_read_checked(path))
        except TddError as error:
            notes.append(f"stage 1: {error}")
    return records, notes


def _read_checks(folder: Path, records: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The study's own list, which holds its runs' checks and those between runs; else the runs' checks."""
    if (folder / CHECKS).is_file():
        return tuple(read_json(folder / CHECKS))
    return tuple(check for record in records for check in record.get("checks", ()))


def _refuse_other_data(runs: list[Run]) -> list[Run]:
    """Mark runs whose data differ from those of most runs: their areas belong to another table."""
    prints = [run.record.get("data", {}).get("fingerprint", "") for run in runs]
    counts = Counter(mark for mark, run in zip(prints, runs, strict=True) if run.record and not run.problem)
    if len(counts) < 2:
        return runs
    common = counts.most_common(1)[0][0]
    words = f"the other rows from {common[:12] or 'unnamed data'}); run it again on the same data."
    return [
        Run(run.row, run.seed, run.path, run.record, None, f"refused: made from other data ({mark[:12]}; {words}")
        if run.videos is not None and mark != common
        else run
        for mark, run in zip(prints, runs, strict=True)
    ]


def _uneven_tests(runs: list[Run]) -> list[str]:
    """Say so where runs were scored on different test videos, and where a test set lacks a class."""
    tables = {f"{run.row}/seed{run.seed}": run.videos for run in runs if run.videos is not None and not run.problem}
    if not tables:
        return []
    notes = []
    for column in TEST_SETS:
        chosen = {name: on_test_set(videos, column) for name, videos in tables.items()}
        first = next(iter(chosen))
        other = [name for name, table in chosen.items() if not table.index.equals(chosen[first].index)]
        if other:
            notes.append(f"{column}: {', '.join(other)} not scored on the same videos as {first}; do not compare them.")
        labels = chosen[first]["label"]
        if labels.nunique() < 2:
            reals, fakes = int((labels == 0).sum()), int((labels == 1).sum())
            notes.append(f"{column}: no AUC, since its test set holds {reals} real and {fakes} fake videos.")
    return notes
