"""Writes the embedded benchmark as the folder trees in which LRW, FaceForensics++ and Celeb-DF-v2 are shipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tdd.names import CELEB_DF, FACEFORENSICS, LRW
from tdd.synth.plan import CELEB_LIST, Task, celeb_test_list, ff_splits, plan_benchmark, plan_sha
from tdd.synth.sizes import SynthSize, size_of
from tdd.synth.writing import DONE, Order, fill, settings_of

__all__ = ["DONE", "write_benchmark"]

WHAT = "synthetic benchmark of tdd: drawn faces, stand-ins for forgeries"
"""In ``plan.json`` and ``synth.json``."""


def write_benchmark(
    out: Path | str,
    size: str | SynthSize,
    seed: int = 0,
    *,
    strength: float = 1.0,
    methods: Sequence[str] | None = None,
    language: str = "en",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the benchmark, or what is missing of it: complete videos of an interrupted run are kept.

    The same arguments give the same bytes, whatever the number of workers and wherever a run was interrupted.

    Args:
        out: folder to write to; made if missing.
        size: ``tiny``, ``demo``, ``study``, ``full``, or counts of your own.
        seed: of every draw.
        strength: of the artefacts of forgery: 1 is the calibrated default, at 0 a fake is just another real video.
        methods: forgeries to make, from ``SYNTHETIC_METHODS`` and ``LipRetiming``; without ``Celeb-DF`` that whole data
            set is left out; ``None`` takes the size's own.
        language: ``en`` or ``ko``.
        workers: processes; ``None`` takes one for each processor, 1 works in this process.
        progress: called with the number of complete videos and of all videos.

    Returns:
        The folder.

    Raises:
        TddError: size, method or language is unknown, the folder cannot be written or holds something else, the disk is
            too small, espeak-ng is missing, or a video could not be made.
    """
    counts = size_of(size)
    methods = counts.methods if methods is None else methods
    settings = settings_of(WHAT, counts, seed, strength, methods, language)
    tasks = plan_benchmark(counts, seed, methods, language)
    settings["plan_sha256"] = plan_sha(tasks)
    order = Order(settings, tasks, _lists(counts, tasks), _video_counts(tasks), (LRW, FACEFORENSICS, CELEB_DF))
    return fill(Path(out), order, counts, workers, progress)


def _lists(size: SynthSize, tasks: Sequence[Task]) -> dict[str, str]:
    """The owners' list files, by their paths."""
    texts = {}
    if sum(size.ff_pairs):
        texts = {f"{FACEFORENSICS}/splits/{name}.json": json.dumps(pairs) for name, pairs in ff_splits(size).items()}
    if any(task.path.startswith(f"{CELEB_DF}/") for task in tasks):
        texts[CELEB_LIST] = celeb_test_list(tasks)
    return texts


def _video_counts(tasks: Sequence[Task]) -> dict[str, int]:
    """Number of videos in each folder that a user may look for."""
    counts: dict[str, int] = {}
    for task in tasks:
        folder = task.path.split("/")[0] + (f"/{task.method}" if task.method else "/real")
        counts[folder] = counts.get(folder, 0) + 1
    return counts
