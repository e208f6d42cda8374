"""What both stages share: the optimiser, its schedules, and a Lightning trainer that resumes."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from adamp import AdamP
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from tdd.config import OptimiserConfig, Recipe, scaled_rate

RESUME = "resume.ckpt"

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


class Stage(L.LightningModule):
    """A training stage that keeps its own history: one dictionary of means an epoch, saved with the resume point."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._sums: dict[str, float] = {}
        self._steps = 0

    def note(self, **values: torch.Tensor) -> None:
        """Add one step's values to the epoch's means."""
        self._steps += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())

    def validation_metrics(self) -> dict[str, float]:
        """Metrics of the validation that ran last; none by default."""
        return {}

    def on_train_epoch_end(self) -> None:
        """Close the epoch: means of the training steps, then the validation's metrics."""
        means = {name: total / self._steps for name, total in self._sums.items()}
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.history.append({"epoch": self.current_epoch, "lr": rate} | means | self.validation_metrics())
        self._sums, self._steps = {}, 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history with the resume point."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up again."""
        self.history = checkpoint["history"]


class _Reporter(Callback):
    def __init__(self, report: Report) -> None:
        self.report = report

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.report(trainer.global_step, int(trainer.estimated_stepping_batches))


def fit(
    stage: Stage,
    train: Any,
    validation: Any | None,
    epochs: int,
    recipe: Recipe,
    run: Path,
    report: Report | None = None,
) -> None:
    """Train ``stage`` in place, from its last resume point in ``run`` when there is one."""
    machine = recipe.machine
    if machine.threads:
        torch.set_num_threads(machine.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
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
            devices=machine.devices,
            precision=machine.precision,  # type: ignore[arg-type]
            max_epochs=epochs,
            callbacks=[saver] + ([_Reporter(report)] if report else []),
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        resume = run / RESUME
        trainer.fit(stage, train, validation, ckpt_path=resume if resume.is_file() else None, weights_only=True)
