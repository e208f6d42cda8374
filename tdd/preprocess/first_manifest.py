"""A first manifest of a folder of videos, guessed from the names of folders and files; to be looked at and mended."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tdd.errors import TddError
from tdd.machine.console import legible
from tdd.machine.files import disk_errors_told, whole_file
from tdd.names import REAL
from tdd.preprocess.folders import Passed, files_below, is_folder
from tdd.preprocess.layouts import READERS
from tdd.preprocess.manifest import MANIFEST, NEEDED, OPTIONAL, manifests_in
from tdd.preprocess.naming import same_name
from tdd.preprocess.probe import VIDEO_SUFFIXES

REALS = frozenset({"real", "reals", "original", "originals", "pristine", "genuine", "authentic", "bonafide", "youtube"})
FAKES = frozenset(
    {"fake", "fakes", "synthesis", "synthetic", "manipulated", "forged", "generated", "deepfake", "spoof"}
)
"""Words of a folder's name that say what its videos are."""

FOLDERS_OF_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
EVERY = 10
"""Of the people of a folder without splits and without fakes, every tenth is for validation."""


@dataclass(frozen=True)
class FirstManifest:
    """What was written, and what of it was guessed."""

    path: Path
    counts: dict[tuple[str, str], int]
    """Videos by method and split."""
    notes: tuple[str, ...]

    def to_text(self) -> str:
        """For a terminal."""
        lines = [f"{self.path}: {sum(self.counts.values()):,} videos"]
        lines += [f"  {method}, {split}: {count:,}" for (method, split), count in sorted(self.counts.items())]
        return "\n".join([*lines, *self.notes])


def write_first_manifest(folder: Path) -> FirstManifest:
    """Write ``folder/manifest.csv``: a line for each video in it, guessed from names.

    A folder called real, original or the like holds reals; where there is one, or one called fake or the like, all
    other videos are fakes, and their method is the name of the folder that is nearest to them and says nothing else.
    Without such a folder all videos are real: talking faces. Folders called train, val or test are splits. A fake whose
    name begins with that of one real, ``a_b.mp4`` or ``a.mp4`` for ``a.mp4``, is made from it.

    Raises:
        TddError: no such folder, or a data root; no video in it, a manifest that is there already, or no right to
            write.
    """
    if not is_folder(folder):
        raise TddError(f"{folder} is no folder; give the one that holds the videos.")
    inside = [*(name for name in READERS if is_folder(folder / name)), *manifests_in(folder)]
    if inside:
        raise TddError(
            f"{folder} is a data root: it holds the data set {legible(inside[0])}. A manifest belongs into the "
            "folder of one data set; give that folder."
        )
    target = folder / MANIFEST
    if target.exists():
        raise TddError(f"{target} is there already; delete it first, or mend it by hand.")
    passed = Passed()
    places = [path.relative_to(folder) for path in files_below(folder, passed) if path.suffix.lower() in VIDEO_SUFFIXES]
    if passed.unreadable:
        place, why = passed.unreadable[0]
        raise TddError(f"{place} cannot be read ({why}).")
    if not places:
        raise TddError(f"{folder} holds no video; known endings are {', '.join(VIDEO_SUFFIXES)}.")
    names = sorted(same_name(place.as_posix()) for place in places)
    rows, notes = _guessed([PurePosixPath(name) for name in names])
    with (
        disk_errors_told(folder),
        whole_file(target) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as f,
    ):
        writer = csv.DictWriter(f, [*NEEDED, *OPTIONAL], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    counts = Counter((row["method"] or REAL, row["split"]) for row in rows)
    return FirstManifest(target, dict(counts), (*notes, f"Look at it, then: tdd data check {folder.parent}"))


def _guessed(paths: Sequence[PurePosixPath]) -> tuple[list[dict[str, str]], list[str]]:
    said = {path: _words(path.parent) for path in paths}
    forged = any(words & (FAKES | REALS) for words in said.values())
    splits = {path: _split(path) for path in paths}
    drawn = {} if forged or any(splits.values()) else _drawn(paths)
    rows = []
    for path in paths:
        real = not forged or bool(said[path] & REALS)
        rows.append({
            "path": str(path),
            "label": "real" if real else "fake",
            "split": splits[path] or drawn.get(_person(path), "test" if forged else "train"),
            "method": "" if real else _method(path),
            "identity": "_".join(_person(path).split()) if drawn and path.parent.parts else "",
        })  # fmt: skip
    made, fakes = _link(rows), sum(row["label"] == "fake" for row in rows)
    notes = [f"{made:,} of {fakes:,} fakes name the real that they are made from."] if fakes else []
    alone = _without_reals(rows)
    if alone and made:
        notes.append(
            f"Of {', '.join(alone)} none does: taken for fakes since no folder on the way to them is called real. "
            "Where they are real, mend label and method, or give them a folder and a manifest of their own."
        )
    if not forged:
        notes.append("No folder is called real or fake: all videos are taken for real, as talking faces for stage 1.")
    if drawn:
        notes.append("No folder is called train, val or test: every tenth person is for validation.")
    elif not any(splits.values()):
        notes.append("No folder is called train, val or test: all videos are for testing.")
    return rows, notes


def _without_reals(rows: Sequence[dict[str, str]]) -> list[str]:
    """The methods of which no fake names the real that it is made from."""
    fakes = [row for row in rows if row["label"] == "fake"]
    linked = {row["method"] for row in fakes if row.get("real")}
    return sorted({row["method"] for row in fakes} - linked)


def _person(path: PurePosixPath) -> str:
    """Who is seen in a folder of talking faces: the name of its first folder, or each file is another person."""
    return path.parts[0] if path.parent.parts else str(path)


def _drawn(paths: Sequence[PurePosixPath]) -> dict[str, str]:
    """The split of each person: every tenth for validation, and the last of fewer."""
    people = list(dict.fromkeys(map(_person, paths)))
    chosen = set(people[EVERY - 1 :: EVERY] or people[1:][-1:])
    return {person: "val" if person in chosen else "train" for person in people}


def _words(folder: PurePosixPath) -> frozenset[str]:
    return frozenset(word for part in folder.parts for word in re.split("[^a-z]+", part.lower()) if word)


def _split(path: PurePosixPath) -> str:
    """The split that a folder on the way to a video names, the nearest first; empty where none does."""
    for part in reversed(path.parent.parts):
        if part.lower() in FOLDERS_OF_SPLITS:
            return FOLDERS_OF_SPLITS[part.lower()]
    return ""


def _method(path: PurePosixPath) -> str:
    for part in reversed(path.parent.parts):
        if part.lower() not in (*FOLDERS_OF_SPLITS, "videos", "video"):
            return part
    return "fake"


def _link(rows: list[dict[str, str]]) -> int:
    """Name the real of every fake whose name begins with that of one real alone; returns how many there are."""
    stems: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["label"] == "real":
            stems.setdefault((row["split"], PurePosixPath(row["path"]).stem), []).append(row["path"])
    made = 0
    for row in rows:
        parts = PurePosixPath(row["path"]).stem.split("_")
        begun = ("_".join(parts[:length]) for length in range(len(parts), 0, -1))
        found = next((stems[row["split"], stem] for stem in begun if (row["split"], stem) in stems), [])
        if row["label"] == "fake" and len(found) == 1:
            row["real"] = found[0]
            made += 1
    return made
