"""A study folder read back: what was planned, run records, and scores of videos.

Nothing here trains, scores or draws. ``report`` and ``plots`` both start from :func:`load_study`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from tdd.errors import TddError
from tdd.machine.files import read_json
from tdd.metrics import video_scores
from tdd.names import CELEB_DF, FACEFORENSICS, IDENTITIES, MADE_FROM, REALS_OF, SEEN_METHODS
from tdd.records import paper
from tdd.records.kinds import require_kinds
from tdd.records.record import CLIP_LOGITS, CONTRASTS, FAILURE, LATER, RECORD, SCHEMA, STUDY

CHECKS = "checks.json"
SCORES = "scores.parquet"
"""Beside ``stage2`` in a summary: logits of all videos, one column a run, in place of each run's clip logits."""
OLDER_SCORES = "scores.csv"
"""The same as older versions wrote it, in plain numbers."""
STEPS = 10_000
"""Whole numbers of ``SCORES`` in a logit of 1: ties that rounding makes move an AUC by far less than a thousandth."""

TEST_SETS = (*paper.TEST_SETS, *SEEN_METHODS)
FACTS = ("dataset", "method", "label", "split", IDENTITIES, MADE_FROM)
"""What a summary says of each video beside its scores; the last two where records keep them."""
COUNTED = ("reals", "fakes")
"""Keys under which records count test videos."""

LOST = (
    "The listed videos that were not scored are missing, or too short, or in the clip store's quarantine.csv with the "
    "reason; the numbers are not those of the whole list."
)
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
    stage1: str = ""
    """Folder of the stage 1 that it began from; empty where there is none."""
    columns: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Its videos by column of the table, as they were asked for: every comparison asks again."""


@dataclass(frozen=True, eq=False)
class Study:
    """Everything a report is made from.

    ``notes`` are sentences a reader of its numbers must see; ``checks`` are numbers held against their targets.
    """

    folder: Path
    name: str
    title: str
    reference: str
    """Id of the row that the others are compared with."""
    described: dict[str, dict[str, Any]]
    """What ``study.json`` says of each row, by id."""
    recipe: str
    synthetic: bool
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    runs: tuple[Run, ...]
    stage1: dict[str, dict[str, Any]]
    """Records of the stage-1 runs behind the rows, by folder."""
    notes: tuple[str, ...]
    checks: tuple[dict[str, Any], ...] = ()
    contrasts: tuple[tuple[str, str], ...] = ()
    """Ids of two rows that are compared, first less second: one family."""
    family: str = ""
    """Where that family comes from, in words."""

    def usable(self, row: str) -> tuple[Run, ...]:
        """Runs of ``row`` whose scores may be shown, in the order of their seeds."""
        return tuple(run for run in self.runs if run.row == row and run.videos is not None and not run.problem)


def seeds_text(seeds: Iterable[int]) -> str:
    """Seeds in words: ``seed 3``, ``seeds 0, 2 and 4 to 9``."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    parts = [
        part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(seed) for seed in run])
    ]
    words = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"seed {words}" if words.isdigit() else f"seeds {words}"


def by_seeds(lacking: Iterable[tuple[str, Iterable[int]]]) -> str:
    """What lacks seeds, those of the same seeds together: ``seeds 4 to 9 of csn, cnn_lstm; seed 3 of ssl_0.3``."""
    names: dict[tuple[int, ...], list[str]] = {}
    for name, seeds in lacking:
        if found := tuple(sorted(seeds)):
            names.setdefault(found, []).append(name)
    return "; ".join(f"{seeds_text(seeds)} of {', '.join(own)}" for seeds, own in names.items())


def load_study(folder: Path) -> Study:
    """Read ``study.json``, every run record it names, and the stage-1 records beside them.

    A run without a record, with a broken one, or made from other data than the rest stays in the study with its
    ``problem`` in words; it does not stop the others.

    Raises:
        TddError: ``study.json`` is absent, not JSON, of another schema, or lacks a field.
    """
    if not (folder / STUDY).is_file():
        raise TddError(f"{folder} holds no study.json; give the folder of a study, as `tdd demo` writes it.")
    plan = _read_checked(folder / STUDY)
    absent = [name for name in ("recipe", "synthetic", "seeds", "rows", "runs") if name not in plan]
    if absent:
        raise TddError(f"{folder / 'study.json'} lacks {', '.join(absent)}; run the study again to write it anew.")
    firsts = plan.get("stage1", {})
    runs = [_read_run(folder, name, path, firsts.get(name, "")) for name, path in plan["runs"].items()]
    planned = {(run.row, run.seed) for run in runs}
    runs += [_absent_run(row, seed) for row in plan["rows"] for seed in plan["seeds"] if (row, seed) not in planned]
    runs = _refuse_other_data(runs)
    stage1, notes = _read_stage1(folder, sorted(set(firsts.values())))
    records = [*stage1.values(), *(run.record for run in runs)]
    notes += [
        f"{run.row}/seed{run.seed}: {run.problem}"
        for run in runs
        if run.problem and not run.problem.startswith(MISSING)
    ]
    notes += _missing(runs, plan["rows"])
    return Study(
        folder=folder,
        name=str(plan.get("study", "table")),
        title=str(plan.get("title", "the paper's table")),
        reference=str(plan.get("reference", "csn")),
        described=dict(plan.get("described", {})),
        recipe=str(plan["recipe"]),
        # One synthetic record is enough: its numbers must never pass for real ones.
        synthetic=bool(plan["synthetic"]) or any(record.get("synthetic") for record in records),
        seeds=tuple(plan["seeds"]),
        rows=tuple(plan["rows"]),
        runs=tuple(sorted(runs, key=lambda run: run.seed)),
        stage1=stage1,
        notes=(*notes, *_uneven_tests(runs)),
        checks=_read_checks(folder, records, _first_users(plan, runs)),
        contrasts=(family := _contrasts(plan))[0],
        family=family[1],
    )


STATED = "stated before the study was run"
STATED_LATER = "that is stated for these rows, but was so only after some or all of these runs"
OF_PLAN = "of the study's plan, all rows against one"
ASKED = "asked for afterwards, not stated before"


def _contrasts(plan: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], str]:
    """The family of a plan, and where it comes from; older plans keep none, and the name says that of a table."""
    rows = [str(row) for row in plan["rows"]]
    table = paper.CONTRASTS if plan.get("study", "table") == "table" else ()
    own = STATED_LATER if plan.get(LATER) else STATED
    for pairs, family in ((plan.get(CONTRASTS) or (), own), (table, STATED_LATER)):
        found = tuple((str(first), str(second)) for first, second in pairs if {first, second} <= set(rows))
        if found:
            return found, family
    return against(rows, str(plan.get("reference", "csn"))), OF_PLAN


def against(rows: Iterable[str], reference: str) -> tuple[tuple[str, str], ...]:
    """Every row less the one of reference."""
    return tuple((row, reference) for row in rows if row != reference)


def compared_with(study: Study, reference: str) -> Study:
    """The study with another family: all its rows less ``reference``, which was not stated before it was run.

    Raises:
        TddError: it has no such row.
    """
    if reference not in study.rows:
        raise TddError(f"{study.folder} has no row '{reference}'; its rows are: {', '.join(study.rows)}.")
    return replace(study, reference=reference, contrasts=against(study.rows, reference), family=ASKED)


def require_row(places: Sequence[Path], row: str) -> None:
    """Refuse studies of which one has no such row, before anything is made of the others.

    Raises:
        TddError: a study lacks ``row``; or its ``study.json`` cannot be used.
    """
    rows = {place: _read_checked(place / STUDY).get("rows", ()) for place in places}
    lacking = [place for place in places if row not in rows[place]]
    if not lacking:
        return
    if len(places) == 1:
        raise TddError(f"{places[0]} has no row '{row}'; its rows are: {', '.join(rows[places[0]])}.")
    raise TddError(
        f"{len(lacking)} of {len(places)} studies have no row '{row}': {', '.join(map(str, lacking))}; give the folder "
        "of one study that has it."
    )


def made_with(name: str, reference: str | None) -> str:
    """Name of a folder of results; those of another family than the study's own get one beside it."""
    return f"{name}-vs-{reference}" if reference else name


def find_studies(folder: Path) -> list[Path]:
    """The study in ``folder``, if it is one, and those in its subfolders.

    Raises:
        TddError: there is none.
    """
    found = [path.parent for path in (folder / STUDY, *sorted(folder.glob(f"*/{STUDY}"))) if path.is_file()]
    if not found:
        raise TddError(f"{folder} holds no study; give a folder that `tdd study` or `tdd demo` wrote to.")
    return found


def on_test_set(videos: pd.DataFrame, name: str) -> pd.DataFrame:
    """The test videos behind one column of the table, from the result of :func:`tdd.metrics.video_scores`.

    A method is set against the test reals of its data set, or of the one that this was made from (``REALS_OF``);
    Celeb-DF-v2 is used whole. Of a method of the paper that no test video is of, the FaceForensics++ reals are left.

    Raises:
        TddError: ``name`` is not one of ``TEST_SETS``, and no method of the test videos.
    """
    test = videos[videos["split"] == "test"]
    if name == CELEB_DF:
        return test[test["dataset"] == name]
    fakes = (test["method"] == name) & (test["label"] == 1)
    if name not in TEST_SETS and not fakes.any():
        raise TddError(f"Test set {name!r} is unknown; known are {', '.join((*TEST_SETS, *_other_methods(videos)))}.")
    sources = set(test.loc[fakes, "dataset"].replace(REALS_OF)) or {FACEFORENSICS}
    return test[(test["dataset"].isin(sources) & (test["label"] == 0)) | fakes]


# Every row, comparison and figure asks. A study read anew is another key: it has no __eq__.
@lru_cache(maxsize=4)
def other_sets(study: Study) -> tuple[str, ...]:
    """The forgery methods that a study's runs were tested on beside those of the paper's table, by name."""
    found = [_other_methods(run.videos) for run in study.runs if run.videos is not None and not run.problem]
    return tuple(sorted(set().union(*found)))


def _other_methods(videos: pd.DataFrame) -> set[str]:
    fakes = videos[(videos["label"] == 1) & (videos["split"] == "test") & (videos["dataset"] != CELEB_DF)]
    return set(fakes["method"]) - set(TEST_SETS)


def is_tested_on(run: Run, name: str) -> bool:
    """Whether :func:`on_test_set` knows a column for a run: the paper's always, others where it has such fakes."""
    return run.videos is not None and (name in TEST_SETS or name in _other_methods(run.videos))


def seen_methods(run: Run) -> tuple[str, ...]:
    """The methods that a run was trained on and tested on, by its record; the paper's where it says nothing."""
    named = run.record.get("recipe", {}).get("stage2", {}).get("methods") or SEEN_METHODS
    return tuple(name for name in named if (name in TEST_SETS if run.videos is None else is_tested_on(run, name)))


def of_listed(found: int, listed: int) -> str:
    """``140`` where all that are listed were found, else ``139 of 140``."""
    return f"{found}" if found >= listed else f"{found} of {listed}"


def listed_in(run: Run, name: str) -> tuple[int, int] | None:
    """Real and fake videos that the lists name for a column of the table; ``None`` where the record does not say."""
    known = run.record.get("listed") or {}
    counts = known.get("datasets" if name == CELEB_DF else "methods", {}).get(name)
    return counts and (counts[COUNTED[0]], counts[COUNTED[1]])


def _read_checked(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise TddError(f"{path} is not of schema {SCHEMA}; it was written by another version of tdd: run it again.")
    return content


MISSING = "missing"
"""How the problem of a run begins that has neither a record nor a failure."""


def _absent_run(row: str, seed: int) -> Run:
    return Run(row, seed, "", problem=f"{MISSING}: no run is listed; run the study again to complete it.")


def _missing(runs: Sequence[Run], rows: Iterable[str]) -> list[str]:
    """One sentence for all runs that are not there, and the place of the first; none where all are."""
    absent = [run for run in runs if run.problem.startswith(MISSING)]
    if not absent:
        return []
    by_row = {row: [run for run in absent if run.row == row] for row in rows}
    which = by_seeds((row, [run.seed for run in found]) for row, found in by_row.items())
    places = (run.path for found in by_row.values() for run in found if run.path)
    place = next((f" (the first is looked for at {path})" for path in places), "")
    return [f"No record yet of {which}{place}; run the study again to complete it."]


def _read_run(folder: Path, name: str, path: str, stage1: str) -> Run:
    row, _, seed = name.rpartition("/seed")
    if not row or not seed.isdigit():
        raise TddError(f"{folder / STUDY} lists a run {name!r}; expected a name such as 'csn/seed0'.")
    where, known = folder / path, Run(row, int(seed), path, stage1=stage1)
    if not (where / RECORD).exists():
        return replace(known, problem=_why_absent(folder, path, stage1))
    record: dict[str, Any] = {}
    try:
        record = require_kinds(_read_checked(where / RECORD), where / RECORD)
        return replace(known, record=record, videos=_read_videos(where))
    except TddError as error:
        return replace(known, record=record, problem=f"refused: {error}")


def _why_absent(folder: Path, path: str, stage1: str) -> str:
    """Why a run has no record: its own failure, that of its stage 1, or that it was never begun."""
    for cause in filter(None, (path, stage1)):
        if (folder / cause / FAILURE).is_file() and not (folder / cause / RECORD).is_file():
            said = str(read_json(folder / cause / FAILURE).get("sentence", "no reason kept"))
            return f"failed{'' if cause == path else ', its stage 1'}: {said}"
    return f"{MISSING}: no record at {path}; run the study again to complete it."


def _read_videos(where: Path) -> pd.DataFrame:
    """Video scores of a run: from its clip logits, or from the column of a summary."""
    wide = next((path for name in (SCORES, OLDER_SCORES) if (path := where.parents[1] / name).is_file()), None)
    if (where / CLIP_LOGITS).is_file() or wide is None:
        return video_scores(_read_clips(where / CLIP_LOGITS))
    column, about = f"{where.parent.name}/{where.name}", wide.stat()
    table = _read_wide(wide, about.st_mtime_ns, about.st_size)
    if column not in table:
        raise TddError(
            f"{wide} has no column {column}: the run could not be used when the summary was written, or it is newer; "
            "write the summary again."
        )
    # An empty cell is a video that this run did not score.
    videos = table[[name for name in FACTS if name in table]].assign(logit=table[column])
    return videos.dropna(subset="logit").assign(score=lambda kept: expit(kept["logit"]))


# Each run of a summary asks for the same table; a file that changed is another key.
@lru_cache(maxsize=2)
def _read_wide(path: Path, _changed: int, _size: int) -> pd.DataFrame:
    """The scores of a summary, logits as numbers, NaN where a run did not score a video; indexed by ``video_id``."""
    try:
        if path.name == OLDER_SCORES:
            table = pd.read_csv(
                path, index_col="video_id", dtype=dict.fromkeys((IDENTITIES, MADE_FROM), str), keep_default_na=False
            )
            return table.assign(**{str(run): pd.to_numeric(table[run], "coerce") for run in table if run not in FACTS})
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False).to_pandas(use_threads=False).set_index("video_id")
        return table.assign(**{str(run): table[run] / STEPS for run in table if run not in FACTS})
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise TddError(f"{path} cannot be read as a table ({error}); write the summary again.") from error


def _read_clips(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path,
            dtype=dict.fromkeys(("video_id", "dataset", "method", "split", IDENTITIES, MADE_FROM), str),
            keep_default_na=False,  # a method may be called "None"
            na_values={"logit": ["", "nan", "NaN"]},  # stays a column of numbers, for video_scores to name the clip
        )
    except (OSError, ValueError) as error:
        raise TddError(f"{path} cannot be read as a table ({error}); evaluate the run again.") from error


def _read_stage1(folder: Path, paths: list[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    records, notes = {}, []
    for path in paths:
        try:
            if (folder / path / RECORD).is_file():
                records[path] = _read_checked(folder / path / RECORD)
        except TddError as error:
            notes.append(f"stage 1: {error}")
    return records, notes


def first_rows(runs: Sequence[Run]) -> dict[str, str]:
    """Place of a stage 1, as :attr:`Run.stage1` has it -> the first row that begins from it."""
    return {run.stage1: run.row for run in reversed(runs) if run.stage1}  # the first row comes last, and stays


def _first_users(plan: dict[str, Any], runs: Sequence[Run]) -> dict[str, str]:
    """Name of a stage 1's run -> label of the first row that begins from it, where its backbone does not name it."""
    described = plan.get("described", {})
    users = {Path(place).name: described.get(row, {}).get("label", row) for place, row in first_rows(runs).items()}
    return users if len(set(users.values())) > len({name.partition("-")[0] for name in users}) else {}


def _read_checks(folder: Path, records: list[dict[str, Any]], users: dict[str, str]) -> tuple[dict[str, Any], ...]:
    """The study's own list, which holds its runs' checks and those between runs; else the runs' checks, by seed."""
    if (folder / CHECKS).is_file():
        return tuple(read_json(folder / CHECKS))
    several = len({record.get("seed") for record in records if record}) > 1
    found = []
    for record in sorted(records, key=lambda known: known.get("seed") or 0):  # an absent run's record is empty
        whose = [f"seed {record['seed']}" if several and record else "", users.get(record.get("name", ""), "")]
        found += [
            check | {"sentence": ", ".join(filter(None, (*whose, check["sentence"])))}
            for check in record.get("checks", ())
        ]
    return tuple(found)


def _refuse_other_data(runs: list[Run]) -> list[Run]:
    """Mark runs whose data differ from those of most runs: their areas belong to another table."""
    prints = [run.record.get("data", {}).get("fingerprint", "") for run in runs]
    counts = Counter(mark for mark, run in zip(prints, runs, strict=True) if run.record and not run.problem)
    if len(counts) < 2:
        return runs
    common = counts.most_common(1)[0][0]
    words = f"the other rows from {common[:12] or 'unnamed data'}); run it again on the same data."
    return [
        replace(run, videos=None, problem=f"refused: made from other data ({mark[:12]}; {words}")
        if run.videos is not None and mark != common
        else run
        for mark, run in zip(prints, runs, strict=True)
    ]


def _uneven_tests(runs: list[Run]) -> list[str]:
    """Say so where runs were scored on different test videos, and where a test set lacks a class."""
    tables = {f"{run.row}/seed{run.seed}": run.videos for run in runs if run.videos is not None and not run.problem}
    if not tables:
        return []
    notes, uneven = [], defaultdict(list)
    others = sorted(set().union(*map(_other_methods, tables.values())))
    for column in (*TEST_SETS, *others):
        every = {
            name: on_test_set(videos, column)
            for name, videos in tables.items()
            if column in TEST_SETS or column in _other_methods(videos)
        }
        # A run without one of the classes has no area there, and no part in any comparison.
        chosen = {name: table for name, table in every.items() if table["label"].nunique() == 2} or every
        first = next(iter(chosen))
        other = [name for name, table in chosen.items() if not table.index.equals(chosen[first].index)]
        if other:
            # Kept by sentence, so that it is said once for all columns.
            uneven[f"{', '.join(other)} not scored on the same videos as {first}; no paired test."].append(column)
        labels = chosen[first]["label"]
        if len(labels) and labels.nunique() < 2:
            reals, fakes = int((labels == 0).sum()), int((labels == 1).sum())
            notes.append(f"{column}: no AUC, since its test set holds {reals} real and {fakes} fake videos.")
    return notes + [f"{', '.join(columns)}: {sentence}" for sentence, columns in uneven.items()]
