"""Files that a stage publishes: atomic writes, and the checks before anything is written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tdd.errors import TddError
from tdd.machine.limits import limit_reached
from tdd.machine.parallel import end_script_run_anew

SPARE_BYTES = 200 * 2**20
LOCK = "lock"
_PARTIAL = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to: renamed to ``path`` after the block, deleted when the block fails.

    So a file is never seen half written under its name, and one that was there stays whole until the new one replaces
    it, even if the process is killed; what a killed process leaves, :func:`remove_partials` clears. The folder is made
    where needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}{_PARTIAL}")  # machines may share the folder
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Delete what killed processes left half written in ``folder`` and below; none may be writing there now."""
    for left in folder.rglob(f"*{_PARTIAL}"):
        left.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only when complete; its folder is made where needed."""
    with whole_file(path) as partial:
        partial.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; a name with bytes that are no UTF-8 comes back as it was."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    # What UTF-8 cannot hold is then the escape that JSON has for it.
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        TddError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TddError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise TddError(f"{path} is damaged ({error}); delete it and run the same command again.") from error


def as_json(value: Any) -> Any:
    """A nested value as JSON gives it back: tuples are lists."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def sha256(path: Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal.

    Raises:
        TddError: the file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise TddError(f"{path} cannot be read ({error.strerror}).") from error
    return digest.hexdigest()


@contextmanager
def held_alone(folder: Path, command: str) -> Iterator[None]:
    """Let one process at a time write to ``folder``.

    The operating system's lock on a file there, which ends with the process that holds it, however it ends: a file that
    a killed process leaves holds nobody up.

    Args:
        folder: an existing folder that can be written to.
        command: who writes, for the sentence.

    Raises:
        TddError: another process is writing there now, or the file cannot be opened for writing.
    """
    end_script_run_anew()  # it would be told that another process writes there: its own parent
    try:
        held = (folder / LOCK).open("a+b")
    except OSError as error:
        raise TddError(
            f"{folder / LOCK} cannot be opened for writing ({error.strerror}); delete it or make it writable, or "
            "choose another folder with --out."
        ) from error
    with held as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            busy = error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # flock's, then those of Windows
            reason = f"another {command} is writing there now" if busy else f"no lock on its files: {error.strerror}"
            raise TddError(
                f"{folder} cannot be used ({reason}); wait until it ends, or choose another folder with --out."
            ) from error
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def disk_errors_told(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses within the block, a full one for instance, into a sentence.

    Raises:
        TddError: for any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise TddError(limit_reached(error) or _disk_sentence(folder, error)) from error


def _disk_sentence(folder: Path, error: OSError) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "the disk is full" if full else error.strerror or str(error)
    return (
        f"Writing to {folder} failed ({reason}); what is finished there is kept: make room or mend the disk, and run "
        "the same command again."
    )


def _try_writing(folder: Path) -> None:
    """Make a file in a folder, and remove it."""
    probe = folder / f".tdd-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink()


def check_writable(folder: Path) -> None:
    """Make ``folder`` and prove that a file can be written there.

    Raises:
        TddError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try_writing(folder)
    except OSError as error:
        raise TddError(
            f"Nothing can be written to {folder} ({error.strerror}); choose another folder with --out."
        ) from error


def require_target(path: Path, ending: str, option: str) -> None:
    """Check before long work that its result can be written to a file, and that no file of another kind is lost by it.

    Args:
        path: of the file; need not exist, nor its folder.
        ending: what the name of a file that may be replaced ends in, as ``.json``.
        option: by which the user named the file, for the sentence.

    Raises:
        TddError: ``path`` is a folder, or a file with another ending, a video for instance; or nothing can be written
            there.
    """
    if os.path.isdir(path):  # noqa: PTH112 - as is_folder of tdd.preprocess: no error for a name that is too long
        raise TddError(f"{path} is a folder; name a file with {option}.")
    if os.path.lexists(path) and path.suffix.lower() != ending:
        raise TddError(
            f"{path} is there already and is no {ending} file, so it is not replaced; give {option} another name."
        )
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        _try_writing(folder)
    except OSError as error:
        raise TddError(f"{path} cannot be written ({error.strerror}); give {option} another name.") from error


def check_space(folder: Path, needed: int) -> None:
    """Refuse to start what the disk cannot hold.

    Args:
        folder: where it will be written; need not exist yet.
        needed: bytes.

    Raises:
        TddError: too little is free; the sentence says how much is needed.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise TddError(
            f"{folder} has {_gigabytes(free)} free and {_gigabytes(needed + SPARE_BYTES)} are needed; "
            "free some space or choose another folder with --out."
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def check_plan(path: Path, plan: dict[str, Any]) -> None:
    """Write ``plan`` at ``path``, or compare it with the one that an earlier call wrote there.

    Raises:
        TddError: the folder cannot be written, or holds something made with other settings.
    """
    check_writable(path.parent)
    if not path.is_file():
        write_json(path, plan)
        return
    present = read_json(path)
    for key in sorted(plan.keys() | present.keys()):
        if present.get(key) != plan.get(key):
            raise TddError(
                f"{path.parent} was begun with {key} = {present.get(key)!r}, not {plan.get(key)!r}; "
                "choose another folder or delete that one."
            )
