"""The pictures of one evaluation: its crops, and when its videos are forged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tdd.config import recipe_from_dict
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.evaluation.likeness import restored
from tdd.evaluation.localisation import clip_times
from tdd.evaluation.sanity import CROPS_PICTURE
from tdd.evaluation.selection import Protocol
from tdd.plots.likeness import draw_crops
from tdd.plots.localisation import draw_localisation
from tdd.records.record import CLIP_LOGITS, RECORD


def draw_evaluation(record: Mapping[str, Any], store: ClipStore, out: Path, protocol: Protocol) -> list[Path]:
    """Draw ``crops.png``, and ``localisation-<data set>.png`` for every data set whose forged parts are known.

    Args:
        record: of :func:`tdd.evaluation.evaluate.evaluate_checkpoint`.
        store: that was scored.
        out: folder of the evaluation.
        protocol: of the evaluation.

    Returns:
        the files written.

    Raises:
        TddError: a crop or the clip logits cannot be read, or the record is damaged.
    """
    if not (out / CLIP_LOGITS).is_file():
        raise TddError(f"{out} holds a record without its {CLIP_LOGITS}; delete that folder and evaluate again.")
    clips = pd.read_csv(out / CLIP_LOGITS)
    scored = store.index[store.index["video_id"].isin(clips["video_id"])]
    crops = record.get("crops")
    known = restored(crops, str(out / RECORD)) if crops else None
    groups = {str(dataset): rows for dataset, rows in scored.groupby("dataset")}
    files = [draw_crops(store, groups, out / CROPS_PICTURE, known, record["checks"])]
    found = record.get("localisation") or {}
    if found:
        timed = clip_times(clips, store, recipe_from_dict(record["recipe"]), protocol)
        for dataset, figures in found.items():
            path = out / ("localisation-" + re.sub(r"[^\w.-]", "", dataset) + ".png")
            own = timed[timed["dataset"] == dataset]
            files.append(draw_localisation(figures, own, dataset, path, bool(record["synthetic"])))
    return files
