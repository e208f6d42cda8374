"""Which commit the running code is of: asked of git in a checkout, read from a file in an installed package."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
COMMIT = "COMMIT"
"""File of the package that a build leaves the commit in (``setup.py``); a checkout has none."""

CHANGED = "+changes"
"""After a commit: files of the package differ from it, or were never committed."""


def commit(package: Path = PACKAGE) -> str | None:
    """The commit of a package's code, 40 hexadecimal digits, with ``+changes`` where the code differs from it.

    Args:
        package: its folder.

    Returns:
        the commit; ``None`` where nobody knows it: a copy of the files, or a checkout on a machine without git.
    """
    # Without this, git would answer for any repository around an installed package.
    if (package.parent / ".git").exists():
        head = _git(package, "rev-parse", "--verify", "-q", "HEAD")
        return head and head + (CHANGED if _git(package, "status", "--porcelain", "--", ".") else "")
    kept = package / COMMIT
    return (kept.read_text(encoding="utf-8").strip() or None) if kept.is_file() else None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers; ``None`` where it fails, or says nothing."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
