"""Fetch the official split lists of FaceForensics++ from its owners' repository."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tdd.errors import TddError
from tdd.machine.download import ERRORS, download
from tdd.machine.files import write_atomically
from tdd.names import FACEFORENSICS
from tdd.preprocess.lists import parse_pairs, read_list

SPLITS_URL = "https://raw.githubusercontent.com/ondyari/FaceForensics/master/dataset/splits"

CHECKSUMS = {
    "train": "b38e13a44962db61b88d0458d1c2571f2100ea91a9334f1d1074cc489410900a",
    "val": "6eda825f48c0c8283cb3386f18fb9003700881f8b3cebb1f6c194216dbee9d2b",
    "test": "a762584dc3d78d0204ef41168031ad8e490c275a38d8f2abc96ebda237a7c95b",
}
"""Of the official lists (360, 70 and 70 pairs), by :func:`checksum`."""

LARGEST = 2**20
"""Bytes of a list at most; the official ones have about 11,000."""


def checksum(text: str, where: str) -> str:
    """SHA-256, in hexadecimal, of a split list's sorted pairs, one a line: blanks, line ends and order do not matter.

    Raises:
        TddError: the text is not a list of pairs.
    """
    pairs = sorted(parse_pairs(text, where))
    return hashlib.sha256("".join(f"{a} {b}\n" for a, b in pairs).encode()).hexdigest()


def fetch_splits(root: Path, url: str = SPLITS_URL, checksums: Mapping[str, str] = CHECKSUMS) -> list[Path]:
    """Put the split lists into ``FaceForensics++/splits`` below a data root; those that are there are only checked.

    Args:
        root: data root; must exist.
        url: folder on the web that holds ``train.json`` and so on; another one may mirror the official one.
        checksums: what each list must have.

    Returns:
        the files that were written; none when all were there.

    Raises:
        TddError: no such root, a list that is there or that came is not the official one, no connection, or the file
            cannot be written. What was missing is then still missing: no file is left half written.
    """
    if not root.is_dir():
        raise TddError(f"{root} is no folder; give the data root that holds, or will hold, {FACEFORENSICS}.")
    paths = {split: root / FACEFORENSICS / "splits" / f"{split}.json" for split in checksums}
    for split, path in paths.items():
        if path.exists() and checksum(read_list(path, f"see {url}"), str(path)) != checksums[split]:
            raise TddError(f"{path} is not the official list; move it away, and run this again to fetch that one.")
    missing = {split: path for split, path in paths.items() if not path.exists()}
    texts = {split: _download(f"{url}/{split}.json", path) for split, path in missing.items()}
    # All are checked before one is written: lists of two versions must not mix.
    for split, text in texts.items():
        source = f"{url}/{split}.json"
        if checksum(text, source) != checksums[split]:
            raise TddError(f"{source} is not the official list (its checksum differs); nothing was written.")
    for split, text in texts.items():
        try:
            write_atomically(missing[split], text.encode())
        except OSError as error:
            raise TddError(f"{missing[split]} cannot be written ({error.strerror}); make it writable.") from error
    return list(missing.values())


def _download(url: str, path: Path) -> str:
    try:
        return b"".join(block for block, _ in download(url, LARGEST)).decode()
    except ERRORS as error:
        raise TddError(
            f"{url} could not be fetched ({error}); with a browser, on any computer, save it from there as {path}."
        ) from error
