"""Score every test clip once; video scores and AUC follow from the clip logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from tdd.checkpoints import WEIGHTS, import_weights
from tdd.config import Recipe
from tdd.data.augment import normalise
from tdd.data.clips import ScoredClips, loader, on_gpu, usable
from tdd.data.store import SIZES, ClipStore
from tdd.detector import load_detector
from tdd.errors import TddError
from tdd.files import check_writable, sha256
from tdd.metrics import auc_interval, video_scores
from tdd.names import CELEB_DF, FACEFORENSICS_FAMILY, LRW
from tdd.records import Clock, Record, read_record

CLIP_LOGITS = "clip_logits.csv"
NOT_IN_SHORT_CELEB_LIST = (f"{CELEB_DF}/YouTube-real/00275", f"{CELEB_DF}/Celeb-real/id39_0005")
"""Reals of the official test list that RealForensics' own list omits (finding A7)."""
LOGIT_COLUMNS = ["video_id", "dataset", "method", "label", "split"]


def clip_starts(n_frames: int, length: int) -> list[int]:
    """First frames of the clips of a video: one after the other, the last one moved back to fit.

    Raises:
        TddError: the video is shorter than a clip.
    """
    if n_frames < length:
        raise TddError(f"A video of {n_frames} frames holds no clip of {length}.")
    starts = list(range(0, n_frames - length + 1, length))
    return starts if starts[-1] + length == n_frames else [*starts, n_frames - length]


def evaluation_clips(store: ClipStore, recipe: Recipe) -> pd.DataFrame:
    """All clips of all test videos of every data set but LRW.

    Returns:
        one row a clip: ``video_id``, ``dataset``, ``method``, ``label``, ``split``, ``start`` (frame).
    """
    index = store.index
    table = usable(index[(index["split"] == "test") & (index["dataset"] != LRW)], recipe)
    if recipe.findings.short_celeb_list:
        table = table[~table["video_id"].isin(NOT_IN_SHORT_CELEB_LIST)]
    limit = recipe.evaluation.faceforensics_frames
    used = table["frames"].mask(table["dataset"].isin(FACEFORENSICS_FAMILY), table["frames"].clip(upper=limit))
    table = table[LOGIT_COLUMNS].assign(start=used.map(lambda n: clip_starts(int(n), recipe.clip.frames)))
    clips = table.explode("start", ignore_index=True).astype({"start": int})
    return _without_partial_batches(clips, recipe) if recipe.findings.drop_last_clips else clips


def _without_partial_batches(clips: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Finding A6: each method's clips in random order (seed 0), as many as fill whole batches."""
    size = recipe.evaluation.batch_size
    groups = clips.sample(frac=1, random_state=0).groupby(["dataset", "method"])
    kept = groups.cumcount() < groups["start"].transform("size") // size * size
    return clips.loc[kept[kept].index.sort_values()].reset_index(drop=True)


@torch.inference_mode()
def score_clips(detector: nn.Module, store: ClipStore, clips: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Add a ``logit`` to every row of ``clips``; nothing is dropped, whatever the batch size.

    Raises:
        TddError: a clip was not scored exactly once (a fault of this program, never passed over).
    """
    size = recipe.evaluation.batch_size
    batches = [list(range(i, min(i + size, len(clips)))) for i in range(0, len(clips), size)]
    device = next(detector.parameters()).device
    numbers, logits = [], []
    detector.eval()
    for batch in loader(ScoredClips(store, clips, recipe), batches, recipe):
        logits.append(detector(normalise(batch["video"].to(device))).float().cpu())
        numbers.append(batch["number"])
    order = torch.cat(numbers) if numbers else torch.empty(0)
    if order.tolist() != list(range(len(clips))):
        raise TddError(f"{len(clips)} clips were to be scored once each, and {len(order)} scores came back.")
    return clips.assign(logit=torch.cat(logits).numpy())


def score_test_videos(detector: nn.Module, store: ClipStore, recipe: Recipe) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Clip logits of all test videos, and the video-level AUC with its 95% interval (DeLong) for every method."""
    clips = score_clips(detector, store, evaluation_clips(store, recipe), recipe)
    videos = video_scores(clips).reset_index()
    metrics = {}
    for (dataset, method), fakes in videos[videos["label"] == 1].groupby(["dataset", "method"]):
        sources = FACEFORENSICS_FAMILY if dataset in FACEFORENSICS_FAMILY else (dataset,)
        reals = videos[videos["dataset"].isin(sources) & (videos["label"] == 0)]
        both = pd.concat([reals, fakes])
        interval = auc_interval(both["label"], both["logit"])  # the sigmoid may tie what the logits tell apart
        metrics[str(method)] = {
            "auc": interval.value, "low": interval.low, "high": interval.high,
            "reals": len(reals), "fakes": len(fakes),
        }  # fmt: skip
    return clips, metrics


def write_scores(detector: nn.Module, store: ClipStore, recipe: Recipe, run: Path) -> dict[str, Any]:
    """Score all test videos, on a GPU where the recipe allows one, write ``clip_logits.csv`` and return the metrics."""
    logits, metrics = score_test_videos(detector.to("cuda" if on_gpu(recipe.machine) else "cpu"), store, recipe)
    logits.to_csv(run / CLIP_LOGITS, index=False)
    return metrics


def evaluate_checkpoint(checkpoint: Path, store: ClipStore, out: Path) -> dict[str, Any]:
    """Score every test clip with stage-2 weights, by the recipe stored with them, or read the record of doing so.

    Args:
        checkpoint: folder of stage-2 weights, trained here or imported.
        store: holds the test sets, at the recipe's crop.
        out: folder for clip logits and record.

    Returns:
        the record; its ``metrics`` are those of a stage-2 run.

    Raises:
        TddError: no such weights, a store of another crop or without test videos, or a folder with other results.
    """
    weights = import_weights(checkpoint, "stage2")
    data = {"fingerprint": store.fingerprint, "weights": sha256(checkpoint / WEIGHTS)}
    finished = read_record(out)
    if finished:
        if finished["data"] != data:
            raise TddError(f"{out} holds results of other weights or data; choose another folder or delete that one.")
        return finished
    detector, recipe = load_detector(weights)
    store.require(recipe.clip, *SIZES)
    evaluation_clips(store, recipe)  # refuses a store without test videos before anything is written
    check_writable(out)
    clock = Clock()
    metrics = write_scores(detector, store, recipe, out)
    Record(
        kind="evaluation", name=out.name, seed=weights.info.get("seed"), synthetic=bool(store.plan["synthetic"]),
        recipe=recipe.to_dict(), data=data, history=[], metrics=metrics, row={"backbone": weights.backbone},
        **clock.read(),
    ).write(out)  # fmt: skip
    return read_record(out) or {}
