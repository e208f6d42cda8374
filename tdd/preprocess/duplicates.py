"""One and the same file under several names: what that does to labels, splits and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tdd.data.store import SOURCES
from tdd.machine.console import legible

Row = Mapping[str, Any]


def duplicate_notes(rows: Iterable[Row]) -> list[str]:
    """A sentence for each kind of harm that copies of a video do, the worst first.

    Copies have the same bytes; a film that was encoded again is none.

    Args:
        rows: of stored videos, with the digest of the file that each was made from where that is known.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        digest = row.get(SOURCES, {}).get("video", {}).get("sha256")
        if digest:
            groups.setdefault(digest, []).append(row)
    same = [sorted(group, key=lambda row: row["path"]) for group in groups.values() if len(group) > 1]
    torn = [group for group in same if _differ(group, "label")]
    leaking = [group for group in same if group not in torn and _differ(group, "split")]
    # Of two data sets, one may hold the test videos of the other, as Celeb-DF++ does: each is scored by itself.
    twice = [group for group in same if group not in torn and group not in leaking and not _differ(group, "dataset")]
    said = []
    if torn:
        said.append(
            f"{_files(torn)} called real and fake under different names: {_named(torn, 'method')}. One of the "
            "labels is wrong; mend the list."
        )
    if leaking:
        said.append(
            f"Leakage: {_files(leaking).lower()} in more than one split under different names: "
            f"{_named(leaking, 'split')}. Scores of test videos that were trained on are too good; leave "
            "one of each out."
        )
    if twice:
        said.append(
            f"{_files(twice)} in one split under different names, and counted each time: {_named(twice, 'split')}. "
            "Leave all but one of each out."
        )
    return said


def _differ(group: list[Row], column: str) -> bool:
    return len({row[column] for row in group}) > 1


def _files(groups: list[list[Row]]) -> str:
    return "One file is" if len(groups) == 1 else f"{len(groups):,} files are each"


def _named(groups: list[list[Row]], column: str) -> str:
    """The first two names of one file that differ in a column, or the first two that there are."""
    first = min(groups, key=lambda group: str(group[0]["path"]))
    other = next((row for row in first if row[column] != first[0][column]), first[1])
    pair = " and ".join(f"{legible(row['path'])} ({row[column]})" for row in (first[0], other))
    return f"{pair} for instance" if len(groups) > 1 or len(first) > 2 else pair
