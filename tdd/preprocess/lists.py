"""The list files that come with a data set, read with distrust: what is wrong with one becomes a sentence."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tdd.errors import TddError


def read_list(path: Path, published: str) -> str:
    """Text of a list file.

    Args:
        path: of the file.
        published: where the data set's owner publishes it, said when it is missing.

    Raises:
        TddError: the file is missing, a link that leads nowhere or in a circle, or not UTF-8 text.
    """
    if path.is_symlink() and not path.exists():
        raise TddError(f"{path} is a link that leads nowhere or in a circle; replace it by the file: {published}.")
    if not path.is_file():
        raise TddError(f"{path} is missing: {published}.")
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except (OSError, UnicodeDecodeError) as error:
        raise TddError(f"{path} is not readable UTF-8 text ({error}); copy it again: {published}.") from error


def listed_path(name: str, where: str) -> PurePosixPath:
    """A path as a list file gives it, relative and never leading out of its data set.

    Raises:
        TddError: it is empty or absolute, or holds ``..`` or a backslash.
    """
    path = PurePosixPath(name)
    outside = path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts
    # A zero byte would end in a ValueError of open(), which nobody expects there.
    if not path.parts or outside or "\\" in name or "\0" in name:
        raise TddError(
            f"{where} names {name!r}, which is no path inside the data set; nothing outside it is read: "
            "copy the list again from its owner."
        )
    return path


def listed_file(name: str, where: str) -> str:
    """The name of a file or video as a list file gives it, without any folder.

    Raises:
        TddError: as :func:`listed_path`, or it holds a folder.
    """
    path = listed_path(name, where)
    if len(path.parts) != 1:
        raise TddError(f"{where} names {name!r} where a name without folders belongs; copy the list again.")
    return path.name


def parse_pairs(text: str, where: str) -> list[tuple[str, str]]:
    """Pairs of video names from a split list of FaceForensics++: JSON such as ``[["071", "054"], ...]``.

    Raises:
        TddError: the text is something else, or a name leads out of the data set.
    """
    try:
        pairs = [(str(a), str(b)) for a, b in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise TddError(
            f"{where} is not a list of pairs of video ids ({error}); copy it again from its source."
        ) from error
    return [(listed_file(a, where), listed_file(b, where)) for a, b in pairs]


def parse_mapping(text: str, where: str) -> dict[str, dict[str, Any]]:
    """A JSON object of objects, as DFDC's ``metadata.json``.

    Raises:
        TddError: the text is something else.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise TddError(f"{where} is not JSON ({error}); copy it again from its source.") from error
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise TddError(f"{where} does not give an object for each file name; copy it again from its source.")
    return value


def parse_table(text: str, where: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a CSV file with a header; a column without a name is called ``""``.

    Raises:
        TddError: a column is missing, or a row is shorter than the header.
    """
    # None where a row is too short; an empty cell is a value.
    reader = csv.DictReader(io.StringIO(text), restval=None)
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise TddError(f"{where} has no column {missing[0]!r}; expected {', '.join(map(repr, columns))}.")
    rows = []
    for row in reader:
        if any(row[column] is None for column in columns):
            raise TddError(f"{where}, line {reader.line_num}: too few columns; copy it again from its source.")
        rows.append({column: str(row[column]).strip() for column in columns})
    return rows
