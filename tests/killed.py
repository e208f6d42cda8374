"""Training in a process of its own that can be killed at a chosen point, and what such a run leaves behind."""

import dataclasses
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

from tdd.config import load_recipe
from tdd.data.store import ClipStore
from tdd.detect import detect
from tdd.pretrain import pretrain
from tdd.records.plans import TABLE

ROWS = {row.id: row for row in TABLE.rows}
STOPPED = "stopped"
SECONDS = 60

_fresh = multiprocessing.get_context("forkserver")  # imports torch once, before any of its threads exist
_fresh.set_forkserver_preload([__name__])


def recipe(epochs, interval):
    """The tiny recipe, with so many epochs in both stages and between resume points."""
    tiny = load_recipe("tiny")
    return dataclasses.replace(
        tiny,
        stage1=dataclasses.replace(tiny.stage1, epochs=epochs),
        stage2=dataclasses.replace(tiny.stage2, epochs=epochs),
        machine=dataclasses.replace(tiny.machine, checkpoint_epochs=interval),
    )


def start(kind, store, run, settings, stage1=None, point=None):
    """Start a run; ``point`` is where it stops and waits to be killed: see ``_stop_before`` and ``_stop_at_step``."""
    (run / STOPPED).unlink(missing_ok=True)
    process = _fresh.Process(target=_train, args=(kind, store, run, settings, stage1, point), daemon=True)
    process.start()
    return process


def finish(process):
    process.join(SECONDS)
    assert process.exitcode == 0


def kill(process):
    process.kill()
    process.join(SECONDS)
    assert process.exitcode in (-signal.SIGKILL, 0)  # 0: it had just finished


def kill_at_point(process, run):
    """Wait until the run has reached its point, and kill it there."""
    end = time.monotonic() + SECONDS
    while not (run / STOPPED).exists():
        assert process.is_alive() and time.monotonic() < end
        time.sleep(0.01)
    kill(process)


def left_by(run):
    """All that a finished run publishes, less its name and times and the machine's settings, none of which count."""
    record, info = (json.loads((run / name).read_text()) for name in ("record.json", "weights.json"))
    for key in ("name", "started", "seconds"):
        del record[key]
    del record["recipe"]["machine"], info["recipe"]["machine"]
    data = {
        name: (run / name).read_bytes() for name in ("weights.safetensors", "clip_logits.csv") if (run / name).exists()
    }
    return record, info, data


def _train(kind, store, run, settings, stage1, point):
    report = None
    if point:
        what, number = point
        if what == "step":
            report = _stop_at_step(run, number)
        else:
            _stop_before(run, what, number)
    if kind == "stage1":
        pretrain(ClipStore(store), "cnn_gru_attention", settings, run, report=report)
    else:
        detect(ClipStore(store), ROWS["ssl_0.3"], settings, run, stage1, report=report)


def _stop_at_step(run, number):
    def report(done, _total):
        if done == number:
            _stop(run)

    return report


def _stop_before(run, name, number):
    """Stop in the middle of writing the file ``name`` for the ``number``-th time: half of it is on the disk."""
    replace, seen = Path.replace, 0

    def stopping(partial, target):
        nonlocal seen
        seen += target.name == name
        if target.name == name and seen == number:
            os.truncate(partial, partial.stat().st_size // 2)
            _stop(run)
        return replace(partial, target)

    Path.replace = stopping


def _stop(run):
    (run / STOPPED).touch()
    time.sleep(SECONDS)
