"""Videos that lie in a data set's folders and that no list names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tdd.names import CELEB_DF, LRW
from tdd.preprocess.layouts import FOLDERS
from tdd.preprocess.probe import VIDEO_SUFFIXES


def find_strays(root: Path, dataset: str, listed: set[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Look through the folders of one data set.

    Args:
        root: data root.
        dataset: its name.
        listed: paths of its listed videos, relative to ``root``.

    Returns:
        stray videos with the reason, sorted; and notes on what was passed over. The videos of Celeb-DF-v2 beside its
        test list are no strays, only counted in a note.
    """
    strays: list[tuple[str, str]] = []
    notes: list[str] = []
    untested = 0
    for folder in FOLDERS[dataset]:
        for path in _walk(root / folder, notes):
            place = path.relative_to(root).as_posix()
            if place in listed or path.suffix.lower() not in VIDEO_SUFFIXES:
                continue
            if path.suffix != ".mp4":
                strays.append((place, f"ends in {path.suffix}; the owner's videos end in .mp4"))
            elif dataset == CELEB_DF:
                untested += 1
            elif dataset == LRW:
                strays.append((place, "does not lie in <WORD>/<split>/ with a name <WORD>_<number>.mp4"))
            else:
                strays.append((place, "is on no list"))
    if untested:
        # 590 + 300 + 5,639 videos, less the 518 on the list.
        notes.append(f"{untested:,} videos are not on the test list and are not read (6,011 in a whole copy).")
    return sorted(strays), notes


def _walk(folder: Path, notes: list[str], above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All files below ``folder``, through links too, but never around in a circle (of which a note is made)."""
    real = os.path.realpath(folder)
    if real in above:
        notes.append(f"{folder} is a link back to a folder above it; it was not followed.")
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # absent, or not to be listed: then its videos are among the missing
    for entry in entries:
        path = Path(entry.path)
        # A scanned entry knows plain files without another system call; LRW has over a million.
        if not entry.is_file(follow_symlinks=False) and path.is_dir():
            yield from _walk(path, notes, above | {real})
        else:
            yield path
