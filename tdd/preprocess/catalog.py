"""All data sets below a root as one table of videos."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from tdd.errors import TddError
from tdd.machine.console import legible
from tdd.names import CELEB_DF, DEEPERFORENSICS, DFDC, FACEFORENSICS, FAKEAVCELEB, LRW, SPLITS
from tdd.preprocess.folders import Passed, files_below, is_folder, is_there
from tdd.preprocess.layouts import READERS
from tdd.preprocess.listed import Video
from tdd.preprocess.manifest import MANIFEST, list_manifest, manifests_in
from tdd.preprocess.naming import folded_name
from tdd.preprocess.probe import VIDEO_SUFFIXES
from tdd.preprocess.strays import resembled, unread_folders

APART = (LRW, FACEFORENSICS, CELEB_DF, DEEPERFORENSICS, DFDC, FAKEAVCELEB)
"""Data sets whose owners keep people apart: where splits share one, the lists are not the owner's."""


def datasets_in(root: Path) -> list[str]:
    """Names of the data sets whose folder is there: those with a reader of their own, then those with a manifest.

    Raises:
        TddError: there is none.
    """
    found = [*(name for name in READERS if is_folder(root / name)), *manifests_in(root)]
    if not found:
        if not is_folder(root):
            raise TddError(
                f"No data set was found in {root}, which is no folder; give the one that holds the folders of the data "
                "sets (data/README.md)."
            )
        if not os.access(root, os.R_OK | os.X_OK):
            raise TddError(f"{root} cannot be read (Permission denied).")
        likely = [f" {name} {reason}." for name, reason in unread_folders(root) if resembled(name)]
        itself = resembled(root.resolve().name) or is_there(root / MANIFEST)
        inside = f" {root} seems to be one: give the folder that it lies in." if itself else _way_to_one(root)
        raise TddError(
            f"No data set was found in {root}; expected a folder named {', '.join(READERS)}, or one with a {MANIFEST} "
            "(data/README.md)."
            f"{''.join(likely[:3]) or inside}"
        )
    return found


def _way_to_one(root: Path) -> str:
    """How the videos below a root become a data set, where it holds some."""
    for name, _ in unread_folders(root):
        if any(path.suffix.lower() in VIDEO_SUFFIXES for path in files_below(root / name, Passed())):
            place = legible(str(root / name))
            return f" The folder {legible(name)} holds videos: tdd data manifest {place} writes a {MANIFEST}."
    if any(path.suffix.lower() in VIDEO_SUFFIXES for path in root.iterdir()):
        return (
            f" It holds videos itself: tdd data manifest {legible(str(root))} writes a {MANIFEST}; then give the "
            "folder that it lies in."
        )
    return ""


def list_videos(root: Path, dataset: str) -> list[Video]:
    """The videos of one data set as its lists name them, on the disk or not.

    Raises:
        TddError: a list is missing or malformed or leads out of the data set, or a folder cannot be read.
    """
    try:
        return list(READERS[dataset](root) if dataset in READERS else list_manifest(root, dataset))
    except OSError as error:
        raise TddError(f"{error.filename or root / dataset} cannot be read ({error.strerror}).") from error


def read_catalog(root: Path) -> pd.DataFrame:
    """Catalog every known data set below ``root``.

    A listed video that is not on the disk stays in the table: ``tdd data check`` names it, and ``prepare`` sets it
    aside with the reason.

    Returns:
        one row a video, in a fixed order, with the columns of :class:`Video`.

    Raises:
        TddError: no data set there, a list that is missing or wrong or names a video twice, a data set of which no
            video is there, or two data sets with a method of the same name.
    """
    videos: list[Video] = []
    for name in datasets_in(root):
        listed = list_videos(root, name)
        require_unique(listed)
        if not any(is_there(root / video.path) for video in listed):
            raise TddError(f"{root / name} holds none of the {len(listed)} videos of {name}; complete or remove it.")
        videos += listed
    require_own_methods(videos)
    # As objects: the texts of pandas 3 cannot hold a name with bytes that are no UTF-8, of which the reader shall hear.
    table = pd.DataFrame([dataclasses.asdict(video) for video in videos], dtype=object)
    return table.astype({"label": int, "audio": bool})


def catalog_rows(catalog: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a catalog, or of a part of one, by the names of its columns."""
    return [{str(key): value for key, value in row.items()} for row in catalog.to_dict("records")]


def require_unique(videos: Iterable[Video]) -> None:
    """Check that no video is listed twice, and that a clip store can hold all of them on any disk.

    Raises:
        TddError: one is, in one split or in two; or the ids of two differ only in capitals and small letters.
    """
    known: dict[str, Video] = {}
    for video in videos:
        other = known.setdefault(folded_name(video.video_id), video)
        if other is video:
            continue
        if other.video_id != video.video_id:
            raise TddError(
                f"The names of {other.path} and {video.path} differ only in capitals and small letters, which disks of "
                "macOS and Windows take for one name; rename or remove one, on the list too."
            )
        where = " and ".join(dict.fromkeys((other.split, video.split)))
        if other.path != video.path:
            raise TddError(
                f"{other.path} and {video.path} ({where}) are both called {video.video_id}, for an ending or the way "
                "that Unicode writes a letter tells no videos apart; rename or remove one."
            )
        raise TddError(f"{video.video_id} is on the lists of {video.dataset} twice ({where}); copy the lists again.")


def require_own_methods(videos: Iterable[Video]) -> None:
    """Check that a method's name says of which data set it is: scores and tables call it by that name alone.

    Raises:
        TddError: two data sets have a method of the same name.
    """
    owner: dict[str, str] = {}
    for video in videos:
        if video.label and owner.setdefault(video.method, video.dataset) != video.dataset:
            raise TddError(
                f"{owner[video.method]} and {video.dataset} both have a method {video.method}, and tables tell methods "
                f"by their names alone; rename one in its {MANIFEST}, as {video.dataset}-{video.method}."
            )


def shared_people(videos: Iterable[tuple[str, str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Who is in more than one split, and in which.

    Of DeeperForensics only who is seen counts, since an actor's face is put on many.

    Args:
        videos: data set, split and identities of each.
    """
    splits: dict[str, set[str]] = {}
    for dataset, split, identities in videos:
        people = identities.split()
        for person in people[:1] if dataset == DEEPERFORENSICS else people:
            splits.setdefault(person, set()).add(split)
    return [
        (person, tuple(split for split in SPLITS if split in where))
        for person, where in sorted(splits.items())
        if len(where) > 1
    ]


def leakage_notes(catalog: pd.DataFrame) -> list[str]:
    """A sentence for each data set without an owner's promise (``APART``) whose splits share people."""
    said = []
    for name, rows in catalog[~catalog["dataset"].isin(APART)].groupby("dataset", sort=False):
        shared = shared_people(zip(rows["dataset"], rows["split"], rows["identities"], strict=True))
        if shared:
            said.append(leakage(str(name), shared))
    return said


def leakage(dataset: str, shared: list[tuple[str, tuple[str, ...]]]) -> str:
    """What is said of people in more than one split."""
    person, where = shared[0]
    count = f"{len(shared):,} people are" if len(shared) > 1 else "one person is"
    return (
        f"Leakage in {dataset}: {count} in more than one split, {legible(person)} ({', '.join(where)}) for instance. A "
        "detector may know them by face, and scores of test videos be too good; give all videos of a person one split."
    )


def count_table(videos: Iterable[Video] | pd.DataFrame) -> pd.DataFrame:
    """Videos by data set and method (rows) and split (columns)."""
    table = videos if isinstance(videos, pd.DataFrame) else pd.DataFrame([dataclasses.asdict(v) for v in videos])
    counts = table.groupby(["dataset", "method", "split"]).size().unstack("split", fill_value=0)
    return counts.reindex(columns=[split for split in SPLITS if split in counts.columns])


def found_table(listed: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """As :func:`count_table`, in words: ``140`` where all that are listed were found, else ``139 of 140``."""
    wanted = count_table(listed)
    have = count_table(found).reindex(index=wanted.index, columns=wanted.columns, fill_value=0)
    words = [
        ["" if not n else f"{n:,}" if m == n else f"{m:,} of {n:,}" for m, n in zip(some, all_of, strict=True)]
        for some, all_of in zip(have.to_numpy(), wanted.to_numpy(), strict=True)
    ]
    return pd.DataFrame(words, index=wanted.index, columns=wanted.columns)
