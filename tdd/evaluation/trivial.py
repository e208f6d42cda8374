"""The trivial baseline: a logistic regression on numbers that know nothing of how anything moves.

Trained on the same videos as a detector, scored on the same test clips by the same protocol. A detector that does not
beat it has not been shown to have learned more than how much a clip changes, how bright and how sharp it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.config import TRIVIAL, Recipe
from tdd.data.clips import usable
from tdd.data.store import ClipStore
from tdd.evaluation.evaluate import method_metrics, write_logits
from tdd.evaluation.selection import evaluation_clips, listed_test_videos, seen_videos
from tdd.metrics import video_scores
from tdd.metrics.logistic import fit_logistic
from tdd.metrics.trivial import trivial_statistics
from tdd.records.record import Clock, Record, machine_of, read_record
from tdd.records.rows import Row


def score_trivially(store: ClipStore, row: Row, recipe: Recipe, run: Path, seed: int = 0) -> dict[str, Any]:
    """Fit the trivial baseline on the training videos, score every test clip, or read the record of doing so.

    Args:
        store: holds the videos of the seen methods, and the test sets.
        row: what the record is to say of itself.
        recipe: says which methods are seen and which clips are scored.
        run: folder for clip logits and record.
        seed: of the study; nothing here is drawn.

    Raises:
        TddError: no reals or no fakes to learn from, or no test clips.
    """
    finished = read_record(run)
    if finished:
        return finished
    run.mkdir(parents=True, exist_ok=True)
    clock, seen = Clock(), seen_videos(store.index, recipe)
    training = usable(seen[seen["split"] == "train"], recipe)
    middle = training.assign(start=(training["frames"] - recipe.clip.frames) // 2)
    model = fit_logistic(_features(store, middle, recipe), training["label"].to_numpy())
    clips = evaluation_clips(store, recipe)
    clips = clips.assign(logit=model.logits(_features(store, clips, recipe)))
    write_logits(clips, run)
    Record(
        kind=TRIVIAL, name=run.name, seed=seed, synthetic=bool(store.plan["synthetic"]), recipe=recipe.to_dict(),
        data=store.identity() | {"clips": len(training)}, history=[], listed=listed_test_videos(store, recipe),
        metrics=method_metrics(video_scores(clips)), row=row.describe(),
        machine=machine_of(recipe.machine), **clock.read(),
    ).write(run)  # fmt: skip
    return read_record(run) or {}


def _features(store: ClipStore, clips: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """Trivial statistics of clips of aligned faces, shape (clips, 13)."""
    rows = zip(clips["video_id"], clips["start"], strict=True)
    seen = (trivial_statistics(store.frames(video, int(start), recipe.clip.frames)) for video, start in rows)
    return np.array([list(found.values()) for found in seen])
