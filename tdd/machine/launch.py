"""Begin the processes of one run on this machine, one a device, and end them all when one of them ends too early."""

from __future__ import annotations

import functools
import os
import queue
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from tdd.errors import AlreadySaidError, TddError
from tdd.machine.limits import PROCESSES_A_CORE, cpu_count
from tdd.machine.parallel import ProcessPool, Progress, Voice, WorkerKilled, begin_worker
from tdd.machine.ranks import Place, RankLostError, appoint, find_place, leave
from tdd.machine.scheduler import KEEP_FREED_MEMORY, POLL_SECONDS

GRACE_SECONDS = 5.0
"""How long the others may take to say why they end, once one has ended: who notices first is not who failed first."""

EFFECTS = RankLostError, AlreadySaidError
"""What a process raises because of another one: never the cause."""

QUIET = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
"""DDP warns of steps in which no parameter was left out, though some may be."""


def begins_ranks(devices: int) -> bool:
    """Whether a run on so many devices has its processes still to begin.

    Raises:
        TddError: they were begun by torchrun or srun, as many as ``devices`` does not say.
    """
    place = find_place()
    if place and devices not in (1, place.world):
        raise TddError(
            f"machine.devices is {devices}, and torchrun or srun began {place.world} processes; leave --devices out."
        )
    return devices > 1 and not place


def require_devices(devices: int, gpus: Sequence[str]) -> None:
    """Refuse more devices than there are.

    Args:
        devices: that a run is to use.
        gpus: that this process may use; none: the run computes on processor cores.

    Raises:
        TddError: there are fewer.
    """
    if gpus and devices > len(gpus):
        raise TddError(f"machine.devices is {devices}, and this machine has {len(gpus)} GPU(s); ask for no more.")
    if not gpus and devices > cpu_count() * PROCESSES_A_CORE:
        raise TddError(
            f"machine.devices is {devices}, and on {cpu_count()} processor cores at most "
            f"{cpu_count() * PROCESSES_A_CORE} processes train together; ask for no more."
        )


def run_ranks(
    devices: int, gpus: Sequence[str], function: Callable[..., Any], *arguments: Any, report: Progress | None = None
) -> None:
    """Call ``function(*arguments, report=...)`` in as many processes as ``devices``, which can join each other.

    Args:
        devices: processes, one a device.
        gpus: as for :func:`require_devices`.
        function: importable by name.
        arguments: can be pickled.
        report: hears what the leader's report is called with.

    Raises:
        TddError: too few devices, or a process failed or was killed; the others are then ended.
    """
    require_devices(devices, gpus)
    for name, value in (KEEP_FREED_MEMORY | QUIET).items():  # before the others begin: they inherit it
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory() as folder:
        pool = ProcessPool(devices, functools.partial(_begin, world=devices, meeting=(Path(folder) / "meet").as_uri()))
        try:
            running = {pool.submit(_run, function, arguments, report is not None) for _ in range(devices)}
            failed = _follow(running, pool, report)
        except BaseException:  # Ctrl-C, SIGTERM, or a report that wants no more
            pool.abandon()
            raise
        if failed:
            pool.abandon()
            raise _cause(failed, devices)
        pool.shutdown(wait=True)


def _begin(number: int, world: int, meeting: str) -> None:
    import torch

    os.environ["OMP_WAIT_POLICY"] = "passive"
    torch.set_num_threads(max(1, cpu_count() // world))  # a run whose recipe names a number sets that one later
    appoint(Place(number, world, number, meeting))
    begin_worker()


def _run(function: Callable[..., Any], arguments: Sequence[Any], heard: bool) -> None:
    place, voice = find_place(), Voice()
    told = heard and place is not None and place.rank == 0
    function(*arguments, report=(lambda *shares: voice.put(shares)) if told else None)
    leave()


def _follow(running: set[Future[None]], pool: ProcessPool, report: Progress | None) -> list[BaseException]:
    """Wait until all processes have ended, or some time after one has failed: what they failed of."""
    failed: list[BaseException] = []
    end = float("inf")
    while running and time.monotonic() < end:
        done, running = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        _relay(pool, report)
        errors = [error for future in done if (error := future.exception())]
        if errors and not failed:
            end = time.monotonic() + GRACE_SECONDS
        failed += errors
        if any(isinstance(error, TddError | WorkerKilled) and not isinstance(error, EFFECTS) for error in failed):
            break  # that is the cause
    _relay(pool, report)
    return failed


def _relay(pool: ProcessPool, report: Progress | None) -> None:
    while True:
        try:
            shares = pool.heard.get_nowait()
        except queue.Empty:
            return
        if report:
            report(*shares)


def _cause(failed: Sequence[BaseException], devices: int) -> BaseException:
    """Of what several processes failed of, the error that is not only another's effect."""
    if any(isinstance(error, WorkerKilled) for error in failed):
        return TddError(
            f"One of the {devices} processes of this run was killed, most often for lack of memory, and the others "
            "were ended; the same command goes on from the run's last resume point."
        )
    return next((error for error in failed if not isinstance(error, EFFECTS)), TddError(str(failed[0])))
