"""What stage 2 learns from and is looked at by: labelled clips, stage-1 clips that join them, and validation clips."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor
from torch.utils.data import DataLoader

from tdd.config import BY_DRAWS, NONE, Recipe, Stage2Config
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
from tdd.losses import logit_shift
from tdd.machine.ranks import leads, my_share
from tdd.records.targets import own_reals
from tdd.training.labelled import with_few_labels
from tdd.training.validation import VALIDATION_BATCH

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


def clips_of(
    store: ClipStore, seen: pd.DataFrame, recipe: Recipe, seed: int, clean: bool = True, raw: bool = False
) -> TrainingClips:
    """Two loaders in step: ``batch_size`` labelled clips, and ``real_per_labelled`` times as many stage-1 clips.

    The logit shift follows from what the batches hold (under finding A4: from what they would).

    Args:
        store: holds the clips.
        seen: rows of its index that stage 2 may train on, of every split.
        recipe: every number of the run.
        seed: of every draw.
        clean: with the view that only the auxiliary task's teacher sees.
        raw: as for :class:`tdd.data.clips.DetectionClips`.

    Raises:
        TddError: no reals, no fakes, or no stage-1 clips where the recipe wants them.
    """
    config = recipe.stage2
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
    joined = 0 if recipe.findings.no_stage1_clips else config.joined
    if joined:
        faces = talking_faces(store.index, recipe.stage1.datasets, "train")  # as in stage 1
        extra = usable(pick_words(faces, recipe.stage1.clips), recipe)
        companions = CompanionBatches(len(extra), joined, batches)
        loaders["joined"] = loader(DetectionClips(store, extra, recipe, clean, raw), companions, recipe)
    counted = RELEASED_REAL_PER_LABELLED * config.batch_size if recipe.findings.no_stage1_clips else joined
    shift = logit_shift(fakes, config.batch_size + counted)
    return TrainingClips(loaders, clips, batches.steps, shift, fakes / (config.batch_size + joined))


def _name_absent(seen: pd.DataFrame, methods: Sequence[str]) -> None:
    """Say which of the paper's methods have no training video: the store is of a part of the data."""
    absent = sorted(set(methods) - set(seen.loc[seen["split"] == "train", "method"]))
    if absent and leads():
        logging.getLogger(__name__).warning(
            f"No training video is of {', '.join(absent)}, which stage2.methods names; training goes on without. "
            "Results are not those of the full list: prepare the missing methods, or set stage2.methods to what is "
            "there."
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


POSITION_CLIPS = 256
"""Training reals, at most, over which the teacher's mean at each frame is taken."""


def middle_clips(store: ClipStore, clips: pd.DataFrame, recipe: Recipe) -> DataLoader[dict[str, Tensor]] | None:
    """The middle clip of the validation videos that are scored after each epoch; ``None`` where there are none.

    Args:
        store: holds the clips.
        clips: of validation videos, one row a clip, with ``video_id``, ``start`` and ``method``.
        recipe: says of how many videos, ``stage2.validation_videos``: as many reals as fakes of each method.
    """
    count = recipe.stage2.validation_videos
    if clips.empty or not count:
        return None
    videos = clips.groupby("video_id")
    middle = clips[videos.cumcount() == videos["start"].transform("size") // 2]
    turn = middle.groupby("method").cumcount()  # taken in turn, so that reals and every method have as many
    chosen = middle.loc[turn.sort_values(kind="stable").index[:count]].sort_index()
    shown = ScoredClips(store, chosen, recipe, raw=on_gpu(recipe.machine))
    return loader(shown, my_share(in_order(len(chosen), VALIDATION_BATCH)), recipe)


def clean_reals(store: ClipStore, seen: pd.DataFrame, recipe: Recipe) -> Iterator[Tensor]:
    """Views (B, 3, T, H, W) of the middle of training reals: what the teacher's mean at each frame is taken over.

    Args:
        store: holds the clips.
        seen: rows of its index that stage 2 may train on, of every split.
        recipe: every number of the run.

    Raises:
        TddError: there is one training real at most that is long enough, or none.
    """
    reals = seen[(seen["label"] == 0) & (seen["split"] == "train")]
    reals = usable(reals, recipe).head(POSITION_CLIPS)
    middle = reals.assign(start=(reals["frames"] - recipe.clip.frames) // 2)
    # Batch norm by the batch needs two clips.
    batches = [rows for rows in in_order(len(middle), max(2, recipe.stage2.batch_size)) if len(rows) > 1]
    if not batches:
        raise TddError("stage2.centre_targets wants two training reals or more; prepare them, or set it to none.")
    for batch in loader(ScoredClips(store, middle, recipe), batches, recipe):
        yield batch["video"]
