"""Spread independent pieces of work over processes, with progress; a process that is killed does not stop the rest."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, TypeVar

from tdd.errors import TddError

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""

QUEUE_FACTOR = 4  # enough that no worker waits, few enough that an error soon stops the work
TRIES = 3
"""How often a piece is begun whose worker is killed: with the others, after them, and alone at the end."""

HOPELESS = 5
"""So many workers killed beyond one each, and no piece done: it is not the pieces."""


def cpu_count() -> int:
    """Processor cores that this process may use (a container or a cluster job may allow fewer than there are)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def begin_worker() -> None:
    """What every worker process does first: one thread for OpenCV, and no life beyond its parent's.

    Many processes with many threads each only get in one another's way. A parent that is killed outright cannot stop
    its workers; without this they would stay.
    """
    import cv2

    cv2.setNumThreads(0)
    parent = parent_process()
    if parent:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # sys.exit would end this thread alone


class WorkerKilled(Exception):  # noqa: N818
    """What ran a piece of work, a process or a whole machine, is gone before the piece was done."""


class Pool(Executor):
    """An executor whose futures raise :class:`WorkerKilled` for the very pieces whose worker was killed."""

    workers: int
    """Pieces that run at a time."""

    queued: int
    """Pieces that should be with the pool at a time, so that no worker waits."""


Engine = Callable[[int | None, int], Pool]
"""(workers wanted, all that there are when ``None``; pieces of work in all) to the pool that they run on."""


class InlinePool(Pool):
    """A pool of one worker that is this process: each call runs when it is submitted."""

    workers = queued = 1

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run ``function`` now; what it raises is kept for ``result()``, except an interruption."""
        future: Future[Result] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessPool(Pool):
    """Fresh processes, each with an executor of its own: one that is killed takes no other's piece with it."""

    def __init__(self, workers: int, begin: Callable[[int], None] | None = None) -> None:
        """``workers`` processes; ``begin`` is what each does first, called with its number from 0 on."""
        self.workers, self.queued = workers, workers * QUEUE_FACTOR
        self._begin = begin or _begin_numbered
        self._threads = ThreadPoolExecutor(workers)  # one a process, to wait for it and to replace it
        self._idle: SimpleQueue[tuple[int, ProcessPoolExecutor]] = SimpleQueue()
        for number in range(workers):
            self._idle.put((number, self._process(number)))

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run ``function`` in the process that is free first."""
        return self._threads.submit(self._run, function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let running pieces end, and their processes with them."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        while not self._idle.empty():
            self._idle.get()[1].shutdown(wait)

    def _run(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        number, process = self._idle.get()
        try:
            return process.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            process = self._process(number)
            raise WorkerKilled(str(error)) from error
        finally:
            self._idle.put((number, process))

    def _process(self, number: int) -> ProcessPoolExecutor:
        # Spawned: the fork of a process that has threads may hang.
        return ProcessPoolExecutor(1, get_context("spawn"), initializer=self._begin, initargs=(number,))


def _begin_numbered(_: int) -> None:
    begin_worker()


def local_engine(workers: int | None, pieces: int) -> Pool:
    """Processes of this machine, one a core when ``workers`` is ``None``; one worker is this process."""
    workers = min(workers or cpu_count(), pieces)
    return InlinePool() if workers == 1 else ProcessPool(workers)


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine = local_engine,
    killed: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item in order of completion.

    Only a few items wait in the queue at a time, so an error stops the work soon. An item whose worker is killed is
    tried again after the others, and once more alone, so that what others took of the memory is not held against it.

    Args:
        function: what is done with an item; importable by name.
        items: pieces of work, independent of one another.
        workers: at a time; as many as the engine has when ``None``.
        progress: called with (items done, items in all).
        engine: what they run on.
        killed: gives the result of an item whose worker is killed at every try.

    Raises:
        TddError: an item's worker was killed at every try and ``killed`` is ``None``, or no worker lives to the end of
            any item.
        Exception: whatever ``function`` raised first.
    """
    if progress:
        progress(0, len(items))
    pool = engine(workers, max(1, len(items)))  # no pool can be made of no worker
    done = kills = 0
    waiting = deque((item, 1) for item in items)
    alone: deque[tuple[Item, int]] = deque()
    running: dict[Future[Result], tuple[Item, int]] = {}
    try:
        while waiting or alone or running:
            # `or not running`: a piece that is tried alone begins when nothing else runs.
            while (waiting and len(running) < pool.queued) or not running:
                item, number = (waiting or alone).popleft()
                running[pool.submit(function, item)] = item, number
            for future in wait(running, return_when=FIRST_COMPLETED)[0]:
                item, number = running.pop(future)
                try:
                    result = future.result()
                except WorkerKilled as error:
                    kills += 1
                    hopeless = not done and kills > pool.workers + HOPELESS
                    if number < TRIES and not hopeless:
                        (alone if number + 1 == TRIES else waiting).append((item, number + 1))
                        continue
                    if killed is None or hopeless:
                        raise _explained(done, len(items)) from error
                    result = killed(item)
                done += 1
                if progress:
                    progress(done, len(items))
                yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _explained(done: int, total: int) -> TddError:
    return TddError(
        f"Worker processes were killed again and again after {done} of {total} pieces, most often for lack of memory; "
        f"run the same command again with fewer workers: it goes on where it stopped."
    )
