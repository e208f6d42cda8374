"""Several processes train one network: as one with every clip would, and what ends them."""

import dataclasses
import itertools
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tdd.config import load_recipe, override
from tdd.data.clips import CompanionBatches, EpochBatches
from tdd.errors import TddError
from tdd.losses import centre, prediction_loss
from tdd.machine import launch, ranks
from tdd.machine.launch import begins_ranks, require_devices
from tdd.machine.ranks import all_rows, counts_of_ranks, find_place, gpu_of, in_turn, my_share
from tdd.pretrain import pretrain
from tdd.training.batch_norm import synchronise
from tdd.weights.checkpoints import import_weights
from tests.ranks import exact, in_ranks, stage1, stage2
from tests.stores import random_store

SECONDS = 20
"""Within which a run ends whose process was killed."""

FIRST = {"stage1.epochs": 5, "stage1.micro_batches": 2, "stage1.centre_targets": "both"}  # of two steps each
SECOND = {"stage2.epochs": 4, "stage2.micro_batches": 2, "stage2.real_per_labelled": 0.5}  # of three


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"), faces=16, val=3)


@pytest.fixture(scope="module")
def first(store, tmp_path_factory):
    """Stage 1 of one process and of two, with their records."""
    folder, recipe = tmp_path_factory.mktemp("first"), exact(**FIRST)
    [alone] = in_ranks(1, stage1, store.folder, folder / "one", recipe)
    return folder, alone, in_ranks(2, stage1, store.folder, folder / "two", recipe)


def same_history(one, other):
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert theirs[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def same_weights(one, other, kind):
    parts, others = (import_weights(run, kind, "cnn_gru_attention").parts for run in (one, other))
    for part, state in parts.items():
        for name, tensor in state.items():
            torch.testing.assert_close(others[part][name], tensor, rtol=1e-5, atol=1e-7, msg=f"{part}.{name}")


def test_ten_steps_of_stage_1_of_two_processes_are_those_of_one(first):
    folder, alone, both = first
    assert both[0] == both[1]  # one record, told to all
    assert alone["machine"]["devices"] == "1" and both[0]["machine"]["devices"] == "2"
    same_history(alone["history"], both[0]["history"])
    same_weights(folder / "one", folder / "two", "stage1")


@pytest.mark.parametrize("settings", [{}, {"stage2.centre_targets": "both", "stage2.real_per_labelled": 0.0}])
def test_twelve_steps_of_stage_2_of_two_processes_are_those_of_one(settings, first, store, tmp_path):
    recipe = exact(**FIRST | SECOND | settings)
    [alone] = in_ranks(1, stage2, store.folder, tmp_path / "one", recipe, first[0] / "one")
    both = in_ranks(2, stage2, store.folder, tmp_path / "two", recipe, first[0] / "one")
    assert both[0] == both[1]
    same_history(alone["history"], both[0]["history"])
    same_weights(tmp_path / "one", tmp_path / "two", "stage2")
    scores = [pd.read_csv(tmp_path / name / "clip_logits.csv") for name in ("one", "two")]
    pd.testing.assert_frame_equal(*scores, rtol=1e-5, atol=1e-5)
    assert not scores[1].duplicated(["video_id", "start"]).any()


def test_another_seed_in_one_process_is_refused_by_one_sentence(store, tmp_path):
    found = in_ranks(2, stage1, store.folder, tmp_path / "run", exact(), "cnn_gru_attention", (0, 1))
    said = "Process 2 of 2 trains with seed = 1, not 0 as the first one does"
    assert all(isinstance(error, TddError) and said in str(error) for error in found)
    assert not (tmp_path / "run" / "record.json").exists()


def parts_of_batch_norm(shapes):
    torch.manual_seed(0)
    whole = [torch.randn(sum(sizes), *rest, dtype=torch.float64) + 5 for sizes, rest in shapes]
    found = []
    for x, (sizes, _) in zip(whole, shapes, strict=True):
        kind = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
        alone = kind(x.shape[1]).double()
        nn.init.normal_(alone.weight)
        shared = synchronise(nn.Sequential(kind(x.shape[1]).double()), torch.device("cpu"))
        shared.load_state_dict({f"0.{name}": value for name, value in alone.state_dict().items()})
        start = sum(sizes[: ranks.rank()])
        mine = slice(start, start + sizes[ranks.rank()])
        wanted, part = x.clone().requires_grad_(), x[mine].clone().requires_grad_()
        target = torch.randn_like(x)
        y, own = alone(wanted), shared(part)
        (y * target).sum().backward()
        (own * target[mine]).sum().backward()
        pairs = [(own, y[mine]), (part.grad, wanted.grad[mine])]
        pairs += [(shared.state_dict()[f"0.{name}"], value) for name, value in alone.state_dict().items()]
        weights = sum(ranks.gathered(shared[0].weight.grad)), alone.weight.grad
        found += [torch.allclose(a.double(), b.double(), atol=1e-10) for a, b in [*pairs, weights]]
    return found


def test_batch_norm_over_processes_is_torchs_over_all_clips():
    shapes = [((3, 1), (4, 5, 5)), ((2, 6), (4, 7))]
    assert all(all(found) for found in in_ranks(2, parts_of_batch_norm, shapes))


def few_reals():
    """Of three real clips the first process has all: loss, gradients and centred targets, against one process."""
    torch.manual_seed(0)
    network, x, target = nn.Linear(4, 4).double(), torch.randn(3, 4, 5).double(), torch.randn(3, 4, 5).double()
    everyones = x.clone().requires_grad_()
    alone = prediction_loss(network(everyones.transpose(1, 2)).transpose(1, 2), target)
    alone.backward()
    wanted = network.weight.grad.clone()
    network.zero_grad()
    mine = x[: 3 if ranks.leads() else 0].clone().requires_grad_()
    counts = counts_of_ranks(len(mine))
    rows = all_rows(mine, counts)
    loss = prediction_loss(network(rows.transpose(1, 2)).transpose(1, 2), all_rows(target[: len(mine)], counts), 3)
    loss.backward()
    of_all = torch.stack(ranks.gathered(network.weight.grad)).mean(0)
    halves = torch.randn(4, 4, 5)  # the same in both
    centred = centre(my_share(halves), "both")
    return [
        counts == [3, 0], loss.item() == pytest.approx(alone.item()), torch.allclose(of_all, wanted),
        torch.allclose(mine.grad / 2, everyones.grad[: len(mine)]),  # gradients are averaged over the two
        torch.allclose(centred, my_share(centre_alone(halves)), atol=1e-6),
    ]  # fmt: skip


def centre_alone(target):
    moved = target - target.mean(0)
    return moved - moved.mean(2, keepdim=True)


def test_fewer_reals_than_processes_count_as_in_one():
    assert in_ranks(2, few_reals) == [[True] * 5] * 2


def in_place_of(monkeypatch, number, world):
    for module in (ranks, sys.modules["tdd.data.clips"]):
        monkeypatch.setattr(module, "world", lambda: world)
    monkeypatch.setattr(ranks, "rank", lambda: number)


def test_every_clip_of_a_batch_is_drawn_in_one_process_as_alone_and_reals_are_spread(monkeypatch):
    labels = [row % 2 for row in range(40)]

    def draws():
        labelled = EpochBatches(40, 16, 3, 2, labels)
        joined = CompanionBatches(9, 8, labelled)
        for batches in (labelled, joined):
            batches.set_epoch(2)
        return [list(labelled), list(joined)]

    alone, shares = draws(), []
    for number in range(4):
        in_place_of(monkeypatch, number, 4)
        shares.append(draws())
    for kind, wanted in enumerate(alone):
        for part, clips in enumerate(wanted):
            mine = [share[kind][part] for share in shares]
            assert len({len(own) for own in mine}) == 1
            assert sorted(itertools.chain(*mine), key=str) == sorted(clips, key=str)
            if kind == 0:
                reals = [sum(labels[draw.row] == 0 for draw in own) for own in mine]
                assert max(reals) - min(reals) <= 1


def test_what_was_dealt_out_in_turn_comes_back_in_order(monkeypatch):
    for total in (0, 1, 5, 6):
        shares = []
        for number in range(3):
            in_place_of(monkeypatch, number, 3)
            shares.append(list(my_share(range(total))))
        monkeypatch.setattr(ranks, "gathered", lambda _, shares=shares: shares)
        assert in_turn([]) == list(range(total))


def test_parts_that_the_devices_cannot_share_equally_are_refused(monkeypatch):
    tiny = load_recipe("tiny")
    with pytest.raises(TddError, match=r"3 devices cannot share stage1\.batch_size equally: 8 clips in 1 part\(s\)"):
        override(tiny, {"machine.devices": 3})
    with pytest.raises(TddError, match=r"real_per_labelled equally: 2 clips in 1 part"):
        override(tiny, {"machine.devices": 4})
    with pytest.raises(TddError, match=r"machine\.devices is 1 or more"):
        override(tiny, {"machine.devices": 0})
    in_place_of(monkeypatch, 0, 3)  # that torchrun began
    with pytest.raises(TddError, match=r"3 devices cannot share 8 clips in 2 part\(s\) equally; take another"):
        EpochBatches(20, 8, 0, 2)


def test_more_devices_than_there_are_and_other_numbers_than_were_begun_are_refused(monkeypatch):
    require_devices(2, ["0", "1"])
    with pytest.raises(TddError, match=r"machine\.devices is 3, and this machine has 2 GPU"):
        require_devices(3, ["0", "1"])
    monkeypatch.setattr(launch, "cpu_count", lambda: 2)
    require_devices(4, [])
    with pytest.raises(TddError, match=r"machine\.devices is 5, and on 2 processor cores at most 4 processes"):
        require_devices(5, [])
    with pytest.raises(TddError, match="no GPU for process 3 of this machine, which has 2"):
        gpu_of(2, 2)
    assert [gpu_of(3, 1), gpu_of(1, 2)] == [0, 1]  # SLURM may show each process its own GPU alone
    assert begins_ranks(2) and not begins_ranks(1)
    for name, value in torchrun(1, 2, 29999).items():
        monkeypatch.setenv(name, value)
    assert not begins_ranks(1) and not begins_ranks(2)
    with pytest.raises(TddError, match=r"machine\.devices is 4, and torchrun or srun began 2 processes"):
        begins_ranks(4)


def torchrun(number, world, port):
    place = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in place.items()}


def test_torchrun_and_srun_say_where_a_process_stands():
    assert find_place({}) is None and find_place(torchrun(0, 1, 1234)) is None
    place = find_place(torchrun(1, 2, 1234))
    assert (place.rank, place.world, place.meeting) == (1, 2, "tcp://127.0.0.1:1234")
    with pytest.raises(TddError, match="MASTER_ADDR is not; begin the processes with torchrun"):
        find_place({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"})
    step = {"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "gpu[07-09,12]", "SLURM_PROCID": "5"}
    step |= {"SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}
    place = find_place(step)
    assert (place.rank, place.world, place.local_rank) == (5, 8, 1) and place.meeting.startswith("tcp://gpu07:")
    assert find_place(step | {"SLURM_STEP_ID": "1"}).meeting != place.meeting
    # A job of several tasks whose script begins a process without srun: that one is alone.
    assert find_place({"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}) is None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills otherwise")
def test_a_killed_process_ends_the_run_soon_and_another_number_of_devices_goes_on(store, tmp_path):
    tiny = override(load_recipe("tiny"), {"stage1.epochs": 3, "machine.devices": 2})
    killed = []

    def kill_one(done, _total):
        if done == 5 and not killed:  # the first step of the third epoch
            spawned = [child for child in multiprocessing.active_children() if "Spawn" in type(child).__name__]
            os.kill(max(child.pid for child in spawned), signal.SIGKILL)
            killed.append(time.monotonic())

    before = {child.pid for child in multiprocessing.active_children()}
    with pytest.raises(TddError, match=r"One of the 2 processes of this run was killed.* last resume point"):
        pretrain(store, "cnn_gru_attention", tiny, tmp_path / "run", report=kill_one)
    assert time.monotonic() - killed[0] < SECONDS
    assert {child.pid for child in multiprocessing.active_children()} <= before
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]

    one = dataclasses.replace(tiny, machine=dataclasses.replace(tiny.machine, devices=1))
    record = pretrain(store, "cnn_gru_attention", one, tmp_path / "run")
    unbroken = pretrain(store, "cnn_gru_attention", one, tmp_path / "unbroken")
    losses, wanted = ([entry["loss"] for entry in r["history"]] for r in (record, unbroken))
    assert losses == pytest.approx(wanted, abs=0.02)


@pytest.mark.slow
def test_a_study_begun_as_two_processes_leaves_the_records_of_one(tmp_path):
    random_store(tmp_path / "store")
    tiny = Path("tdd/recipes/tiny.yaml").read_text()
    (tmp_path / "few.yaml").write_text(re.sub("real_per_labelled: 0.25", "real_per_labelled: 0.5", tiny))
    command = [sys.executable, "-m", "tdd.cli", "study", "table", "--rows", "ssl_0.3", "--store", tmp_path / "store"]
    command += ["--recipe", tmp_path / "few.yaml", "--out"]

    def begin(out, env, *more):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, tmp_path / out, *more], env=os.environ | env, **pipes)

    port = np.random.default_rng().integers(20000, 30000)
    runs = [begin("alone", {}), begin("devices", {}, "--devices", "2")]
    runs += [begin("torchrun", torchrun(number, 2, port)) for number in range(2)]
    said = [run.communicate(timeout=900) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, said
    assert said[2][0] and not said[3][0]  # the first one speaks
    for name in ("stage1/cnn_gru_attention-seed0", "stage2/ssl_0.3-seed0"):
        alone, *others = (json.loads((tmp_path / out / name / "record.json").read_text()) for out in
                          ("alone", "devices", "torchrun"))  # fmt: skip
        for record in others:
            assert record["machine"]["devices"] == "2"
            losses = [[entry["loss"] for entry in r["history"]] for r in (alone, record)]
            assert losses[0] == pytest.approx(losses[1], abs=0.02)
