"""Which videos of a clip store are finished: made from the files that are there now, and whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdd.data.clip_files import clip_damage, finished_row, is_touched
from tdd.data.store import SOURCES, write_row
from tdd.errors import TddError
from tdd.machine.files import read_json, write_json
from tdd.preprocess.finding import landmark_file
from tdd.preprocess.folders import is_there
from tdd.preprocess.set_aside import name_problem
from tdd.preprocess.sources import Source, looks_same, renewed

ROOT = "root.json"


@dataclass(frozen=True)
class Outcome:
    """What became of one video: a row of the index, or the ``reason`` why there is none."""

    row: dict[str, Any]
    made: bool = False
    reason: str = ""
    trusted: bool = False
    """It was stored by a version that did not keep which files it was made from."""


def check_root(
    root: Path, out: Path, listed: list[dict[str, Any]], before: list[str], stored: dict[str, dict[str, Any]]
) -> None:
    """Keep the data root in the store, or compare it with the one that is kept there.

    A data root may be moved or copied. Its videos are then those of the store, by their sizes, or most of them are.

    Args:
        root: the data root.
        out: the store's folder.
        listed: rows of the catalog.
        before: ids of the videos in the store's index.
        stored: rows of the finished videos, by id (:func:`stored_rows`).

    Raises:
        TddError: the store was made from another root's videos.
    """
    place, own = out / ROOT, str(root.resolve())
    known = read_json(place)["root"] if place.is_file() else own
    if known != own:
        shared = [(row, found) for row in listed if (found := stored.get(row["video_id"]))]
        other = sum(_is_other_size(root / row["path"], found) for row, found in shared)
        if 2 * other > len(shared) or (before and not shared):
            what = (
                f"{other} of the {len(shared)} videos that both name are other files" if shared else "they share none"
            )
            raise TddError(
                f"{out} was made from the videos in {known}, and {root} holds others ({what}); choose another folder "
                "with --out, or delete that one."
            )
    if known != own or not place.is_file():
        write_json(place, {"root": own})


def _is_other_size(path: Path, row: dict[str, Any]) -> bool:
    known = row.get(SOURCES, {}).get("video")
    return bool(known) and is_there(path) and path.stat().st_size != known["bytes"]


def stored_rows(out: Path, listed: list[dict[str, Any]], crop: int) -> dict[str, dict[str, Any]]:
    """Rows of those listed videos that are complete in the store, by id; each is read from its file."""
    return {row["video_id"]: found for row in listed if (found := finished_row(out, row["video_id"], crop))}


def split_work(
    root: Path, out: Path, listed: list[dict[str, Any]], stored: dict[str, dict[str, Any]]
) -> tuple[list[Outcome], list[dict[str, Any]]]:
    """What needs no work: videos that are plainly finished, and those whose name no store can hold; and all others.

    Args:
        root: the data root.
        out: the store's folder.
        listed: rows of the catalog.
        stored: as :func:`stored_rows` gives them; emptied, for of a large data set they take much memory.
    """
    done: list[Outcome] = []
    work = []
    for row in listed:
        problem = name_problem(row["path"] + row["video_id"])
        if problem:
            done.append(Outcome(row, reason=problem))
            continue
        found = stored.pop(row["video_id"], None)
        if found and _is_plainly_finished(root, out, row, found):
            done.append(Outcome(_refreshed(out, row, found)))
        else:
            work.append(row)
    return done, work


def source_files(root: Path, out: Path, row: dict[str, Any]) -> dict[str, Path]:
    """The files that a video is made from, by name."""
    return {"video": root / row["path"], "landmarks": landmark_file(root, out, row)}


def _is_plainly_finished(root: Path, out: Path, row: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether sizes and times say that a stored video is the one to be made; nothing is read."""
    known = found.get(SOURCES, {})
    try:
        return (
            bool(known)
            and not is_touched(out, found)
            and all(looks_same(path, known.get(name)) for name, path in source_files(root, out, row).items())
        )
    except (OSError, KeyError, TypeError):
        return False


def _refreshed(out: Path, row: dict[str, Any], found: dict[str, Any], sources: dict[str, Source] | None = None) -> Any:
    """The row of a finished video as the catalog has it now; kept in the store where that, or its sources, are new."""
    # What the file holds, not what belongs to it, says whether there is sound.
    now = row | {name: value for name, value in found.items() if name not in row or name == "audio"}
    now |= {SOURCES: found[SOURCES] if sources is None else sources}
    if now != found or sources is not None:
        write_row(out, now)
    return now


def finished_by_contents(root: Path, out: Path, row: dict[str, Any], crop: int) -> Outcome | None:
    """A video that is finished after all: its files were copied or touched, but their contents are the same."""
    found = finished_row(out, row["video_id"], crop)
    if found is None or (is_touched(out, found) and clip_damage(out, found, crop)):
        return None
    known = found.get(SOURCES, {})
    sources = {name: renewed(path, known.get(name)) for name, path in source_files(root, out, row).items()}
    if any(source is None for source in sources.values()):
        return None
    now = {name: source for name, source in sources.items() if source}
    return Outcome(_refreshed(out, row, found, now), trusted=not known)
