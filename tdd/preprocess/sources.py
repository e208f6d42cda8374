"""Whether a file is still the one that something was made from: by size and time, and by contents where these differ.

A copy of a data root has other times, and contents that need only be read to be known again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tdd.machine.files import sha256

Source = dict[str, Any]
"""Of a file: ``bytes``, ``modified`` (ns) and ``sha256``."""


def describe(path: Path) -> Source:
    """What a file is now.

    Raises:
        TddError: it is missing or cannot be read.
        OSError: the same, at the first look.
    """
    # Before its contents: a file that changes meanwhile then differs from what is kept of it.
    found = path.stat()
    return {"bytes": found.st_size, "modified": found.st_mtime_ns, "sha256": sha256(path)}


def looks_same(path: Path, known: Source | None) -> bool:
    """Whether size and time are those that were kept; nothing is read.

    A file that is gone, or may not be looked at, contradicts nothing.
    """
    try:
        found = path.stat()
    except OSError:
        return True
    return known is not None and (found.st_size, found.st_mtime_ns) == (known["bytes"], known["modified"])


def renewed(path: Path, known: Source | None) -> Source | None:
    """What a file is now, where it is still the one that was kept; ``None`` where it is another.

    Of a file that is gone, what was kept stays; one of which nothing was kept is taken as it is.

    Raises:
        TddError: the file cannot be read.
    """
    if looks_same(path, known):
        return known or {}
    if known and path.stat().st_size != known["bytes"]:
        return None
    found = describe(path)
    return None if known and found["sha256"] != known["sha256"] else found
