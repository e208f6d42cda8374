"""Catalog to clip store: every video decoded, aligned, cut and stored once; resumable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.config import ClipConfig
from tdd.data.clip_files import save_array
from tdd.data.segments import beyond_end
from tdd.data.sound import NO_SOUND
from tdd.data.speech import SpeechWatch, speech_notes
from tdd.data.store import (
    INDEX,
    MEAN_FACE,
    PLAN,
    SOURCES,
    ClipStore,
    write_clip,
    write_index,
)
from tdd.data.video import VideoFile
from tdd.errors import TddError
from tdd.machine.cluster import RayCluster
from tdd.machine.console import legible
from tdd.machine.files import (
    check_plan,
    disk_errors_told,
    held_alone,
    read_json,
    remove_partials,
    whole_file,
    write_json,
)
from tdd.machine.parallel import Progress, given_up, local_engine, parallel_map
from tdd.names import LRW
from tdd.preprocess.catalog import catalog_rows, count_table, found_table, leakage_notes, read_catalog
from tdd.preprocess.crops import face_crops, is_upright, mean_face
from tdd.preprocess.duplicates import duplicate_notes
from tdd.preprocess.expected import SYNTHETIC_MARK
from tdd.preprocess.finding import FOUND, found_in, landmarks_of
from tdd.preprocess.finding import PLAN as LANDMARK_PLAN
from tdd.preprocess.finished import Outcome, check_root, finished_by_contents, source_files, split_work, stored_rows
from tdd.preprocess.folders import is_there, require_apart
from tdd.preprocess.landmarks import LANDMARK_FOLDER, landmark_path, read_mean_face
from tdd.preprocess.probe import why_missing
from tdd.preprocess.quality import CropWatch, crop_warnings
from tdd.preprocess.set_aside import kind_of, reason_of, reason_table
from tdd.preprocess.sources import describe
from tdd.preprocess.space import ALL_FRAMES, Storing, check_room

QUARANTINE = "quarantine.csv"
_FINDER = "landmarks"
"""Key of the plan: how landmarks are found; absent where all are given."""

MEAN_FACE_VIDEOS = 500


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did."""

    store: ClipStore
    made: int
    """Videos decoded in this call; the rest were there."""
    failed: pd.DataFrame
    """Videos left out, with the reason; also in ``quarantine.csv``."""
    reasons: pd.DataFrame
    """Kinds of reason, as :func:`tdd.preprocess.set_aside.reason_table` counts them."""
    notes: tuple[str, ...] = ()
    """What must be said of videos that are kept: crops that may be wrong, sound left out, sources not known."""

    def to_text(self) -> str:
        """For a terminal: videos found of those listed, kinds of reasons with their counts, and notes."""
        index, listed = self.store.index, self.store.listed
        where, left = self.store.folder, len(self.failed)
        lines = [
            (count_table(index) if listed is None else found_table(listed, index)).to_string(),
            f"{len(index):,} videos in {where}, {self.made:,} of them made now, {left:,} left out.",
        ]
        if left:
            lines.append(f"Left out, by reason (that of each video is in {where / QUARANTINE}):")
        for row in catalog_rows(self.reasons):
            example = f"{row['example']}{' for instance' * (row['videos'] > 1)}"
            lines.append(f"  {row['videos']:>7,}  {row['reason']}: {example}")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])


def prepare(
    root: Path,
    out: Path,
    clip: ClipConfig,
    workers: int | None = None,
    progress: Progress | None = None,
    mean_face_file: Path | None = None,
    cluster: RayCluster | None = None,
    catalog: pd.DataFrame | None = None,
    storing: Storing = ALL_FRAMES,
) -> Prepared:
    """Fill a clip store from the data sets below ``root``.

    Landmarks are those given below ``root``, and those that :func:`tdd.preprocess.finding.find_landmarks` found before.
    A video that cannot be read, that is shorter than a clip, whose landmarks do not fit, or whose worker is killed
    whenever it is tried, goes into ``quarantine.csv`` with the reason and does not stop the rest. Interrupted, the same
    call goes on, and the store ends up the same, byte for byte.

    A finished video is not made again while its video and landmark files are those that it was made from (by size and
    time, else by contents) and its arrays in the store are whole. Labels and splits are always the catalog's of now.
    Videos that are not in the catalog any more leave the index; their files stay.

    Args:
        root: data root, in the layout of data/README.md.
        out: the store's folder.
        clip: length, rate and geometry of the stored clips.
        workers: processes; all cores when ``None``.
        progress: called with (videos done, videos in all).
        mean_face_file: the alignment's target, ``.npy`` of shape (68, 2), px of the canvas; computed from the training
            landmarks when ``None``.
        cluster: machines to spread the videos over; this one's processes when ``None``.
        catalog: of ``root``, as :func:`tdd.preprocess.catalog.read_catalog` gives it; read when ``None``.
        storing: how many frames are kept, and in which form.

    Raises:
        TddError: no data set, fewer frames to be kept than a clip has, ``out`` is the data root, a store of other
            settings or of another data root's videos in ``out``, another ``prepare`` at work there, a mean face that
            does not fit or is damaged, no space, no write access, a cluster that cannot be used, or no usable video.
    """
    storing.require(clip.frames, "a clip has")
    require_apart(root, out)
    catalog = read_catalog(root) if catalog is None else catalog
    given = None if mean_face_file is None else read_mean_face(mean_face_file, clip.canvas)
    if given is not None and not is_upright(given):
        raise TddError(f"{mean_face_file} is no upright face, eyes above the mouth; give another with --mean-face.")
    listed = catalog_rows(catalog)
    storing = storing.among(listed)
    # Before the plan: a disk that is too small is told while nothing has been written.
    stored = stored_rows(out, listed, clip.crop)
    in_use = bool(stored)
    check_room(root, out, (row for row in listed if row["video_id"] not in stored), clip, storing)
    _check_plan(out / PLAN, _plan(root, out, clip, given) | storing.plan())
    with held_alone(out, "tdd prepare"), disk_errors_told(out):
        remove_partials(out)
        before = ClipStore(out).index["video_id"].tolist() if (out / INDEX).is_file() else []
        check_root(root, out, listed, before, stored)
        done, work = split_work(root, out, listed, stored)
        if work:
            target = _mean_face(root, out, catalog, clip.canvas, given, in_use)
            engine = cluster.engine(root, out) if cluster else local_engine
            one = partial(_prepare_one, root, out, target, clip, storing)
            done += parallel_map(one, work, workers, progress, engine, _killed)
            remove_partials(out)  # of workers that were killed
        failed = _quarantine(out, [outcome for outcome in done if outcome.reason])
        kept = [outcome.row for outcome in done if not outcome.reason]
        if not kept:
            raise TddError(
                f"None of the {len(catalog)} videos below {root} could be used; the reasons are in {out / QUARANTINE}."
            )
        write_index(out, kept, catalog.assign(video_id=catalog["video_id"].map(legible)))
    store = ClipStore(out)
    gone = set(before) - set(catalog["video_id"])
    notes = [
        *_notes(root, out, done, gone),
        *leakage_notes(catalog),
        *duplicate_notes(kept),
        *speech_notes(store.index),
    ]
    notes += crop_warnings(store.index)
    reasons = reason_table((_kind(root, out, row), row["video_id"]) for row in catalog_rows(failed))
    return Prepared(store, sum(outcome.made for outcome in done), failed, reasons, tuple(notes))


def _plan(root: Path, out: Path, clip: ClipConfig, given: np.ndarray | None) -> dict[str, Any]:
    found = out / LANDMARK_FOLDER / LANDMARK_PLAN
    return {
        "canvas": clip.canvas,
        "crop": clip.crop,
        "frame_rate": clip.frame_rate,
        "shortest": clip.frames,
        "mean_face": "computed" if given is None else hashlib.sha256(given.tobytes()).hexdigest(),
        "synthetic": is_synthetic(root),
        **({_FINDER: read_json(found)} if found.is_file() else {}),
    }


def _check_plan(path: Path, plan: dict[str, Any]) -> None:
    """As :func:`check_plan`; but given and found landmarks may lie side by side in a store, whichever came first.

    Two ways to find them may not.
    """
    present = read_json(path) if path.is_file() else plan
    if _FINDER in present:
        plan = {_FINDER: present[_FINDER]} | plan
    elif _FINDER in plan:
        check_plan(path, {key: value for key, value in plan.items() if key != _FINDER})
        with disk_errors_told(path.parent):
            write_json(path, plan)
    check_plan(path, plan)


def is_synthetic(root: Path) -> bool:
    """Whether ``root`` was written by ``tdd synth``."""
    return (root / SYNTHETIC_MARK).is_file()


def _prepare_one(
    root: Path, out: Path, target: np.ndarray, clip: ClipConfig, storing: Storing, row: dict[str, Any]
) -> Outcome:
    """Align and store one video, frame by frame, unless it is there; whatever is wrong with it becomes its reason."""
    try:
        there = finished_by_contents(root, out, row, clip.crop)
        return there or Outcome(_made(root, out, target, clip, storing, row), made=True)
    except Exception as error:
        return Outcome(row, reason=reason_of(error))


def _made(
    root: Path, out: Path, target: np.ndarray, clip: ClipConfig, storing: Storing, row: dict[str, Any]
) -> dict[str, Any]:
    places = source_files(root, out, row)
    if not is_there(places["video"]):
        raise TddError(f"{places['video']} {why_missing(places['video'])}; copy it there.")
    # Before they are opened: a file that is replaced meanwhile then differs from what is kept of it.
    sources = {name: describe(path) for name, path in places.items() if is_there(path)}
    points, facts = landmarks_of(root, out, row)
    if facts["landmarks"] == FOUND and found_in(out, row["video_id"]) not in (None, sources["video"]["sha256"]):
        raise TddError(
            f"The landmarks of {places['video']} were found in another version of it; run tdd prepare without "
            "--landmarks given, which finds them anew."
        )
    video, watch, speech = VideoFile(places["video"]), CropWatch(target, clip.crop), SpeechWatch()
    header = video.look()
    if header.seconds and (beyond := beyond_end(row["segments"], header.seconds)):
        raise TddError(f"{places['video']} {beyond}; mend the list.")
    facts |= {"fps": header.fps, SOURCES: sources}
    needed = row["dataset"] == LRW  # stage 1 hears all of it; of other videos pieces, where their sound is whole

    def measured() -> dict[str, Any]:
        lost = video.sound_fault not in ("", NO_SOUND)
        said = {"sound_problem": f"it {video.sound_fault}"} if lost else {}
        return watch.columns() | said | speech.columns(whole=not lost)

    crops = islice(face_crops(video, points, target, clip, watch.see), storing.limit(row))
    sound = video.sound(needed=needed)
    return write_clip(out, row | facts, speech.frames(crops), speech.sound(sound), measured, storing.compact)


def _killed(row: dict[str, Any]) -> Outcome:
    return Outcome(row, reason=given_up())


def _quarantine(out: Path, failed: list[Outcome]) -> pd.DataFrame:
    rows = [
        {"video_id": legible(found.row["video_id"]), "path": legible(found.row["path"]), "reason": found.reason}
        for found in failed
    ]
    # Sorted, for the order of completion differs from run to run.
    table = pd.DataFrame(rows, columns=["video_id", "path", "reason"]).sort_values("video_id", ignore_index=True)
    with whole_file(out / QUARANTINE) as unfinished:
        table.to_csv(unfinished, index=False)
    return table


def _kind(root: Path, out: Path, row: dict[str, Any]) -> str:
    files = (landmark_path(root, row["path"]), root / row["path"], out / LANDMARK_FOLDER / f"{row['video_id']}.npy")
    return kind_of(row["reason"], files)


def _notes(root: Path, out: Path, done: list[Outcome], gone: set[str]) -> list[str]:
    """What must be said of videos that are in the store, or were."""
    said = []
    trusted = sum(outcome.trusted for outcome in done)
    if trusted:
        said.append(
            f"{trusted:,} videos were stored by an older version, which did not keep the files they were made from; "
            f"they are taken as made from those below {root} now. Where these were replaced since, make a new store."
        )
    missing = [row for outcome in done if not outcome.reason and not is_there(root / (row := outcome.row)["path"])]
    if missing:
        said.append(
            f"{len(missing):,} stored videos are kept whose files are no longer below {root}, {missing[0]['path']} for "
            "instance."
        )
    if gone:
        said.append(
            f"{len(gone):,} videos that the store held are on no list below {root} any more, {min(gone)} for instance. "
            f"They left the index; their clips stay in {out / 'clips'} until you delete them."
        )
    mute = [outcome.row for outcome in done if not outcome.reason and outcome.row.get("sound_problem")]
    if mute:
        said.append(
            f"The sound of {len(mute):,} stored videos, which nothing uses, cannot be read whole: "
            f"{mute[0]['video_id']} for instance ({mute[0]['sound_problem']})."
        )
    return said


def _mean_face(
    root: Path, out: Path, catalog: pd.DataFrame, canvas: int, given: np.ndarray | None, in_use: bool
) -> np.ndarray:
    """The alignment's target: kept from an earlier call, else given, else the Procrustes mean of training landmarks.

    Whatever the landmarks are now: half a store must not be aligned to another face.

    Raises:
        TddError: the kept one is damaged and faces of the store were aligned to it, or none can be computed.
    """
    path = out / MEAN_FACE
    if path.is_file():
        try:
            kept = read_mean_face(path, canvas)
            if is_upright(kept):
                return kept
            wrong = "its points are no upright face"
        except TddError as error:
            wrong = str(error)
        if in_use:
            raise TddError(
                f"The mean face that the store's faces were aligned to, {path}, is damaged ({wrong}); copy it from "
                f"another copy of the store, or delete {out} and run the same command again."
            )
    target = _computed_mean_face(root, out, catalog, canvas) if given is None else given
    save_array(path, target)
    return target


def _computed_mean_face(root: Path, out: Path, catalog: pd.DataFrame, canvas: int) -> np.ndarray:
    training = catalog[catalog["split"] == "train"]
    videos = training if len(training) else catalog
    step = max(1, len(videos) // MEAN_FACE_VIDEOS)  # spread over the catalog, which begins with one data set
    shapes = [_middle_shape(root, out, row) for row in catalog_rows(videos.iloc[::step])]
    found = [shape for shape in shapes if shape is not None]
    if not found:
        raise TddError(
            f"No landmarks are in {root / LANDMARK_FOLDER}, and none were found; every video needs them "
            "(data/README.md)."
        )
    return mean_face(np.stack(found), canvas)


def _middle_shape(root: Path, out: Path, row: dict[str, Any]) -> np.ndarray | None:
    try:
        points, _ = landmarks_of(root, out, row)
        with np.errstate(over="ignore"):  # what float32 cannot hold is left out by mean_face
            return np.asarray(points[len(points) // 2], np.float32)
    except Exception:
        return None  # reported for its own video in quarantine.csv
