"""Landmarks for the videos that have none: found once, and kept in the clip store's folder beside what they are worth.

landmarks/plan.json          how they are found
landmarks/<video id>.npy     float32, shape (frames of the file, 68, 2), px
landmarks/<video id>.json    their quality, or why there are none; written last
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.data.clip_files import save_array
from tdd.errors import TddError
from tdd.machine.cluster import RayCluster
from tdd.machine.files import (
    check_plan,
    check_writable,
    disk_errors_told,
    held_alone,
    remove_partials,
    write_json,
)
from tdd.machine.limits import NETWORK_BYTES, cpu_count, of_the_machine
from tdd.machine.parallel import Progress, given_up, local_engine, parallel_map
from tdd.preprocess.catalog import catalog_rows, read_catalog
from tdd.preprocess.face_weights import DLIB, Report
from tdd.preprocess.faces import FaceLandmarker, FaceSettings
from tdd.preprocess.finders import finders_plan
from tdd.preprocess.folders import is_there, require_apart
from tdd.preprocess.landmarks import (
    LANDMARK_FOLDER,
    face_size,
    given_landmarks,
    landmark_path,
    read_landmarks,
    read_points,
)
from tdd.preprocess.sources import describe, looks_same, renewed

PLAN = "plan.json"
PROCESSES_A_GPU = 4
"""Each decodes for itself, and that takes longer than the networks do."""

GIVEN, FOUND = "given", "found"
"""Where a video's landmarks come from, in the index of the clip store."""


@dataclass(frozen=True)
class LandmarkFinder:
    """How landmarks are found, and with which files; travels to the processes that find them."""

    settings: FaceSettings = field(default_factory=FaceSettings)
    weights: Path | None = None
    """Folder of the weights; the cache of face-alignment, or dlib's package, when ``None``."""
    device: str | None = None
    """As :class:`FaceLandmarker` takes it; in each process one of the GPUs when ``None``, if there are any."""

    def plan(self, report: Report | None = None) -> dict[str, Any]:
        """What the landmarks depend on, for ``plan.json``; fetches weights that are missing.

        Raises:
            TddError: a package is not installed, or its weights are not to be had.
        """
        return dataclasses.asdict(self.settings) | finders_plan(self.settings.detector, self.weights, report)

    def gpus(self) -> int:
        """GPUs of this machine on which landmarks can be found; dlib finds them on a CPU."""
        if self.settings.detector == DLIB:
            return 0
        import torch

        return torch.cuda.device_count()

    def landmarker(self) -> FaceLandmarker:
        """Load what finds them; errors as :class:`FaceLandmarker`."""
        device, gpus = self.device, self.gpus()
        if device is None and gpus:
            # Processes begun one after another have numbers in a row, and so spread over the GPUs.
            device = f"cuda:{os.getpid() % gpus}"
        return FaceLandmarker(self.settings, self.weights, device)


@dataclass(frozen=True)
class Finding:
    """What :func:`find_landmarks` did."""

    found: int
    """Videos whose landmarks were found in this call."""
    refused: int
    """Videos whose landmarks were not; ``prepare`` sets them aside with the reason."""


def without_landmarks(root: Path, out: Path, catalog: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    """Catalog rows of the videos on the disk whose landmarks are neither given nor found, nor were looked for in vain.

    A video whose file has changed since is looked at again.

    Args:
        root: data root.
        out: the store's folder.
        catalog: of ``root``, as :func:`read_catalog` gives it; read when ``None``.

    Raises:
        TddError: as :func:`read_catalog`.
    """
    rows = catalog_rows(read_catalog(root) if catalog is None else catalog)
    return [row for row in rows if _is_open(root, out, row)]


def _is_open(root: Path, out: Path, row: dict[str, Any]) -> bool:
    video = root / row["path"]
    if given_landmarks(root, row["path"]) or not is_there(video):
        return False
    note = _read_note(out, row["video_id"])
    if note is None or note.get("bytes") != video.stat().st_size:
        return True
    if "sha256" not in note or looks_same(video, note):
        return False
    fresh = renewed(video, note)
    if fresh:
        with contextlib.suppress(OSError):  # a copy: next time its time is known, unless nothing can be written there
            write_json(_note_path(_base(out, row["video_id"])), note | fresh)
    return fresh is None


def find_landmarks(
    root: Path,
    out: Path,
    finder: LandmarkFinder,
    workers: int | None = None,
    progress: Progress | None = None,
    cluster: RayCluster | None = None,
    report: Report | None = None,
    wanting: list[dict[str, Any]] | None = None,
) -> Finding:
    """Find the landmarks of every video below ``root`` that has none, and keep them in the clip store's folder.

    Given landmarks (data/README.md) are left alone. Interrupted, the same call goes on, and finished videos are never
    looked at again.

    Args:
        root: data root.
        out: the store's folder.
        finder: how.
        workers: processes; all cores when ``None``, or a few for each GPU.
        progress: called with (videos done, videos in all).
        cluster: machines to spread the videos over; this one's processes when ``None``.
        report: told of downloads of weights.
        wanting: the videos, as :func:`without_landmarks` gives them; looked for when ``None``.

    Raises:
        TddError: ``out`` is the data root, no data set, no write access, another ``prepare`` at work in ``out``,
            landmarks found in another way there, or packages or weights that cannot be had.
    """
    require_apart(root, out)
    # Before the lock and the weights: where nothing is missing, neither is needed.
    wanting = without_landmarks(root, out) if wanting is None else wanting
    if not wanting:
        return Finding(0, 0)
    check_writable(out)
    with held_alone(out, "tdd prepare"), disk_errors_told(out):
        # Again: another process may have finished before this one held the folder.
        work = [row for row in wanting if _is_open(root, out, row)]
        try:
            plan = finder.plan(report)
        except TddError as error:
            raise TddError(
                f"{len(work)} videos below {root} have no landmarks, and what finds them is not here. "
                f"{error} Or leave these videos out with --landmarks given."
            ) from error
        check_plan(out / LANDMARK_FOLDER / PLAN, plan)
        remove_partials(out / LANDMARK_FOLDER)
        gpus = finder.gpus()
        if cluster:
            engine = dataclasses.replace(cluster, gpus=1 / PROCESSES_A_GPU if gpus else 0.0).engine(root, out)
        else:
            engine = partial(local_engine, each=NETWORK_BYTES)
            if workers is None and gpus:
                workers = min(cpu_count(), PROCESSES_A_GPU * gpus)
        one, killed = partial(_find_one, root, out, finder), partial(_killed, out)
        found = sum(parallel_map(one, work, workers, progress, engine, killed))
        remove_partials(out / LANDMARK_FOLDER)  # of workers that were killed
    return Finding(found, len(work) - found)


def _find_one(root: Path, out: Path, finder: LandmarkFinder, row: dict[str, Any]) -> bool:
    """Look at one video; its landmarks and their quality, or the reason why there are none, stay on the disk."""
    landmarker = _landmarker(finder)
    video, base = root / row["path"], _base(out, row["video_id"])
    looked_at: dict[str, Any] = {}
    try:
        looked_at = describe(video)  # before the look: a file that changes during it is looked at again
        found = landmarker.video(video)
    except Exception as error:
        if of_the_machine(error):
            raise  # for lack of memory it is tried again, alone at the end
        note: dict[str, Any] = {"reason": str(error)} | looked_at
        if not isinstance(error, TddError):
            said = f"{type(error).__name__}: {error}"
            reason = f"{video}: looking for faces failed ({said}); leave the video out, or give its landmarks."
            # None is no file's size, so the next call tries again: perhaps it is not the video.
            note = {"reason": reason, "bytes": None}
        write_json(_note_path(base), note)
        return False
    save_array(_points_path(base), found.points)
    write_json(_note_path(base), {"quality": dataclasses.asdict(found.quality)} | looked_at)
    return True


@functools.lru_cache(1)
def _landmarker(finder: LandmarkFinder) -> FaceLandmarker:
    """One a process."""
    if parent_process() is not None and finder.settings.detector != DLIB:
        import torch

        torch.set_num_threads(1)  # many processes with many threads each only get in one another's way
    return finder.landmarker()


def _killed(out: Path, row: dict[str, Any]) -> bool:
    reason = given_up("The worker process that looked for landmarks")
    # None is no file's size, so the next call tries again.
    write_json(_note_path(_base(out, row["video_id"])), {"reason": reason, "bytes": None})
    return False


def landmark_file(root: Path, out: Path, row: dict[str, Any]) -> Path:
    """Where a video's landmarks lie: given ones below the data root, else found ones in the store; or would lie."""
    given = given_landmarks(root, row["path"])
    found = _points_path(_base(out, row["video_id"]))
    return given or (found if found.is_file() else landmark_path(root, row["path"]))


def landmarks_of(root: Path, out: Path, row: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """The landmarks of one video, given or found.

    Returns:
        numbers, shape (T, 68, 2), px, memory-mapped; and columns for the index: ``landmarks`` (``given`` or ``found``),
        ``face_px``, and the other values of :class:`FaceQuality` where they were found.

    Raises:
        TddError: there are none, or not of that shape; the sentence says why.
    """
    if given_landmarks(root, row["path"]):
        points = read_landmarks(root, row["path"])
        return points, {"landmarks": GIVEN, "face_px": face_size(points)}
    note = _read_note(out, row["video_id"])
    if note is None:
        read_landmarks(root, row["path"])  # says where they are missing
    elif "reason" in note:
        raise TddError(note["reason"])
    points = read_points(_points_path(_base(out, row["video_id"])))
    return points, {"landmarks": FOUND} | (note or {})["quality"]


def found_in(out: Path, video_id: str) -> str | None:
    """SHA-256 of the video that a video's landmarks were found in; ``None`` where that is not known."""
    return (_read_note(out, video_id) or {}).get("sha256")


def _base(out: Path, video_id: str) -> Path:
    return out / LANDMARK_FOLDER / video_id


def _points_path(base: Path) -> Path:
    return base.with_name(base.name + ".npy")


def _note_path(base: Path) -> Path:
    return base.with_name(base.name + ".json")


def _read_note(out: Path, video_id: str) -> dict[str, Any] | None:
    """What is known of a video's landmarks; ``None`` when nothing is, or when the landmarks are gone."""
    base = _base(out, video_id)
    try:
        note: dict[str, Any] = json.loads(_note_path(base).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if "reason" in note or _points_path(base).is_file() else None
