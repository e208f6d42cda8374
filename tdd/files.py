"""Files that a stage publishes: atomic writes, and the checks before anything is written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tdd.errors import TddError

SPARE_BYTES = 200 * 2**20


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only when complete; its folder is made where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        TddError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TddError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise TddError(f"{path} is damaged ({error}); delete it and run the same command again.") from error


def check_writable(folder: Path) -> None:
    """Make ``folder`` and prove that a file can be written there.

    Raises:
        TddError: it cannot.
    """
    probe = folder / f".tdd-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise TddError(
            f"Nothing can be written to {folder} ({error.strerror}); choose another folder with --out."
        ) from error


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
