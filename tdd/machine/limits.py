"""What a machine allows, cores, memory, open files, and which errors say that it allows no more."""

from __future__ import annotations

import errno
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from tdd.errors import TddError

PIECE_BYTES = 2**29
"""Memory that a process takes which decodes and crops, bytes, libraries included."""

NETWORK_BYTES = 2**31
"""Memory that a process takes which runs or trains a network, bytes."""

PROCESSES_A_CORE = 2
"""More only get in one another's way; with two, one computes while the other waits for the disk."""

NO_MEMORY = "There is not enough memory; close other programs, use fewer workers, or take a machine with more of it"

_OPENCV_NO_MEMORY = -4  # cv::Error::StsNoMem
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)


def cpu_count() -> int:
    """Processor cores that this process may use (a container or a cluster job may allow fewer than there are)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def free_memory(system: Path = Path("/")) -> int | None:
    """Bytes of memory that may still be taken: what Linux says is available, or what is left of the container's limit.

    Args:
        system: where ``proc`` and ``sys`` lie.

    Returns:
        the smaller of the two; all memory on macOS; ``None`` where the system does not say (Windows).
    """
    found = [*_available(system), *_left_of_limit(system)]
    if found:
        return min(found)
    names = getattr(os, "sysconf_names", {})
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if "SC_PHYS_PAGES" in names else None


def _available(system: Path) -> Iterator[int]:
    for line in _lines(system / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _left_of_limit(system: Path) -> Iterator[int]:
    """Of control groups in both versions, as a container sees its own."""
    groups = system / "sys/fs/cgroup"
    for limit, used, folder in (
        ("memory.max", "memory.current", groups),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", groups / "memory"),
    ):
        values = [line for name in (limit, used) for line in _lines(folder / name)]
        if len(values) == 2 and all(value.isdecimal() for value in values):  # "max": no limit
            # Files that are only cached count as used, and are let go when memory is wanted.
            stat = dict(line.split() for line in _lines(folder / "memory.stat"))
            yield max(0, int(values[0]) - int(values[1]) + int(stat.get("inactive_file", 0)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def allowed_workers(asked: int | None, usual: int | None = None, each: int = PIECE_BYTES) -> int:
    """Processes to work in: as many as asked for, or ``usual``, but no more than cores and memory allow.

    At most :data:`PROCESSES_A_CORE` a core that this process may use, and as many as find ``each`` bytes of
    :func:`free_memory`; one always. Where that is fewer than were asked for, a warning says so.

    Args:
        asked: by the user; ``None``: ``usual``.
        usual: one a core when ``None``.
        each: memory that a process takes, bytes.

    Raises:
        TddError: fewer than one was asked for.
    """
    if asked is not None and asked < 1:
        raise TddError(f"There are no {asked} workers; give --workers a whole number from 1 up, or leave it out.")
    cores, memory = cpu_count(), free_memory()
    room = max(1, cores * PROCESSES_A_CORE if memory is None else min(cores * PROCESSES_A_CORE, memory // each))
    wanted = asked or usual or cores
    if asked and asked > room:
        free = "" if memory is None else f" and {memory / 1e9:.1f} GB of free memory at {each / 1e9:.1f} GB each"
        logging.getLogger(__name__).warning(
            f"{asked} workers were asked for and {room} begin: {PROCESSES_A_CORE} a core is the most, and there are "
            f"{cores} cores{free}."
        )
    return min(wanted, room)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, says that there was not enough memory, whichever library said it.

    That may be the fault of what ran beside it, so it says nothing about a file.
    """
    return any(
        isinstance(cause, MemoryError)
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        or getattr(cause, "code", None) == _OPENCV_NO_MEMORY
        or type(cause).__name__ == "OutOfMemoryError"  # torch's; it need not be imported here
        or "can't allocate memory" in str(cause)  # torch's on a CPU, a bare RuntimeError
        for cause in _causes(error)
    )


def lacks_memory(size: int) -> bool:
    """Whether ``size`` more bytes of memory cannot be had now. They are asked for and given back, not written to."""
    try:
        mmap.mmap(-1, size).close()
    except (OSError, MemoryError):
        return True
    return False


def limit_reached(error: BaseException) -> str | None:
    """The sentence about a limit of the system that an error, or what it was raised from, ran into; else ``None``."""
    if any(isinstance(cause, OSError) and cause.errno in _TOO_MANY_FILES for cause in _causes(error)):
        return (
            "This process may not open more files at a time; raise the limit (ulimit -n 1024), or run the same command "
            "again with fewer workers: what is finished is kept."
        )
    return None


def of_the_machine(error: BaseException) -> bool:
    """Whether an error speaks of the machine's memory or limits, and not of the file that was being read."""
    return out_of_memory(error) or limit_reached(error) is not None


def begin_refused(error: BaseException) -> TddError:
    """What is said where the system begins no further process or thread."""
    return TddError(
        limit_reached(error)
        or f"No further process can be begun ({error}); raise the limit on processes (ulimit -u) or free memory, or "
        "run the same command again with fewer workers: what is finished is kept."
    )
