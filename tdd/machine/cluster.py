"""Work spread over the machines of a Ray cluster, on folders that all of them share."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tdd
from tdd.errors import TddError
from tdd.machine.kit import install_command
from tdd.machine.parallel import QUEUE_FACTOR, Engine, Pool, Result, WorkerKilled, begin_worker

ANSWER_SECONDS = 120.0
"""How long a machine may take to say that it is ready; its first worker process has to start."""


@dataclass(frozen=True)
class Shared:
    """What a worker must find: the folders of the work, seen from the driver's working directory."""

    home: Path
    version: str
    paths: tuple[Path, ...]
    """One that is missing on a machine means that the machine sees another file system."""

    def trouble(self) -> str | None:
        """What keeps this process from taking part, in words; ``None`` when nothing does."""
        with suppress(OSError):  # paths may be absolute; what is missing is told below
            os.chdir(self.home)
        if tdd.__version__ != self.version:
            return f"has tdd {tdd.__version__} and not {self.version}; install the same version everywhere"
        for path in self.paths:
            if not path.exists():
                return f"does not see {path}; data and store must be on a file system that all machines share"
        return None


@dataclass(frozen=True)
class RayCluster:
    """A cluster to run on.

    Attributes:
        address: ``HOST:PORT`` of the cluster; when ``None``, that of ``RAY_ADDRESS``, else of
            a cluster that runs on this machine, else a new one of this machine alone.
        gpus: that a piece of work asks for; ``None``: one where any machine has one, else none.
    """

    address: str | None = None
    gpus: float | None = 0.0

    def engine(self, data: Path, out: Path) -> Engine:
        """An engine for work that reads below ``data`` and writes below ``out``.

        The engine raises ``TddError`` when Ray is not installed, when the cluster cannot be reached, or when a machine
        of it does not see both folders or has another version of this package.
        """
        return lambda workers, _: RayPool(self, data, out, workers)


class RayPool(Pool):
    """One Ray task a piece. Ray itself retries nothing, so that a lost piece is told like any pool's."""

    def __init__(self, cluster: RayCluster, data: Path, out: Path, workers: int | None) -> None:
        self._ray = _import_ray()
        self._running: dict[Future[Any], Any] = {}
        self._own = _connect(self._ray, cluster.address)
        # A new name: a machine that sees it sees this very folder, and not one of the same path.
        self._mark = out / f".{uuid.uuid4().hex}.partial"  # cleared like any half-written file, should this be killed
        try:
            self._mark.touch()
            # What lies in `data`, not `data` itself: a mount point exists where nothing is mounted.
            self._shared = Shared(Path.cwd(), tdd.__version__, (*sorted(data.iterdir()), self._mark))
            gpus = self._any_gpu() if cluster.gpus is None else cluster.gpus
            self._task = self._ray.remote(max_retries=0, num_cpus=1, num_gpus=gpus)(_run)
            machines = self._machines(gpus)
            self.workers = workers or sum(_room(machine["Resources"], gpus) for machine in machines)
            # Ray begins all that it is given, so `workers` that are asked for limit what is given.
            self.queued = workers or self.workers * QUEUE_FACTOR
            self._refuse_unfit(machines)
        except BaseException:  # Ctrl-C too leaves neither the mark nor the cluster
            self.shutdown()
            raise

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run ``function`` on the machine that Ray chooses."""
        reference = self._task.remote(self._shared, function, args, kwargs)
        future = _unwrapped(self._ray.exceptions, reference.future())
        self._running[future] = reference
        future.add_done_callback(lambda done: self._running.pop(done, None))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Stop what still runs, and leave the cluster, or end it if it was begun here."""
        for reference in list(self._running.values()):
            self._ray.cancel(reference, force=True)
        self._mark.unlink(missing_ok=True)
        if self._own:
            self._ray.shutdown()

    def _any_gpu(self) -> float:
        """1 where a machine of the cluster has a GPU, else 0."""
        return float(any(node["Alive"] and node["Resources"].get("GPU", 0) >= 1 for node in self._ray.nodes()))

    def _machines(self, gpus: float) -> list[dict[str, Any]]:
        """Ray's descriptions of the machines that can take a piece.

        Raises:
            TddError: there is none.
        """
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        fit = [n for n in alive if n["Resources"].get("CPU", 0) >= 1 and n["Resources"].get("GPU", 0) >= gpus]
        if not fit:
            raise TddError(
                f"No machine of the Ray cluster has a free core{' and a GPU' if gpus else ''} to give; add machines, "
                "or run with --engine local."
            )
        return fit

    def _refuse_unfit(self, machines: list[dict[str, Any]]) -> None:
        """Ask every machine whether it can take part.

        Raises:
            TddError: one cannot.
        """
        pinned = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        asked = {}
        for machine in machines:
            place = pinned(node_id=machine["NodeID"], soft=False)
            # Without a GPU: to answer needs none, and one in use would keep the answer waiting.
            reference = self._task.options(num_gpus=0, scheduling_strategy=place).remote(self._shared, int, (), {})
            asked[_unwrapped(self._ray.exceptions, reference.future())] = machine["NodeManagerHostname"]
        late = wait(asked, timeout=ANSWER_SECONDS).not_done
        for future, name in asked.items():
            try:
                if future in late:
                    raise TimeoutError(f"no answer within {ANSWER_SECONDS:.0f} s")
                future.result()
            except TddError:
                raise
            except Exception as error:
                raise TddError(
                    f"Machine {name} of the Ray cluster cannot take part ({error}); the same tdd must be installed on "
                    "every machine."
                ) from error


def _room(resources: dict[str, float], gpus: float) -> int:
    """Pieces that a machine takes at a time."""
    return int(min(resources["CPU"], resources["GPU"] / gpus if gpus else resources["CPU"]))


def _run(shared: Shared, function: Callable[..., Result], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
    trouble = shared.trouble()
    if trouble:
        raise TddError(f"Machine {socket.gethostname()} of the Ray cluster {trouble}.")
    begin_worker()
    return function(*args, **kwargs)


def _unwrapped(errors: Any, inner: Future[Result]) -> Future[Result]:
    """The future of a piece, as a pool's: what the piece raised, and :class:`WorkerKilled` where it could not end."""
    lost = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
    outer: Future[Result] = Future()

    def settle(done: Future[Result]) -> None:
        try:
            outer.set_result(done.result())
        except errors.RayTaskError as error:
            outer.set_exception(error.cause)
        except lost as error:
            outer.set_exception(WorkerKilled(str(error)))
        except Exception as error:
            outer.set_exception(error)

    inner.add_done_callback(settle)
    return outer


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster begun here reports to nobody
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise TddError(
            f"--engine ray needs Ray ({error}); install it with: {install_command('cluster')} "
            "(there is none for Intel Macs)."
        ) from error
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Join the cluster; returns whether it was joined here, and is to be left here.

    Raises:
        TddError: it does not answer, or runs another version of Ray or Python.
    """
    if ray.is_initialized():
        return False
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises many kinds, bare ones among them
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TddError(f"The Ray cluster {address or '(RAY_ADDRESS)'} cannot be joined: {reason}") from error
    return True
