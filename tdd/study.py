"""Running a study: rows x seeds as jobs, each row from the stage 1 it shares; finished runs are never redone."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdd.config import EVALUATION, STAGE1, STAGE2, TRIVIAL, MachineConfig, Recipe, recipe_from_dict
from tdd.data.store import SIZES, ClipStore
from tdd.errors import AlreadySaidError, TddError
from tdd.machine.files import check_writable, held_alone, read_json, write_json
from tdd.machine.limits import cpu_count
from tdd.machine.parallel import Engine, InlinePool
from tdd.machine.scheduler import Scheduler, process_engine
from tdd.names import CELEB_DF_METHOD, FACESHIFTER
from tdd.records.plans import Plan
from tdd.records.record import CONTRASTS, FAILURE, LATER, RECORD, STUDY, read_record
from tdd.records.rows import Row, stage1_digest, stage1_recipe
from tdd.training.finished import finished_record

COSTS = {STAGE1: 1.8, STAGE2: 1.0, EVALUATION: 0.1, TRIVIAL: 0.1}
"""Time of a job beside a stage-2 run of the same network, for the estimate of the time left."""
CSN_COST = 2.0


@dataclass(frozen=True)
class Job:
    """One run of a study."""

    run: str
    """Folder below that of all runs, and the job's name."""
    kind: str
    row: Row
    seed: int
    needs: str | None
    """The run that must be finished first: its stage 1, or the detector that it scores; ``None`` when nothing must."""

    @property
    def cost(self) -> float:
        """Time it takes, in stage-2 runs of a small network."""
        return COSTS[self.kind] * (CSN_COST if self.row.backbone == "csn" else 1.0)

    def recipe(self, base: Recipe) -> Recipe:
        """Every number of the run."""
        mine = self.row.recipe(base)
        return stage1_recipe(mine, self.row.backbone) if self.kind == STAGE1 else mine


JobProgress = Callable[[Job, float], None]
"""Called with a job and the share of it that is done; 1 when it is finished."""


def study_jobs(rows: Iterable[Row], seeds: Iterable[int], recipe: Recipe) -> list[Job]:
    """The runs behind ``rows`` x ``seeds``, seed by seed: stage 1 first, then the rows in their order.

    Rows whose stage 1 depends on the same settings share it; rows that differ in what is scored share a detector.

    Raises:
        TddError: a row overrides what no setting has.
    """
    jobs: dict[str, Job] = {}
    rows = tuple(rows)
    for seed in seeds:
        for row in (row.detector_of or row for row in rows):
            if row.from_stage1:
                name = stage1_run(row, seed, recipe)
                jobs.setdefault(name, Job(name, STAGE1, row, seed, None))
        for row in rows:
            if row.trivial:
                jobs.setdefault(name := stage2_run(row, seed), Job(name, TRIVIAL, row, seed, None))
                continue
            trained = row.detector_of or row
            first = stage1_run(trained, seed, recipe) if trained.from_stage1 else None
            detector = Job(stage2_run(trained, seed), STAGE2, trained, seed, first)
            jobs.setdefault(detector.run, detector)
            if row.detector_of:
                jobs.setdefault(name := stage2_run(row, seed), Job(name, EVALUATION, row, seed, detector.run))
    return list(jobs.values())


def stage1_run(row: Row, seed: int, recipe: Recipe) -> str:
    """Folder of the stage 1 of a row: named by its network, and by a digest where its settings are the row's own."""
    digest = stage1_digest(row.recipe(recipe), row.backbone)
    own = "" if digest == stage1_digest(recipe, row.backbone) else f"-{digest}"
    return f"stage1/{row.backbone}{own}-seed{seed}"


def stage2_run(row: Row, seed: int) -> str:
    """Folder of a row's scores."""
    return f"stage2/{row.id}-seed{seed}"


def run_study(
    plan: Plan,
    seeds: Sequence[int],
    store: Path,
    recipe: Recipe,
    runs: Path,
    folder: Path,
    workers: int | None = None,
    progress: JobProgress | None = None,
    engine: Engine | None = None,
) -> list[str]:
    """Run every job of a study whose record is not there yet.

    A run that fails leaves ``failure.json``, is reported at the end and tried again by the next call; it does not stop
    those that do not need it. Processes that torchrun or srun began all call this alike: together they do one run after
    the other, and the first failure ends them.

    Args:
        plan: rows, and what they are compared with.
        seeds: one set of runs for each.
        store: folder of the clip store.
        recipe: every number of the runs but the rows' own.
        runs: folder of the runs, one folder each, shared by all studies that name it.
        folder: of the study; gets ``study.json``. The comparisons that it states already stay as they are once a run of
            their rows is there; comparisons that come after such a run are marked as stated later.
        workers: jobs at a time; ``None``: see :func:`local_engine`, or all that another engine has.
        progress: see :data:`JobProgress`.
        engine: where the jobs run; processes of this machine when ``None``.

    Returns:
        one sentence for each run that failed; empty when all went well.

    Raises:
        TddError: no store, a store of other crops than the recipe's or without a method that it names, runs of other
            settings in ``runs``, another process that writes there, or fewer devices than the recipe asks for.
    """
    from tdd.evaluation.selection import seen_videos
    from tdd.machine.ranks import from_leader, leads, world

    jobs, clips = study_jobs(plan.rows, seeds, recipe), ClipStore(store)
    clips.require(recipe.clip, *SIZES, "frame_rate")
    for job in jobs:
        row = None if job.kind == STAGE1 else job.row  # of a stage 1, several rows may be
        mine = job.recipe(recipe)
        finished = finished_record(runs / job.run, job.kind, job.row.backbone, mine, job.seed, clips, row)
        if not finished and job.kind == STAGE2:
            seen_videos(clips.index, mine)  # refuses methods that are not there now, not after stage 1
    engine = engine or local_engine(recipe.machine)
    from_leader(check_writable, runs)
    with held_alone(runs, "tdd study") if leads() else nullcontext():
        described = _describe(plan, seeds, recipe, clips, os.path.relpath(runs, folder))
        from_leader(lambda: write_json(folder / STUDY, described | _stated(plan, runs, folder)))
        done = from_leader(lambda: [job.run for job in jobs if read_record(runs / job.run)])
        work = functools.partial(_run_job, store=store, runs=runs, recipe=recipe.to_dict())
        scheduler = Scheduler(jobs, done, work, progress or (lambda *_: None), stop_at_failure=world() > 1)
        failures = scheduler.run(workers, engine)
    return [f"{run}: {sentence}" for run, sentence in failures.items()]


def local_engine(machine: MachineConfig) -> Engine:
    """Processes of this machine: one a GPU where runs use GPUs, else one a core if a run has one thread, else one.

    With several GPUs each process sees one of its own; where a run takes several devices, as many as it takes, and
    there are fewer processes. One of several processes that do the runs together is alone.

    Raises:
        TddError: there are fewer devices than a run takes.
    """
    from tdd.data.clips import on_gpu, visible_gpus
    from tdd.machine.launch import require_devices
    from tdd.machine.ranks import world

    if world() > 1:
        return lambda *_: InlinePool()
    gpus, each = visible_gpus() if on_gpu(machine) else [], machine.devices
    require_devices(each, gpus)
    most = len(gpus) or (cpu_count() if machine.threads == 1 else 1)
    return process_engine(max(1, most // each), gpus, each)


def _describe(plan: Plan, seeds: Sequence[int], recipe: Recipe, store: ClipStore, runs: str) -> dict[str, Any]:
    """What ``study.json`` says: the plan, and the folder of each run from the study's own."""
    base = "" if runs == "." else Path(runs).as_posix() + "/"
    pairs = {f"{row.id}/seed{seed}": (row, seed) for row in plan.rows for seed in seeds}
    firsts = {name: (row.detector_of or row, seed) for name, (row, seed) in pairs.items()}
    return {
        "schema": 1, "study": plan.name, "title": plan.title, "reference": plan.reference, "recipe": recipe.name,
        "synthetic": store.plan["synthetic"], "seeds": list(seeds), "rows": [row.id for row in plan.rows],
        "described": {row.id: row.describe() for row in plan.rows},
        "runs": {name: base + stage2_run(row, seed) for name, (row, seed) in pairs.items()},
        "stage1": {
            name: base + stage1_run(row, seed, recipe) for name, (row, seed) in firsts.items() if row.from_stage1
        },
    }  # fmt: skip


def _stated(plan: Plan, runs: Path, folder: Path) -> dict[str, Any]:
    """The family of comparisons in ``study.json``, and whether runs of its rows were there before it was written.

    Once there is such a run, the family that was written before stays, whatever the plan says now.
    """
    family = [list(pair) for pair in plan.contrasts]
    try:
        kept = read_json(folder / STUDY) if (folder / STUDY).is_file() else {}
    except TddError:  # what a damaged file stated is not known
        kept = {}
    known = kept.get(CONTRASTS) if kept.get("study") == plan.name else None
    rows = {row for pair in known or family for row in pair}
    if not any(any(runs.glob(f"stage2/{row}-seed*/{RECORD}")) for row in rows):
        return {CONTRASTS: family, LATER: False}
    return {CONTRASTS: known, LATER: bool(kept.get(LATER))} if known else {CONTRASTS: family, LATER: True}


def _run_job(job: Job, messages: Any, store: Path, runs: Path, recipe: dict[str, Any]) -> None:
    """Do one job; whatever goes wrong is kept in its folder, and raised as one sentence."""
    from tdd.machine.ranks import RankLostError, from_leader

    where = runs / job.run
    from_leader(lambda: (where / FAILURE).unlink(missing_ok=True))

    def report(done: int, total: int) -> None:
        messages.put((job.run, min(0.99, done / total)))

    try:
        _start(job, ClipStore(store), runs, job.recipe(recipe_from_dict(recipe)), report)
    except Exception as error:
        if isinstance(error, RankLostError | AlreadySaidError):  # another process knows the reason
            raise
        said = str(error) if isinstance(error, TddError) else f"{type(error).__name__}: {error}"
        write_json(where / FAILURE, {"schema": 1, "sentence": said, "traceback": traceback.format_exc()})
        raise TddError(said) from error


def _start(job: Job, clips: ClipStore, runs: Path, recipe: Recipe, report: Callable[[int, int], None]) -> None:
    from tdd.detect import detect, rescore
    from tdd.evaluation.trivial import score_trivially
    from tdd.machine.ranks import from_leader
    from tdd.pretrain import pretrain

    needed = runs / job.needs if job.needs else None
    if job.kind == STAGE1:
        pretrain(clips, job.row.backbone, recipe, runs / job.run, job.seed, report)
    elif job.kind == TRIVIAL:
        from_leader(score_trivially, clips, job.row, recipe, runs / job.run, job.seed)
    elif job.kind == EVALUATION and needed:
        rescore(clips, job.row, recipe, runs / job.run, needed, job.seed)
    else:
        detect(clips, job.row, recipe, runs / job.run, needed, job.seed, report)


def job_sentence(job: Job, runs: Path) -> str:
    """What a finished run took and found, in a line."""
    record = read_record(runs / job.run) or {}
    metrics = record.get("metrics", {})
    if job.kind == STAGE1:
        found = f"clip retrieval in 32: {metrics['retrieval']:.2f}, target spread {metrics['target_std']:.2f}"
    else:
        found = ", ".join(f"{name} {metrics[name]['auc']:.2f}" for name in _told(metrics))
    return f"{job.run}: {record.get('seconds', 0):.0f} s; {found}"


def _told(metrics: Mapping[str, Any]) -> list[str]:
    """The methods whose areas are said: those of the paper's table, or the first two where it has none of them."""
    return [name for name in (FACESHIFTER, CELEB_DF_METHOD) if name in metrics] or list(metrics)[:2]


class StudyProgress:
    """Says each job's result when it ends, and tells a progress bar the share of all that is done."""

    def __init__(
        self, jobs: Sequence[Job], runs: Path, say: Callable[[str], None], bar: Callable[[float, float], None]
    ):
        """Watch ``jobs``, whose folders are below ``runs``."""
        self.runs, self.say, self.bar = runs, say, bar
        self.cost = {job.run: job.cost for job in jobs}
        self.share: dict[str, float] = {}

    def __call__(self, job: Job, done: float) -> None:
        """Hear that ``done`` of ``job`` is done."""
        if done == 1.0 and self.share.get(job.run) != 1.0:
            self.say(job_sentence(job, self.runs))
        self.share[job.run] = done
        self.bar(sum(self.cost[run] * share for run, share in self.share.items()), sum(self.cost.values()))
