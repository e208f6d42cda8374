"""Stage 2: real or fake, while the network keeps predicting the stage-1 video teacher on real clips.

loss = BCE + ssl_weight x (-cosine). Kim et al., IEIE Summer Conference 2024, after RealForensics (Haliassos et al.,
CVPR 2022, arXiv 2201.07131); the 2024 paper's change to the loss is ssl_weight 0.3 in place of 1.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from tdd.config import BATCH, BY_DRAWS, EVALUATION, FROM_STAGE1, NONE, STAGE1, STAGE2, Recipe, Stage2Config
from tdd.data.augment import mask_video, normalise, views
from tdd.data.clips import (
    CompanionBatches,
    DetectionClips,
    EpochBatches,
    PairBatches,
    ScoredClips,
    in_order,
    loader,
    on_gpu,
    pick_words,
    usable,
)
from tdd.data.speech import talking_faces
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.evaluation.evaluate import score_clips, to_scoring_device, write_scores
from tdd.evaluation.likeness import kept, look_at, training_rows
from tdd.evaluation.selection import evaluation_clips, listed_test_videos, seen_videos, validation_clips
from tdd.losses import centre, detection_loss, logit_shift, prediction_loss
from tdd.machine.files import sha256
from tdd.machine.launch import begins_ranks
from tdd.machine.ranks import all_rows, counts_of_ranks, from_leader, join, leads, losses_told, my_share
from tdd.metrics import video_scores
from tdd.metrics.kept_calibration import calibrate
from tdd.models.build import Branch, build_predictor, video_backbone
from tdd.records.record import Check, Clock, Record, machine_of, read_record
from tdd.records.rows import Row
from tdd.records.targets import own_reals
from tdd.training.devices import on_all_devices
from tdd.training.labelled import with_few_labels
from tdd.training.loop import Report, Stage, adamp, fit, warmup_constant
from tdd.training.optimiser import AdamP
from tdd.training.resume import RESUME
from tdd.training.validation import VALIDATION_BATCH, ValidationScores, has_settled
from tdd.weights.checkpoints import WEIGHTS, Weights, export_weights, import_weights, load_part, weights_info
from tdd.weights.detector import Detector, load_detector, require_same_network

FEWEST_REALS = 2
"""Real clips of a part of a batch that the auxiliary task needs, for its batch norm needs two clips."""


class Auxiliary(nn.Module):
    """The auxiliary task: a frozen stage-1 video teacher, and what predicts it from the detector's features.

    The predictor starts anew, for stage 1's predicted the audio teacher; the projector does so as well where the recipe
    says so, as in the published code, or goes on from the stage-1 student's, in whose space the targets lie.
    """

    position_mean: Tensor

    def __init__(self, weights: Weights, recipe: Recipe) -> None:
        """Build from stage-1 weights; under finding A3 the teacher takes none of them.

        Raises:
            TddError: the weights do not fit the recipe's network.
        """
        super().__init__()
        random_teacher = recipe.findings.random_teacher
        self.teacher = Branch(video_backbone(weights.backbone, recipe), recipe.model.projection)
        for part in () if random_teacher else ("backbone", "projector"):
            load_part(getattr(self.teacher, part), weights.parts[f"teacher.{part}"], f"stage-1 teacher {part}")
        self.teacher.requires_grad_(False)
        # The released code leaves its teacher in training mode. By running averages a random one, which has none yet,
        # would give nearly the same target for every clip: a constant prediction scores a cosine of 0.998.
        self.by_batch = random_teacher or recipe.stage2.teacher_statistics == BATCH
        self.projector = Branch(self.teacher.backbone, recipe.model.projection).projector
        if recipe.stage2.projector == FROM_STAGE1:
            load_part(self.projector, weights.parts["student.projector"], "stage-1 student projector")
        self.predictor = build_predictor(recipe)
        self.how = recipe.stage2.centre_targets
        self.register_buffer("position_mean", torch.zeros(recipe.model.projection, recipe.clip.frames))
        self.train()

    def train(self, mode: bool = True) -> Auxiliary:
        """Training mode for all; for the frozen teacher only where its batch norm goes by the batch."""
        super().train(mode)
        self.teacher.train(mode and self.by_batch)
        return self

    @torch.no_grad()
    def measure_positions(self, batches: Iterable[Tensor]) -> None:
        """Set the mean target at each frame, which centring takes out, from clean views (B, 3, T, H, W)."""
        targets = [self.teacher(normalise(batch))[1] for batch in batches]
        self.position_mean.copy_(torch.cat(targets).mean(0))

    def forward(self, features: Tensor, clean: Tensor, clips: float | None = None) -> Tensor:
        """The auxiliary loss of real clips: their features (B, C, T) and their clean views (B, 3, T, H, W).

        ``clips`` as in :func:`tdd.losses.prediction_loss`.
        """
        with torch.no_grad():
            target = centre(self.teacher(clean)[1], self.how, self.position_mean)
        return prediction_loss(self.predictor(self.projector(features)), target, clips)


class Detection(Stage):
    """The stage-2 networks and what one step does with them."""

    watch: ValidationScores

    def __init__(
        self,
        row: Row,
        recipe: Recipe,
        shift: float,
        steps_per_epoch: int,
        weights: Weights | None,
        fakes: float = 0.5,
    ) -> None:
        """Start from stage-1 ``weights``, or from scratch without; no teacher is built when ``ssl_weight`` is 0.

        ``fakes`` is their share among the clips of a batch.
        """
        super().__init__({
            "backbone": row.backbone, "ssl_weight": row.ssl_weight, "shift": shift, "steps_per_epoch": steps_per_epoch,
            "recipe": recipe.read_by(STAGE2, row.backbone),
        })  # fmt: skip
        self.micro_batches = recipe.stage2.micro_batches
        self.recipe, self.shift, self.ssl_weight, self.steps_per_epoch = recipe, shift, row.ssl_weight, steps_per_epoch
        self.begun = PLATEAU * blind_loss(fakes)
        self.sign = -1 if recipe.findings.repel_teacher else 1
        self.detector = Detector(row.backbone, recipe)
        if weights:
            load_part(self.detector.backbone, weights.parts["student.backbone"], "stage-1 student backbone")
        self.auxiliary = Auxiliary(weights, recipe) if weights and row.ssl_weight else None
        joined = recipe.stage2.real_per_labelled * recipe.stage2.batch_size / self.micro_batches
        self.may_leave_out = self.auxiliary is not None and joined < FEWEST_REALS
        self.watch = ValidationScores()

    def training_step(self, loaded: dict[str, dict[str, Tensor]], _index: int) -> Tensor:
        """BCE over all clips, labelled and joined, and ``ssl_weight`` times the auxiliary loss over the real ones."""
        batch = {key: torch.cat([part[key] for part in loaded.values()]) for key in loaded["labelled"]}
        batch = views(batch, self.recipe.clip)
        noisy = mask_video(normalise(batch["noisy"]), batch["erase"], batch["time"])
        features = self.detector.backbone(noisy)
        bce = detection_loss(self.detector.head(features), batch["label"], self.shift)
        real = batch["label"] == 0
        if self.auxiliary is None or sum(reals := counts_of_ranks(real.sum())) < FEWEST_REALS:
            self.note({"loss": bce, "bce": bce})
            return bce
        share = sum(reals) / len(reals)
        features, clean, clips = features[real], normalise(batch["clean"][real]), share
        if not all(reals):  # fewer than devices: each of them then takes them all
            features, clean, clips = all_rows(features, reals), all_rows(clean, reals), sum(reals)
        auxiliary = self.auxiliary(features, clean, clips)
        loss = bce + self.sign * self.ssl_weight * auxiliary
        self.note({"loss": loss, "bce": bce})
        self.note({"auxiliary": auxiliary}, share)
        return loss

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Score validation clips for the history; no shift, as in testing."""
        batch = views(batch, self.recipe.clip)
        self.watch.update(self.detector(normalise(batch["video"])), batch["label"])

    def has_finished(self) -> bool:
        """By ``stage2.patience``: see :func:`tdd.training.validation.has_settled`."""
        return has_settled(self.history, self.recipe.stage2.patience, self.begun)

    def configure_optimisers(self) -> tuple[AdamP, LambdaLR]:
        """AdamP: warm-up, then constant."""
        config = self.recipe.stage2
        schedule = warmup_constant(config.warmup_epochs * self.steps_per_epoch)
        trained = (parameter for parameter in self.parameters() if parameter.requires_grad)
        return adamp([(trained, schedule)], config.optimiser, config.batch_size)


RELEASED_REAL_PER_LABELLED = 83.0
"""Stage-1 clips a labelled clip that the released code's logit shift counts, though none join (finding A4)."""


@dataclass(frozen=True)
class TrainingClips:
    """What stage 2 learns from: a loader of labelled clips, beside it one of stage-1 clips labelled real."""

    loaders: dict[str, DataLoader[dict[str, Tensor]]]
    """``labelled`` and, where clips join, ``joined``: as many batches each."""
    clips: int
    steps: int
    """Optimiser steps an epoch."""
    shift: float
    """See :func:`tdd.losses.logit_shift`."""
    fakes: float
    """Share of fakes among the clips of a batch."""


def training_clips(store: ClipStore, recipe: Recipe, seed: int, clean: bool = True, raw: bool = False) -> TrainingClips:
    """Two loaders in step: ``batch_size`` labelled clips, and ``real_per_labelled`` times as many stage-1 clips.

    The logit shift follows from what the batches hold (under finding A4: from what they would). Without ``clean`` the
    clips lack the view that only the auxiliary task's teacher sees; ``raw`` as for :class:`DetectionClips`.

    Raises:
        TddError: no reals, no fakes, or no stage-1 clips where the recipe wants them.
    """
    config, index = recipe.stage2, store.index
    seen = seen_videos(index, recipe)
    _name_absent(seen, config.methods)
    labelled = usable(seen[seen["split"] == "train"], recipe)
    labelled, times = with_few_labels(labelled, config.labelled_share)
    if config.pairs == NONE:
        labelled = labelled.loc[labelled.index.repeat(times * labelled["label"].map({0: config.real_repeats, 1: 1}))]
        labelled = labelled.reset_index(drop=True)
        clips, labels = len(labelled), labelled["label"].tolist()
        batches = EpochBatches(clips, config.batch_size, seed, config.micro_batches, labels)
        fakes = float(labelled["label"].mean()) * config.batch_size
    else:
        batches = _pairs(labelled, times, config, seed)
        labelled = pd.concat([labelled] * times, ignore_index=True)
        clips, fakes = 2 * batches.n_rows, config.batch_size / 2
    loaders = {"labelled": loader(DetectionClips(store, labelled, recipe, clean, raw), batches, recipe)}
    ratio = 0.0 if recipe.findings.no_stage1_clips else config.real_per_labelled
    joined = round(config.batch_size * ratio)
    if joined:
        faces = talking_faces(index, recipe.stage1.datasets, "train")  # as in stage 1
        extra = usable(pick_words(faces, recipe.stage1.clips), recipe)
        companions = CompanionBatches(len(extra), joined, batches)
        loaders["joined"] = loader(DetectionClips(store, extra, recipe, clean, raw), companions, recipe)
    counted = RELEASED_REAL_PER_LABELLED * config.batch_size if recipe.findings.no_stage1_clips else joined
    shift = logit_shift(fakes, config.batch_size + counted)
    return TrainingClips(loaders, clips, batches.steps, shift, fakes / (config.batch_size + joined))


def _name_absent(seen: pd.DataFrame, methods: Sequence[str]) -> None:
    """Say which of the methods to train on have no training video: a name may be misspelled."""
    absent = sorted(set(methods) - set(seen.loc[seen["split"] == "train", "method"]))
    if absent and leads():
        logging.getLogger(__name__).warning(
            f"No training video is of {', '.join(absent)}, which stage2.methods names; training goes on without."
        )


def _pairs(labelled: pd.DataFrame, times: int, config: Stage2Config, seed: int) -> PairBatches:
    """Batches of fakes, each beside its own real and ``times`` an epoch; says which fakes have none.

    The rows are those of ``labelled``, put behind itself ``times`` times.

    Raises:
        TddError: fewer have one than a batch wants.
    """
    row_of = pd.Series(range(len(labelled)), index=labelled["video_id"])
    found = own_reals(labelled.set_index("video_id"))
    pairs = dict(zip(row_of.loc[list(found.index)].tolist(), row_of.loc[list(found)].tolist(), strict=True))
    alone = int(labelled["label"].sum()) - len(pairs)
    if alone and leads():
        logging.getLogger(__name__).warning(
            f"{alone} of {alone + len(pairs)} training fakes are not shown: stage2.pairs is {config.pairs}, and the "
            "real videos that they were made from are not in the store."
        )
    n = len(labelled)
    pairs = {fake + turn * n: real + turn * n for turn in range(times) for fake, real in pairs.items()}
    lengths = labelled["frames"].tolist() * times if config.pairs == BY_DRAWS else None
    return PairBatches(pairs, config.batch_size, seed, config.micro_batches, lengths)


PLATEAU = 0.9
"""Share of the loss of a detector that knows nothing but the share of fakes, below which one has begun to learn."""

POSITION_CLIPS = 256
"""Training reals, at most, over which the teacher's mean at each frame is taken."""


def looked_at(store: ClipStore, recipe: Recipe) -> DataLoader[dict[str, Tensor]] | None:
    """The middle clip of the validation videos that are scored after each epoch; ``None`` where there are none."""
    clips = validation_clips(store, recipe)
    count = recipe.stage2.validation_videos
    if clips.empty or not count:
        return None
    videos = clips.groupby("video_id")
    middle = clips[videos.cumcount() == videos["start"].transform("size") // 2]
    turn = middle.groupby("method").cumcount()  # taken in turn, so that reals and every method have as many
    chosen = middle.loc[turn.sort_values(kind="stable").index[:count]].sort_index()
    shown = ScoredClips(store, chosen, recipe, raw=on_gpu(recipe.machine))
    return loader(shown, my_share(in_order(len(chosen), VALIDATION_BATCH)), recipe)


def _clean_reals(store: ClipStore, recipe: Recipe) -> Iterator[Tensor]:
    """Views (B, 3, T, H, W) of the middle of training reals: what the teacher's mean at each frame is taken over."""
    seen = seen_videos(store.index, recipe)
    reals = seen[(seen["label"] == 0) & (seen["split"] == "train")]
    reals = usable(reals, recipe).head(POSITION_CLIPS)
    middle = reals.assign(start=(reals["frames"] - recipe.clip.frames) // 2)
    # Batch norm by the batch needs two clips.
    batches = [rows for rows in in_order(len(middle), max(2, recipe.stage2.batch_size)) if len(rows) > 1]
    for batch in loader(ScoredClips(store, middle, recipe), batches, recipe):
        yield batch["video"]


def blind_loss(fakes: float) -> float:
    """BCE of a detector that knows nothing but the share of ``fakes`` in a batch: the entropy of that share, nats."""
    return -(fakes * math.log(fakes) + (1 - fakes) * math.log(1 - fakes))


def _plateau_check(row: Row, history: Sequence[Mapping[str, float]], fakes: float) -> dict[str, Any]:
    blind = blind_loss(fakes)
    last = history[-1]["bce"]
    sentence = (
        f"stage 2 of {row.label}: training BCE ends at {last:.3f} (a detector that knows the share of fakes alone: "
        f"{blind:.3f}; learning has begun below {PLATEAU * blind:.3f})."
    )
    return Check("past the plateau", last, PLATEAU * blind, sentence, "<=").to_dict()


def calibration_of(detector: Detector, store: ClipStore, recipe: Recipe) -> dict[str, Any]:
    """Temperature and bias from validation videos of the trained methods: see :mod:`tdd.metrics.kept_calibration`."""
    clips = validation_clips(store, recipe)
    if clips.empty:
        return {"reason": "the store holds no validation videos of the methods that it trained on"}
    scored = score_clips(to_scoring_device(detector, recipe), store, clips, recipe)
    return calibrate(video_scores(scored))


@losses_told()
def detect(
    store: ClipStore,
    row: Row,
    recipe: Recipe,
    run: Path,
    stage1: Path | None,
    seed: int = 0,
    report: Report | None = None,
) -> dict[str, Any]:
    """Run stage 2 and score every test clip, or read the record when that was finished before.

    On several devices (``machine.devices``) it begins a process for each; processes that torchrun or srun began all
    call this alike.

    Args:
        store: holds the videos of ``stage2.methods`` with their reals, the test sets, and stage-1 clips.
        row: which backbone and ``ssl_weight``.
        recipe: every number of the run.
        run: folder for resume point, weights, clip logits and record.
        stage1: folder of the finished stage 1; ``None`` trains from scratch.
        seed: of initial weights and of every draw.
        report: called with (steps done, steps in all).

    Returns:
        the run's record.

    Raises:
        TddError: missing clips, stage-1 weights that do not fit, fewer devices than asked for, or a process that ended
            before the others.
    """
    join(on_gpu(recipe.machine))
    finished = from_leader(read_record, run)
    if not finished and begins_ranks(recipe.machine.devices):
        on_all_devices(recipe.machine, detect, store, row, recipe, run, stage1, seed, report=report)
        finished = read_record(run)
    if finished:
        return finished
    run.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    weights = import_weights(stage1, STAGE1, row.backbone) if stage1 else None
    if weights:
        require_same_network(weights, recipe, str(stage1))
    clips = training_clips(store, recipe, seed, bool(weights and row.ssl_weight), on_gpu(recipe.machine))
    evaluation_clips(store, recipe)  # refuses test videos that cannot be scored before training, not after it
    torch.manual_seed(seed)
    validation = looked_at(store, recipe)
    if recipe.stage2.patience and validation is None:
        raise TddError(
            f"stage2.patience is {recipe.stage2.patience}, and {store.folder} holds no validation videos of the "
            "methods that it trains on, by which training would end; prepare them, or set it to 0."
        )
    if recipe.stage2.patience and validation and validation.dataset.clips["label"].nunique() < 2:  # type: ignore[attr-defined]
        raise TddError(
            f"stage2.patience is {recipe.stage2.patience}, and the validation videos in {store.folder} are all real or "
            "all fake, so that no AUC tells when training ends; prepare both, or set it to 0."
        )
    stage = Detection(row, recipe, clips.shift, clips.steps, weights, clips.fakes)
    if stage.auxiliary and recipe.stage2.centre_targets != NONE:
        stage.auxiliary.measure_positions(_clean_reals(store, recipe))
    fit(stage, clips.loaders, validation, recipe.stage2, recipe, run, report)

    scored = write_scores(stage.detector, store, recipe, run, calibration_of(stage.detector, store, recipe))

    def publish() -> dict[str, Any]:
        parts = {"backbone": stage.detector.backbone.state_dict(), "head": stage.detector.head.state_dict()}
        info = weights_info(recipe, seed, scored.metrics, store.fingerprint, bool(store.plan["synthetic"]))
        crops = kept(look_at(store, training_rows(store.index, recipe.stage2.methods)))
        info |= {"calibration": scored.calibration, "crops": crops}
        export_weights(run, Weights(STAGE2, row.backbone, parts, info, store.mean_face()))
        Record(
            kind=STAGE2, name=run.name, seed=seed, synthetic=bool(store.plan["synthetic"]), recipe=recipe.to_dict(),
            data=store.identity() | {"clips": clips.clips, "logit_shift": clips.shift},
            listed=listed_test_videos(store, recipe),
            history=stage.history, metrics=scored.metrics, row=row.describe(), calibration=scored.calibration,
            localisation=scored.localisation, crops=crops,
            checks=[_plateau_check(row, stage.history, clips.fakes)],
            machine=machine_of(recipe.machine), **clock.read(),
        ).write(run)  # fmt: skip
        (run / RESUME).unlink(missing_ok=True)  # larger than the weights three times over, and of no more use
        return read_record(run) or {}

    return from_leader(publish)


@losses_told()
def rescore(store: ClipStore, row: Row, recipe: Recipe, run: Path, trained: Path, seed: int = 0) -> dict[str, Any]:
    """Score the test clips with the detector of a finished run, or read the record when that was done before.

    For rows that differ from another in which clips are scored, and in nothing that training reads.

    Args:
        store: holds the test sets.
        row: what the record is to say of itself.
        recipe: says which clips are scored.
        run: folder for clip logits and record.
        trained: folder of the finished stage 2.
        seed: of that run.

    Raises:
        TddError: no weights there, or no test clips.
    """
    join(on_gpu(recipe.machine))
    finished = from_leader(read_record, run)
    if finished:
        return finished
    run.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    weights = import_weights(trained, STAGE2, row.backbone)
    detector, calibration = load_detector(weights)[0], weights.info.get("calibration") or {}
    if recipe.machine.threads:
        torch.set_num_threads(recipe.machine.threads)
    scored = write_scores(detector, store, recipe, run, calibration)

    def publish() -> dict[str, Any]:
        Record(
            kind=EVALUATION, name=run.name, seed=seed, synthetic=bool(store.plan["synthetic"]), recipe=recipe.to_dict(),
            data=store.identity() | {"weights": sha256(trained / WEIGHTS)}, history=[],
            metrics=scored.metrics, listed=listed_test_videos(store, recipe), localisation=scored.localisation,
            crops=weights.info.get("crops") or {},
            row=row.describe(), calibration=scored.calibration, machine=machine_of(recipe.machine), **clock.read(),
        ).write(run)  # fmt: skip
        return read_record(run) or {}

    return from_leader(publish)
