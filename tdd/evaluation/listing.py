"""Which files of a folder are videos, and which landmarks belong to each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tdd.errors import TddError
from tdd.preprocess.folders import Passed, files_below, is_there
from tdd.preprocess.naming import on_disk
from tdd.preprocess.probe import is_video

KINDS = 5
"""Endings of files that are no videos which are named, the most frequent first."""


@dataclass(frozen=True)
class Listing:
    """What was found in a folder."""

    videos: tuple[Path, ...]
    """Sorted."""
    notes: tuple[str, ...]
    """What was passed over, in sentences."""


def find_videos(folder: Path) -> Listing:
    """Look through a folder and all below it, linked folders too, each once, for files that FFmpeg opens as videos.

    A file with a video's ending is one even where it cannot be opened, so that the reason is told. Hidden files and
    folders (names that begin with a dot), pictures, and sound with a cover are none.
    """
    passed, videos, others = Passed(), list[Path](), Counter[str]()
    for path in files_below(folder, passed):
        if is_there(path) and is_video(path):
            videos.append(path)
        else:
            others[path.suffix.lower() if is_there(path) else "links that lead nowhere and the like"] += 1
    return Listing(tuple(sorted(videos)), tuple(_notes(passed, others)))


def _notes(passed: Passed, others: Counter[str]) -> Iterable[str]:
    if others:
        kinds = ", ".join(f"{count:,} {kind or 'without an ending'}" for kind, count in others.most_common(KINDS))
        more = " and others" if len(others) > KINDS else ""
        count = others.total()
        what = "1 file is no video and was" if count == 1 else f"{count:,} files are no videos and were"
        yield f"{what} passed over: {kinds}{more}."
    if passed.hidden:
        yield f"{passed.hidden:,} hidden files and folders (names that begin with a dot) were passed over."
    for path, reason in passed.unreadable:
        yield f"{path} cannot be read ({reason}); its videos were passed over."
    for path in passed.repeated:
        yield f"{path} is a link to a folder that is read already; it was not followed."


def pair_landmarks(names: Sequence[PurePath], folder: Path) -> dict[PurePath, Path | TddError]:
    """The file of landmarks of each video, or why there is no telling.

    That of ``a.mp4`` is ``a.mp4.npy``, or ``a.npy`` where no other video would take the same.

    Args:
        names: paths of videos, relative to their folder.
        folder: of the landmarks, with the same subfolders.
    """
    chosen: dict[PurePath, Path | TddError] = {}
    for name in names:
        try:
            whole = on_disk(folder, name.with_name(f"{name.name}.npy"))
            chosen[name] = whole if os.path.lexists(whole) else on_disk(folder, name.with_suffix(".npy"))
        except TddError as error:
            chosen[name] = error
    users: dict[Path, list[PurePath]] = {}
    for name, path in chosen.items():
        if isinstance(path, Path) and os.path.lexists(path):
            users.setdefault(path, []).append(name)
    for path, sharing in users.items():
        for name in sharing if len(sharing) > 1 else ():
            chosen[name] = TddError(
                f"{path} could be of {' or of '.join(map(str, sharing))}; call the landmarks of each by its "
                f"whole name, as {name.name}.npy."
            )
    return chosen
