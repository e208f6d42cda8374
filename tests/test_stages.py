"""Both stages on random pixels: what a step does to which weights, resuming, and the hand-over."""

import copy
import dataclasses
import math

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tdd.config import load_recipe, override
from tdd.data.augment import mask_video, normalise
from tdd.data.clips import EpochBatches, PretrainingClips, loader
from tdd.detect import Auxiliary, Detection, detect, looked_at, training_clips
from tdd.errors import TddError
from tdd.evaluation.evaluate import clip_starts, evaluation_clips, score_clips
from tdd.evaluation.selection import seen_videos
from tdd.pretrain import Pretraining, pretrain
from tdd.records.plans import SCRATCH, TABLE
from tdd.training.detection_clips import clean_reals
from tdd.training.loop import warmup_constant, warmup_cosine
from tdd.weights.checkpoints import import_weights
from tests.stores import random_store

RECIPE = load_recipe("tiny")
ROWS = {row.id: row for row in TABLE.rows}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"), named=True)


@pytest.fixture(scope="module")
def stage1(store, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "stage1"
    return run, pretrain(store, "cnn_gru_attention", RECIPE, run)


def faces(store):
    return store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]


def batch_of(dataset, batches):
    return next(iter(loader(dataset, batches, RECIPE)))


def states(run):
    parts = import_weights(run, "stage1", "cnn_gru_attention").parts
    return {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}


def test_schedules():
    cosine, constant = warmup_cosine(4, 12), warmup_constant(4)
    assert [cosine(s) for s in (0, 3, 4, 8, 12)] == pytest.approx([0.25, 1, 1, 0.5, 0])
    assert [constant(s) for s in (0, 1, 3, 100)] == [0.25, 0.5, 1, 1]


def test_a_pretraining_step_trains_students_and_leaves_teachers_to_the_average(store):
    torch.manual_seed(0)
    clips = PretrainingClips(store, faces(store), RECIPE, train=True)
    stage = Pretraining("cnn_gru_attention", RECIPE, 4, 1)
    stage.training_step(batch_of(clips, EpochBatches(len(clips), 8, 0)), 0).backward()
    for name, parameter in stage.named_parameters():
        trained = "teacher" not in name
        assert (parameter.grad is not None) == trained, name
    with torch.no_grad():
        for parameter in stage.video.parameters():
            parameter.add_(1.0)
    before = next(stage.video_teacher.parameters()).clone()
    stage.update_teachers()
    moved = next(stage.video_teacher.parameters()) - before
    assert moved.mean().item() == pytest.approx(1 - RECIPE.stage1.momentum, rel=1e-3)


def test_without_audio_the_video_student_predicts_the_video_teacher_of_the_clean_view(store):
    torch.manual_seed(0)
    clips = PretrainingClips(store, faces(store), RECIPE, train=True)
    stage = Pretraining("cnn_gru_attention", override(RECIPE, {"stage1.audio": False}), 4, 1)
    assert not [name for name, _ in stage.named_parameters() if name.startswith("audio")]
    batch = batch_of(clips, EpochBatches(len(clips), 8, 0))
    total = stage.training_step(batch, 0)
    total.backward()
    for name, parameter in stage.named_parameters():
        assert (parameter.grad is not None) == ("teacher" not in name), name

    noisy = mask_video(normalise(batch["noisy"]), batch["erase"], batch["time"])
    predicted = F.normalize(stage.video_predictor(stage.video(noisy)[1]), dim=1)
    wanted = F.normalize(stage.video_teacher(normalise(batch["clean"]))[1], dim=1)
    words = F.cross_entropy(stage.prober(stage.video(noisy)[0]), batch["word"])
    assert total.item() == pytest.approx((words - (predicted * wanted).sum(1).mean()).item(), abs=1e-5)
    mute = stage.training_step(batch | {"mel": torch.full_like(batch["mel"], torch.nan)}, 1)
    assert mute.item() == pytest.approx(total.item())


def test_a_stage_1_without_audio_is_handed_over_as_any_other(store, tmp_path):
    mute = override(RECIPE, {"stage1.audio": False})
    record = pretrain(store, "cnn_gru_attention", mute, tmp_path / "one")
    assert "loss_audio" not in record["history"][-1] and math.isfinite(record["metrics"]["retrieval"])
    assert "the right teacher view is found" in record["checks"][0]["sentence"]
    assert detect(store, ROWS["ssl_0.3"], mute, tmp_path / "two", tmp_path / "one")["metrics"]


def test_the_prober_never_trains_the_backbone(store):
    clips = PretrainingClips(store, faces(store), RECIPE, train=True)
    stage = Pretraining("cnn_gru_attention", RECIPE, 4, 1)
    batch = batch_of(clips, EpochBatches(len(clips), 8, 0))
    features, _ = stage.video(batch["clean"].float())
    stage.prober(features).sum().backward()
    assert all(parameter.grad is None for parameter in stage.video.parameters())


def test_stage1_records_every_epoch(stage1, store):
    run, record = stage1
    assert [entry["epoch"] for entry in record["history"]] == [0, 1]
    assert {"loss", "target_std", "retrieval", "frame_retrieval", "prober"} <= record["history"][-1].keys()
    assert record["data"]["fingerprint"] == store.fingerprint
    assert all(math.isfinite(value) for entry in record["history"] for value in entry.values())
    teacher, student = states(run)["teacher.backbone.out.weight"], states(run)["student.backbone.out.weight"]
    assert not torch.equal(teacher, student)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(stage1, store, tmp_path):
    pretrain(store, "cnn_gru_attention", RECIPE, tmp_path / "again")
    pretrain(store, "cnn_gru_attention", RECIPE, tmp_path / "other", seed=1)
    first, again, other = states(stage1[0]), states(tmp_path / "again"), states(tmp_path / "other")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_run_stopped_after_an_epoch_goes_on_to_the_same_end(stage1, store, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(done, total):
        if done > total / 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(store, "cnn_gru_attention", RECIPE, tmp_path / "run", report=stop)
    assert not (tmp_path / "run" / "record.json").exists()
    record = pretrain(store, "cnn_gru_attention", RECIPE, tmp_path / "run")
    assert record["history"] == stage1[1]["history"]
    first, resumed = states(stage1[0]), states(tmp_path / "run")
    assert all(torch.equal(first[name], resumed[name]) for name in first)


def test_the_collapse_watch_is_kept_in_the_record(store, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tdd.training.collapse.variance_split", lambda _: {"position_share": 0.0})
    monkeypatch.setattr("tdd.training.collapse.feature_spread", lambda _: 0.9)
    check = pretrain(store, "cnn_gru_attention", RECIPE, tmp_path / "healthy")["checks"][-1]
    assert check["passed"] and "no sign of collapse in 2 epochs" in check["sentence"]
    monkeypatch.setattr("tdd.training.collapse.feature_spread", lambda _: 0.01)
    check = pretrain(store, "cnn_gru_attention", RECIPE, tmp_path / "run")["checks"][-1]
    assert not check["passed"] and check["value"] == 1
    assert "after epoch 2 the spread of the targets is 0.01" in check["sentence"]
    assert [message for message in caplog.messages if "collapsing" in message and message in check["sentence"]]


def test_a_finished_run_is_not_trained_again(stage1, store):
    def fail(*_):
        raise AssertionError("trained again")

    assert pretrain(store, "cnn_gru_attention", RECIPE, stage1[0], report=fail) == stage1[1]


def test_stage2_starts_from_the_student_and_aims_at_the_frozen_teacher(stage1, store):
    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    stage = Detection(ROWS["ssl_0.3"], RECIPE, 0.0, 1, weights)
    for name, tensor in weights.parts["student.backbone"].items():
        assert torch.equal(stage.detector.backbone.state_dict()[name], tensor)
    for name, tensor in weights.parts["teacher.projector"].items():
        assert torch.equal(stage.auxiliary.teacher.projector.state_dict()[name], tensor)
    stage.train()
    assert stage.auxiliary.teacher.training and not stage.auxiliary.eval().teacher.training
    stage.training_step(detection_batch(store), 0).backward()
    assert all(parameter.grad is None for parameter in stage.auxiliary.teacher.parameters())
    assert all(parameter.grad is not None for parameter in stage.auxiliary.predictor.parameters())


def test_ssl_weight_0_builds_no_teacher(stage1):
    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    assert Detection(ROWS["ssl_0.0"], RECIPE, 0.0, 1, weights).auxiliary is None
    assert Detection(SCRATCH, RECIPE, 0.0, 1, None).auxiliary is None


def test_the_loss_is_bce_plus_the_weighted_auxiliary(stage1, store):
    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    batch, shift = detection_batch(store), training_clips(store, RECIPE, 0).shift
    losses = {}
    for name in ("ssl_0.0", "ssl_0.3", "ssl_0.7"):
        torch.manual_seed(0)
        stage = Detection(ROWS[name], RECIPE, shift, 1, weights)
        torch.manual_seed(1)
        stage.detector.head.weight.data.normal_()
        if stage.auxiliary:
            for parameter in stage.auxiliary.predictor.parameters():
                parameter.data.fill_(0.01)
        losses[name] = stage.training_step(batch, 0).item()
    auxiliary = (losses["ssl_0.3"] - losses["ssl_0.0"]) / 0.3
    assert -1 <= auxiliary <= 1
    assert losses["ssl_0.7"] - losses["ssl_0.0"] == pytest.approx(0.7 * auxiliary, abs=1e-4)


def test_the_auxiliary_projector_begins_anew_or_from_stage_1(stage1):
    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    published = weights.parts["student.projector"]["linear.weight"]
    begun = {
        how: Auxiliary(weights, changed(RECIPE, "stage2", projector=how)).projector.linear.weight
        for how in ("new", "stage1")
    }
    assert torch.equal(begun["stage1"], published) and not torch.equal(begun["new"], published)


@pytest.mark.parametrize(("how", "by_batch"), [("batch", True), ("running", False)])
def test_the_teachers_batch_norm_goes_by_the_batch_or_by_what_stage_1_left(stage1, how, by_batch):
    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    torch.manual_seed(0)
    auxiliary = Auxiliary(weights, changed(RECIPE, "stage2", teacher_statistics=how))
    clips = torch.randn(6, 3, 25, 32, 32)
    assert auxiliary.teacher.training is by_batch
    mean, offset = auxiliary.teacher(clips)[1].mean((0, 2)), auxiliary.teacher.projector.norm.bias
    assert torch.allclose(mean, offset, atol=1e-4) is by_batch  # what a batch norm by the batch leaves of every mean
    assert not any(parameter.requires_grad for parameter in auxiliary.teacher.parameters())


def test_centred_auxiliary_targets_take_out_the_teachers_mean_at_each_frame(stage1, store):
    recipe = changed(RECIPE, "stage2", centre_targets="both", teacher_statistics="running")
    auxiliary = Auxiliary(import_weights(stage1[0], "stage1", "cnn_gru_attention"), recipe)
    views = list(clean_reals(store, seen_videos(store.index, recipe), recipe))
    auxiliary.measure_positions(views)
    wanted = torch.cat([auxiliary.teacher(normalise(view))[1] for view in views]).mean(0)
    assert torch.allclose(auxiliary.position_mean, wanted) and wanted.abs().max() > 0
    assert detect(store, ROWS["ssl_0.3"], recipe, stage1[0].parent / "centred", stage1[0])["metrics"]


def test_companions_without_sound_are_left_out_as_in_stage_1(store):
    mute = copy.copy(store)
    silent = (store.index["dataset"] == "LRW") & store.index["video_id"].str.contains("WORD0")
    mute.index = store.index.assign(audio=store.index["audio"] & ~silent)
    joined = training_clips(mute, RECIPE, 0).loaders["joined"].dataset.table
    assert len(joined) and not joined["video_id"].str.contains("WORD0").any()


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_draw_what_the_whole_batch_draws(parts):
    whole, parted = EpochBatches(20, 8, 3), EpochBatches(20, 8, 3, parts)
    for batches in (whole, parted):
        batches.set_epoch(2)
    assert [draw for batch in whole for draw in batch] == [draw for batch in parted for draw in batch]


def test_stage_2_scores_validation_videos_after_each_epoch_and_says_whether_it_learned(stage1, tmp_path):
    some = random_store(tmp_path / "store", val=3)
    record = detect(some, ROWS["ssl_0.0"], RECIPE, tmp_path / "run", stage1[0])
    assert [0 <= entry["val_auc"] <= 1 and entry["val_bce"] > 0 for entry in record["history"]] == [True] * 2
    check = record["checks"][0]
    share = math.exp(record["data"]["logit_shift"]) / (1 + math.exp(record["data"]["logit_shift"]))
    blind = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    assert check["name"] == "past the plateau" and check["target"] == pytest.approx(0.9 * blind)
    assert check["passed"] == (record["history"][-1]["bce"] <= check["target"])
    limited = changed(RECIPE, "stage2", validation_videos=5)
    methods = looked_at(some, limited).dataset.clips["method"]
    assert sorted(methods) == ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "real"]
    assert looked_at(some, changed(RECIPE, "stage2", validation_videos=0)) is None


def test_stage_2_ends_where_validation_settles_and_goes_on_from_there_to_the_same_end(stage1, tmp_path, monkeypatch):
    """With what a detector knows at once counted as learned, the third epoch without a rise is the last."""
    some = random_store(tmp_path / "store", val=3)
    monkeypatch.setattr("tdd.training.plateau.PLATEAU", 99.0)
    monkeypatch.setattr("tdd.detect.ValidationScores.compute", lambda _: {"val_auc": 0.5, "val_bce": 1.0})
    recipe = changed(RECIPE, "stage2", epochs=9, patience=3)
    whole = detect(some, ROWS["ssl_0.0"], recipe, tmp_path / "whole", stage1[0])
    assert [entry["epoch"] for entry in whole["history"]] == [0, 1, 2, 3]
    with monkeypatch.context() as patch:  # stopped between the last resume point and the record
        patch.setattr("tdd.detect.write_scores", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            detect(some, ROWS["ssl_0.0"], recipe, tmp_path / "again", stage1[0])
    again = detect(some, ROWS["ssl_0.0"], recipe, tmp_path / "again", stage1[0])
    assert again["history"] == whole["history"]
    one, two = (import_weights(tmp_path / name, "stage2", "cnn_gru_attention").parts for name in ("whole", "again"))
    for part in one:
        assert all(torch.equal(tensor, two[part][name]) for name, tensor in one[part].items())


def test_an_end_by_validation_wants_validation_videos(store, stage1, tmp_path):
    with pytest.raises(TddError, match=r"holds no validation videos of .*, by which training would end"):
        detect(store, ROWS["ssl_0.0"], changed(RECIPE, "stage2", patience=3), tmp_path / "run", stage1[0])
    onesided = copy.copy(store)
    reals = store.index["video_id"].str.contains("/real/.*train[45]")
    assert reals.any()
    onesided.index = store.index.assign(split=store.index["split"].mask(reals, "val"))
    with pytest.raises(TddError, match="are all real or all fake, so that no AUC"):
        detect(onesided, ROWS["ssl_0.0"], changed(RECIPE, "stage2", patience=3), tmp_path / "run", stage1[0])
    with pytest.raises(TddError, match="patience wants validation_videos"):
        changed(RECIPE, "stage2", patience=3, validation_videos=0)


@pytest.mark.parametrize("pairs", ["none", "draws"])
def test_few_labels_are_whole_people_in_an_epoch_as_long(store, pairs):
    recipe = changed(RECIPE, "stage2", pairs=pairs, real_per_labelled=0.0)
    whole, few = (training_clips(store, changed(recipe, "stage2", labelled_share=x), 0) for x in (1.0, 1 / 3))
    tables = [clips.loaders["labelled"].dataset.table for clips in (whole, few)]
    people = [{name for names in table["identities"].str.split() for name in names} for table in tables]
    assert people == [{f"train{k}" for k in range(6)}, {"train0", "train1"}]
    assert (few.clips, few.steps, few.fakes) == (whole.clips, whole.steps, pytest.approx(whole.fakes))
    shown = [part["row"].tolist() for part in few.loaders["labelled"]]
    videos = tables[1]["video_id"].iloc[[row for rows in shown for row in rows]]
    assert (
        videos[~videos.str.contains("/real/")].value_counts().between(2, 3).all()
    )  # the last, smaller batch is dropped
    if pairs == "draws":
        times = [(a, b) for rows in shown for a, b in zip(rows[::2], rows[1::2], strict=True)]
        names = tables[1]["identities"].str.split().str[0]
        assert all(names.iloc[fake] == names.iloc[real] for fake, real in times)


def test_few_labels_want_to_know_who_is_seen(store):
    unnamed = copy.copy(store)
    unnamed.index = store.index.assign(identities="")
    with pytest.raises(TddError, match=r"labelled_share is 0\.1, a share of the people .* is not known"):
        training_clips(unnamed, changed(RECIPE, "stage2", labelled_share=0.1), 0)
    with pytest.raises(TddError, match="above 0 and up to 1"):
        changed(RECIPE, "stage2", labelled_share=0.0)
    for share in (0.7, 0.4, 0.3333):
        with pytest.raises(TddError, match="labelled_share is 1 divided by a whole number"):
            changed(RECIPE, "stage2", labelled_share=share)


def test_the_logit_shift_follows_the_batches(store):
    clips = training_clips(store, RECIPE, 0)
    labels = torch.cat([part["label"] for e in range(40) for part in _epoch(clips.loaders, e)])
    share = labels.double().mean().item()
    assert clips.shift == pytest.approx(math.log(share / (1 - share)), abs=0.1)
    without = changed(RECIPE, "stage2", real_per_labelled=0.0)
    assert training_clips(store, without, 0).shift == pytest.approx(math.log(4))
    balanced = changed(without, "stage2", real_repeats=4)
    clips = training_clips(store, balanced, 0)
    assert clips.shift == pytest.approx(0)
    published = changed(RECIPE, "stage2", real_per_labelled=8.0)
    assert training_clips(store, published, 0).shift == pytest.approx(math.log(4 / 45 / (41 / 45)))


@pytest.mark.parametrize("pairs", ["batch", "draws"])
def test_pairs_of_a_fake_and_its_own_real(store, pairs):
    """As many reals as fakes, each real with every fake that was made from it; the shift counts what is shown."""
    recipe = changed(RECIPE, "stage2", pairs=pairs, real_per_labelled=0.0)
    clips = training_clips(store, recipe, 0)
    table = clips.loaders["labelled"].dataset.table
    assert (clips.shift, clips.fakes, clips.clips) == (pytest.approx(0), 0.5, 2 * table["label"].sum())
    [shown] = [[table.iloc[part["row"].tolist()] for part in one] for one in clips.loaders.values()]
    assert len(shown) == clips.steps == table["label"].sum() // 4
    for part in shown:
        fakes, reals = part.iloc[::2], part.iloc[1::2]
        assert fakes["label"].eq(1).all() and reals["label"].eq(0).all()
        assert fakes["identities"].str.split().str[0].tolist() == reals["identities"].tolist()
    joined = training_clips(store, changed(RECIPE, "stage2", pairs=pairs, real_per_labelled=8.0), 0)
    assert joined.shift == pytest.approx(math.log(4 / 68)) and joined.fakes == pytest.approx(4 / 72)


def test_fakes_without_their_real_are_told(store, caplog):
    lacking = copy.copy(store)
    lacking.index = store.index[~store.index["video_id"].str.endswith("/real/c23/train0")]
    clips = training_clips(lacking, changed(RECIPE, "stage2", pairs="batch"), 0)
    assert "4 of 24 training fakes are not shown" in caplog.text and clips.clips == 40


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"batch_size": 9, "micro_batches": 1}, "even number"),
        ({"batch_size": 12, "micro_batches": 4}, "even number"),
        ({"real_repeats": 4}, "real_repeats is 1"),
        ({"micro_batches": 4}, "one real clip in each of the micro_batches"),
        ({"pairs": "triples"}, "stage2.pairs is none or batch or draws"),
    ],
)
def test_pairs_that_cannot_be(values, said):
    with pytest.raises(TddError, match=said):
        changed(RECIPE, "stage2", **({"pairs": "batch", "real_per_labelled": 0.0} | values))


def changed(recipe, section, **values):
    return dataclasses.replace(recipe, **{section: dataclasses.replace(getattr(recipe, section), **values)})


def detection_batch(store):
    return {name: next(iter(one)) for name, one in training_clips(store, RECIPE, 0).loaders.items()}


def _epoch(loaders, epoch):
    for one in loaders.values():
        one.batch_sampler.set_epoch(epoch)
    return [part for one in loaders.values() for part in one]


def test_stage2_scores_every_test_clip_once_and_writes_it_down(stage1, store, tmp_path):
    record = detect(store, ROWS["ssl_0.3"], RECIPE, tmp_path / "run", stage1[0])
    logits = pd.read_csv(tmp_path / "run" / "clip_logits.csv")
    assert not logits.duplicated(["video_id", "start"]).any()
    assert set(record["metrics"]) == {"Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures", "FaceShifter", "Celeb-DF"}
    assert record["metrics"]["FaceShifter"]["reals"] == record["metrics"]["FaceShifter"]["fakes"] == 6
    assert set(logits["video_id"]) == set(store.index.loc[store.index["split"] == "test", "video_id"])


def test_scores_do_not_depend_on_the_batch_size(stage1, store):
    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    detector = Detection(ROWS["ssl_0.0"], RECIPE, 0.0, 1, weights).detector
    clips = evaluation_clips(store, RECIPE)
    assert len(clips) % 7  # so that the last batch of seven is a partial one, as the last of 32 is not
    small = dataclasses.replace(RECIPE, evaluation=dataclasses.replace(RECIPE.evaluation, batch_size=7))
    one, other = score_clips(detector, store, clips, RECIPE), score_clips(detector, store, clips, small)
    assert one["video_id"].tolist() == other["video_id"].tolist() == clips["video_id"].tolist()
    torch.testing.assert_close(torch.tensor(one["logit"]), torch.tensor(other["logit"]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("frames", "starts"), [(25, [0]), (29, [0, 4]), (50, [0, 25]), (110, [0, 25, 50, 75, 85])])
def test_clips_lie_end_to_end_and_the_last_one_moves_back(frames, starts):
    assert clip_starts(frames, 25) == starts
    with pytest.raises(TddError, match="holds no clip"):
        clip_starts(24, 25)


def test_faceforensics_uses_its_first_110_frames_and_celeb_df_all(store):
    long = store.index.assign(frames=200)
    longer = type("Store", (), {"index": long, "plan": {}})()
    counts = evaluation_clips(longer, RECIPE).groupby(["dataset", "video_id"]).size().groupby("dataset").unique()
    assert counts["FaceForensics++"].tolist() == [5] and counts["Celeb-DF-v2"].tolist() == [8]


def test_weights_of_another_backbone_are_refused_and_nothing_is_written(stage1, store, tmp_path):
    with pytest.raises(TddError, match="weights of cnn_lstm are needed"):
        detect(store, ROWS["cnn_lstm"], RECIPE, tmp_path / "run", stage1[0])
    assert not (tmp_path / "run" / "record.json").exists()


def test_both_stages_run_in_mixed_precision_and_say_so(store, tmp_path):
    mixed = changed(changed(RECIPE, "machine", precision="bf16-mixed"), "stage1", micro_batches=2)
    first = pretrain(store, "cnn_gru_attention", mixed, tmp_path / "one")
    second = detect(store, ROWS["ssl_0.3"], mixed, tmp_path / "two", tmp_path / "one")
    for record in (first, second):
        assert record["machine"]["precision"] == "bf16-mixed"
        assert all(math.isfinite(value) for entry in record["history"] for value in entry.values())
    kept = states(tmp_path / "one")
    assert all(tensor.dtype != torch.bfloat16 for tensor in kept.values())  # weights stay in single precision


def test_records_say_what_they_were_computed_on(stage1):
    machine = stage1[1]["machine"]
    assert machine["device"] == "cpu" and machine["precision"] == "32-true"
    assert machine["processor"] and machine["capability"] == torch.backends.cpu.get_cpu_capability()


def test_both_stages_take_stored_clips_and_make_the_views_themselves(store, stage1):
    """As on a GPU: the same draws give the same losses, but for roundings of a grey level."""
    clips, stored = (PretrainingClips(store, faces(store), RECIPE, train=True, raw=raw) for raw in (False, True))
    torch.manual_seed(0)
    stage = Pretraining("cnn_gru_attention", RECIPE, 4, 1)
    batches = EpochBatches(len(clips), 8, 0)
    made, given = batch_of(clips, batches), batch_of(stored, batches)
    assert "clean" not in given and "mel" not in given
    assert stage.training_step(given, 0).item() == pytest.approx(stage.training_step(made, 0).item(), abs=5e-3)
    stage.eval()
    stage.validation_step(given)
    assert math.isfinite(stage.watch.compute()["retrieval"])

    weights = import_weights(stage1[0], "stage1", "cnn_gru_attention")
    losses = []
    for raw in (False, True):
        loaded = training_clips(store, RECIPE, 0, raw=raw)
        torch.manual_seed(0)
        detection = Detection(ROWS["ssl_0.3"], RECIPE, loaded.shift, loaded.steps, weights)
        batch = {name: next(iter(batches)) for name, batches in loaded.loaders.items()}
        assert all(("frames" in part) == raw for part in batch.values())
        losses.append(detection.training_step(batch, 0).item())
    assert losses[1] == pytest.approx(losses[0], abs=5e-3)
