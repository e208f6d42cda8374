"""LAV-DF and AV-Deepfake1M: real videos of which short parts were forged, with the seconds of those parts."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tdd.data.segments import segments_text
from tdd.errors import TddError
from tdd.names import AVDEEPFAKE1M, LAVDF, REAL
from tdd.preprocess.folders import is_there
from tdd.preprocess.listed import Video, relative
from tdd.preprocess.lists import AGAIN, listed_path, parse_records, read_list
from tdd.preprocess.naming import on_disk, same_name

LAVDF_PUBLISHED = "it comes with LAV-DF, https://github.com/ControlNet/LAV-DF"
AVDEEPFAKE1M_PUBLISHED = "it comes with AV-Deepfake1M, https://github.com/ControlNet/AV-Deepfake1M"

LARGEST = 2_000_000_000
"""Bytes of a list of AV-Deepfake1M; never seen here, at 500 bytes a video it would be 400 million."""

LAVDF_LISTS = ("metadata.min.json", "metadata.json")
"""Of both, the first is what the owners' code reads."""

LAVDF_SPLITS = {"train": "train", "dev": "val", "test": "test"}

AVDEEPFAKE1M_LISTS = {"train": "train", "val": "test"}
"""The owners' splits, and what they are here: the labels of the owners' test videos are not published."""

MODIFIED = {
    "real": (False, False), "visual_modified": (True, False), "audio_modified": (False, True),
    "both_modified": (True, True), "both-modified": (True, True),
}  # fmt: skip
"""``modify_type`` of AV-Deepfake1M: whether the picture is forged, and whether the sound is. The owners' README and
code spell the last one in two ways."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a list says of a video."""

    file: str
    place: str
    seen: bool
    """Its picture is forged."""
    heard: bool
    """Its sound is forged."""
    split: str
    original: str
    segments: str

    @property
    def label(self) -> int:
        return int(self.seen or self.heard)

    def method(self, dataset: str) -> str:
        """``real``, or which of picture and sound is forged."""
        kinds = {(True, True): "both", (True, False): "visual", (False, True): "audio"}
        return f"{dataset}-{kinds[self.seen, self.heard]}" if self.label else REAL


def list_lavdf(root: Path) -> Iterator[Video]:
    """LAV-DF by its ``metadata.min.json`` (or ``metadata.json``); its ``dev`` is ``val`` here.

    Who is seen is not published: a real's own name stands for it, so that it and its fakes belong together.
    """
    home = root / LAVDF
    listing = next((home / name for name in LAVDF_LISTS if is_there(home / name)), home / LAVDF_LISTS[0])
    entries = {}
    for place, row in parse_records(read_list(listing, LAVDF_PUBLISHED), str(listing)):
        split = LAVDF_SPLITS.get(str(row.get("split")))
        seen, heard = row.get("modify_video"), row.get("modify_audio")
        if split is None or not isinstance(seen, bool) or not isinstance(heard, bool):
            raise TddError(
                f"{place}: split is {reprlib.repr(row.get('split'))}, modify_video {reprlib.repr(seen)} and "
                f"modify_audio {reprlib.repr(heard)}; "
                f"expected {', '.join(LAVDF_SPLITS)}, and true or false; {AGAIN}."
            )
        entry = _entry(place, row, seen, heard, split, "fake_periods")
        entries[entry.file] = entry
    for entry in entries.values():
        real = _original(entries, entry)
        people = str(PurePosixPath(real.file).with_suffix("")) if real else ""
        yield _video(root, home, LAVDF, LAVDF, entry, real, people)


def list_av_deepfake1m(root: Path) -> Iterator[Video]:
    """AV-Deepfake1M by its ``train_metadata.json`` and ``val_metadata.json``, whichever are there.

    The owners' validation videos are for testing here, since nobody knows the labels of their test videos, which are
    not read. Who is seen is the first folder: VoxCeleb2's number of the person.
    """
    home = root / AVDEEPFAKE1M
    there = [name for name in AVDEEPFAKE1M_LISTS if is_there(home / f"{name}_metadata.json")]
    for name in there or ["val"]:
        listing = home / f"{name}_metadata.json"
        entries = {}
        for place, row in parse_records(read_list(listing, AVDEEPFAKE1M_PUBLISHED, LARGEST), str(listing)):
            kind = row.get("modify_type")
            if kind not in MODIFIED:
                raise TddError(
                    f"{place}: modify_type is {reprlib.repr(kind)}; known are {', '.join(MODIFIED)}; {AGAIN}."
                )
            # Of the lists by stream some hold what belongs to the other stream; their union does not.
            entry = _entry(place, row, *MODIFIED[str(kind)], AVDEEPFAKE1M_LISTS[name], "fake_segments")
            entries[entry.file] = entry
        for entry in entries.values():
            real = _original(entries, entry) if entry.label else entry
            people = entry.file.split("/")[0] if "/" in entry.file else ""
            yield _video(root, home / name, AVDEEPFAKE1M, f"{AVDEEPFAKE1M}/{name}", entry, real, people)


def _entry(place: str, row: Mapping[str, Any], seen: bool, heard: bool, split: str, periods: str) -> _Entry:
    file = str(listed_path(same_name(row["file"]), place))
    original = row.get("original")
    segments = _parts(row.get(periods), f"{place} ({periods})")
    if segments and not (seen or heard):
        raise TddError(f"{place}: {file} is real, and has forged parts ({segments}); {AGAIN}.")
    return _Entry(file, place, seen, heard, split, same_name(original) if isinstance(original, str) else "", segments)


def _parts(value: Any, place: str) -> str:
    """Forged parts as the catalog has them: joined where they meet or overlap."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(_is_part(part) for part in value):
        raise TddError(f"{place}: {reprlib.repr(value)} is no list of pairs of seconds, the start first; {AGAIN}.")
    parts: list[list[float]] = []
    for start, end in sorted((round(float(start), 3), round(float(end), 3)) for start, end in value):
        if parts and start <= parts[-1][1]:
            parts[-1][1] = max(parts[-1][1], end)
        elif start < end:
            parts.append([start, end])
    return segments_text((start, end) for start, end in parts)


def _is_part(part: Any) -> bool:
    numbers = isinstance(part, list) and len(part) == 2 and all(type(value) in (int, float) for value in part)
    return numbers and all(map(math.isfinite, part)) and 0 <= part[0] <= part[1]


def _original(entries: Mapping[str, _Entry], entry: _Entry) -> _Entry | None:
    """The real behind a video: itself, or what its original leads to; ``None`` where no original is named.

    Raises:
        TddError: the original is on no list, or leads in a circle.
    """
    seen, now = {entry.file}, entry
    while now.label:
        if not now.original:
            return None
        nearest = [now.original, str(PurePosixPath(now.file).with_name(PurePosixPath(now.original).name))]
        found = next((entries[name] for name in nearest if name in entries), None)
        if found is None or found.file in seen:
            raise TddError(
                f"{now.place}: the original of {now.file}, {reprlib.repr(now.original)}, is not on the list; {AGAIN}."
            )
        seen.add(found.file)
        now = found
    return now


def _video(root: Path, home: Path, dataset: str, below: str, entry: _Entry, real: _Entry | None, people: str) -> Video:
    def name(file: str) -> str:
        return f"{below}/{PurePosixPath(file).with_suffix('')}"

    made_from = name(real.file) if real and entry.label else ""
    return Video(
        name(entry.file), dataset, entry.method(dataset), entry.label, entry.split,
        relative(on_disk(home, PurePosixPath(entry.file)), root), "_".join(people.split()), audio=True,
        made_from=made_from, segments=entry.segments,
    )  # fmt: skip
