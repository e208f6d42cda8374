"""Starts each job once what it needs is finished, as long as a worker is free. The workers may be any executor's."""

from __future__ import annotations

import functools
import os
import queue
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Generic, Protocol, TypeVar

from tdd.errors import TddError
from tdd.machine.limits import NETWORK_BYTES, allowed_workers
from tdd.machine.parallel import Engine, InlinePool, Pool, ProcessPool, Voice, WorkerKilled, begin_worker

POLL_SECONDS = 0.2

KEEP_FREED_MEMORY = {
    "MALLOC_TOP_PAD_": str(64 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
}
"""Settings of glibc, which reads them when a process begins; other systems ignore them. A step frees its activations,
and the next one takes as much again: kept, they need not be cleared page by page. That saves 3 to 10% of a small
network's time, and changes not a bit of its numbers."""


class Task(Protocol):
    """What the scheduler must know of a job."""

    @property
    def run(self) -> str:
        """Its name, of which there is one."""

    @property
    def needs(self) -> str | None:
        """The job that must be finished first; ``None`` when nothing must."""


Job = TypeVar("Job", bound=Task)

Work = Callable[[Job, Any], None]
"""Does a job; may put ``(name, share done)`` on the queue that it is given. Raises TddError when it fails."""


class NoMessages:
    """Stands for the queue of shares where none reaches the workers: on other machines. Ends are told all the same."""

    def put(self, message: tuple[str, float]) -> None:
        """Forget ``message``."""

    def get_nowait(self) -> tuple[str, float]:
        """Always empty."""
        raise queue.Empty


def process_engine(usual: int, gpus: Sequence[str] = (), each: int = 1) -> Engine:
    """An engine of processes of this machine; one process alone is this one.

    Args:
        usual: processes when none are asked for.
        gpus: names of the GPUs to deal out, as in ``CUDA_VISIBLE_DEVICES``; where there are more than a process needs,
            each sees ``each`` of them.
        each: GPUs that a process needs.
    """

    def engine(workers: int | None, pieces: int) -> Pool:
        count = min(allowed_workers(workers, usual, NETWORK_BYTES), pieces)
        if count == 1:
            return InlinePool()
        # In this process, before the others begin: they inherit it. What the user has set stays.
        for name, value in KEEP_FREED_MEMORY.items():
            os.environ.setdefault(name, value)
        return ProcessPool(count, functools.partial(_begin, gpus=tuple(gpus), each=each))

    return engine


def _begin(number: int, gpus: Sequence[str], each: int) -> None:
    os.environ["OMP_WAIT_POLICY"] = "passive"  # a spinning thread of one run would steal the core of another
    if len(gpus) > each:
        first = number % (len(gpus) // each) * each
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + each])  # read when it first asks for a GPU
    begin_worker()


class Scheduler(Generic[Job]):
    """Runs jobs in the order they are given, but for those that must wait for another."""

    def __init__(
        self,
        jobs: Iterable[Job],
        finished: Iterable[str],
        work: Work[Job],
        progress: Callable[[Job, float], None],
        stop_at_failure: bool = False,
    ) -> None:
        """Prepare to do ``work`` for every job whose name is not among ``finished``; ``progress`` hears of shares.

        With ``stop_at_failure`` a job that fails ends all, as where other processes do the same jobs in step.

        Raises:
            TddError: a job needs one that is neither finished nor can be.
        """
        self.jobs = {job.run: job for job in jobs}
        self.finished = set(finished)
        self.waiting = [job for job in self.jobs.values() if job.run not in self.finished]
        self.work, self.progress, self.stop_at_failure = work, progress, stop_at_failure
        self.failures: dict[str, str] = {}
        self._refuse_endless_waits()

    def run(self, workers: int | None, engine: Engine) -> dict[str, str]:
        """Do all jobs, ``workers`` at a time; ``None``: as many as the engine sees fit.

        Returns:
            a sentence for each job that failed or could not be started, by name.

        Raises:
            TddError: of a job, with ``stop_at_failure``.
        """
        for name in self.finished:
            self.progress(self.jobs[name], 1.0)
        if not self.waiting:
            return self.failures
        pool = engine(workers, len(self.waiting))
        if isinstance(pool, InlinePool):
            heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
            self._drive(pool, heard, heard)
        elif isinstance(pool, ProcessPool):
            self._drive(pool, pool.heard, Voice())
        else:
            self._drive(pool, NoMessages(), NoMessages())
        return self.failures

    def _refuse_endless_waits(self) -> None:
        startable, left = set(self.finished), list(self.waiting)
        while left:
            held = [job for job in left if job.needs is not None and job.needs not in startable]
            if len(held) == len(left):
                raise TddError(
                    f"Job {held[0].run} needs {held[0].needs}, which is neither finished nor one of the jobs that can "
                    "be; nothing was run."
                )
            startable |= {job.run for job in left if job not in held}
            left = held

    def _drive(self, pool: Pool, heard: Any, messages: Any) -> None:
        """Run the jobs; each puts its shares on ``messages``, and they come out of ``heard``."""
        running: dict[Future[None], Job] = {}
        try:
            while self.waiting or running:
                for job in self._ready(pool.workers - len(running)):
                    running[pool.submit(self.work, job, messages)] = job
                done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                # Before ends are told, so that no share follows the whole.
                self._relay(heard)
                for future in done:
                    self._settle(running.pop(future), future)
        except BaseException:  # Ctrl-C or SIGTERM: a job goes on from its last resume point
            pool.abandon()
            raise
        pool.shutdown(wait=True)

    def _ready(self, free: int) -> list[Job]:
        for job in list(self.waiting):
            if job.needs in self.failures:
                self.waiting.remove(job)
                self.failures[job.run] = f"not run, for {job.needs} failed."
        ready = [job for job in self.waiting if job.needs is None or job.needs in self.finished][: max(0, free)]
        self.waiting = [job for job in self.waiting if job not in ready]
        return ready

    def _relay(self, heard: Any) -> None:
        while True:
            try:
                run, share = heard.get_nowait()
            except queue.Empty:
                return
            self.progress(self.jobs[run], share)

    def _settle(self, job: Job, future: Future[None]) -> None:
        try:
            future.result()
            self.finished.add(job.run)
            self.progress(job, 1.0)
        except TddError as error:
            if self.stop_at_failure:
                raise
            self.failures[job.run] = str(error)
        except WorkerKilled:
            self.failures[job.run] = (
                "its process was killed, most often for lack of memory; run the same command again with fewer workers."
            )
