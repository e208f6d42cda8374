"""Builds the Korean notebooks: code and outputs of the English ones, and the text of ``notebooks/ko/*.md``.

    python notebooks/translate.py

Run it after changing a text in ``notebooks/ko``; ``notebooks/run.py --write`` runs it too. A
file of texts holds, before the text of each cell, ``<!-- cell ID DIGEST -->``: the cell's id, and the digest of the
English text that was translated. Where the English text has changed since, the built notebook shows it in English, and
this command names the cell, says what its marker should be, and ends with exit code 1. Links are written as the English
cell writes them: here they are led to the Korean page where there is one. The line with the Colab link is taken from
the English cell. ``docs/ko`` holds pages whose first line is such a marker: ``<!-- docs/devices.md DIGEST -->``.
"""

from __future__ import annotations

import argparse
import hashlib
import posixpath
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, KOREAN = "notebooks", "notebooks/ko"
PAGES = "docs/ko"
MARKER = re.compile(r"^<!-- cell (\S+) (\S+) -->\n", re.MULTILINE)
PAGE_MARKER = re.compile(r"\A<!-- (\S+) (\S+) -->\n")
LINK = re.compile(r"\]\(([^)\s]+)\)")
BADGE = "[![Open in Colab]"
NOTE = (
    "*이 노트북은 [영어판]({english})을 옮긴 것입니다. 코드와 출력은 영어판 그대로이므로 "
    "그림과 표의 글자, 코드의 주석, 셀이 출력하는 제목과 문장은 영어입니다. "
    "용어는 [용어집]({terms})을 따릅니다.*"
)
"""Stands once, at the top of each notebook."""


class Cell(NamedTuple):
    """The Korean text of a cell, and the digest of the English text that it was made from."""

    digest: str
    text: str


def digest(english: str) -> str:
    """Of an English text, without the line of the Colab link: a new address makes no translation old."""
    return hashlib.sha256(_without_badge(english).encode()).hexdigest()[:12]


def names() -> list[str]:
    """The notebooks that have a Korean text, seen from ``notebooks/ko`` and without their endings."""
    folder = ROOT / KOREAN
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("[0-9]*.md"))


def read_texts(text: str) -> dict[str, Cell]:
    """The cells of a file of Korean texts, by id.

    Raises:
        SystemExit: text before the first marker, or two cells of one id.
    """
    before, *parts = MARKER.split(text)
    cells = {part[0]: Cell(part[1], part[2].strip()) for part in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}
    if before.strip() or 3 * len(cells) != len(parts):
        raise SystemExit("A file of Korean texts begins with <!-- cell ID DIGEST -->, and has each ID once.")
    return cells


def build(name: str) -> tuple[str, list[str]]:
    """The Korean notebook as it is written to its file, and one sentence for each cell that is not translated.

    Args:
        name: of the notebook, seen from ``notebooks/ko`` and without its ending.
    """
    texts = read_texts((ROOT / KOREAN / f"{name}.md").read_text(encoding="utf-8"))
    notebook = nbformat.read(ROOT / ENGLISH / f"{name}.ipynb", as_version=4)
    english = {cell.id: cell for cell in notebook.cells if cell.cell_type == "markdown"}
    faults = [f"{name}.md: the English notebook has no text cell {unknown}." for unknown in texts.keys() - english]
    for key, cell in english.items():
        current = digest(cell.source)
        if key in texts and texts[key].digest == current:
            cell.source = _page(name, cell.source, texts[key].text, cell is notebook.cells[0])
        else:
            fault = "has changed" if key in texts else "is not translated"
            faults.append(f"{name}.md: cell {key} {fault}; once it is translated: <!-- cell {key} {current} -->")
            cell.source = _page(name, cell.source, cell.source, cell is notebook.cells[0])
    return nbformat.writes(notebook) + "\n", sorted(faults)


def old_pages() -> list[str]:
    """One sentence for each page of ``docs/ko`` whose English page has changed."""
    faults = []
    for path in sorted((ROOT / PAGES).glob("*.md")):
        found = PAGE_MARKER.match(path.read_text(encoding="utf-8"))
        name = f"docs/{path.name}"
        current = digest((ROOT / name).read_text(encoding="utf-8"))
        if not found or found.groups() != (name, current):
            faults.append(f"{PAGES}/{path.name}: once it is translated it begins with <!-- {name} {current} -->")
    return faults


def _without_badge(text: str) -> str:
    """A text without the line of the Colab link and the empty one behind it."""
    return re.sub(rf"^{re.escape(BADGE)}[^\n]*\n\n?", "", text, flags=re.MULTILINE).strip()


def _page(name: str, english: str, text: str, first: bool) -> str:
    """A text with its links led to where they belong; the first one also with Colab's, if any, and the note."""
    text = LINK.sub(lambda found: f"]({led(name, found[1])})", text)
    if not first:
        return text
    badge = [line for line in english.splitlines() if line.startswith(BADGE)]
    title, _, rest = _without_badge(text).partition("\n")
    here = f"{KOREAN}/{name}.ipynb"
    note = NOTE.format(english=_seen_from(here, f"{ENGLISH}/{name}.ipynb"), terms=_seen_from(here, "docs/terms.md"))
    lines = [line.replace(f"/{ENGLISH}/{name}.ipynb", f"/{here}") for line in badge]
    return "\n\n".join([title, *lines, note, rest.strip()])


def led(name: str, link: str) -> str:
    """A link of the English notebook as the Korean one of that name needs it."""
    if "://" in link or link.startswith("#"):
        return link
    path, hash_, place = link.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(f"{ENGLISH}/{name}"), path))
    korean = posixpath.join(KOREAN, posixpath.relpath(target, ENGLISH))
    if (ROOT / korean).with_suffix(".md").is_file() and target.endswith(".ipynb"):
        target = korean
    elif (ROOT / "docs/ko" / posixpath.relpath(target, "docs")).is_file():
        target = posixpath.join("docs/ko", posixpath.relpath(target, "docs"))
    return _seen_from(f"{KOREAN}/{name}", target) + hash_ + place


def _seen_from(page: str, target: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page))


def main() -> int:
    """Write what differs; 1 where something is not translated."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    faults = old_pages()
    for name in names():
        text, untranslated = build(name)
        (ROOT / KOREAN / f"{name}.ipynb").write_text(text, encoding="utf-8", newline="\n")
        faults += untranslated
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
