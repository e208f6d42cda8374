"""What lies below a data root and is not read: videos that no list names, and folders that no reader knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tdd.names import (
    AVDEEPFAKE1M,
    CELEB_DF,
    CELEB_DF_PP,
    DEEPERFORENSICS,
    DF40,
    DFDC,
    FACEFORENSICS,
    FAKEAVCELEB,
    LAVDF,
    LRW,
)
from tdd.preprocess.folders import Passed, files_below, is_folder, is_there
from tdd.preprocess.landmarks import LANDMARK_FOLDER
from tdd.preprocess.layouts import COMPRESSION, DFDC_LABELS, DFDC_METADATA, FOLDERS, READERS
from tdd.preprocess.manifest import MANIFEST, manifests_in
from tdd.preprocess.naming import is_hidden
from tdd.preprocess.probe import VIDEO_SUFFIXES

MASK_FOLDER = "masks"
"""Where ``tdd synth`` says which parts of its fakes were altered."""

BEGINNINGS = {
    CELEB_DF_PP: ("celebdfpp", "celebdfv3", "celebdfplus"),
    LRW: ("lrw", "lipread"),
    FACEFORENSICS: ("faceforensics", "ffpp", "originalsequences", "manipulatedsequences"),
    CELEB_DF: ("celebdf", "celebreal", "celebsynthesis", "youtubereal"),
    DEEPERFORENSICS: ("deeperforensics", "manipulatedvideos"),
    DFDC: ("dfdc",),
    FAKEAVCELEB: ("fakeavceleb", "realvideo", "fakevideo"),
    DF40: ("df40",),
    LAVDF: ("lavdf",),
    AVDEEPFAKE1M: ("avdeepfake1m",),
}
"""How names of a data set's folders and archives begin, in letters and digits alone."""

KNOWN_FOLDERS = {
    (FACEFORENSICS, "raw"): f"is another version; {COMPRESSION} is read",
    (FACEFORENSICS, "c40"): f"is another version; {COMPRESSION} is read",
    (DEEPERFORENSICS, "source_videos"): f"holds the actors' own videos; its reals are those of {FACEFORENSICS}",
}


@dataclass
class Seen:
    """What was seen of one data set beside the videos on its lists. Paths are relative to the data root."""

    unexpected: list[tuple[str, str]] = field(default_factory=list)
    """Videos in its folders that no list names, with the reason, sorted."""
    unread: list[tuple[str, str]] = field(default_factory=list)
    """Folders and lists that are not read, with the reason."""
    notes: list[str] = field(default_factory=list)


def find_strays(root: Path, dataset: str, listed: set[str]) -> Seen:
    """Look through the folders of one data set.

    Args:
        root: data root.
        dataset: its name.
        listed: paths of its listed videos, relative to ``root``.

    Returns:
        what is not read. The videos of Celeb-DF-v2 beside its test list are not unexpected, only counted in a note.
    """
    seen, passed, untested, unlabelled = Seen(), Passed(), 0, 0
    for folder in FOLDERS.get(dataset, (dataset,)):
        for path in files_below(root / folder, passed):
            place = path.relative_to(root).as_posix()
            if dataset == DFDC and path.name == DFDC_METADATA and is_there(path.with_name(DFDC_LABELS)):
                seen.unread.append((place, f"lies beside a {DFDC_LABELS}, which is read"))
            if place in listed or path.suffix.lower() not in VIDEO_SUFFIXES:
                continue
            if dataset not in FOLDERS:
                seen.unexpected.append((place, f"is not in {MANIFEST}"))
            elif path.suffix != ".mp4":
                seen.unexpected.append((place, f"ends in {path.suffix}; the owner's videos end in .mp4"))
            elif dataset in (CELEB_DF, CELEB_DF_PP):
                untested += 1
            elif dataset == LRW:
                seen.unexpected.append((place, "does not lie in <WORD>/<split>/ with a name <WORD>_<number>.mp4"))
            elif dataset == DF40:
                seen.unexpected.append((place, "does not say by its folders and name what it is"))
            elif dataset == AVDEEPFAKE1M and place.startswith(f"{AVDEEPFAKE1M}/test/"):
                unlabelled += 1
            else:
                seen.unexpected.append((place, "is on no list"))
    seen.unexpected.sort()
    seen.unread += [(path.relative_to(root).as_posix(), f"cannot be read ({why})") for path, why in passed.unreadable]
    seen.unread += _unknown_folders(root, dataset)
    seen.notes += [
        f"{path} is a link to a folder that is read already; it was not followed." for path in passed.repeated
    ]
    if passed.hidden:
        seen.notes.append(f"{passed.hidden:,} hidden files and folders (names that begin with a dot) are not read.")
    if untested:
        # 590 + 300 + 5,639 videos, less the 518 on the list.
        whole = " (6,011 in a whole copy)" if dataset == CELEB_DF else ""
        seen.notes.append(f"{untested:,} videos are not on the test list and are not read{whole}.")
    if unlabelled:
        seen.notes.append(f"{unlabelled:,} of the owners' test videos are not read: their labels are not published.")
    return seen


def _unknown_folders(root: Path, dataset: str) -> Iterator[tuple[str, str]]:
    """Folders beside those that are read, and videos in none of them."""
    read = {PurePosixPath(folder) for folder in FOLDERS.get(dataset, (dataset,))}
    ways = {way for folder in read for way in folder.parents if way.parts}
    for way in sorted(ways):
        for path in _entries(root / way):
            place = way / path.name
            if place in read | ways or not next(_videos(path), None):
                continue
            yield str(place), KNOWN_FOLDERS.get((dataset, path.name), "holds videos, or is one, and is not read")


def _videos(path: Path) -> Iterator[Path]:
    files = files_below(path, Passed()) if is_folder(path) else iter([path])
    return (file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)


def unread_folders(root: Path) -> list[tuple[str, str]]:
    """Folders in a data root that are not read, by name, and what they look like; archives of data sets, too."""
    unread, manifests = [], manifests_in(root)
    for path in _entries(root):
        likely, folder = resembled(path.name), is_folder(path)
        if path.name in (*READERS, *manifests, LANDMARK_FOLDER, MASK_FOLDER) or not (folder or likely):
            continue
        mend = "rename it to that" if folder else "unpack it to that"
        reason = (
            f"is not read; {likely} is read from a folder of that name: {mend}"
            if likely
            else f"is not read: it is no known data set and has no {MANIFEST}"
        )
        unread.append((path.name, reason))
    return unread


def resembled(name: str) -> str | None:
    """The data set that a name looks like, if any."""
    plain = re.sub("[^a-z0-9]", "", name.lower())
    return next((dataset for dataset, begins in BEGINNINGS.items() if plain.startswith(begins)), None)


def _entries(folder: Path) -> list[Path]:
    """What is in a folder and is not hidden, sorted; nothing where it cannot be read, which its reader tells."""
    try:
        return sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except OSError:
        return []
