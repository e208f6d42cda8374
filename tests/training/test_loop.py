"""The training loop: which clips it shows, unbroken and resumed."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

from tdd.config import load_recipe, override
from tdd.data.clips import CompanionBatches, EpochBatches, loader
from tdd.errors import TddError
from tdd.training.loop import Stage, constant, fit

TINY = load_recipe("tiny")


class Draws(Dataset):
    """Returns what it was asked for."""

    store = SimpleNamespace(fingerprint="none", labels="none")

    def __len__(self):
        return 12

    def __getitem__(self, draw):
        return {"row": draw.row, "drawn": torch.tensor([draw.row, *draw.seed])}


class Watching(Stage):
    """Keeps every batch it was shown."""

    def __init__(self):
        super().__init__({})
        self.weight = nn.Parameter(torch.zeros(1))
        self.shown = []

    def training_step(self, batch, _index):
        self.shown += [part["drawn"].tolist() for part in batch.values()]
        return self.weight.sum()

    def configure_optimisers(self):
        optimiser = torch.optim.SGD(self.parameters(), 0.1)
        return optimiser, LambdaLR(optimiser, constant)


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


class Breaking(Watching):
    """Its loss is no number from the second batch of the second epoch on."""

    def training_step(self, batch, index):
        return super().training_step(batch, index) * (math.nan if self.history and index else 1.0)


@pytest.mark.parametrize(
    ("stage", "precision", "mend"),
    [
        ("stage1", "32-true", r"lower stage1\.optimiser\.learning_rate \(it is 0\.0065\), and"),
        ("stage2", "bf16-mixed", r"lower stage2\..*, or set machine\.precision to 32-true \(it is bf16-mixed\), and"),
    ],
)
def test_a_loss_that_is_no_number_stops_the_run_names_the_clips_and_says_what_to_change(
    tmp_path, stage, precision, mend
):
    batches, data, recipe = EpochBatches(12, 4, 0), Draws(), override(TINY, {"machine.precision": precision})
    data.table = pd.DataFrame({"video_id": [f"video{row:02d}" for row in range(12)]})

    def train():
        said = rf"^The loss is nan in epoch 2, batch 2, .* the same batch again: {mend} begin in another folder\.$"
        with pytest.raises(TddError, match=said) as caught:
            given = {"labelled": loader(data, batches, recipe)}
            fit(Breaking(), given, None, getattr(recipe, stage), recipe, tmp_path)
        return caught

    caught = train()
    assert str(train().value) == str(caught.value)  # to go on is no way out
    batches.set_epoch(1)
    named = [f"video{draw.row:02d}" for draw in list(batches)[1]]
    assert ", ".join(named) in str(caught.value)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0]


def test_the_history_file_grows_as_it_trains_and_holds_what_the_stage_holds(tmp_path):
    seen, stage = [], Watching()

    def look(_done, _total):
        file = tmp_path / "history.jsonl"
        seen.append(len(file.read_text().splitlines()) if file.exists() else 0)

    batches = EpochBatches(12, 4, 0)
    config = dataclasses.replace(TINY.stage2, epochs=3)
    fit(stage, {"labelled": loader(Draws(), batches, TINY)}, None, config, TINY, tmp_path, look)
    assert seen == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == stage.history


def test_means_weigh_each_value_as_told():
    stage = Watching()
    stage.note({"auxiliary": torch.tensor(-1.0)}, 3)
    stage.note({"auxiliary": torch.tensor(0.0)}, 1)
    stage.note({"loss": torch.tensor(2.0)})
    stage.close_epoch(0, 0.1)
    assert stage.history == [{"epoch": 0, "lr": 0.1, "auxiliary": -0.75, "loss": 2.0}]
