"""Lightning's Fabric for a run: one device, or those of the processes that have met (see :mod:`tdd.machine.ranks`)."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.fabric.strategies import DDPStrategy

from tdd.config import MachineConfig
from tdd.data.clips import on_gpu, visible_gpus
from tdd.errors import AlreadySaidError, TddError
from tdd.machine.launch import run_ranks
from tdd.machine.parallel import Progress
from tdd.machine.ranks import gathered, leads, rank, world
from tdd.training.resume import Identity, difference


def on_all_devices(
    machine: MachineConfig, function: Callable[..., Any], *arguments: Any, report: Progress | None = None
) -> None:
    """Call ``function(*arguments, report=...)`` in a process for each of a run's devices; see :func:`run_ranks`."""
    run_ranks(machine.devices, visible_gpus() if on_gpu(machine) else [], function, *arguments, report=report)


def make_fabric(machine: MachineConfig, may_leave_out: bool = False) -> Fabric:
    """What moves to a device, computes in the precision asked for, and averages gradients over devices.

    Args:
        machine: of the recipe.
        may_leave_out: some steps use only a part of the parameters, on all devices alike.

    Raises:
        TddError: a GPU is asked for where there is none, half precision where there is no GPU, or two processes were
            given the same GPU.
    """
    gpu = on_gpu(machine)
    if not gpu:
        _require_no_gpu(machine)
    if world() == 1:
        # Never Lightning's own choice without CUDA: on a Mac it is a device that knows no double precision.
        accelerator = machine.accelerator if gpu else "cpu"
        return Fabric(accelerator=accelerator, devices=1, precision=machine.precision)  # type: ignore[arg-type]
    if gpu:
        _require_own_gpus()
    # Buffers are equal on all devices without being sent: batch norm is over the clips of all.
    strategy = DDPStrategy(
        cluster_environment=_Met(), broadcast_buffers=False, find_unused_parameters=may_leave_out
    )  # fmt: skip
    fabric = Fabric(
        accelerator="cuda" if gpu else "cpu", devices=[torch.cuda.current_device()] if gpu else 1,
        strategy=strategy, precision=machine.precision,  # type: ignore[arg-type]
    )  # fmt: skip
    threads = torch.get_num_threads()
    fabric.launch()
    torch.set_num_threads(threads)  # Fabric takes all cores for this process
    return fabric


class _Met(TorchElasticEnvironment):
    """Processes that have met already, each with one device; whoever began them."""

    def global_rank(self) -> int:
        return rank()

    def world_size(self) -> int:
        return world()

    def local_rank(self) -> int:
        return 0  # among the devices that this process was given

    def node_rank(self) -> int:
        return 0

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Nothing: they are counted by process, not by machine."""


def _require_no_gpu(machine: MachineConfig) -> None:
    if machine.accelerator not in ("auto", "cpu"):
        raise TddError(
            f"machine.accelerator is '{machine.accelerator}', and torch finds no CUDA GPU here; set it to auto or cpu, "
            "or install a build of torch for the GPU."
        )
    if machine.precision == "16-mixed":  # Lightning would take bfloat16 in its place, and the record would not say so
        raise TddError(
            "machine.precision is '16-mixed', which wants a GPU, and this run computes on the CPU; set it to 32-true "
            "or bf16-mixed."
        )


def _require_own_gpus() -> None:
    mine = torch.cuda.get_device_properties(torch.cuda.current_device())
    every = gathered((platform.node(), str(mine.uuid)))
    if len(set(every)) < len(every):
        raise TddError(f"{len(every)} processes share {len(set(every))} GPU(s); begin one process for each GPU.")


def require_same_run(identity: Identity) -> None:
    """Refuse processes that do not train the same.

    Raises:
        TddError: one has another seed, settings, data or initial weights than the first.
    """
    every = gathered(identity)
    _refuse([difference(other, every[0]) for other in every])


def require_same_point(epochs: int) -> None:
    """Refuse processes that do not go on from the same resume point, as on machines that share no folder.

    Args:
        epochs: that the resume point holds; 0 without one.

    Raises:
        TddError: one has another than the first.
    """
    every = gathered(epochs)
    _refuse([None if own == every[0] else f"a resume point of {own} epochs, not {every[0]}" for own in every])


def _refuse(differences: Sequence[str | None]) -> None:
    for number, found in enumerate(differences):
        if found:
            said = (
                f"Process {number + 1} of {len(differences)} trains with {found} as the first one does; begin all with "
                "the same command, on the same data and the same folder of runs."
            )
            raise TddError(said) if leads() else AlreadySaidError(said)
