"""Every finding of the audit of the released code is one switch, and each switch does what the finding says."""

import dataclasses

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tdd.config import FindingsConfig, load_recipe
from tdd.detect import Auxiliary, Detection, training_clips
from tdd.evaluation.evaluate import evaluation_clips
from tdd.models.build import video_backbone
from tdd.pretrain import Pretraining, pretrain
from tdd.records.paper import ROWS
from tdd.weights.checkpoints import import_weights
from tests.stores import random_store

TINY = load_recipe("tiny")
ROW = next(row for row in ROWS if row.id == "ssl_0.3")


def found(**switches):
    return dataclasses.replace(TINY, findings=FindingsConfig(**switches))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def weights(store, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "stage1"
    pretrain(store, ROW.backbone, TINY, run)
    return import_weights(run, "stage1", ROW.backbone)


def test_paper_has_no_finding_and_released_has_all():
    assert not any(dataclasses.astuple(load_recipe("paper").findings))
    assert all(dataclasses.astuple(load_recipe("released").findings))
    meanings = [field.metadata["meaning"] for field in dataclasses.fields(FindingsConfig)]
    assert [meaning[:3] for meaning in meanings] == [f"A{number}:" for number in range(1, 8)]


@pytest.mark.parametrize("backbone", ["cnn_lstm", "cnn_gru_attention"])
def test_a1_the_time_axis(backbone):
    assert video_backbone(backbone, TINY).time_axis == "per_frame"
    assert video_backbone(backbone, found(channels_as_time=True)).time_axis == "as_released"


def test_a2_the_sign_of_the_auxiliary_loss(store, weights):
    loaded = {name: next(iter(one)) for name, one in training_clips(store, TINY, 0).loaders.items()}

    def loss(recipe, row=ROW):
        torch.manual_seed(0)
        stage = Detection(row, recipe, 0.0, 1, weights)
        torch.manual_seed(1)
        stage.detector.head.weight.data.normal_()
        return stage.training_step(loaded, 0).item()

    bce = loss(TINY, dataclasses.replace(ROW, ssl_weight=0.0))
    pulled, pushed = loss(TINY) - bce, loss(found(repel_teacher=True)) - bce
    assert pulled == pytest.approx(-pushed, abs=1e-4) and abs(pulled) > 1e-3


def test_a3_nothing_is_loaded_into_the_teacher(weights):
    published = weights.parts["teacher.backbone"]
    states = [Auxiliary(weights, recipe).teacher.backbone.state_dict() for recipe in (TINY, found(random_teacher=True))]
    assert all(torch.equal(states[0][name], published[name]) for name in published)
    assert not any(torch.equal(states[1][name], published[name]) for name in published if name.endswith("weight"))


def test_a3_random_targets_differ_from_clip_to_clip(weights):
    """By running averages, of which a random teacher has none, all clips would get one target."""
    torch.manual_seed(0)
    teacher = Auxiliary(weights, found(random_teacher=True)).train().teacher
    assert teacher.training
    video = torch.rand(6, 3, 25, 32, 32, generator=torch.Generator().manual_seed(1))
    unit = F.normalize(teacher(video)[1], dim=1)
    assert F.cosine_similarity(unit, unit.mean((0, 2), keepdim=True), dim=1).mean() < 0.5
    fixed = F.normalize(teacher.eval()(video)[1], dim=1)
    assert F.cosine_similarity(fixed, fixed.mean((0, 2), keepdim=True), dim=1).mean() > 0.9


def test_a4_no_stage1_clips_and_a_shift_of_minus_4_64(store):
    clips = training_clips(store, found(no_stage1_clips=True), 0)
    assert set(training_clips(store, TINY, 0).loaders) == {"labelled", "joined"}
    assert set(clips.loaders) == {"labelled"}
    assert clips.shift == pytest.approx(-4.64, abs=0.005)
    without = dataclasses.replace(TINY, stage2=dataclasses.replace(TINY.stage2, real_per_labelled=0.0))
    assert training_clips(store, without, 0).shift == pytest.approx(1.39, abs=0.005)


def test_a5_the_rate_never_passes_7_5_percent_of_its_base():
    paper = load_recipe("paper")
    small = dataclasses.replace(TINY, stage1=paper.stage1)  # the schedule of the paper's 5,000 clips on a tiny network
    steps = paper.stage1.clips // paper.stage1.batch_size

    def rates(recipe):
        scheduler = Pretraining("cnn_lstm", recipe, 4, steps).configure_optimisers()[1]
        return [scheduler.lr_lambdas[0](step) for step in range(steps * paper.stage1.epochs)]

    assert max(rates(small)) == pytest.approx(1)
    released = rates(dataclasses.replace(small, findings=FindingsConfig(full_lrw_schedule=True)))
    assert len(released) == 2850 and 0.074 < max(released) < 0.075


def test_a6_the_last_partial_batches_are_not_scored(store):
    small = dataclasses.replace(TINY, evaluation=dataclasses.replace(TINY.evaluation, batch_size=5))
    every = evaluation_clips(store, small)
    kept = evaluation_clips(store, dataclasses.replace(small, findings=FindingsConfig(drop_last_clips=True)))
    count, left = (table.groupby(["dataset", "method"]).size() for table in (every, kept))
    assert (left == count // 5 * 5).all() and len(kept) < len(every)
    assert len(kept.merge(every)) == len(kept) == len(kept.drop_duplicates(["video_id", "start"]))


def test_a7_two_reals_are_missing_from_the_list(store):
    extra = store.index[store.index["dataset"] == "Celeb-DF-v2"].iloc[[0, 1, 2]].copy()
    names = ["YouTube-real/00275", "Celeb-real/id39_0005", "Celeb-real/id39_0004"]
    extra["video_id"] = [f"Celeb-DF-v2/{name}" for name in names]
    listed = type("Listed", (), {"index": pd.concat([store.index, extra]), "plan": {}})()
    official, short = (evaluation_clips(listed, recipe) for recipe in (TINY, found(short_celeb_list=True)))
    assert set(official["video_id"]) - set(short["video_id"]) == set(extra["video_id"].iloc[:2])


def test_parts_of_a_batch_make_one_step_and_one_move_of_the_teachers(store, tmp_path, monkeypatch):
    parted = dataclasses.replace(TINY, stage1=dataclasses.replace(TINY.stage1, micro_batches=4))
    moves, steps = [], []
    monkeypatch.setattr(Pretraining, "update_teachers", lambda _: moves.append(len(steps)))
    pretrain(store, ROW.backbone, parted, tmp_path / "run", report=lambda done, total: steps.append((done, total)))
    assert moves == [0, 1] and steps == [(1, 2), (2, 2)]
