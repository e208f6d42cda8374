"""Any data set: a table ``manifest.csv`` beside a folder of videos says what each video is."""

from __future__ import annotations

import csv
import io
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tdd.data.segments import parse_segments, segments_text
from tdd.errors import TddError
from tdd.names import REAL, REALS_OF, SEEN_COLUMN, SPLITS
from tdd.preprocess.folders import is_folder, is_there
from tdd.preprocess.layouts import READERS
from tdd.preprocess.listed import Video
from tdd.preprocess.lists import listed_path, parse_table, read_list
from tdd.preprocess.naming import folded_name, is_hidden, on_disk, same_name

MANIFEST = "manifest.csv"

NEEDED = ("path", "label", "split")
OPTIONAL = ("dataset", "method", "identity", "word", "real", "segments")
"""Columns; only those of ``NEEDED`` must be there. data/README.md says what each holds."""

LABELS = {"0": 0, "1": 1, "real": 0, "fake": 1}

PUBLISHED = "tdd data manifest FOLDER writes a first one"
DATA_SETS = {*READERS, *REALS_OF}
"""Names that no data set of a manifest has, and no method."""

MEND = "mend that line"
QUOTES = "a value that holds a comma stands in quotes, and seconds have a point"
_DECIMAL_COMMA = re.compile(r"\d,\d")


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a manifest, checked by itself."""

    place: str
    path: Path
    video_id: str
    label: int
    split: str
    dataset: str
    method: str
    people: tuple[str, ...]
    word: str
    real: str
    """Path of the real of a fake, as :func:`_key` writes it."""
    segments: str


def manifests_in(root: Path) -> list[str]:
    """Names of the folders in a data root that hold a manifest, and are no folder of a data set with its own reader."""
    if not is_folder(root):
        return []
    try:
        names = sorted(path.name for path in root.iterdir() if not is_hidden(path.name))
    except OSError:  # who reads the root tells it
        return []
    return [name for name in names if name not in READERS and is_there(root / name / MANIFEST)]


def list_manifest(root: Path, folder: str) -> Iterator[Video]:
    """The videos that ``root/folder/manifest.csv`` names.

    A fake's identities begin with those of its real. Where neither has any, the real's path stands for who is seen, so
    that a real and its fakes count as one target.

    Raises:
        TddError: the manifest is missing, no table, or a line of it is wrong; with the line.
    """
    rows = _rows(root, folder)
    _require_reals(rows.values())
    _require_one_spelling(rows.values())
    forged = {row.real for row in rows.values() if row.real}
    for key, row in rows.items():
        real = rows[row.real] if row.real else None
        people = _people(real, row.real) if real else row.people or ((_as_name(key),) if key in forged else ())
        people += tuple(name for name in row.people if name not in people)
        yield Video(
            row.video_id, row.dataset, row.method, row.label, row.split, row.path.relative_to(root).as_posix(),
            " ".join(people), row.word, made_from=real.video_id if real else "", segments=row.segments,
        )  # fmt: skip


def lines_of(root: Path, folder: str) -> dict[str, str]:
    """Where a manifest names each video, ``manifest.csv, line 7``, by its path in the catalog.

    Raises:
        TddError: as :func:`list_manifest`.
    """
    rows = _rows(root, folder).values()
    return {row.path.relative_to(root).as_posix(): f"{MANIFEST}, {row.place.rpartition(', ')[2]}" for row in rows}


def _people(real: _Row, key: str) -> tuple[str, ...]:
    return real.people or (_as_name(key),)


def _as_name(key: str) -> str:
    """A path as the name of who is seen, which holds no space."""
    return "_".join(str(PurePosixPath(key).with_suffix("")).split())


def _rows(root: Path, folder: str) -> dict[str, _Row]:
    """The lines of a manifest by the path that each names."""
    home, listing = root / folder, root / folder / MANIFEST
    rows: dict[str, _Row] = {}
    for place, cells in _table(read_list(listing, PUBLISHED), str(listing)):
        row = _row(root, home, place, cells)
        key = _key(cells["path"], place)
        if key in rows:
            raise TddError(f"{place}: {key} was named before, in {rows[key].place.rpartition(', ')[2]}; {MEND}.")
        rows[key] = row
    if not rows:
        raise TddError(f"{listing} names no video; {PUBLISHED}.")
    for row in rows.values():
        if row.real and (row.real not in rows or rows[row.real].label):
            what = "no line names" if row.real not in rows else "is a fake itself"
            said = f"{what} {row.real}" if row.real not in rows else f"{row.real} {what}"
            raise TddError(f"{row.place}: the real that the fake is made from is given, but {said}; {MEND}.")
    return rows


def _table(text: str, where: str) -> list[tuple[str, dict[str, str]]]:
    """Lines of the table, with commas, semicolons or tabs between values: Excel writes any of them."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    header = [name.strip().lower() for name in next(csv.reader(io.StringIO(first), delimiter=delimiter), [])]
    while header and not header[-1]:
        header.pop()  # a spreadsheet's empty columns
    known = (*NEEDED, *OPTIONAL)
    unknown = [name for name in header if name not in known]
    if unknown:
        raise TddError(
            f"{where}, line 1: the column {reprlib.repr(unknown[0])} is unknown; known are {', '.join(known)}. Rename "
            "it, or leave it out."
        )
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise TddError(f"{where}, line 1: there is no column '{missing[0]}'; it needs {', '.join(NEEDED)}.")
    body = delimiter.join(header) + "\n" + text.partition("\n")[2]
    rows = parse_table(body, where, tuple(dict.fromkeys(header)), delimiter, QUOTES)
    return [(place, dict.fromkeys(OPTIONAL, "") | cells) for place, cells in rows]


def _row(root: Path, home: Path, place: str, cells: Mapping[str, str]) -> _Row:
    label = LABELS.get(cells["label"].lower())
    if label is None:
        raise TddError(f"{place}: the label is {reprlib.repr(cells['label'])}, not real or fake (0 or 1); {MEND}.")
    if cells["split"] not in SPLITS:
        raise TddError(f"{place}: the split is {reprlib.repr(cells['split'])}, not one of {', '.join(SPLITS)}; {MEND}.")
    path = on_disk(home, PurePosixPath(_key(cells["path"], place)))
    return _Row(
        place=place,
        path=path,
        video_id=same_name(path.relative_to(root).with_suffix("").as_posix()),
        label=label,
        split=cells["split"],
        dataset=_dataset(cells["dataset"] or home.name, place),
        method=_method(cells["method"], label, place),
        people=tuple(same_name(cells["identity"]).split()),
        word=same_name(cells["word"]),
        real=_real(cells["real"], label, place),
        segments=_segments(cells["segments"], label, place),
    )


def _key(name: str, place: str) -> str:
    """The path of a video, relative to the manifest's folder, in one spelling."""
    if name.startswith(("/", "~/")) or PureWindowsPath(name).drive:
        raise TddError(
            f"{place}: {reprlib.repr(name)} is a whole path; write it from the manifest's folder on, as real/a.mp4."
        )
    if "\\" in name:
        raise TddError(f"{place}: {reprlib.repr(name)} holds a backslash; write folders with /, as real/a.mp4.")
    return str(listed_path(same_name(name), place))


def _dataset(name: str, place: str) -> str:
    if name in DATA_SETS:
        raise TddError(f"{place}: the data set {name} has a reader of its own; give another name, or leave it empty.")
    return same_name(name)


def _method(name: str, label: int, place: str) -> str:
    if not label:
        if name not in ("", REAL):
            raise TddError(f"{place}: a real video has the method {reprlib.repr(name)}; leave it empty, or {MEND}.")
        return REAL
    if name in ("", REAL):
        raise TddError(f"{place}: a fake needs the name of its method, another than '{REAL}'; {MEND}.")
    if name in DATA_SETS or name == SEEN_COLUMN:
        what = "a column of every table" if name == SEEN_COLUMN else "a data set with a reader of its own"
        raise TddError(f"{place}: the method is called {name}, as {what} is; give it another name.")
    return same_name(name)


def _real(name: str, label: int, place: str) -> str:
    if not name:
        return ""
    if not label:
        raise TddError(f"{place}: a real video names a real that it is made from, {reprlib.repr(name)}; {MEND}.")
    return _key(name, place)


def _segments(text: str, label: int, place: str) -> str:
    if text and not label:
        raise TddError(f"{place}: a real video has forged parts, {reprlib.repr(text)}; {MEND}.")
    if _DECIMAL_COMMA.search(text):
        raise TddError(
            f"{place}: {reprlib.repr(text)} holds a decimal comma; write seconds with a point, as 0.52-1.30."
        )
    try:
        return segments_text(parse_segments(text))
    except TddError as error:
        raise TddError(f"{place}: {error}") from error


def _require_one_spelling(rows: Iterable[_Row]) -> None:
    """Check that a method, and a data set, is called by one name: with another capital it would be another one.

    Raises:
        TddError: two names differ only in capitals and small letters.
    """
    known: dict[tuple[str, str], _Row] = {}
    for row in rows:
        for column in ("method", "dataset"):
            name = getattr(row, column)
            other = known.setdefault((column, folded_name(name)), row)
            if getattr(other, column) != name:
                raise TddError(
                    f"{row.place}: {column} {name}, and {getattr(other, column)} in {other.place.rpartition(', ')[2]}, "
                    "differ only in capitals and small letters; give both one name, or names that differ more."
                )


def _require_reals(rows: Iterable[_Row]) -> None:
    """Check that every method has reals to be told from, in its data set and split.

    Raises:
        TddError: one has none.
    """
    table = list(rows)
    real = {(row.dataset, row.split) for row in table if not row.label}
    for row in table:
        if row.label and (row.dataset, row.split) not in real:
            raise TddError(
                f"{row.place}: the method {row.method} has no reals: the data set {row.dataset} holds no real video "
                f"for {row.split}. List some, or give fakes and reals one data set."
            )
