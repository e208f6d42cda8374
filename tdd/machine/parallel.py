"""Spread independent pieces of work over processes, with progress; a process that is killed does not stop the rest."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from tdd.errors import TddError
from tdd.machine.limits import PIECE_BYTES, allowed_workers, begin_refused, limit_reached, out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""

QUEUE_FACTOR = 4  # enough that no worker waits, few enough that an error soon stops the work
TRIES = 3
"""How often a piece is begun whose worker is killed: with the others, after them, and alone at the end."""

HOPELESS = 5
"""So many workers killed beyond one each, and no piece done: it is not the pieces."""

ALIVE_SECONDS = 1.0
"""Between two looks whether a process that says nothing still lives."""

END_SECONDS = 10.0
"""That a process has to end in once it has no more to do."""

WORKER = "tdd worker"
"""Name of a worker process."""

UNGUARDED = 117
"""Exit status of a worker process that runs the script which began it, instead of its pieces."""


def begin_worker() -> None:
    """What every worker process does first: one thread for OpenCV, and no life beyond its parent's.

    Many processes with many threads each only get in one another's way.
    """
    import cv2

    cv2.setNumThreads(0)
    end_with_parent()


def end_with_parent() -> None:
    """End this process as soon as the one that began it is gone; for processes that ``multiprocessing`` begins.

    A parent that is killed outright cannot stop its workers; without this they would stay.
    """
    parent = parent_process()
    if parent:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # sys.exit would end this thread alone


def end_script_run_anew() -> None:
    """End this process, if it is a worker that only imports the script which began it, and that begins work in turn.

    A script without ``if __name__ == "__main__"`` does. Its first process gets to know from the exit status, and says
    it once; errors raised here would each be printed as a traceback.
    """
    if current_process().name == WORKER and _to_parent is None:  # no piece of work can come yet
        os._exit(UNGUARDED)


class WorkerKilled(Exception):  # noqa: N818
    """What ran a piece of work, a process or a whole machine, is gone before the piece was done."""


class Pool(Executor):
    """An executor whose futures raise :class:`WorkerKilled` for the very pieces whose worker was killed."""

    workers: int
    """Pieces that run at a time."""

    queued: int
    """Pieces that should be with the pool at a time, so that no worker waits."""

    def abandon(self) -> None:
        """Stop at once, whatever still runs."""
        self.shutdown(wait=False, cancel_futures=True)


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
    """Fresh processes that share nothing: one that is killed takes no other's piece with it."""

    def __init__(self, workers: int, begin: Callable[[int], None] | None = None) -> None:
        """``workers`` processes; ``begin`` is what each does before its first piece, called with its number from 0 on.

        Raises:
            TddError: the system begins no further process.
        """
        end_script_run_anew()
        self.workers, self.queued = workers, workers * QUEUE_FACTOR
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        """What pieces put on :class:`Voice`, in the order of arrival."""
        self._begin = begin or _begin_numbered
        self._threads = ThreadPoolExecutor(workers)  # one a process, to wait for it and to replace it
        self._idle: queue.SimpleQueue[tuple[int, _Worker | None]] = queue.SimpleQueue()
        self._living: set[_Worker] = set()
        self._guard = threading.Lock()
        self._ended = False
        atexit.register(self.abandon)  # else the interpreter would wait for processes that nobody ends
        for number in range(workers):
            self._idle.put((number, None))

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run ``function`` in the process that is free first."""
        try:
            return self._threads.submit(self._run, function, *args, **kwargs)
        except RuntimeError as error:  # a thread too is a process to the system
            raise begin_refused(error) from error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let running pieces end, and their processes with them."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        self._end(kill=not wait)

    def abandon(self) -> None:
        """Kill the processes, whatever they do."""
        self._end(kill=True)
        self._threads.shutdown(wait=True, cancel_futures=True)  # their processes are gone, so nothing is waited for

    def _end(self, kill: bool) -> None:
        atexit.unregister(self.abandon)
        with self._guard:
            self._ended = True
            for worker in self._living:
                worker.end(kill)
            for worker in self._living:
                worker.wait()
            self._living.clear()

    def _run(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        number, worker = self._idle.get()
        try:
            worker = worker or self._new(number)
            return worker.run((function, args, kwargs), self.heard.put)
        except WorkerKilled:
            # One that ran out of memory lives, but what it holds is lost to the next piece.
            if worker:
                with self._guard:
                    self._living.discard(worker)
                worker.end(kill=True)
                worker.wait()
            worker = None
            raise
        finally:
            self._idle.put((number, worker))

    def _new(self, number: int) -> _Worker:
        with self._guard:
            if self._ended:
                raise WorkerKilled("the work was abandoned")
            worker = _Worker(self._begin, number)
            self._living.add(worker)
            return worker


class Voice:
    """Sent to a worker of a :class:`ProcessPool` with its piece, it brings what is put there to the pool's queue."""

    def put(self, message: Any) -> None:
        """Send ``message``; it can be pickled."""
        assert _to_parent is not None, "only a worker of a ProcessPool has a voice"
        _to_parent.send((SAID, message))


SAID, DONE, FAILED = "said", "done", "failed"
"""What a worker sends: a message on the way, a result, or an error."""

_to_parent: Connection | None = None


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self, begin: Callable[[int], None], number: int) -> None:
        # Spawned: the fork of a process that has threads may hang.
        context = get_context("spawn")
        try:
            with _interrupts_blocked():
                self._pipe, theirs = context.Pipe()
                # Not a daemon: those may have no children, and a run has loader processes.
                self._process = context.Process(target=_serve, args=(theirs, begin, number), name=WORKER)
                self._process.start()
                theirs.close()
        except OSError as error:
            raise begin_refused(error) from error

    def run(self, piece: tuple[Any, ...], hear: Callable[[Any], None]) -> Any:
        """Do a piece of work there: its result, or the error that it raises; messages go to ``hear`` meanwhile.

        Raises:
            WorkerKilled: the process is gone.
            TddError: it ran the script that began it.
        """
        self._send(piece)
        while True:
            kind, value = self._answer()
            if kind == FAILED:
                error, where = value
                raise error from _Elsewhere(where)
            if kind == DONE:
                return value
            hear(value)

    def _send(self, piece: tuple[Any, ...]) -> None:
        try:
            self._pipe.send(piece)
        except ConnectionError as error:
            raise self._killed() from error

    def _answer(self) -> tuple[str, Any]:
        try:
            # A pipe alone does not tell: what the process has begun in turn may hold its other end open.
            while not self._pipe.poll(ALIVE_SECONDS):
                if not self._process.is_alive() and not self._pipe.poll():
                    raise self._killed()
            answer: tuple[str, Any] = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise self._killed() from error
        return answer

    def _killed(self) -> Exception:
        self._process.join(ALIVE_SECONDS)  # until its exit status is known
        if self._process.exitcode == UNGUARDED:
            return TddError(
                "This script begins processes, and each of them runs the script anew; put what it does into a "
                "function, and call that below a line if __name__ == '__main__' alone."
            )
        return WorkerKilled(f"process {self._process.pid}")

    def end(self, kill: bool) -> None:
        """Kill the process, or tell it that there is no more to do."""
        if kill:
            self._process.kill()
        else:
            with contextlib.suppress(OSError):
                self._pipe.send(None)

    def wait(self) -> None:
        """Until the process is gone."""
        end = time.monotonic() + END_SECONDS
        # Not join(seconds): that waits for all that the process has begun in turn.
        while self._process.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        self._process.kill()
        self._process.join()


class _Elsewhere(Exception):  # noqa: N818
    """Where in another process an error was raised: its traceback there, as text."""


def _serve(pipe: Connection, begin: Callable[[int], None], number: int) -> None:
    """What a worker process does: pieces, until it is sent none, or nobody is there any more to send one."""
    global _to_parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _to_parent = pipe
    begun = False
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            sent = pipe.recv_bytes()
            try:
                if not begun:
                    begin(number)
                    begun = True
                piece = pickle.loads(sent)
                if piece is None:
                    return
                function, args, kwargs = piece
                answer = pickle.dumps((DONE, function(*args, **kwargs)))
            except Exception as error:
                answer = pickle.dumps((FAILED, (_that_travels(error), "\n" + traceback.format_exc())))
            pipe.send_bytes(answer)


def _that_travels(error: Exception) -> Exception:
    """``error``, or where it cannot be sent to another process, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that begins within never hears of Ctrl-C, not even while it still imports."""
    mask = getattr(signal, "pthread_sigmask", None)
    if mask is None:  # Windows
        yield
        return
    before = mask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)


def _begin_numbered(_: int) -> None:
    begin_worker()


def local_engine(workers: int | None, pieces: int, each: int = PIECE_BYTES) -> Pool:
    """Processes of this machine, as :func:`tdd.machine.limits.allowed_workers` counts them; 1 worker is this process.

    Where more were asked for or none, even a single piece has a process of its own, which it may kill.

    Args:
        workers: asked for.
        pieces: of work; no more processes than these.
        each: memory that a process takes, bytes.

    Raises:
        TddError: fewer than one worker.
    """
    allowed = allowed_workers(workers, each=each)
    return InlinePool() if workers == 1 else ProcessPool(min(allowed, pieces))


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine = local_engine,
    killed: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item in order of completion.

    Only a few items wait in the queue at a time, so an error stops the work soon. An item whose worker is killed, or
    that finds no memory, is tried again after the others, and once more alone in a fresh process, so that what others
    took of the memory is not held against it. Left early, by Ctrl-C say, it kills its processes.

    Args:
        function: what is done with an item; importable by name.
        items: pieces of work, independent of one another.
        workers: at a time; as many as the engine has when ``None``.
        progress: called with (items done, items in all).
        engine: what they run on.
        killed: gives the result of an item whose worker is killed, or that finds no memory, at every try.

    Raises:
        TddError: an item's worker was killed at every try and ``killed`` is ``None``, no worker lives to the end of
            any item, or a limit of the system (on open files or processes) is reached.
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
                running[pool.submit(_attempt, function, item)] = item, number
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
    except Exception:
        pool.shutdown(wait=True, cancel_futures=True)  # what runs is kept
        raise
    except BaseException:  # Ctrl-C, SIGTERM, or a caller that wants no more
        pool.abandon()
        raise
    pool.shutdown(wait=True)


def _attempt(function: Callable[[Item], Result], item: Item) -> Result:
    """Do a piece of work; what is the machine's fault is told from what is the piece's."""
    try:
        return function(item)
    except Exception as error:
        if out_of_memory(error):
            raise WorkerKilled(f"out of memory: {error}") from error
        said = limit_reached(error)
        if said:
            raise TddError(said) from error
        raise


def given_up(worker: str = "The worker process") -> str:
    """The sentence of an item whose ``worker`` was killed, or found no memory, at every try."""
    return (
        f"{worker} was killed or found no memory at each of {TRIES} tries, the last with nothing beside it; run the "
        "same command on a machine with more memory."
    )


def _explained(done: int, total: int) -> TddError:
    return TddError(
        f"Worker processes were killed again and again after {done} of {total} pieces, or found no memory; "
        f"run the same command again with fewer workers: it goes on where it stopped."
    )
