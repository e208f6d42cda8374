"""Puts the repository's address, which stands once in pyproject.toml, and the cells that all notebooks share in place.

    python notebooks/links.py

Run it after changing ``Repository`` under ``[project.urls]``, and on a new notebook. It rewrites the "Open in Colab"
link of every notebook, its second cell (Colab) and its third (recipe and data), and the Colab links in the READMEs.
The notebooks in ``solutions/`` have the link and the Colab cell, and choose nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.ko.md")
SOLUTIONS = "notebooks/solutions"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
LINK = re.compile(rf"{re.escape(COLAB)}/[^/\s)]+/[^/\s)]+/blob/main/notebooks/([\w./]+)")

COLAB_CELL = """\
# On Colab: fetches the kit and what it needs beside Colab's own torch. Anywhere else this cell does nothing.
import sys
from importlib.metadata import version

if "google.colab" in sys.modules:
    keep = " ".join(f"{name}=={version(name)}" for name in ("torch", "torchvision", "torchaudio", "numpy"))
    !test -d /content/tdd || git clone -q --depth 1 REPOSITORY /content/tdd
    %cd -q /content/tdd/FOLDER
    %pip install -q "/content/tdd[synth,faces]" {keep}"""

CHOICE_CELL = """\
from tdd.notebook.workspace import Workspace, versions

RECIPE = "demo"  # real data: "paper", or "colab" on one GPU of 15 GB
DATA = None  # real data: their folder, laid out as data/README.md says; for instance "../data"
SEED = 0

work = Workspace(RECIPE, DATA, SEED)
versions(work)"""


def repository() -> str:
    """The address in pyproject.toml, such as ``https://github.com/OWNER/tdd``."""
    found = re.search(r'^Repository = "(https://github\.com/[^/"]+/[^/"]+)"$', _read("pyproject.toml"), re.MULTILINE)
    if not found:
        raise SystemExit('pyproject.toml needs, under [project.urls], Repository = "https://github.com/OWNER/NAME".')
    return found[1]


def colab_link(name: str) -> str:
    """Where Colab opens the notebook of that file name, such as ``solutions/02_backbone.ipynb``."""
    return f"{COLAB}/{repository().removeprefix('https://github.com/')}/blob/main/notebooks/{name}"


def colab_cell(folder: str = "notebooks") -> str:
    """The second cell of every notebook of ``folder``, as seen from the repository's root."""
    return COLAB_CELL.replace("REPOSITORY", repository()).replace("FOLDER", folder)


def relink(text: str) -> str:
    """A text with the address in every Colab link."""
    return LINK.sub(lambda found: colab_link(found[1]), text)


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def main() -> None:
    """Rewrite what differs."""
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source = relink(notebook.cells[0].source)
        notebook.cells[1].source, notebook.cells[2].source = colab_cell(), CHOICE_CELL
        nbformat.write(notebook, path)
    for path in sorted((ROOT / SOLUTIONS).glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source = relink(notebook.cells[0].source)
        notebook.cells[1].source = colab_cell(SOLUTIONS)
        nbformat.write(notebook, path)
    for name in READMES:
        (ROOT / name).write_text(relink(_read(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
