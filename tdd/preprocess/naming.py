"""Names of files: one name in two spellings of Unicode is one name, and some can name no file.

A Mac writes 한글 as its single letters (NFD) where others write syllables (NFC); a list or a set of landmarks that was
made on one is read on another.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path, PurePath

from tdd.errors import TddError

LONGEST_NAME = 255 - len(".wav.npy")
"""Bytes: disks take 255, and the clip store adds an ending."""

RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})
"""Names of devices that Windows opens in place of a file, whatever follows them after a dot."""


def same_name(name: str) -> str:
    """The one spelling (NFC) by which names are compared and videos are called."""
    return unicodedata.normalize("NFC", name)


def folded_name(name: str) -> str:
    """The spelling by which disks compare names that do not tell capitals from small letters (macOS, Windows)."""
    return name.lower() if name.isascii() else same_name(same_name(name).casefold())


def on_disk(folder: Path, name: PurePath | str) -> Path:
    """The path ``folder / name`` as it is spelled on the disk; as given where nothing there has that name.

    Args:
        folder: taken as it is.
        name: relative to it.

    Raises:
        TddError: two files there have the name in other spellings than ``name``'s.
    """
    exact = folder / name
    # Letters of ASCII have one spelling: names of the published data sets cost no look.
    if str(name).isascii() or os.path.lexists(exact):
        return exact
    place = folder
    for part in PurePath(name).parts:
        place /= part if part.isascii() or os.path.lexists(place / part) else _spelled(place, part)
    return place


def _spelled(folder: Path, name: str) -> str:
    try:
        spellings = _names(folder, folder.stat().st_mtime_ns, same_name).get(same_name(name), [name])
    except OSError:  # no folder there, or one that cannot be read: what opens the file tells it
        return name
    if len(spellings) > 1:
        raise TddError(
            f"{folder} holds {len(spellings)} files of the name {same_name(name)}, which differ only in how Unicode "
            "writes its letters (NFC, NFD); rename or delete all but one."
        )
    return spellings[0]


def same_but_for_case(path: Path) -> Path | None:
    """A neighbour of ``path`` whose name differs from its own only in capitals and small letters, if there is one."""
    folder = path.parent
    try:
        names = _names(folder, folder.stat().st_mtime_ns, folded_name).get(folded_name(path.name), [])
    except OSError:
        return None
    return next((folder / name for name in names if name != path.name), None)


@lru_cache(64)
def _names(folder: Path, changed: int, alike: Callable[[str], str]) -> dict[str, list[str]]:  # noqa: ARG001
    # "changed" is not used: with it, a folder that changes is read again.
    names: dict[str, list[str]] = {}
    for path in folder.iterdir():
        names.setdefault(alike(path.name), []).append(path.name)
    return names


def is_hidden(name: str) -> bool:
    """Whether a name is one that file managers hide: a Mac's ``._x.mp4``, ``.ipynb_checkpoints``."""
    return name.startswith(".")


def name_problem(name: str) -> str:
    """Why no file of every system can have this name, which may hold folders; empty when nothing speaks against it."""
    for part in PurePath(name).parts:
        try:
            length = len(part.encode())
        except UnicodeEncodeError:
            return "its name is no text in UTF-8; rename the file"
        if length > LONGEST_NAME:
            return f"its name takes {length} bytes and a clip store holds names of {LONGEST_NAME}; rename the file"
        if part.partition(".")[0].rstrip().lower() in RESERVED:
            return f"{part} is the name of a device on Windows; rename the file"
    return ""
