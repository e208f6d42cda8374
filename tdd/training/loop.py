"""What both stages share: the optimiser, its schedules, and a Lightning trainer that resumes."""

from __future__ import annotations

import logging
import math
import signal
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from adamp import AdamP
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from tdd.config import OptimiserConfig, Recipe, Stage1Config, Stage2Config, scaled_rate
from tdd.machine.files import remove_partials
from tdd.training.resume import RESUME, ResumePoints, identity_of

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


class Stage(L.LightningModule):
    """A training stage that keeps its own history: one dictionary of means an epoch, saved with the resume point.

    A step draws nothing at random: every draw follows from (seed, epoch, position) in the loader, so a resume point
    needs no state of a random generator.
    """

    watch: Watch | None = None

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Train what depends on ``settings``, on the data and on the seed, and on nothing else."""
        super().__init__()
        self.settings = settings
        self.history: list[dict[str, float]] = []
        self.micro_batches = 1
        self._sums: dict[str, float] = {}
        self._steps = 0

    def starts_a_step(self, index: int) -> bool:
        """Whether batch ``index`` of the epoch is the first part of an optimiser step."""
        return index % self.micro_batches == 0

    def note(self, **values: torch.Tensor) -> None:
        """Add one step's values to the epoch's means."""
        self._steps += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())

    def on_train_epoch_end(self) -> None:
        """Close the epoch: means of the training steps, then the validation's metrics; say what is newly wrong."""
        means = {name: total / self._steps for name, total in self._sums.items()}
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        found = self.watch.compute() if self.watch else {}
        self.history.append({"epoch": self.current_epoch, "lr": rate} | means | found)
        self._sums, self._steps = {}, 0
        for sentence in self.watch.new_warnings(self.history) if self.watch else ():
            logging.getLogger(__name__).warning(sentence)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history with the resume point."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up again."""
        self.history = checkpoint["history"]


class _NextEpoch(Callback):
    """Tells the batches of a resumed run their epoch: loader processes draw ahead, before Lightning would."""

    def __init__(self, loaders: Sequence[DataLoader[Any]]) -> None:
        self.loaders = loaders

    def on_load_checkpoint(self, _trainer: L.Trainer, _stage: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        for loader in self.loaders:
            loader.batch_sampler.set_epoch(len(checkpoint["history"]))  # type: ignore[union-attr]


class _Reporter(Callback):
    def __init__(self, report: Report) -> None:
        self.report = report

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.report(trainer.global_step, int(trainer.estimated_stepping_batches))


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
    CPU ends with the same bits.

    Args:
        stage: new, its weights as drawn from the seed or loaded from stage 1.
        train: loader of a data set with a ``store``, by ``EpochBatches``; several in step as a dictionary, whose
            batches come as one dictionary too.
        validation: loader, or ``None``.
        config: of the stage.
        recipe: every number of the run.
        run: its folder; one process at a time.
        report: called with (steps done, steps in all).

    Raises:
        TddError: the resume point is damaged, or of a run with another seed, data, settings or initial weights.
        KeyboardInterrupt: stopped by Ctrl-C.
    """
    machine = recipe.machine
    if machine.threads:
        torch.set_num_threads(machine.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    remove_partials(run)
    loaders = list(train.values()) if isinstance(train, dict) else [train]
    saver = ModelCheckpoint(
        run, RESUME.removesuffix(".ckpt"), save_top_k=1, every_n_epochs=machine.checkpoint_epochs,
        save_on_train_epoch_end=True, enable_version_counter=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Lightning's advice on workers and logging intervals: both are chosen by recipe
        trainer = L.Trainer(
            accelerator=machine.accelerator,
            devices=1,
            precision=machine.precision,  # type: ignore[arg-type]
            max_epochs=config.epochs,
            accumulate_grad_batches=config.micro_batches,
            callbacks=[saver, _NextEpoch(loaders)] + ([_Reporter(report)] if report else []),
            plugins=[ResumePoints(identity_of(stage, _given(loaders[0]) | dict(stage.settings)))],
            default_root_dir=run,  # on a cluster, Lightning looks there for checkpoints of a requeued job
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        resume = run / RESUME
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(stage, train, validation, ckpt_path=resume if resume.is_file() else None, weights_only=True)
        except SystemExit as stop:
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, handler)  # Lightning ignores Ctrl-C from then on, and exits
            raise KeyboardInterrupt from stop


def _given(leader: DataLoader[Any]) -> dict[str, Any]:
    """Seed and data of a run: the ``leader`` is the loader whose batches follow from the run's seed."""
    batches, dataset = leader.batch_sampler, leader.dataset
    return {"seed": batches.seed[0], "data": dataset.store.fingerprint}  # type: ignore[union-attr,attr-defined]
