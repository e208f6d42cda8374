"""The processes that train one network together, one a device: which of them this one is, and how they talk.

They are begun by torchrun, by srun, or by :mod:`tdd.machine.launch`. A process alone is the leader of nobody, and all
functions here give it its own back. A function that talks is called by all processes alike, in the same order.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tdd.errors import TddError

Item = TypeVar("Item")

PATIENCE = timedelta(hours=1)
"""How long a process waits for the others. By gloo one that is gone is noticed at once, by its closed connection; by
NCCL whoever began the processes has to end the rest (``--devices``, torchrun, ``srun --kill-on-bad-exit=1`` do)."""

_FIRST_PORT, _PORTS = 15_000, 10_000
_GONE = re.compile(
    r"connection (was )?(closed|reset|refused)|broken pipe|remote process|communicator was aborted", re.IGNORECASE
)
_TALK = re.compile(r"gloo|NCCL", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train together."""

    rank: int
    """From 0, the leader, on; over all machines."""
    world: int
    """Processes in all."""
    local_rank: int
    """From 0 on, on its machine: the number of its GPU."""
    meeting: str
    """Address at which they find each other, as ``torch.distributed`` takes it."""


class RankLostError(TddError):
    """Another process of a run is gone, so this one cannot go on: the effect of a failure, never its cause."""


_appointed: Place | None = None


def appoint(place: Place) -> None:
    """Say where this process stands, before it first asks; for whoever begins the processes."""
    global _appointed
    _appointed = place


def find_place(environment: Mapping[str, str] | None = None) -> Place | None:
    """Where whoever began this process put it; ``None`` where it was begun alone.

    Args:
        environment: variables of torchrun or of srun; this process's own when ``None``.

    Raises:
        TddError: a variable is missing that names the place where the processes meet.
    """
    if _appointed:
        return _appointed
    env = os.environ if environment is None else environment
    if int(env.get("WORLD_SIZE", "1")) > 1 and {"RANK", "LOCAL_RANK"} <= env.keys():  # torchrun
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in env]
        if missing:
            raise TddError(f"WORLD_SIZE and RANK are set, but {missing[0]} is not; begin the processes with torchrun.")
        meeting = f"tcp://{env['MASTER_ADDR']}:{env['MASTER_PORT']}"
        return Place(int(env["RANK"]), int(env["WORLD_SIZE"]), int(env["LOCAL_RANK"]), meeting)
    # Of a step, which srun begins; what the job was given says nothing of how many processes there are.
    tasks = int(env.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1:
        return Place(int(env["SLURM_PROCID"]), tasks, int(env["SLURM_LOCALID"]), f"tcp://{_slurm_meeting(env)}")
    return None


def _slurm_meeting(env: Mapping[str, str]) -> str:
    from lightning.fabric.plugins.environments import SLURMEnvironment

    host = env.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(
        env.get("SLURM_STEP_NODELIST") or env["SLURM_NODELIST"]
    )
    step = int(env.get("SLURM_JOB_ID", "0")) * 7 + int(env.get("SLURM_STEP_ID", "0"))  # so that two steps do not meet
    return f"{host}:{env.get('MASTER_PORT') or _FIRST_PORT + step % _PORTS}"


def join(gpu: bool) -> None:
    """Meet the others; a process that was begun alone, or has met them, goes on at once.

    Args:
        gpu: each process computes on a GPU of its own, and tensors there pass by NCCL; else all passes by gloo.

    Raises:
        TddError: this machine has fewer GPUs than processes, or the others do not come.
    """
    place = find_place()
    if place is None or joined():
        return
    if gpu:
        torch.cuda.set_device(gpu_of(place.local_rank, torch.cuda.device_count()))
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            init_method=place.meeting, rank=place.rank, world_size=place.world, timeout=PATIENCE,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise RankLostError(
            f"Process {place.rank + 1} of {place.world} did not find the others at {place.meeting} "
            f"({' '.join(str(error).split())}); begin all of them, and let them reach that address."
        ) from error
    atexit.register(leave)


def leave() -> None:
    """Part from the others, whom all have to do with no more."""
    if joined():
        dist.destroy_process_group()


def gpu_of(local_rank: int, gpus: int) -> int:
    """Number of the GPU of a process; one GPU that is seen may be another one for each process, as SLURM deals them.

    Raises:
        TddError: there are several, and fewer than processes.
    """
    if gpus > 1 and local_rank >= gpus:
        raise TddError(f"There is no GPU for process {local_rank + 1} of this machine, which has {gpus}; begin fewer.")
    return local_rank % gpus


def joined() -> bool:
    """Whether this process has met others."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process, from 0 on."""
    return dist.get_rank() if joined() else 0


def world() -> int:
    """Processes in all."""
    return dist.get_world_size() if joined() else 1


def leads() -> bool:
    """Whether this process is the one that writes files and speaks to the user."""
    return rank() == 0


def my_share(items: Sequence[Item]) -> Sequence[Item]:
    """The items of this process, dealt out in turn."""
    return items[rank() :: world()]


def gathered(mine: Item) -> list[Item]:
    """What each process holds, in their order."""
    if not joined():
        return [mine]
    everyones: list[Any] = [None] * world()
    dist.all_gather_object(everyones, mine)
    return everyones


def in_turn(mine: Sequence[Item]) -> list[Item]:
    """The items of all processes in the order in which :func:`my_share` dealt them out."""
    missing = object()
    rounds = zip_longest(*gathered(list(mine)), fillvalue=missing)
    return [item for row in rounds for item in row if item is not missing]  # type: ignore[misc]


def from_leader(make: Callable[..., Item], *arguments: Any) -> Item:
    """What ``make(*arguments)`` gives the leader, which alone calls it; the others wait for it."""
    told = [make(*arguments) if leads() else None]
    if joined():
        dist.broadcast_object_list(told, src=0)
    return told[0]  # type: ignore[return-value]


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes, element by element; no gradient flows through it."""
    if not joined():
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value / world()


def counts_of_ranks(count: int) -> list[int]:
    """A count of each process in their order; passed from host to host, so that nobody waits for a device."""
    if not joined():
        return [count]
    every = torch.zeros(world(), dtype=torch.int64)
    every[rank()] = count
    dist.all_reduce(every)
    return [int(value) for value in every.tolist()]


def all_rows(mine: Tensor, counts: Sequence[int]) -> Tensor:
    """The rows of all processes below each other, for each of them; gradients of all flow back to a row's owner.

    Args:
        mine: shape (n, ...).
        counts: n of each process.
    """
    return _AllRows.apply(mine, sum(counts[: rank()]), sum(counts)) if joined() else mine


class _AllRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor, start: int, total: int) -> Tensor:
        ctx.mine = slice(start, start + len(mine))
        rows = mine.new_zeros(total, *mine.shape[1:])
        rows[ctx.mine] = mine
        dist.all_reduce(rows)
        return rows

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad[ctx.mine], None, None


@contextmanager
def losses_told() -> Iterator[None]:
    """Turn errors of the processes' talk into a sentence.

    Raises:
        RankLostError: another process no longer holds its connection.
        TddError: the processes cannot talk for another reason.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).strip().partition("\n")[0]
        if joined() and _GONE.search(str(error)):
            raise RankLostError(
                f"Another of the {world()} processes of this run has ended, so process {rank() + 1} ends too ({said}); "
                "what the other one said is the reason. The same command goes on from the last resume point."
            ) from error
        if joined() and (isinstance(error, dist.DistError) or _TALK.search(str(error))):
            raise TddError(
                f"Process {rank() + 1} of {world()} cannot talk to the others ({said}); mend what that names, or train "
                "on one device. The same command goes on from the last resume point."
            ) from error
        raise
