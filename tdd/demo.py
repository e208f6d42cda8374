"""The main job: synthetic videos to the paper's table, in five steps that each publish what the next one reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from tdd.config import load_recipe
from tdd.errors import TddError
from tdd.machine.files import check_space, check_writable, write_json
from tdd.machine.progress import step
from tdd.plots import draw_figures
from tdd.preprocess.prepare import prepare
from tdd.records.plans import PROPOSED, TABLE, select_rows
from tdd.records.record import BESIDE, CLIP_LOGITS, STUDY, Check, read_record
from tdd.report.report import Report
from tdd.report.write import write_report
from tdd.study import Job, StudyProgress, run_study, study_jobs
from tdd.synth.trees import write_benchmark

RECIPES = {"tiny": "tiny", "demo": "demo", "study": "study", "full": "paper"}
"""Size of the synthetic benchmark to the recipe that goes with it."""

DISK_BYTES = {"tiny": 100e6, "demo": 1.5e9, "study": 3e9, "full": 200e9}
"""Videos, clip store and runs of a size, bytes."""

CHECKS = "checks.json"


def run_demo(
    size: str,
    out: Path,
    console: Console,
    rows: Iterable[str] | None = None,
    seeds: Iterable[int] = (0,),
    workers: int | None = None,
) -> Report:
    """Make the data, prepare it, train and score every row, and write the report; goes on where it stopped.

    Args:
        size: of the benchmark and its recipe: ``tiny``, ``demo``, ``study`` or ``full``.
        out: folder for everything.
        console: where progress is shown.
        rows: rows of the table; all when ``None``.
        seeds: one set of runs for each.
        workers: processes; all cores when ``None``.

    Raises:
        TddError: unknown size or row, no write access, too little space, or runs that failed.
    """
    if size not in RECIPES:
        raise TddError(f"Unknown size '{size}'; the sizes are: {', '.join(RECIPES)}.")
    plan, recipe, seeds = select_rows(TABLE, rows), load_recipe(RECIPES[size]), tuple(seeds)
    jobs = study_jobs(plan.rows, seeds, recipe)
    if not (out / STUDY).is_file():
        check_space(out, int(DISK_BYTES[size]))
    check_writable(out)
    data, store = out / "data", out / "store"
    with step("1/4 Synthetic videos", console) as progress:
        write_benchmark(data, size, workers=workers, progress=progress)
    with step("2/4 Aligned faces", console, "videos") as progress:
        prepared = prepare(data, store, recipe.clip, workers, progress)
    if len(prepared.failed):
        console.print(
            f"  {len(prepared.failed)} videos could not be used; the reasons are in {store / 'quarantine.csv'}"
        )
    with step(f"3/4 Training and scoring, {len(jobs)} runs", console) as progress:
        relay = StudyProgress(jobs, out, lambda sentence: console.print(f"  {sentence}"), progress)
        failures = run_study(plan, seeds, store, recipe, out, out, workers, relay)
    with step("4/4 Table and figures", console):
        write_json(out / CHECKS, study_checks(out, jobs))
        report = write_report(out)
        draw_figures(out)
    if failures:
        raise TddError(f"{len(failures)} of {len(jobs)} runs failed. " + " ".join(failures))
    return report


def results_text(out: Path) -> str:
    """Where a finished demo has left what a reader looks for, in one line; ``out`` as for :func:`run_demo`."""
    tables = f"{out / 'report' / 'table.md'} (and .csv, .tex)"
    return f"Table: {tables}; figures: {out / 'figures'}; scores of the clips: {out / 'stage2' / '*' / CLIP_LOGITS}"


def seen_auc(record: dict[str, Any]) -> float:
    """Mean AUC over the methods that stage 2 was trained on."""
    methods = record["recipe"]["stage2"]["methods"]
    return sum(record["metrics"][method]["auc"] for method in methods) / len(methods)


def study_checks(out: Path, jobs: list[Job]) -> list[dict[str, Any]]:
    """What should hold on the demo, held against its records: a check that fails is shown, not hidden.

    Beside them, without a verdict: what stage 1 and the paper's own row add to training from scratch.
    """
    records = {job.run: read_record(out / job.run) for job in jobs}
    checks = [check for record in records.values() if record for check in record["checks"]]
    for seed in sorted({job.seed for job in jobs}):
        with_stage1, scratch = records.get(f"stage2/ssl_0.0-seed{seed}"), records.get(f"stage2/scratch-seed{seed}")
        if with_stage1 and scratch:
            better, worse = seen_auc(with_stage1), seen_auc(scratch)
            sentence = (
                f"seed {seed}: mean AUC on seen methods is {better:.3f} from stage 1 and {worse:.3f} from scratch "
                "(one seed says little)."
            )
            checks.append(Check("stage 1 beside scratch", better, worse, sentence, BESIDE).to_dict())
        proposed = records.get(f"stage2/{PROPOSED.id}-seed{seed}")
        if proposed and scratch:
            theirs, worse = seen_auc(proposed), seen_auc(scratch)
            sentence = (
                f"seed {seed}: mean AUC on seen methods is {theirs:.3f} with the paper's own ssl_weight "
                f"{PROPOSED.ssl_weight} and {worse:.3f} from scratch (one seed says little)."
            )
            checks.append(Check("the paper's row beside scratch", theirs, worse, sentence, BESIDE).to_dict())
    return checks
