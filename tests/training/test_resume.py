"""Runs that are killed, and resume points that are damaged or another run's."""

import dataclasses
import os
import random
import signal
import time

import pytest
import torch

from tdd.config import load_recipe
from tdd.data.clips import EpochBatches, PretrainingClips, loader
from tdd.detect import Detection, detect, training_clips
from tdd.errors import TddError
from tdd.pretrain import Pretraining, pretrain
from tests.killed import ROWS, finish, kill, kill_at_point, left_by, recipe, start
from tests.stores import random_store

TINY = load_recipe("tiny")
EPOCHS = 3
STEPS = {"stage1": 2, "stage2": 3}  # of an epoch on the store below


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"), faces=16)


@pytest.fixture(scope="module")
def unbroken(store, tmp_path_factory):
    """Folders of uninterrupted runs, by kind."""
    folder = tmp_path_factory.mktemp("unbroken")
    for kind in ("stage1", "stage2"):
        finish(start(kind, store.folder, folder / kind, recipe(EPOCHS, 1), folder / "stage1"))
    return folder


def epochs_done(run):
    return len(torch.load(run / "resume.ckpt", weights_only=True)["history"])


@pytest.mark.parametrize("kind", ["stage1", "stage2"])
def test_a_run_killed_again_and_again_ends_with_the_same_bits(kind, store, unbroken, tmp_path):
    run = tmp_path / "run"
    points = [  # and how many epochs the resume point must hold after the kill
        (("resume.ckpt", 1), None),  # in the middle of the first resume point
        (("resume.ckpt", 2), 1),  # in the middle of the second: the first must have stayed
        (("step", STEPS[kind] + 1), 1),  # in the middle of an epoch
        (("weights.safetensors", 1), EPOCHS),  # between training and the record
        (("record.json", 1), EPOCHS),
    ]
    for point, done in points:
        kill_at_point(start(kind, store.folder, run, recipe(EPOCHS, 1), unbroken / "stage1", point), run)
        assert (epochs_done(run) if (run / "resume.ckpt").exists() else None) == done, point
        assert not (run / "record.json").exists()
    assert list(run.glob("*.partial"))
    finish(start(kind, store.folder, run, recipe(EPOCHS, 1), unbroken / "stage1"))
    assert left_by(run) == left_by(unbroken / kind)
    assert not list(run.glob("*.partial"))


@pytest.mark.parametrize("kind", ["stage1", "stage2"])
def test_kills_at_random_moments_change_nothing(kind, store, unbroken, tmp_path):
    run, moments, wanted = tmp_path / "run", random.Random(), recipe(EPOCHS, 2)
    for _ in range(3):
        process = start(kind, store.folder, run, wanted, unbroken / "stage1")
        time.sleep(moments.uniform(0.1, 1.5))
        kill(process)
    finish(start(kind, store.folder, run, wanted, unbroken / "stage1"))
    assert left_by(run) == left_by(unbroken / kind)


def stop_halfway(store, run, settings=TINY, seed=0, **kwargs):
    def stop(done, total):
        if done > total / 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        if kwargs:
            detect(store, run=run, recipe=settings, seed=seed, report=stop, **kwargs)
        else:
            pretrain(store, "cnn_gru_attention", settings, run, seed, stop)


@pytest.fixture(scope="module")
def halfway(store, tmp_path_factory):
    run = tmp_path_factory.mktemp("halfway") / "run"
    stop_halfway(store, run)
    return run


def refused(store, run, sentence, settings=TINY, seed=0, backbone="cnn_gru_attention"):
    before = (run / "resume.ckpt").read_bytes()
    with pytest.raises(TddError, match=sentence) as caught:
        pretrain(store, backbone, settings, run, seed)
    assert str(run / "resume.ckpt") in str(caught.value) and "delete" in str(caught.value)
    assert (run / "resume.ckpt").read_bytes() == before and not (run / "record.json").exists()


def test_a_half_done_run_goes_on_only_with_its_own_seed_settings_data_and_network(store, halfway, tmp_path):
    refused(store, halfway, "seed = 0, not 1", seed=1)
    slower = dataclasses.replace(TINY.stage1, ema_base=0.93)
    refused(store, halfway, r"recipe\.stage1\.ema_base = 0\.92, not 0\.93", dataclasses.replace(TINY, stage1=slower))
    refused(random_store(tmp_path, faces=17), halfway, "data = ")
    refused(store, halfway, "backbone = 'cnn_gru_attention', not 'cnn_lstm'", backbone="cnn_lstm")


def test_what_a_stage_does_not_read_may_change(store, halfway, tmp_path):
    for file in halfway.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    other = dataclasses.replace(
        TINY, name="other", stage2=dataclasses.replace(TINY.stage2, epochs=9), evaluation=dataclasses.replace(
            TINY.evaluation, batch_size=3), machine=dataclasses.replace(TINY.machine, workers=1)
    )  # fmt: skip
    assert len(pretrain(store, "cnn_gru_attention", other, tmp_path)["history"]) == TINY.stage1.epochs


def test_a_stage_that_counts_something_more_still_takes_up_its_resume_point(store, halfway, tmp_path, monkeypatch):
    for file in halfway.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    built = Pretraining.__init__

    def with_a_counter(self, *args, **kwargs):
        built(self, *args, **kwargs)
        self.batches_seen = 7  # of another version of this package, say

    monkeypatch.setattr(Pretraining, "__init__", with_a_counter)
    assert len(pretrain(store, "cnn_gru_attention", TINY, tmp_path)["history"]) == TINY.stage1.epochs


def test_a_half_done_stage_2_keeps_its_weight_and_its_stage_1(store, unbroken, tmp_path):
    run, stage1 = tmp_path / "run", unbroken / "stage1"
    stop_halfway(store, run, row=ROWS["ssl_0.3"], stage1=stage1)
    with pytest.raises(TddError, match=r"ssl_weight = 0\.3, not 0\.5"):
        detect(store, ROWS["ssl_0.5"], TINY, run, stage1)
    pretrain(store, "cnn_gru_attention", TINY, tmp_path / "other", seed=1)
    with pytest.raises(TddError, match="other weights at its start"):
        detect(store, ROWS["ssl_0.3"], TINY, run, tmp_path / "other")


class Reduced:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9, 0.999])
def test_a_resume_point_cut_short_is_named(share, store, halfway, tmp_path):
    whole = (halfway / "resume.ckpt").read_bytes()
    (tmp_path / "resume.ckpt").write_bytes(whole[: int(share * len(whole))])
    refused(store, tmp_path, "is damaged or no resume point")


@pytest.mark.parametrize("content", ["bytes", "weights", "list", "object"])
def test_a_foreign_file_is_named_and_never_executed(content, store, tmp_path):
    path = tmp_path / "resume.ckpt"
    values = {"weights": {"weight": torch.zeros(3)}, "list": [1, 2], "object": {"origin": Reduced(tmp_path / "made")}}
    if content == "bytes":
        path.write_bytes(b"not a resume point at all")
    else:
        torch.save(values[content], path)
    refused(store, tmp_path, "is damaged or no resume point")
    assert not (tmp_path / "made").exists()


def test_ctrl_c_comes_through_and_the_run_goes_on_after_it(store, unbroken, tmp_path):
    def interrupt(done, total):
        if done == total - 1:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        pretrain(store, "cnn_gru_attention", recipe(EPOCHS, 1), tmp_path / "run", report=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    pretrain(store, "cnn_gru_attention", recipe(EPOCHS, 1), tmp_path / "run")
    assert left_by(tmp_path / "run") == left_by(unbroken / "stage1")


@pytest.mark.parametrize("backbone", ["csn", "cnn_lstm", "cnn_gru_attention", "vivit"])
def test_no_step_draws_from_torchs_generator(backbone, store):
    """Why the resume point needs no random state."""
    index = store.index
    clips = PretrainingClips(store, index[(index["dataset"] == "LRW") & (index["split"] == "train")], TINY, train=True)
    model = dataclasses.replace(TINY.model, backbones=TINY.model.backbones | {"vivit": {"patch": 8, "depth": 1}})
    small = dataclasses.replace(TINY, model=model)
    row = dataclasses.replace(ROWS["scratch"], backbone=backbone)
    for stage, loaded in (
        (Pretraining(backbone, small, 4, 1), next(iter(loader(clips, EpochBatches(len(clips), 8, 0), small)))),
        (
            Detection(row, small, 0.0, 1, None),
            {name: next(iter(one)) for name, one in training_clips(store, small, 0).loaders.items()},
        ),
    ):
        before = torch.get_rng_state()
        stage.training_step(loaded, 0).backward()
        assert torch.equal(torch.get_rng_state(), before)
