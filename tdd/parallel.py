"""Spread independent pieces of work over processes, with progress."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from tdd.errors import TddError

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""

QUEUE_FACTOR = 4


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
    os._exit(1)


class InlinePool(Executor):
    """An executor of one worker that is this process: each call runs when it is submitted."""

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run ``function`` now; what it raises is kept for ``result()``, except an interruption."""
        future: Future[Result] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item in order of completion, from ``workers`` fresh processes.

    One worker means this process. Only a few items wait in the queue at a time, so an error stops the work soon.

    Raises:
        TddError: a worker process was killed (out of memory, most often).
        Exception: whatever ``function`` raised first.
    """
    workers = min(workers or cpu_count(), max(1, len(items)))
    if progress:
        progress(0, len(items))
    done = 0
    waiting = iter(items)
    pool = InlinePool() if workers == 1 else _process_pool(workers)
    queued = 1 if workers == 1 else workers * QUEUE_FACTOR
    try:
        pending: set[Future[Result]] = set()
        for item in waiting:
            pending.add(pool.submit(function, item))
            if len(pending) >= queued:
                break
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                for item in waiting:
                    pending.add(pool.submit(function, item))
                    break
                done += 1
                if progress:
                    progress(done, len(items))
                yield future.result()
    except BrokenProcessPool as error:
        raise TddError(
            f"A worker process was killed after {done} of {len(items)} pieces, most often for lack of memory; "
            f"run the same command again with fewer workers: it goes on where it stopped."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _process_pool(workers: int) -> Executor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=begin_worker)
