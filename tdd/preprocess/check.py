"""Hold the data sets on a disk against their official lists: what is there, what is missing, what cannot be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

from tdd.errors import TddError
from tdd.machine.console import legible
from tdd.machine.parallel import InlinePool, Pool, ProcessPool, Progress, local_engine, parallel_map
from tdd.names import (
    AVDEEPFAKE1M,
    CELEB_DF,
    CELEB_DF_PP,
    DEEPERFORENSICS,
    DF40,
    DFDC,
    FACEFORENSICS,
    LEADING_SILENCE,
    LRW,
    REAL,
    SPLITS,
    silence_warning,
)
from tdd.preprocess.catalog import APART, datasets_in, leakage, list_videos, require_unique, shared_people
from tdd.preprocess.expected import LRW_SHORT_VAL, SYNTHETIC_MARK, Counts, count_videos, expected_counts
from tdd.preprocess.folders import is_there
from tdd.preprocess.layouts import READERS
from tdd.preprocess.listed import Video
from tdd.preprocess.manifest import lines_of
from tdd.preprocess.probe import video_problem, why_missing
from tdd.preprocess.strays import find_strays, unread_folders

BATCH = 200
"""Files that a worker opens before it reports."""

Trouble = tuple[str, str]
"""A path relative to the data root, and what is wrong with it."""


File = tuple[str, bool, str]
"""A path relative to the data root, whether sound belongs to it, and its forged parts."""


class Verdict(IntEnum):
    """What a check comes to; the number is the command's exit code."""

    COMPLETE = 0
    INCOMPLETE = 1
    """Videos are missing or unreadable, or splits share people, but what is there can be used."""
    UNUSABLE = 2
    """No list, nothing readable, or people in more than one split of a data set whose owner keeps them apart."""


@dataclass(frozen=True)
class Count:
    """Videos of one method in one split."""

    split: str
    method: str
    expected: int
    found: int
    """Of the expected ones, those on the disk that can be read."""


@dataclass(frozen=True)
class DatasetCheck:
    """What was found of one data set. Paths are relative to the data root."""

    dataset: str
    verdict: Verdict
    counts: tuple[Count, ...] = ()
    missing: tuple[Trouble, ...] = ()
    unreadable: tuple[Trouble, ...] = ()
    unexpected: tuple[Trouble, ...] = ()
    """Videos that no list names; they are not read and do not count against the verdict."""
    unread: tuple[Trouble, ...] = ()
    """Folders and lists that are not read, and do not count against the verdict either."""
    overlap: tuple[Trouble, ...] = ()
    """A person, in place of a path, who is in more than one split, and in which."""
    notes: tuple[str, ...] = ()
    problem: str = ""
    """Why the data set cannot be used at all."""


@dataclass(frozen=True)
class RootCheck:
    """What was found below a data root."""

    root: Path
    synthetic: bool
    datasets: tuple[DatasetCheck, ...]
    unread: tuple[Trouble, ...] = ()
    """Folders beside the data sets that are not read, and archives of data sets."""

    @property
    def verdict(self) -> Verdict:
        """The worst of the data sets' verdicts."""
        return max(dataset.verdict for dataset in self.datasets)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON holds it, verdicts by name."""
        datasets = [dataclasses.asdict(check) | {"verdict": check.verdict.name.lower()} for check in self.datasets]
        verdict = self.verdict.name.lower()
        return {
            "root": str(self.root), "synthetic": self.synthetic, "verdict": verdict, "datasets": datasets,
            "unread": self.unread,
        }  # fmt: skip


def check_root(
    root: Path, deep: bool = False, workers: int | None = None, progress: Progress | None = None
) -> RootCheck:
    """Check every data set below ``root``: lists, counts, each file's header, and people shared between splits.

    Args:
        root: data root, in the layout of data/README.md.
        deep: also decode the first frame of every video.
        workers: processes; all cores when ``None``.
        progress: called with (batches of files opened, batches in all).

    Raises:
        TddError: no data set is there, or the synthetic benchmark's own counts are damaged.
    """
    listed: dict[str, list[Video] | str] = {name: _list(root, name) for name in datasets_in(root)}
    # All data sets share one pool of processes, each of which takes seconds to start.
    there = [video for videos in listed.values() if not isinstance(videos, str) for video in _present(root, videos)]
    bad = _unreadable(root, there, deep, workers, progress)
    checks = [
        DatasetCheck(name, Verdict.UNUSABLE, problem=videos)
        if isinstance(videos, str)
        else _check(root, name, videos, bad)
        for name, videos in listed.items()
    ]
    usable = {name: videos for name, videos in listed.items() if not isinstance(videos, str)}
    if DEEPERFORENSICS in usable and FACEFORENSICS in usable:
        note = _deeperforensics_note(usable[DEEPERFORENSICS], usable[FACEFORENSICS])
        checks = [dataclasses.replace(c, notes=(*c.notes, note)) if c.dataset == DEEPERFORENSICS else c for c in checks]
    return RootCheck(root, (root / SYNTHETIC_MARK).is_file(), tuple(checks), _legible(unread_folders(root)))


def _list(root: Path, dataset: str) -> list[Video] | str:
    """The videos that the lists name, or the sentence why there is none."""
    try:
        return list_videos(root, dataset)
    except TddError as error:
        return str(error)


def _present(root: Path, videos: Sequence[Video]) -> list[Video]:
    return [video for video in videos if is_there(root / video.path)]


def _unreadable(
    root: Path, videos: Sequence[Video], deep: bool, workers: int | None, progress: Progress | None
) -> dict[str, str]:
    """What is wrong with a video, by its path, for those with which something is."""
    files = [(video.path, video.audio, video.segments) for video in videos]
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    engine = _apart if deep else local_engine
    look, killed = partial(_probe, root, deep), "\0"
    parts = parallel_map(look, batches, workers, progress, engine, lambda batch: [(file[0], killed) for file in batch])
    troubles = dict(trouble for part in parts for trouble in part)
    # One of a batch ended the process that looked at it: each is looked at by itself.
    again = [[file] for file in files if troubles.get(file[0]) == killed]
    alone = parallel_map(look, again, workers, None, engine, _killed)
    found = dict(trouble for part in alone for trouble in part)
    return {path: reason for path, reason in troubles.items() if reason != killed} | found


def _apart(workers: int | None, pieces: int) -> Pool:
    """Processes, even where one would do: a decoder that crashes must not end this one."""
    pool = local_engine(workers, pieces)
    return ProcessPool(1) if isinstance(pool, InlinePool) else pool


def _killed(files: Sequence[File]) -> list[Trouble]:
    said = "ends the process that opens it, or needs more memory than there is; copy it again from its source"
    return [(file[0], said) for file in files]


def _probe(root: Path, deep: bool, files: Sequence[File]) -> list[Trouble]:
    troubles = ((path, video_problem(root / path, audio, deep, segments)) for path, audio, segments in files)
    return [trouble for trouble in troubles if trouble[1]]


def _check(root: Path, dataset: str, listed: Sequence[Video], bad: dict[str, str]) -> DatasetCheck:
    there = _present(root, listed)
    good = [video for video in there if video.path not in bad]
    present = {video.path for video in there}
    missing = [(video.path, why_missing(root / video.path)) for video in listed if video.path not in present]
    if missing and dataset not in READERS:
        lines = lines_of(root, dataset)
        missing = [(path, f"{reason} ({lines[path]})") for path, reason in missing]
    seen = find_strays(root, dataset, {video.path for video in listed})
    expected, found = expected_counts(root, dataset, listed), count_videos(good)
    counts = _counts(expected, found)
    shared = shared_people((dataset, video.split, video.identities) for video in listed)
    overlap = tuple((person, ", ".join(where)) for person, where in shared)
    problem = _problem(listed, good, overlap if dataset in APART else ())
    full = not missing and not overlap and len(good) == len(there) and all(_is_full(dataset, count) for count in counts)
    verdict = Verdict.UNUSABLE if problem else Verdict.COMPLETE if full else Verdict.INCOMPLETE
    return DatasetCheck(
        dataset,
        verdict,
        counts,
        missing=_legible(missing),
        unreadable=_legible((path, bad[path]) for path in sorted(present & bad.keys())),
        unexpected=_legible(seen.unexpected),
        unread=_legible(seen.unread),
        overlap=overlap,
        notes=(
            *map(legible, seen.notes),
            *([leakage(dataset, shared)] if shared and dataset not in APART else []),
            *_subset_notes(root, dataset),
        ),
        problem=problem,
    )


def _legible(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """Names as text that can be printed and written."""
    return tuple((legible(name), legible(reason)) for name, reason in troubles)


def _counts(expected: Counts, found: Counts) -> tuple[Count, ...]:
    methods = dict.fromkeys(method for _, method in sorted([*expected, *found], key=lambda key: key[1] != REAL))
    keys = [(split, method) for method in methods for split in SPLITS]
    return tuple(
        Count(*key, expected.get(key, 0), found.get(key, 0)) for key in keys if key in expected or key in found
    )


def _is_full(dataset: str, count: Count) -> bool:
    short = dataset == LRW and count.split == "val" and count.found == LRW_SHORT_VAL
    return count.found == count.expected or short


def _problem(listed: Sequence[Video], good: Sequence[Video], overlap: Sequence[Trouble]) -> str:
    if not good:
        return f"None of the {len(listed)} videos on the lists is there and can be read."
    if overlap:
        return f"{len(overlap)} people are in more than one split: no test score would count; copy the lists again."
    try:
        require_unique(listed)
    except TddError as error:
        return str(error)
    return ""


def _subset_notes(root: Path, dataset: str) -> list[str]:
    """Which parts of a real data set are read, and which the recipes take."""
    if (root / SYNTHETIC_MARK).is_file():
        return []
    return {
        LRW: [
            "Recipes take stage1.clips of the training clips, the first of each word by name: 5,000 in the recipe "
            "paper (10 of each of 500 words: lrw-5k), 0 for all."
        ],
        CELEB_DF: [
            "All 178 reals and 340 fakes of the list are scored; with findings.short_celeb_list, the 176 and 340 of "
            "RealForensics."
        ],
        DFDC: [
            "RealForensics and LipForensics score 3,215 single-face videos of the public test set (1,514 real, 1,701 "
            "fake); here all that are listed are scored."
        ],
        CELEB_DF_PP: [
            "Its reals, and the fakes of its method Celeb-DF, are those of Celeb-DF-v2: these are no independent tests."
        ],
        DF40: [
            "Split by the lists of FaceForensics++ (ff), or all for testing (cdf, and methods with own reals); "
            f"the real class of ff is {FACEFORENSICS}'s, that of cdf {CELEB_DF}'s."
        ],
        AVDEEPFAKE1M: ["The owners' validation videos are the test videos here."],
    }.get(dataset, []) + ([silence_warning([dataset])] if dataset in LEADING_SILENCE else [])


def _deeperforensics_note(fakes: Sequence[Video], originals: Sequence[Video]) -> str:
    """How many people of the DeeperForensics test split stage 2 sees when it trains on FaceForensics++."""
    tested = {video.identities.split()[0] for video in fakes if video.split == "test"}
    trained = {person for video in originals if video.split == "train" for person in video.identities.split()}
    shared = len(tested & trained)
    return f"{shared} of the {len(tested)} people in its test split are in the training split of {FACEFORENSICS}."
