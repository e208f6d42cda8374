"""Whether a clip store is whole: every stored array read and held against its digest, and what its crops warn of."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from tdd.data.clip_files import clip_damage, finished_row, mark_damaged
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.machine.parallel import Progress, parallel_map
from tdd.names import SPLITS
from tdd.preprocess.catalog import catalog_rows
from tdd.preprocess.crops import is_upright
from tdd.preprocess.prepare import QUARANTINE
from tdd.preprocess.quality import crop_warnings

BATCH = 50
"""Videos that a worker reads before it reports."""

SHOWN = 5
"""Damaged videos that are named; the JSON holds all."""

INDEX_AGREES = ("frames", "audio", "digest")
"""Columns in which the index and a video's own row must agree."""


@dataclass(frozen=True)
class StoreCheck:
    """What was found of a clip store."""

    folder: Path
    videos: int
    damaged: tuple[tuple[str, str], ...]
    """Id of a video, and what is wrong with its arrays or its row."""
    lost: tuple[tuple[str, str, int, int], ...]
    """Data set, split, videos found and videos listed, where these differ."""
    left_out: int
    """Videos in ``quarantine.csv``."""
    warnings: tuple[str, ...]
    """Of crops that may be wrong."""
    problem: str = ""
    """What is wrong with the mean face."""
    unmarked: str = ""
    """Why damaged videos could not be marked for ``tdd prepare``."""

    @property
    def exit_code(self) -> int:
        """0: whole; 1: clips are damaged, which ``tdd prepare`` makes again; 2: the mean face is damaged."""
        return 2 if self.problem else 1 if self.damaged else 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self) | {"folder": str(self.folder)}

    def to_text(self) -> str:
        """In sentences."""
        state = "damaged" if self.exit_code else "whole"
        lines = [f"{self.folder}: {state}; {self.videos:,} videos were read and held against their digests."]
        lines += [self.problem] if self.problem else []
        if self.damaged:
            lines.append(f"  damaged: {len(self.damaged):,}; run the same tdd prepare again, which makes them anew")
            lines += [f"    {video_id}: {what}" for video_id, what in self.damaged[:SHOWN]]
            lines += [f"    and {len(self.damaged) - SHOWN:,} more (--json FILE lists all)"] * (
                len(self.damaged) > SHOWN
            )
        lines += [self.unmarked] if self.unmarked else []
        lines += [
            f"  {dataset}, {split}: {found:,} of {listed:,} listed" for dataset, split, found, listed in self.lost
        ]
        if self.left_out:
            lines.append(f"  left out: {self.left_out:,}; the reasons are in {self.folder / QUARANTINE}")
        return "\n".join([*lines, *(f"  {warning}" for warning in self.warnings)])


def check_store(folder: Path, workers: int | None = None, progress: Progress | None = None) -> StoreCheck:
    """Read every array of a store whole, and mark those that are damaged so that ``tdd prepare`` makes them again.

    Args:
        folder: of the store.
        workers: processes; all cores when ``None``.
        progress: called with (batches of videos read, batches in all).

    Raises:
        TddError: the folder holds no published store, or its index is damaged.
    """
    store = ClipStore(folder)
    rows = catalog_rows(store.index[["video_id", *INDEX_AGREES]])
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    found = parallel_map(partial(_damages, folder, int(store.plan["crop"])), batches, workers, progress)
    damaged = sorted(trouble for part in found for trouble in part)
    quarantine = folder / QUARANTINE
    return StoreCheck(
        folder,
        len(rows),
        tuple(damaged),
        lost=tuple(_lost(store)),
        left_out=len(pd.read_csv(quarantine)) if quarantine.is_file() else 0,
        warnings=tuple(crop_warnings(store.index)),
        problem=_mean_face_problem(store),
        unmarked=_mark(folder, [video_id for video_id, _ in damaged]),
    )


def _damages(folder: Path, crop: int, rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["video_id"], damage) for row in rows if (damage := _damage(folder, crop, row))]


def _damage(folder: Path, crop: int, row: dict[str, Any]) -> str:
    own = finished_row(folder, row["video_id"], crop)
    if own is None:
        return clip_damage(folder, row, crop) or "its row is missing or damaged"
    damage = clip_damage(folder, own, crop)
    return damage or ("" if all(own[name] == row[name] for name in INDEX_AGREES) else "the index says otherwise of it")


def _mark(folder: Path, damaged: Sequence[str]) -> str:
    """Make the damage visible to ``tdd prepare``, which looks into no array that seems untouched."""
    try:
        for video_id in damaged:
            mark_damaged(folder, video_id)
    except OSError as error:
        return (
            f"  Nothing can be written to {folder} ({error.strerror}), so that tdd prepare may not see the damage; "
            "delete the files of these videos there."
        )
    return ""


def _mean_face_problem(store: ClipStore) -> str:
    try:
        points = store.mean_face()
    except TddError as error:
        return str(error)
    if points is None or is_upright(points):
        return ""
    return f"The mean face of {store.folder} is no upright face; make the store again."


def _lost(store: ClipStore) -> list[tuple[str, str, int, int]]:
    if store.listed is None:
        return []
    wanted, have = (
        Counter(zip(table["dataset"], table["split"], strict=True)) for table in (store.listed, store.index)
    )
    lost = [(*key, have[key], count) for key, count in wanted.items() if have[key] < count]
    return sorted(lost, key=lambda one: (one[0], SPLITS.index(one[1])))


def print_store_check(check: StoreCheck, console: Console) -> None:
    """Print a report."""
    colour = {0: "green", 1: "yellow", 2: "red"}[check.exit_code]
    first, *rest = check.to_text().splitlines()
    console.print(first, style=colour, highlight=False, markup=False)
    for line in rest:
        console.print(line, highlight=False, markup=False)
