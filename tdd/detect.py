"""Stage 2: real or fake, while the network keeps predicting the stage-1 video teacher on real clips.

loss = BCE + ssl_weight x (-cosine). Kim et al., IEIE Summer Conference 2024, after RealForensics (Haliassos et al.,
CVPR 2022, arXiv 2201.07131); the 2024 paper's change to the loss is ssl_weight 0.3 in place of 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from tdd.config import EVALUATION, NONE, STAGE1, STAGE2, Recipe
from tdd.data.augment import mask_video, normalise, views
from tdd.data.clips import on_gpu
from tdd.data.store import SIZES, ClipStore
from tdd.evaluation.evaluate import Scored, score_clips, to_scoring_device, write_scores
from tdd.evaluation.likeness import kept_of_training
from tdd.evaluation.selection import evaluation_clips, listed_test_videos, seen_videos, validation_clips
from tdd.losses import detection_loss
from tdd.machine.files import sha256
from tdd.machine.launch import begins_ranks
from tdd.machine.ranks import all_rows, counts_of_ranks, from_leader, join, losses_told
from tdd.metrics import video_scores
from tdd.metrics.kept_calibration import calibrate
from tdd.records.record import Clock, Record, machine_of, read_record
from tdd.records.rows import Row
from tdd.training.auxiliary import FEWEST_REALS, Auxiliary
from tdd.training.detection_clips import TrainingClips, clean_reals, clips_of, middle_clips
from tdd.training.devices import on_all_devices
from tdd.training.finished import finished_record
from tdd.training.loop import Report, Stage, adamp, fit, warmup_constant
from tdd.training.optimiser import AdamP
from tdd.training.plateau import learned_below, plateau_check
from tdd.training.resume import RESUME
from tdd.training.validation import ValidationScores, has_settled, require_both_classes
from tdd.weights.checkpoints import WEIGHTS, Weights, export_weights, import_weights, load_part, weights_info
from tdd.weights.detector import Detector, load_detector, require_same_network

__all__ = [
    "Auxiliary", "Detection", "TrainingClips", "calibration_of", "detect", "looked_at", "rescore", "training_clips",
]  # fmt: skip


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
        self.begun = learned_below(fakes)
        self.sign = -1 if recipe.findings.repel_teacher else 1
        self.detector = Detector(row.backbone, recipe)
        if weights:
            load_part(self.detector.backbone, weights.parts["student.backbone"], "stage-1 student backbone")
        self.auxiliary = Auxiliary(weights, recipe) if weights and row.ssl_weight else None
        joined = recipe.stage2.real_per_labelled * recipe.stage2.batch_size / self.micro_batches
        self.may_leave_out = self.auxiliary is not None and joined < FEWEST_REALS
        self.watch = ValidationScores()

    def training_step(self, loaded: dict[str, dict[str, Tensor]], _index: int) -> Tensor:
        """BCE over all clips, labelled and joined, and ``ssl_weight`` times the auxiliary loss over the real ones.

        Labels stay on the host, which has to know how many clips are real.
        """
        batch = {key: torch.cat([part[key] for part in loaded.values()]) for key in loaded["labelled"]}
        batch = views(batch, self.recipe.clip)
        noisy = mask_video(normalise(batch["noisy"]), batch["erase"], batch["time"])
        features = self.detector.backbone(noisy)
        label = batch["label"]
        there = label.to(features.device, non_blocking=True)
        bce = detection_loss(self.detector.head(features), there, self.shift)
        real = (label == 0).nonzero().flatten()
        if self.auxiliary is None or sum(reals := counts_of_ranks(len(real))) < FEWEST_REALS:
            self.note({"loss": bce, "bce": bce})
            return bce
        share = sum(reals) / len(reals)
        real = real.to(features.device, non_blocking=True)
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


def training_clips(store: ClipStore, recipe: Recipe, seed: int, clean: bool = True, raw: bool = False) -> TrainingClips:
    """What stage 2 learns from of a store: :func:`tdd.training.detection_clips.clips_of` the videos it may train on.

    Raises:
        TddError: no reals, no fakes, or no stage-1 clips where the recipe wants them.
    """
    return clips_of(store, seen_videos(store.index, recipe), recipe, seed, clean, raw)


def looked_at(store: ClipStore, recipe: Recipe) -> DataLoader[dict[str, Tensor]] | None:
    """The middle clip of the validation videos that are scored after each epoch; ``None`` where there are none."""
    return middle_clips(store, validation_clips(store, recipe), recipe)


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
        TddError: missing clips, a store of other crops than the recipe's, stage-1 weights that do not fit, a finished
            run of another kind there, fewer devices than asked for, or a process that ended before the others.
    """
    join(on_gpu(recipe.machine))
    finished = from_leader(finished_record, run, STAGE2, row.backbone, recipe, seed, store, row)
    if not finished and begins_ranks(recipe.machine.devices):
        on_all_devices(recipe.machine, detect, store, row, recipe, run, stage1, seed, report=report)
        finished = read_record(run)
    if finished:
        return finished
    store.require(recipe.clip, *SIZES, "frame_rate")
    if recipe.machine.threads:  # before anything is computed: another number of threads adds in another order
        torch.set_num_threads(recipe.machine.threads)
    run.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    weights = import_weights(stage1, STAGE1, row.backbone) if stage1 else None
    if weights:
        require_same_network(weights, recipe, str(stage1))
    seen = seen_videos(store.index, recipe)
    clips = clips_of(store, seen, recipe, seed, bool(weights and row.ssl_weight), on_gpu(recipe.machine))
    evaluation_clips(store, recipe)  # refuses test videos that cannot be scored before training, not after it
    torch.manual_seed(seed)
    validation = looked_at(store, recipe)
    labels = validation.dataset.clips["label"] if validation else ()  # type: ignore[attr-defined]
    require_both_classes(recipe.stage2.patience, labels, store.folder)
    stage = Detection(row, recipe, clips.shift, clips.steps, weights, clips.fakes)
    if stage.auxiliary and recipe.stage2.centre_targets != NONE:
        to_scoring_device(stage.auxiliary, recipe)
        stage.auxiliary.measure_positions(clean_reals(store, seen, recipe))
        stage.to("cpu")  # what follows decides anew where it computes
    fit(stage, clips.loaders, validation, recipe.stage2, recipe, run, report)
    scored = write_scores(stage.detector, store, recipe, run, calibration_of(stage.detector, store, recipe))
    return from_leader(_publish, stage, row, store, recipe, run, seed, clips, scored, clock)


def _publish(
    stage: Detection,
    row: Row,
    store: ClipStore,
    recipe: Recipe,
    run: Path,
    seed: int,
    clips: TrainingClips,
    scored: Scored,
    clock: Clock,
) -> dict[str, Any]:
    """Weights and record of a finished stage 2; the record, written last, says that it is finished."""
    synthetic = bool(store.plan["synthetic"])
    parts = {"backbone": stage.detector.backbone.state_dict(), "head": stage.detector.head.state_dict()}
    crops = kept_of_training(store, recipe.stage2.methods)
    info = weights_info(recipe, seed, scored.metrics, store.fingerprint, synthetic)
    info |= {"calibration": scored.calibration, "crops": crops}
    export_weights(run, Weights(STAGE2, row.backbone, parts, info, store.mean_face()))
    Record(
        kind=STAGE2, name=run.name, seed=seed, synthetic=synthetic, recipe=recipe.to_dict(),
        data=store.identity() | {"clips": clips.clips, "logit_shift": clips.shift},
        listed=listed_test_videos(store, recipe),
        history=stage.history, metrics=scored.metrics, row=row.describe(), calibration=scored.calibration,
        localisation=scored.localisation, crops=crops,
        checks=[plateau_check(row.label, stage.history, clips.fakes).to_dict()],
        machine=machine_of(recipe.machine), **clock.read(),
    ).write(run)  # fmt: skip
    (run / RESUME).unlink(missing_ok=True)  # larger than the weights three times over, and of no more use
    return read_record(run) or {}


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
        TddError: no weights there, no test clips, a store of other crops than the recipe's, or a finished run of
            another kind in ``run``.
    """
    join(on_gpu(recipe.machine))
    finished = from_leader(finished_record, run, EVALUATION, row.backbone, recipe, seed, store, row)
    if finished:
        return finished
    store.require(recipe.clip, *SIZES, "frame_rate")
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
