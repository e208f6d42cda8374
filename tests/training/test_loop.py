"""The training loop: which clips it shows, unbroken and resumed."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from tdd.config import load_recipe
from tdd.data.clips import CompanionBatches, EpochBatches, loader
from tdd.training.loop import Stage, fit

TINY = load_recipe("tiny")


class Draws(Dataset):
    """Returns what it was asked for."""

    store = SimpleNamespace(fingerprint="none")

    def __len__(self):
        return 12

    def __getitem__(self, draw):
        return torch.tensor([draw.row, *draw.seed])


class Watching(Stage):
    """Keeps every batch it was shown."""

    def __init__(self):
        super().__init__({})
        self.weight = nn.Parameter(torch.zeros(1))
        self.shown = []

    def training_step(self, batch, _index):
        self.shown += [part.tolist() for part in batch.values()]
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def shown(run, epochs, workers, seed=5):
    recipe = dataclasses.replace(TINY, machine=dataclasses.replace(TINY.machine, workers=workers))
    stage = Watching()
    batches = EpochBatches(12, 4, seed)
    both = {
        "labelled": loader(Draws(), batches, recipe),
        "joined": loader(Draws(), CompanionBatches(5, 2, batches), recipe),
    }
    fit(stage, both, None, dataclasses.replace(recipe.stage2, epochs=epochs), recipe, run)
    return stage.shown


def expected(epochs, seed=5):
    labelled, draws = EpochBatches(12, 4, seed), []
    joined = CompanionBatches(5, 2, labelled)
    for epoch in epochs:
        for batches in (labelled, joined):
            batches.set_epoch(epoch)
        for pair in zip(labelled, joined, strict=True):
            draws += [[[draw.row, *draw.seed] for draw in batch] for batch in pair]
    return draws


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_draws_anew_also_when_resumed(tmp_path, workers):
    assert shown(tmp_path, 2, workers) == expected([0, 1])
    assert shown(tmp_path, 4, workers) == expected([2, 3])


class Watcher:
    """Measures one number, and has something to say about two of the epochs."""

    def compute(self):
        return {"measured": 0.5}

    def new_warnings(self, history):
        return [f"epoch {history[-1]['epoch']}"] if history[-1]["epoch"] in (1, 2) else []


def test_what_the_watch_finds_is_said_once_also_when_resumed(tmp_path, caplog):
    for epochs in (2, 4):
        batches = {"labelled": loader(Draws(), EpochBatches(12, 4, 0), TINY)}
        config = dataclasses.replace(TINY.stage2, epochs=epochs)
        stage = Watching()
        stage.watch = Watcher()
        fit(stage, batches, None, config, TINY, tmp_path)
    assert [entry["measured"] for entry in stage.history] == [0.5] * 4
    assert [r.getMessage() for r in caplog.records if r.name.startswith("tdd")] == ["epoch 1", "epoch 2"]
