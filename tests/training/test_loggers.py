"""What a run tells while it trains."""

import csv
import dataclasses
import json
import sys
import types

import pytest

from tdd.config import load_recipe, override
from tdd.data.clips import EpochBatches, loader
from tdd.errors import TddError
from tdd.training import loggers
from tdd.training.loop import fit
from tests.training.test_loop import TINY, Draws, Watching


class Measured(Watching):
    """Its second epoch has a value that its first had not."""

    class watch:  # noqa: N801
        epochs = 0

        @classmethod
        def compute(cls):
            cls.epochs += 1
            return {"measured": 0.25 * cls.epochs} | ({"late": 3.0} if cls.epochs > 1 else {})

        @staticmethod
        def new_warnings(_history):
            return []


def train(run, epochs, names=()):
    Measured.watch.epochs = 0
    stage = Measured()
    recipe = override(TINY, {"machine.loggers": names})
    config = dataclasses.replace(recipe.stage2, epochs=epochs)
    fit(stage, {"labelled": loader(Draws(), EpochBatches(12, 4, 0), recipe)}, None, config, recipe, run)
    return stage.history


def test_the_table_holds_every_epoch_also_when_resumed(tmp_path):
    train(tmp_path, 2)
    history = train(tmp_path, 3)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    assert rows[0]["late"] == "" and float(rows[1]["late"]) == 3.0
    for row, entry in zip(rows, history, strict=True):
        assert {name: float(value) for name, value in row.items() if value} == entry
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


class Kept:
    """A logger that keeps what it is told."""

    def __init__(self, run, done):
        self.told = [("open", run.name, done)]

    def log_metrics(self, metrics, step):
        self.told.append((step, metrics))

    def save(self):
        self.told.append("saved")

    def finalize(self, status):
        self.told.append(status)


def test_a_logger_is_told_each_epoch_once_and_that_the_run_is_finished(tmp_path, monkeypatch):
    made = []

    def build(run, done):
        made.append(Kept(run, done))
        return made[-1]

    monkeypatch.setitem(loggers.BUILDERS, "wandb", build)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    first = train(tmp_path / "run", 2, ["wandb"])
    train(tmp_path / "run", 3, ["wandb"])

    def values(entry):
        return {name: value for name, value in entry.items() if name != "epoch"}

    opened, *told = made[0].told
    assert opened == ("open", "run", 0)
    assert told == [(1, values(first[0])), "saved", (2, values(first[1])), "saved", "success"]
    assert [made[1].told[0], made[1].told[1][0]] == [("open", "run", 2), 3]


def test_a_run_that_fails_leaves_no_logger_open_for_the_next_one(tmp_path, monkeypatch):
    """Weights & Biases has one run a process: left open, it would be told of the next training as well."""
    made, finished = [], []

    class Failing(Kept):
        experiment = types.SimpleNamespace(finish=lambda: finished.append(True))

        def __init__(self, run, done):
            super().__init__(run, done)
            made.append(self)

        def save(self):
            raise TddError("the disk is full")

    monkeypatch.setitem(loggers.BUILDERS, "wandb", Failing)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    with pytest.raises(TddError, match="the disk is full"):
        train(tmp_path / "run", 2, ["wandb"])
    assert made[0].told[-1] == "failed" and finished == [True]


def test_tensorboard_reads_what_was_told(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, 2, ["tensorboard"])
    history = train(tmp_path, 3, ["tensorboard"])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    told = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert set(told) == {"lr", "measured", "late"}
    for name, points in told.items():
        wanted = [(entry["epoch"] + 1, entry[name]) for entry in history if name in entry]
        assert [step for step, _ in points] == [step for step, _ in wanted]
        assert [value for _, value in points] == pytest.approx([value for _, value in wanted])


def test_a_package_that_is_missing_is_named_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(TddError, match=r"asks for tensorboard, .*pip install .*\[tensorboard\]\""):
        train(tmp_path, 2, ["tensorboard"])
    assert not (tmp_path / "history.csv").exists()


def test_a_missing_package_is_told_by_every_process_before_they_begin(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("tdd.training.loop.leads", lambda: False)
    monkeypatch.setattr("tdd.training.loop.make_fabric", lambda *_: pytest.fail("too late"))
    with pytest.raises(TddError, match="asks for wandb"):
        train(tmp_path, 2, ["wandb"])


def test_a_run_begun_anew_is_another_one_at_weights_and_biases(tmp_path, monkeypatch):
    ids = []
    module = types.ModuleType("lightning.pytorch.loggers")
    module.WandbLogger = lambda **given: ids.append(given["id"])
    monkeypatch.setitem(sys.modules, "lightning.pytorch.loggers", module)
    for done in (0, 2, 5, 0, 1):
        loggers.BUILDERS["wandb"](tmp_path, done)
    assert ids[0] == ids[1] == ids[2] and ids[3] == ids[4] != ids[0]


def test_loggers_are_set_on_the_command_line_and_others_are_refused():
    recipe = load_recipe("tiny", ["machine.loggers=[tensorboard, wandb]"])
    assert recipe.machine.loggers == ("tensorboard", "wandb") and recipe.name == "tiny"
    with pytest.raises(TddError, match=r"machine\.loggers is tensorboard or wandb, not 'csv'"):
        load_recipe("tiny", ["machine.loggers=[csv]"])
