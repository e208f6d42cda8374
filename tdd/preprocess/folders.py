"""Look through folders as they are: links are followed, never around in a circle, and what is passed over is kept."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tdd.errors import TddError
from tdd.preprocess.naming import is_hidden


def is_there(path: Path) -> bool:
    """Whether there is a file, as far as can be seen: ``False`` also below a folder that may not be looked into.

    What opens the file then says so; pathlib's own question would end in an error that nobody expects there.
    """
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as far as can be seen; as :func:`is_there`."""
    return os.path.isdir(path)  # noqa: PTH112


def require_apart(root: Path, out: Path) -> None:
    """Check that a clip store is not made in the data root: landmarks that are found would there be given ones.

    Raises:
        TddError: both are one folder.
    """
    if os.path.realpath(root) == os.path.realpath(out):
        raise TddError(f"{out} is the data root itself; a clip store takes another folder: choose one with --out.")


@dataclass
class Passed:
    """What was passed over on the way."""

    hidden: int = 0
    """Files and folders whose names begin with a dot."""
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    """Folders that cannot be read, and why."""
    repeated: list[Path] = field(default_factory=list)
    """Links to a folder that was read already, or that lies above."""


def files_below(folder: Path, passed: Passed) -> Iterator[Path]:
    """All that lies below ``folder`` and is neither hidden nor a folder, each folder of the disk once.

    Folders that only a link reaches come last, so that a file is called by its own path wherever it has one.

    Args:
        folder: where to look; nothing is below one that does not exist.
        passed: takes what is passed over.
    """
    for _, names in folders_below(folder, passed):
        yield from names


def folders_below(folder: Path, passed: Passed) -> Iterator[tuple[Path, list[Path]]]:
    """``folder`` and every folder below it, as :func:`files_below` looks through them.

    Yields:
        the folder, and what lies in it and is neither hidden nor a folder, sorted.
    """
    start, seen = Path(os.path.realpath(folder)), set[Path]()
    links = deque([folder])
    while links:
        waiting = [links.popleft()]
        while waiting:
            place = waiting.pop()
            real = Path(os.path.realpath(place))
            if real in seen or (real != start and real in start.parents):
                passed.repeated.append(place)
                continue
            seen.add(real)
            try:
                entries = sorted(os.scandir(place), key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                passed.unreadable.append((place, error.strerror or str(error)))
                continue
            shown = [entry for entry in entries if not is_hidden(entry.name)]
            passed.hidden += len(entries) - len(shown)
            files, inner = [], []
            for entry in shown:
                # A scanned entry knows plain files without another system call; LRW has over a million.
                if entry.is_dir(follow_symlinks=False):
                    inner.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False) and is_folder(Path(entry.path)):
                    links.append(Path(entry.path))
                else:
                    files.append(Path(entry.path))
            waiting += reversed(inner)
            yield place, files
