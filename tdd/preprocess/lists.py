"""The list files that come with a data set, read with distrust: what is wrong with one becomes a sentence."""

from __future__ import annotations

import codecs
import csv
import io
import json
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tdd.errors import TddError
from tdd.preprocess.naming import name_problem

LARGEST = 100_000_000
"""Bytes of a list file, but for AV-Deepfake1M's, which says much of each of a million videos."""

AGAIN = "copy it again from its source"


def read_list(path: Path, published: str, largest: int = LARGEST) -> str:
    r"""Text of a list file in UTF-8 or UTF-16, with or without a byte order mark.

    Args:
        path: of the file.
        published: where the data set's owner publishes it, said when it is missing.
        largest: bytes that it may have.

    Returns:
        the text with lines that end in ``\n``.

    Raises:
        TddError: the file is missing, a link that leads nowhere or in a circle, too large for a list, or in another
            encoding.
    """
    if path.is_symlink() and not path.exists():
        raise TddError(f"{path} is a link that leads nowhere or in a circle; replace it by the file: {published}.")
    if not path.is_file():
        raise TddError(f"{path} is missing: {published}.")
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise TddError(f"{path} cannot be read ({error.strerror}); copy it again: {published}.") from error
    if len(content) > largest:
        raise TddError(f"{path} has more than {largest // 10**6} MB and is no list; copy it again: {published}.")
    text = _decode(content, path, published)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TddError(f"{path}, line {line}: a zero byte, which no list holds; save it as UTF-8, or see: {published}.")
    return text


def _decode(content: bytes, path: Path, published: str) -> str:
    encoding = _encoding(content)
    try:
        return _with_newlines(content.decode(encoding))
    except UnicodeDecodeError as error:
        line = _with_newlines(content[: error.start].decode(encoding, "ignore")).count("\n") + 1
        raise TddError(
            f"{path}, line {line}: not readable {encoding.removesuffix('-sig').upper()} text ({error.reason}); save it "
            f"as UTF-8, or copy it again: {published}."
        ) from error


def _encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content[:2].count(0) == 1:  # a list begins with a letter of ASCII
        return "utf-16-be" if content[0] == 0 else "utf-16-le"
    return "utf-8-sig"  # some editors put a byte order mark first


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_lines(text: str, where: str) -> Iterator[tuple[str, str]]:
    """The lines of a list that are not blank, stripped, each after its place: ``FILE, line 7``."""
    # Not splitlines, which ends a line at letters that a name may hold.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{where}, line {number}", line.strip()


def listed_path(name: str, where: str) -> PurePosixPath:
    """A path as a list file gives it, relative and never leading out of its data set.

    Raises:
        TddError: it is empty or absolute, holds ``..`` or a backslash, or is the name of no file.
    """
    path = PurePosixPath(name)
    outside = path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts
    # A zero byte would end in a ValueError of open(), which nobody expects there.
    if not path.parts or outside or "\\" in name or "\0" in name:
        raise TddError(
            f"{where} names {name!r}, which is no path inside the data set; nothing outside it is read: "
            "copy the list again from its owner."
        )
    problem = name_problem(name)
    if problem:
        raise TddError(f"{where} names {name[:80]!r}: {problem}, or copy the list again.")
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
    value = _parse_json(text, where, "a list of pairs of video ids")
    if not isinstance(value, list):
        raise TddError(f"{where} is not a list of pairs of video ids; {AGAIN}.")
    for number, pair in enumerate(value, 1):
        # Not only two of anything: the letters of "ab" are two as well.
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            raise TddError(
                f"{where} is not a list of pairs of video ids: entry {number} is {reprlib.repr(pair)}; {AGAIN}."
            )
    return [(listed_file(a, where), listed_file(b, where)) for a, b in value]


def parse_mapping(text: str, where: str) -> dict[str, dict[str, Any]]:
    """A JSON object of objects, as DFDC's ``metadata.json``.

    Raises:
        TddError: the text is something else, or a key is in it twice.
    """
    value = _parse_json(text, where, "JSON")
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise TddError(f"{where} does not give an object for each file name; {AGAIN}.")
    return value


def parse_records(text: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A JSON list of objects, each with the name of its ``file``, as LAV-DF's metadata.

    Yields:
        for each its place, ``FILE, entry 7``, and the object.

    Raises:
        TddError: the text is something else, or names a file twice.
    """
    value = _parse_json(text, where, "JSON")
    if not isinstance(value, list):
        raise TddError(f"{where} is not a list of videos; {AGAIN}.")
    known: dict[str, int] = {}
    for number, row in enumerate(value, 1):
        place = f"{where}, entry {number}"
        if not isinstance(row, dict) or not isinstance(row.get("file"), str):
            raise TddError(f"{place} is {reprlib.repr(row)}, and no object with the name of a file; {AGAIN}.")
        before = known.setdefault(row["file"], number)
        if before != number:
            raise TddError(f"{place} names {reprlib.repr(row['file'])} again, which entry {before} names; {AGAIN}.")
        yield place, row


def _parse_json(text: str, where: str, what: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        key, count = Counter(key for key, _ in pairs).most_common(1)[0] if pairs else ("", 1)
        if count > 1:
            raise TddError(f"{where} gives {key!r} {count} times, and each name has one entry; {AGAIN}.")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError as error:
        raise TddError(f"{where} is not {what} (brackets within brackets without end); {AGAIN}.") from error
    except ValueError as error:
        raise TddError(f"{where} is not {what} ({error}); {AGAIN}.") from error


def parse_table(
    text: str, where: str, columns: tuple[str, ...], delimiter: str = ",", mend: str = AGAIN
) -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV file with a header; a column without a name is called ``""``.

    Args:
        text: of the file.
        where: its name.
        columns: those that are wanted, each of which it must have once.
        delimiter: between values.
        mend: said of a row that cannot be read.

    Returns:
        for each row its place, ``FILE, line 7``, and its values by column.

    Raises:
        TddError: a column is missing or there twice, a row is shorter or longer than the header, or a quote is not
            closed where its value ends.
    """
    lines, begun = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True), 1
    try:
        header = [name.strip() for name in next(lines, [])]
        missing = [column for column in columns if header.count(column) != 1]
        if missing:
            many = "more than one" if missing[0] in header else "no"
            raise TddError(f"{where} has {many} column {missing[0]!r}; expected {', '.join(map(repr, columns))}.")
        rows, begun = [], lines.line_num + 1
        for row in lines:
            place, begun = f"{where}, line {begun}", lines.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
                few = "few" if len(row) < len(header) else "many"
                raise TddError(f"{place}: too {few} columns; {mend}.")
            if any("\n" in cell for cell in row):
                raise TddError(f"{place}: a quote is not closed on its line; {mend}.")
            rows.append((place, {column: row[header.index(column)].strip() for column in columns}))
    except csv.Error as error:
        raise TddError(f"{where}, line {begun}: a quote is not closed on its line ({error}); {mend}.") from error
    return rows
