"""What a run tells while it trains, epoch by epoch: JSON lines and a table always, other loggers where asked for."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tdd.config import TENSORBOARD, WANDB
from tdd.errors import TddError
from tdd.machine.files import write_atomically
from tdd.machine.kit import install_command

HISTORY, TABLE = "history.jsonl", "history.csv"
"""In a run's folder, while it trains: one line an epoch; the record holds the same when it is finished."""

WANDB_ID = "wandb_id.txt"
"""In a run's folder: its id at Weights & Biases, drawn when it begins and kept when it goes on after a stop."""

PROJECT = "tdd"
"""Of Weights & Biases, where the environment names no other (``WANDB_PROJECT``)."""

Entry = Mapping[str, float]
"""An epoch: its number from 0, its rate, and what was measured."""


def write_history(run: Path, history: Sequence[Entry]) -> None:
    """Write the epochs so far into the folder of a run, whole, so that a resumed run has each once."""
    write_atomically(run / HISTORY, "".join(json.dumps(entry) + "\n" for entry in history).encode())
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(name for entry in history for name in entry)), lineterminator="\n")
    table.writeheader()
    table.writerows(history)
    write_atomically(run / TABLE, text.getvalue().encode())


def require_loggers(names: Sequence[str]) -> None:
    """Refuse loggers that cannot be opened, before anything is made.

    Raises:
        TddError: a package that one of them needs is not installed.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise TddError(
                f"machine.loggers asks for {name}, which is not installed; {install_command(name)}, or "
                f"leave {name} out."
            )


class Loggers:
    """Lightning's loggers of a run, for a ``with`` block; steps are epochs, counted from 1."""

    def __init__(self, names: Sequence[str], run: Path, done: int) -> None:
        """Open them.

        Args:
            names: of ``machine.loggers``.
            run: folder of the run, which they write into.
            done: epochs that an earlier call finished; what was told of later ones is forgotten.
        """
        self._loggers = [BUILDERS[name](run, done) for name in names]

    def log(self, entry: Entry) -> None:
        """Tell an epoch, and see that it is written."""
        values = {name: value for name, value in entry.items() if name != "epoch"}
        for logger in self._loggers:
            logger.log_metrics(values, step=int(entry["epoch"]) + 1)
            logger.save()

    def __enter__(self) -> Loggers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The run is finished, or has failed: either way the next one of this process is another."""
        for logger in self._loggers:
            logger.finalize("success" if kind is None else "failed")
            finish = getattr(getattr(logger, "experiment", None), "finish", None)
            if finish:  # of Weights & Biases, for which the next run of this process would be the same one
                finish()


def _tensorboard(run: Path, done: int) -> Any:
    from lightning.fabric.loggers import TensorBoardLogger

    return TensorBoardLogger(run, name=TENSORBOARD, version="", purge_step=done + 1)


def _wandb(run: Path, done: int) -> Any:
    from lightning.pytorch.loggers import WandbLogger

    kept = run / WANDB_ID
    # A run that begins anew in the same folder is another one there.
    if not done or not kept.is_file():
        write_atomically(kept, uuid.uuid4().hex[:16].encode())
    own = kept.read_text().strip()
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    return WandbLogger(name=run.name, save_dir=run, id=own, project=project, resume="allow")


BUILDERS: dict[str, Callable[[Path, int], Any]] = {TENSORBOARD: _tensorboard, WANDB: _wandb}
"""Name of a logger, which is its package's, to what opens it."""
