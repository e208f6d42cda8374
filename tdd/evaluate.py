"""Score every test clip once; video scores and AUC follow from the clip logits."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import nn

from tdd.config import Recipe
from tdd.data.augment import normalise
from tdd.data.clips import ScoredClips, loader, usable
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.metrics import auc_interval, video_scores

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
    """All clips of all test videos: FaceForensics++ (reals and every method) and Celeb-DF-v2.

    Returns:
        one row a clip: ``video_id``, ``dataset``, ``method``, ``label``, ``split``, ``start`` (frame).
    """
    index = store.index
    table = usable(index[(index["split"] == "test") & (index["dataset"] != "LRW")], recipe)
    limit = recipe.evaluation.faceforensics_frames
    used = table["frames"].where(table["dataset"] != "FaceForensics++", table["frames"].clip(upper=limit))
    table = table[LOGIT_COLUMNS].assign(start=used.map(lambda n: clip_starts(int(n), recipe.clip.frames)))
    return table.explode("start", ignore_index=True).astype({"start": int})


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
        reals = videos[(videos["dataset"] == dataset) & (videos["label"] == 0)]
        both = pd.concat([reals, fakes])
        interval = auc_interval(both["label"], both["logit"])  # the sigmoid may tie what the logits tell apart
        metrics[str(method)] = {
            "auc": interval.value, "low": interval.low, "high": interval.high,
            "reals": len(reals), "fakes": len(fakes),
        }  # fmt: skip
    return clips, metrics
