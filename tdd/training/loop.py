"""The loop of both stages, in plain view: steps, validation, history, and resume points that lose nothing."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from traceback import clear_frames
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from tdd.config import OptimiserConfig, Recipe, Stage1Config, Stage2Config, override, scaled_rate
from tdd.data.loading import on_device
from tdd.data.store import LABELS
from tdd.errors import TddError
from tdd.machine.files import remove_partials
from tdd.machine.ranks import gathered, leads, world
from tdd.training.batch_norm import synchronise
from tdd.training.devices import make_fabric, require_same_point, require_same_run
from tdd.training.loggers import Loggers, require_loggers, write_history
from tdd.training.memory import first_clips, parts_that_fit, peak_bytes
from tdd.training.optimiser import AdamP
from tdd.training.resume import RESUME, identity_of, load_point, save_point

NAMED = 8
"""Clips of a batch that are named where its loss is not finite."""

Report = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

Schedule = Callable[[int], float]
"""Optimiser step to a factor on the learning rate."""


def warmup_cosine(warmup: int, total: int) -> Schedule:
    """Linear warm-up over ``warmup`` steps, then half a cosine to zero at step ``total`` (stage 1)."""
    return lambda step: (
        (step + 1) / warmup if step < warmup else (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
    )


def warmup_constant(warmup: int) -> Schedule:
    """Linear warm-up over ``warmup`` steps, then constant (stage 2)."""
    return lambda step: min(1.0, (step + 1) / max(1, warmup))


def constant(_step: int) -> float:
    """No schedule: the stage-1 predictors keep their base rate."""
    return 1.0


def adamp(
    groups: Sequence[tuple[Iterable[nn.Parameter], Schedule]], config: OptimiserConfig, batch_size: int
) -> tuple[AdamP, LambdaLR]:
    """AdamP (Heo et al., ICLR 2021, arXiv 2006.08217) with one schedule a group, stepped every optimiser step."""
    rate = scaled_rate(config, batch_size)
    optimiser = AdamP([{"params": list(p)} for p, _ in groups], lr=rate, weight_decay=config.weight_decay)
    return optimiser, LambdaLR(optimiser, [schedule for _, schedule in groups])


class Watch(Protocol):
    """What looks at validation clips while a stage trains: the stage feeds it, the loop asks it after each epoch."""

    def compute(self) -> dict[str, float]:
        """Metrics of all that was fed since the last call; none where nothing was."""

    def new_warnings(self, history: Sequence[Mapping[str, float]]) -> list[str]:
        """What has gone wrong in ``history``, one dictionary an epoch, and shows in its last epoch first."""


class Stage(nn.Module):
    """What one stage trains, and what it does with a batch.

    A step draws nothing at random: every draw follows from (seed, epoch, position) in the loader, so a resume point
    needs no state of a random generator.

    On several devices each sees its share of a batch, and gradients are averaged: the mean over devices of the loss
    that a step returns is the loss of the batch.
    """

    watch: Watch | None = None
    loggers: Loggers | None = None
    may_leave_out = False
    """Whether a step may use only a part of the parameters, on all devices alike."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Train what depends on ``settings``, on the data and on the seed, and on nothing else."""
        super().__init__()
        self.settings = settings
        self.history: list[dict[str, float]] = []
        self.micro_batches = 1
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The loss of a batch; ``index`` counts the batches, not the optimiser's steps, of the epoch."""
        raise NotImplementedError

    def validation_step(self, batch: Any) -> None:
        """Show a batch of validation clips to the watch."""
        raise NotImplementedError

    def has_finished(self) -> bool:
        """Whether training ends before its last epoch; asked before each, with the history so far."""
        return False

    def configure_optimisers(self) -> tuple[AdamP, LambdaLR]:
        """The optimiser, and the schedule of its rates."""
        raise NotImplementedError

    def starts_a_step(self, index: int) -> bool:
        """Whether batch ``index`` of the epoch is the first part of an optimiser step."""
        return index % self.micro_batches == 0

    def note(self, values: Mapping[str, Tensor], weight: float = 1.0) -> None:
        """Add a batch's values to the epoch's means, each counted ``weight`` times (clips, for instance)."""
        for name, value in values.items():
            # Summed where it is: reading it here would make the host wait for the device at every step.
            self._sums[name] = self._sums.get(name, 0.0) + weight * value.detach().double()
            self._weights[name] = self._weights.get(name, 0.0) + weight

    def close_epoch(self, epoch: int, rate: float) -> list[str]:
        """Add to the history: means of the training steps, over all devices, then the watch's metrics.

        Returns:
            what the watch newly says.
        """
        every = gathered({name: (float(total), self._weights[name]) for name, total in self._sums.items()})
        means = {name: sum(own[name][0] for own in every) / sum(own[name][1] for own in every) for name in self._sums}
        found = self.watch.compute() if self.watch else {}
        self.history.append({"epoch": epoch, "lr": rate} | means | found)
        self._sums, self._weights = {}, {}
        if self.loggers:
            self.loggers.log(self.history[-1])
        return self.watch.new_warnings(self.history) if self.watch else []


def fit(
    stage: Stage,
    train: Any,
    validation: Any | None,
    config: Stage1Config | Stage2Config,
    recipe: Recipe,
    run: Path,
    report: Report | None = None,
) -> None:
    """Train ``stage`` in place, from its last resume point in ``run`` when there is one.

    Stopped at any moment, by SIGKILL too, the same call goes on from the last interval that was finished, and on the
    CPU ends with the same bits; on another number of devices too, but for rounding.

    Where processes have met (:mod:`tdd.machine.ranks`), all of them call this alike and train together; the leader
    writes.

    Args:
        stage: new, its weights as drawn from the seed or loaded from stage 1.
        train: loader of a data set with a ``store``, by ``EpochBatches``; several in step as a dictionary, whose
            batches come as one dictionary too.
        validation: loader, or ``None``.
        config: of the stage.
        recipe: every number of the run.
        run: its folder; one run at a time.
        report: called with (steps done, steps in all).

    Raises:
        TddError: the resume point is damaged, or of a run with another seed, data, settings or initial weights; or a
            loss is not finite; or the processes do not train the same; or a logger's package is not installed.
        KeyboardInterrupt: stopped by Ctrl-C.
    """
    machine = recipe.machine
    require_loggers(machine.loggers)  # by all processes: the others would wait for the leader alone
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if leads():
        remove_partials(run)
    loaders: dict[str, DataLoader[Any]] = train if isinstance(train, dict) else {"": train}
    leader = next(iter(loaders.values()))
    fabric = make_fabric(machine, stage.may_leave_out)
    identity = identity_of(stage, _given(leader, fabric) | dict(stage.settings))
    require_same_run(identity)
    point = load_point(run / RESUME, identity)
    require_same_point(len(point["history"]) if point else 0)
    bare, schedule = stage.configure_optimisers()
    if world() > 1:
        synchronise(stage, fabric.device)
    model, optimiser = fabric.setup(stage, bare)
    for method in ("training_step", "validation_step"):  # so that both compute in the precision asked for
        model.mark_forward_method(method)
    states: dict[str, Any] = {"stage": stage, "optimiser": bare, "schedule": schedule, "scaler": _Scaler(fabric)}
    if point:
        _take_up(point, stage, states)
    steps, parts = len(leader) // config.micro_batches, config.micro_batches

    with Loggers(machine.loggers if leads() else (), run, len(stage.history)) as stage.loggers:
        for epoch in takewhile(lambda _: not stage.has_finished(), range(len(stage.history), config.epochs)):
            stage.train()
            for index, batch in enumerate(on_device(_epoch(loaders, epoch), fabric.device)):
                try:
                    with fabric.no_backward_sync(model, enabled=(index + 1) % parts != 0):
                        loss = model.training_step(batch, index)
                        if not torch.isfinite(loss):
                            place = f"epoch {epoch + 1}, batch {index + 1}"
                            raise TddError(_not_finite(loss.item(), place, batch, loaders, recipe, config))
                        fabric.backward(loss / parts)
                    if (index + 1) % parts == 0:
                        optimiser.step()
                        optimiser.zero_grad()
                        schedule.step()
                except torch.OutOfMemoryError as error:
                    clear_frames(error.__traceback__)  # they hold the tensors of the step that failed
                    optimiser.zero_grad()
                    raise TddError(_too_large(model, fabric, batch, recipe, config)) from error
                if report and (index + 1) % parts == 0:
                    report(epoch * steps + (index + 1) // parts, config.epochs * steps)
            _validate(model, validation, fabric)
            _tell(stage.close_epoch(epoch, bare.param_groups[0]["lr"]), stage.history, run)
            last = epoch + 1 == config.epochs or stage.has_finished()
            if leads() and (last or (epoch + 1) % machine.checkpoint_epochs == 0):
                kept = {name: holder.state_dict() for name, holder in states.items()}
                save_point(run / RESUME, identity, kept | {"history": stage.history})
    if fabric.device.type != "cpu":
        stage.to("cpu")  # what follows decides anew where it computes


def _take_up(point: Mapping[str, Any], stage: Stage, states: Mapping[str, Any]) -> None:
    stage.history = point["history"]
    for name, holder in states.items():
        holder.load_state_dict(point[name])


@torch.inference_mode()
def _validate(model: Any, validation: Any | None, fabric: Fabric) -> None:
    if validation is None:
        return
    model.eval()
    for batch in on_device(validation, fabric.device):
        model.validation_step(batch)


def _tell(sentences: Sequence[str], history: Sequence[Mapping[str, float]], run: Path) -> None:
    """After an epoch: what the watch newly says, and the history so far."""
    if leads():
        for sentence in sentences:
            logging.getLogger(__name__).warning(sentence)
        write_history(run, history)


class _Scaler:
    """The loss scale of half precision, which moves as a run goes on; empty for other precisions."""

    def __init__(self, fabric: Fabric) -> None:
        self._precision = fabric.strategy.precision

    def state_dict(self) -> dict[str, Any]:
        return self._precision.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._precision.load_state_dict(state)


def _epoch(loaders: Mapping[str, DataLoader[Any]], epoch: int) -> Iterator[Any]:
    """The batches of one epoch; those of several loaders in step, as one dictionary."""
    for loader in loaders.values():
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
    if "" in loaders:
        yield from loaders[""]
        return
    for batches in zip(*loaders.values(), strict=True):
        yield dict(zip(loaders, batches, strict=True))


def _given(leader: DataLoader[Any], fabric: Fabric) -> dict[str, Any]:
    """Seed, data and device of a run: the ``leader`` is the loader whose batches follow from the run's seed."""
    batches, dataset = leader.batch_sampler, leader.dataset
    return {
        "seed": batches.seed[0],  # type: ignore[union-attr]
        "data": dataset.store.fingerprint,  # type: ignore[attr-defined]
        LABELS: dataset.store.labels,  # type: ignore[attr-defined]
        "device": fabric.device.type,
    }


def _not_finite(
    loss: float,
    place: str,
    batch: Any,
    loaders: Mapping[str, DataLoader[Any]],
    recipe: Recipe,
    config: Stage1Config | Stage2Config,
) -> str:
    """What is said of a batch whose loss is not a number: which clips it held, and what to change."""
    held = {"": batch} if "" in loaders else batch
    names = [
        str(loaders[name].dataset.table["video_id"].iloc[int(row)])  # type: ignore[attr-defined]
        for name, part in held.items()
        for row in part["row"]
    ]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    precision, rate = recipe.machine.precision, config.optimiser.learning_rate
    setting = f"{_section(config)}.optimiser.learning_rate (it is {rate:g})"
    finer = f", or set machine.precision to 32-true (it is {precision})" if precision.endswith("16-mixed") else ""
    return (
        f"The loss is {loss} in {place}, of the clips {', '.join(names[:NAMED])}{more}; look at these clips. The same "
        f"command meets the same batch again: lower {setting}{finer}, and begin in another folder."
    )


def _section(config: Stage1Config | Stage2Config) -> str:
    return "stage1" if isinstance(config, Stage1Config) else "stage2"


def _too_large(model: Any, fabric: Fabric, batch: Any, recipe: Recipe, config: Stage1Config | Stage2Config) -> str:
    """What is said of a batch that the device has no memory for: in how many parts it would fit."""
    section = _section(config)
    room = torch.cuda.get_device_properties(fabric.device).total_memory
    beginning = f"The device ({room / 2**30:.0f} GiB) has no memory for "
    if world() > 1:  # to measure, all would have to take part, and the others are elsewhere
        share = config.batch_size // config.micro_batches // world()
        return f"{beginning}its {share} clips of a batch; set {section}.micro_batches higher, or take more devices."

    def peak(clips: int) -> float:
        part = fabric.to_device(first_clips(batch, clips))
        return peak_bytes(lambda: model.training_step(part, 0), fabric.device)

    def allowed(parts: int) -> bool:
        try:
            override(recipe, {f"{section}.micro_batches": parts})
        except TddError:  # the clips that join the batch cannot be parted so, or a part would lack a class
            return False
        return True

    fitting = parts_that_fit(peak, room, config.batch_size, config.micro_batches, allowed)
    mend = (
        f"set {section}.micro_batches to {fitting}" if fitting else "take a smaller network or batch, or another device"
    )
    return f"{beginning}a batch of {config.batch_size} in {config.micro_batches} parts; {mend}."
