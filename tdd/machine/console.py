"""What the commands print: text as it stands, on a console of any encoding."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from unicodedata import category

from rich.console import Console


def make_console(stderr: bool = False) -> Console:
    """A console that prints every text as it stands: no letter of a path or a name is markup, an emoji or a highlight.

    Args:
        stderr: print to standard error in place of standard output.
    """
    return Console(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)


def replace_unknown_characters() -> None:
    """Have standard output and error write ``?`` for a character that their encoding lacks, from now on.

    A Korean console has no "é", a C locale no Hangul, and no encoding the bytes of a file name that are no text.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a notebook's or a test's may be something else
            stream.reconfigure(errors="replace")


def legible(text: str) -> str:
    r"""Text that any file and any line can hold: a byte of a file's name that is no UTF-8 becomes ``\xb0``, and so do
    control characters and line breaks."""
    return "".join(_escaped(letter) if category(letter) in _NO_TEXT else letter for letter in text)


_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, of halves of characters, and of two further line breaks."""


def _escaped(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that Python could not decode
        return f"\\x{number - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
