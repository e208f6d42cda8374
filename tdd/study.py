"""Studies: the runs behind a table, in order of need, spread over processes; finished runs are never redone."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tdd.config import Recipe, recipe_from_dict
from tdd.data.store import SIZES, ClipStore
from tdd.errors import TddError
from tdd.files import as_json, write_json
from tdd.paper import ROWS, PaperRow
from tdd.parallel import InlinePool, begin_worker, cpu_count
from tdd.records import UNREAD, read_record

STUDY = "study.json"
SCRATCH = PaperRow("scratch", "no stage 1", "cnn_gru_attention", 0.0, {})
"""Not in the paper: the same detector without stage 1, so that the demo can say what stage 1 adds."""

TABLE: tuple[PaperRow, ...] = (*ROWS, SCRATCH)
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """One run of a study."""

    run: str
    """Folder below the study's, and the job's name."""
    row: PaperRow
    seed: int
    needs: str | None
    """The stage-1 run that must be finished first (stage 2); ``None`` when nothing must."""

    @property
    def stage(self) -> int:
        """1 or 2."""
        return 1 if self.run.startswith("stage1/") else 2


JobProgress = Callable[[Job, float], None]
"""Called with a job and the share of it that is done; 1 when it is finished."""


def select_rows(names: Iterable[str] | None) -> tuple[PaperRow, ...]:
    """The named rows of the table, all when ``None``.

    Raises:
        TddError: a name that is no row's.
    """
    known = {row.id: row for row in TABLE}
    chosen = list(known) if names is None else list(names)
    for name in chosen:
        if name not in known:
            raise TddError(f"Unknown row '{name}'; the rows are: {', '.join(known)}.")
    return tuple(known[name] for name in known if name in chosen)


def table_jobs(rows: Iterable[PaperRow], seeds: Iterable[int]) -> list[Job]:
    """The runs behind ``rows`` x ``seeds``; rows of one backbone share its stage 1."""
    first: dict[str, Job] = {}
    second: list[Job] = []
    for seed in seeds:
        for row in rows:
            name = f"stage1/{row.backbone}-seed{seed}"
            if row is not SCRATCH:
                first.setdefault(name, Job(name, row, seed, None))
            second.append(Job(f"stage2/{row.id}-seed{seed}", row, seed, None if row is SCRATCH else name))
    return [*first.values(), *second]


def run_study(
    store: Path,
    out: Path,
    recipe: Recipe,
    rows: Iterable[PaperRow],
    seeds: Iterable[int],
    workers: int | None = None,
    progress: JobProgress | None = None,
) -> list[str]:
    """Run every job whose record is not there yet.

    A run that fails is reported at the end and does not stop those that do not need it.

    Args:
        store: folder of the clip store.
        out: the study's folder; gets ``study.json`` and one folder a run.
        recipe: every number of the runs.
        rows: rows of the table.
        seeds: one set of runs for each.
        workers: processes; one a core where the recipe gives each run one thread, else one.
        progress: see :data:`JobProgress`.

    Returns:
        one sentence for each run that failed; empty when all went well.

    Raises:
        TddError: no store, a store of other crops than the recipe's, or runs of other settings in ``out``.
    """
    rows, seeds = tuple(rows), tuple(seeds)
    jobs, clips = table_jobs(rows, seeds), ClipStore(store)
    clips.require(recipe.clip, *SIZES, "frame_rate")
    for job in jobs:
        _refuse_other_runs(job, out, recipe, clips.fingerprint)
    write_json(out / STUDY, _describe(rows, seeds, recipe, clips))
    workers = workers or (cpu_count() if recipe.machine.threads == 1 else 1)
    return _Scheduler(jobs, store, out, recipe, progress or (lambda *_: None)).run(workers)


def _describe(rows: tuple[PaperRow, ...], seeds: tuple[int, ...], recipe: Recipe, store: ClipStore) -> dict[str, Any]:
    runs = {f"{row.id}/seed{seed}": f"stage2/{row.id}-seed{seed}" for row in rows for seed in seeds}
    return {
        "schema": 1, "recipe": recipe.name, "synthetic": store.plan["synthetic"], "seeds": list(seeds),
        "rows": [row.id for row in rows], "runs": runs,
    }  # fmt: skip


def _refuse_other_runs(job: Job, out: Path, recipe: Recipe, fingerprint: str) -> None:
    record = read_record(out / job.run)
    if record is None:
        return
    unread = UNREAD[f"stage{job.stage}"]
    same = {key: value for key, value in record["recipe"].items() if key not in unread}
    mine = {key: value for key, value in as_json(recipe.to_dict()).items() if key not in unread}
    if same != mine or record["data"]["fingerprint"] != fingerprint:
        what = "other settings" if same != mine else "other data"
        raise TddError(f"{out / job.run} is a finished run with {what}; choose another folder or delete that one.")


class _Scheduler:
    """Starts each job once what it needs is finished, as long as a process is free."""

    def __init__(self, jobs: list[Job], store: Path, out: Path, recipe: Recipe, progress: JobProgress) -> None:
        self.store, self.out, self.recipe, self.progress = store, out, recipe, progress
        self.jobs = {job.run: job for job in jobs}
        self.finished = {job.run for job in jobs if read_record(out / job.run)}
        self.waiting = [job for job in jobs if job.run not in self.finished]
        self.failures: dict[str, str] = {}

    def run(self, workers: int) -> list[str]:
        for run in self.finished:
            self.progress(self.jobs[run], 1.0)
        if workers == 1 or not self.waiting:
            self._drive(InlinePool(), queue.Queue(), 1)
        else:
            context = get_context("spawn")
            with context.Manager() as manager:
                pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
                self._drive(pool, manager.Queue(), workers)
        return [f"{run}: {sentence}" for run, sentence in self.failures.items()]

    def _drive(self, pool: Executor, messages: Any, workers: int) -> None:
        running: dict[Future[None], Job] = {}
        try:
            while self.waiting or running:
                for job in self._ready(workers - len(running)):
                    running[pool.submit(_run_job, job, self.store, self.out, self.recipe.to_dict(), messages)] = job
                done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                self._relay(messages)
                for future in done:
                    self._settle(running.pop(future), future)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ready(self, free: int) -> list[Job]:
        for job in [job for job in self.waiting if job.needs in self.failures]:
            self.waiting.remove(job)
            self.failures[job.run] = f"not run, for {job.needs} failed"
        ready = [job for job in self.waiting if job.needs is None or job.needs in self.finished][: max(0, free)]
        self.waiting = [job for job in self.waiting if job not in ready]
        return ready

    def _relay(self, messages: Any) -> None:
        while True:
            try:
                run, share = messages.get_nowait()
            except queue.Empty:
                return
            self.progress(self.jobs[run], share)

    def _settle(self, job: Job, future: Future[None]) -> None:
        try:
            future.result()
            self.finished.add(job.run)
            self.progress(job, 1.0)
        except TddError as error:
            self.failures[job.run] = str(error)
        except BrokenProcessPool as error:
            raise TddError(
                f"A process of the study was killed during {job.run}, most often for lack of memory; "
                "run the same command again: finished runs are kept."
            ) from error


def _prepare_worker() -> None:
    os.environ["OMP_WAIT_POLICY"] = "passive"  # a spinning thread of one run would steal the core of another
    begin_worker()


def _run_job(job: Job, store: Path, out: Path, recipe_values: dict[str, Any], messages: Any) -> None:
    from tdd.detect import detect
    from tdd.pretrain import pretrain

    recipe, clips = recipe_from_dict(recipe_values), ClipStore(store)

    def report(done: int, total: int) -> None:
        messages.put((job.run, min(0.99, done / total)))

    if job.stage == 1:
        pretrain(clips, job.row.backbone, recipe, out / job.run, job.seed, report)
    else:
        detect(clips, job.row, recipe, out / job.run, out / job.needs if job.needs else None, job.seed, report)
