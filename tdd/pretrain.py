"""Stage 1: video and audio students each predict the other modality's EMA teacher, frame by frame.

With ``stage1.audio`` off (an ablation) the video student predicts the video teacher instead, and nothing is heard.

Cross-modal self-supervision on real talking faces, as in RealForensics (Haliassos et al., CVPR 2022, arXiv
2201.07131), on the 5,000 clips of Kim et al. (IEIE Summer Conference 2024).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from tdd.config import STAGE1, Recipe
from tdd.data.audio import MEL_PER_FRAME
from tdd.data.augment import mask_log_mel, mask_video, normalise, views
from tdd.data.clips import (
    UNKNOWN_WORD,
    EpochBatches,
    PretrainingClips,
    fixed_batches,
    loader,
    on_gpu,
    pick_words,
    spread_words,
)
from tdd.data.speech import talking_faces
from tdd.data.store import SIZES, ClipStore
from tdd.losses import centre, prediction_loss
from tdd.machine.launch import begins_ranks
from tdd.machine.ranks import from_leader, join, losses_told, my_share, world
from tdd.models import Prober
from tdd.models.build import Branch, audio_network, build_predictor, video_backbone
from tdd.records.record import Check, Clock, Record, machine_of, read_record
from tdd.training.collapse import GROUP, CollapseWatch, retrieval_chance
from tdd.training.devices import on_all_devices
from tdd.training.finished import finished_record
from tdd.training.loop import Report, Stage, adamp, constant, fit, warmup_cosine
from tdd.training.optimiser import AdamP, ema_
from tdd.training.resume import RESUME
from tdd.weights.checkpoints import AUDIO, Weights, export_weights, weights_info

LRW_TRAINING_CLIPS = 488_763
"""Training clips of the whole of LRW, for which the released code computes its schedule (finding A5)."""

RETRIEVAL_TARGET = 0.4
"""Clip retrieval among 32 that stage 1 should reach on the demo (chance 0.03)."""


class Pretraining(Stage):
    """The stage-1 networks and what one step does with them."""

    watch: CollapseWatch

    def __init__(self, backbone: str, recipe: Recipe, words: int, steps_per_epoch: int, looked_at: int = GROUP) -> None:
        """Build students, their predictors, teachers as copies of the students, and the prober over ``words`` words.

        ``looked_at`` is the number of validation clips: what the collapse watch takes for chance goes by it. Without
        audio the audio networks are not built, and without words no prober.
        """
        super().__init__({
            "backbone": backbone, "words": words, "steps_per_epoch": steps_per_epoch,
            "recipe": recipe.read_by(STAGE1, backbone),
        })  # fmt: skip
        self.recipe, self.steps_per_epoch, self.micro_batches = recipe, steps_per_epoch, recipe.stage1.micro_batches
        projection = recipe.model.projection
        self.video = Branch(video_backbone(backbone, recipe), projection)
        self.audio = Branch(audio_network(recipe), projection) if recipe.stage1.audio else None
        self.video_predictor = build_predictor(recipe)
        self.audio_predictor = build_predictor(recipe) if self.audio else None
        self.video_teacher, self.audio_teacher = copy.deepcopy(self.video), copy.deepcopy(self.audio)
        for teacher in filter(None, (self.video_teacher, self.audio_teacher)):
            teacher.requires_grad_(False)
        self.prober = Prober(self.video.backbone.out_channels, words) if words else None
        self.watch = CollapseWatch(words, looked_at)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """Both predictions, both targets, and the sum of their losses; the prober learns beside them."""
        if self.starts_a_step(index):
            self.update_teachers()
        batch = views(batch, self.recipe.clip)
        clean = normalise(batch["clean"])
        noisy = mask_video(normalise(batch["noisy"]), batch["erase"], batch["time"])
        features, projection = self.video(noisy)
        with torch.no_grad():
            how = self.recipe.stage1.centre_targets
            for_video, for_audio = (centre(target, how) for target in self._targets(clean, batch["mel"]))
        losses = {"loss_video": prediction_loss(self.video_predictor(projection), for_video)}
        if self.audio and self.audio_predictor:
            quiet = mask_log_mel(batch["mel"], batch["time"], batch["mel_bins"], MEL_PER_FRAME)
            losses["loss_audio"] = prediction_loss(self.audio_predictor(self.audio(quiet)[1]), for_audio)
        loss = torch.stack(list(losses.values())).sum()
        self.note({"loss": loss} | losses)
        return loss if self.prober is None else loss + word_loss(self.prober(features), batch["word"])

    def _targets(self, video: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """What the video student is to predict, and what the audio student is: projections (B, C, T) of teachers."""
        video_target = self.video_teacher(video)[1]
        return self.audio_teacher(mel)[1] if self.audio_teacher else video_target, video_target

    @torch.no_grad()
    def update_teachers(self) -> None:
        """Move the teachers' parameters towards the students' by the fixed EMA momentum."""
        momentum = self.recipe.stage1.momentum
        for teacher, student in ((self.video_teacher, self.video), (self.audio_teacher, self.audio)):
            if teacher is None or student is None:
                continue
            ema_(list(teacher.parameters()), list(student.parameters()), momentum)

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Show the collapse watch what becomes of validation clips."""
        batch = views(batch, self.recipe.clip)
        video = normalise(batch["clean"])
        features, projection = self.video(video)
        target, video_target = self._targets(video, batch["mel"])
        named = torch.full_like(batch["word"], UNKNOWN_WORD) if self.prober is None else self.prober(features).argmax(1)
        self.watch.update(self.video_predictor(projection), target, video_target, named, batch["word"])

    def configure_optimisers(self) -> tuple[AdamP, LambdaLR]:
        """AdamP: warm-up and cosine for all but the predictors, which keep their base rate."""
        config, steps = self.recipe.stage1, self.steps_per_epoch
        if self.recipe.findings.full_lrw_schedule:
            steps = LRW_TRAINING_CLIPS // config.batch_size
        schedule = warmup_cosine(config.warmup_epochs * steps, config.epochs * steps)
        scheduled = nn.ModuleList(filter(None, [self.video, self.audio, self.prober]))
        predictors = nn.ModuleList(filter(None, [self.video_predictor, self.audio_predictor]))
        groups = [(scheduled.parameters(), schedule), (predictors.parameters(), constant)]
        return adamp(groups, config.optimiser, config.batch_size)

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """What stage 2 needs: the video student and the video teacher."""
        return {
            f"{role}.{part}": getattr(branch, part).state_dict()
            for role, branch in (("student", self.video), ("teacher", self.video_teacher))
            for part in ("backbone", "projector")
        }

    def audio_parts(self) -> dict[str, dict[str, Tensor]]:
        """What is needed beside :meth:`parts` to ask whether a sound belongs to a face (see ``correspondence``).

        Empty without audio.
        """
        if not self.audio_teacher:
            return {}
        return {
            "teacher.backbone": self.audio_teacher.backbone.state_dict(),
            "teacher.projector": self.audio_teacher.projector.state_dict(),
            "predictor": self.video_predictor.state_dict(),
        }


def word_loss(logits: Tensor, word: Tensor) -> Tensor:
    """The prober's cross entropy, the mean over clips of a known word; 0 where there is none.

    Args:
        logits: shape (B, words).
        word: number of the word that is said, shape (B,); ``UNKNOWN_WORD`` where it is not known.
    """
    known = (word != UNKNOWN_WORD).sum()  # stays on its device: nothing waits for it
    return F.cross_entropy(logits, word, ignore_index=UNKNOWN_WORD, reduction="sum") / known.clamp(min=1)


def _retrieval_check(backbone: str, metrics: dict[str, float], clips: int, audio: bool) -> dict[str, Any]:
    chance, found, right = retrieval_chance(clips), metrics["retrieval"], "audio" if audio else "teacher view"
    sentence = (
        f"stage 1 of {backbone}: among {1 / chance:.0f} clips the right {right} is found for {found:.1%} of the videos "
        f"(chance {chance:.0%}, target {RETRIEVAL_TARGET:.0%})."
    )
    return Check("stage-1 clip retrieval", found, RETRIEVAL_TARGET, sentence).to_dict()


def _collapse_check(backbone: str, stage: Pretraining) -> dict[str, Any]:
    found = stage.watch.warnings(stage.history)
    said = " ".join(found) or f"no sign of collapse in {len(stage.history)} epochs."
    return Check("collapse watch", len(found), 0, f"stage 1 of {backbone}: {said}", "<=").to_dict()


@losses_told()
def pretrain(
    store: ClipStore, backbone: str, recipe: Recipe, run: Path, seed: int = 0, report: Report | None = None
) -> dict[str, Any]:
    """Run stage 1, or read its record when it was finished before.

    On several devices (``machine.devices``) it begins a process for each; processes that torchrun or srun began all
    call this alike.

    Args:
        store: holds the data sets of ``stage1.datasets``, splits ``train`` and ``val``.
        backbone: name in the registry.
        recipe: every number of the run.
        run: folder for resume point, weights and record.
        seed: of initial weights and of every draw.
        report: called with (steps done, steps in all).

    Returns:
        the run's record.

    Raises:
        TddError: no suitable clips, a store of other crops than the recipe's, a size the network cannot take, a
            finished run of another kind there, fewer devices than asked for, or a process that ended before the others.
    """
    join(on_gpu(recipe.machine))
    finished = from_leader(finished_record, run, STAGE1, backbone, recipe, seed, store)
    if not finished and begins_ranks(recipe.machine.devices):
        on_all_devices(recipe.machine, pretrain, store, backbone, recipe, run, seed, report=report)
        finished = read_record(run)
    if finished:
        return finished
    store.require(recipe.clip, *SIZES, "frame_rate")
    run.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    training, looked_at = (talking_faces(store.index, recipe.stage1.datasets, split) for split in ("train", "val"))
    training = pick_words(training, recipe.stage1.clips)
    raw = on_gpu(recipe.machine)
    clips = PretrainingClips(store, training, recipe, train=True, raw=raw)
    looked_at = spread_words(looked_at, recipe.stage1.validation_clips)
    checked = PretrainingClips(store, looked_at, recipe, train=False, words=clips.words, raw=raw)
    batches = EpochBatches(len(clips), recipe.stage1.batch_size, seed, recipe.stage1.micro_batches)
    torch.manual_seed(seed)
    stage = Pretraining(backbone, recipe, len(clips.words), batches.steps, len(checked))
    part = recipe.stage1.batch_size // recipe.stage1.micro_batches // world()  # what memory holds in training
    validation = loader(checked, my_share(fixed_batches(len(checked), part)), recipe)
    fit(stage, loader(clips, batches, recipe), validation, recipe.stage1, recipe, run, report)

    def publish() -> dict[str, Any]:
        last = stage.history[-1]
        info = weights_info(recipe, seed, last, store.fingerprint, bool(store.plan["synthetic"]))
        heard = stage.audio_parts()
        if heard:
            export_weights(run / AUDIO, Weights("stage1_audio", backbone, heard, info, store.mean_face()))
        export_weights(run, Weights(STAGE1, backbone, stage.parts(), info, store.mean_face()))
        Record(
            kind=STAGE1, name=run.name, seed=seed, synthetic=bool(store.plan["synthetic"]), recipe=recipe.to_dict(),
            data=store.identity() | {"clips": len(clips), "words": len(clips.words)}, history=stage.history,
            metrics=last, row={"backbone": backbone}, machine=machine_of(recipe.machine), **clock.read(),
            checks=[
                _retrieval_check(backbone, last, len(checked), recipe.stage1.audio), _collapse_check(backbone, stage),
            ],
        ).write(run)  # fmt: skip
        (run / RESUME).unlink(missing_ok=True)  # larger than the weights three times over, and of no more use
        return read_record(run) or {}

    return from_leader(publish)
