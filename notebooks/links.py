"""Puts the repository's address, and the cells that all notebooks share, in place.

    make publish REPO=name/tdd                   # or without REPO: the address of the git remote "origin"
    make unpublish                               # no address again, and no link
    python notebooks/links.py                    # the same cells again, say on a new notebook
    python notebooks/links.py --check            # changes nothing; says what differs, and whether the address is set

The address stands once, in pyproject.toml: ``Repository`` under ``[project.urls]``. From it come the "Open in Colab"
link of every notebook below ``notebooks/``, the Colab cell, which is the second one, the links and badges of the
READMEs, and ``repository-code`` in CITATION.cff. As long as no address is set none of these links is shown, and the
Colab cell says what to do. The third cell (recipe and data) is put in place too; notebooks in ``solutions/`` have none.
The Korean ones come from ``translate.py``; here they get the address alone. Python's own library is enough.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.ko.md")
NOTEBOOKS = "notebooks"
SOLUTIONS = "notebooks/solutions"
GITHUB = "https://github.com"
COLAB = "https://colab.research.google.com/github"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
UNSET = (
    "The repository's address is not set, so links to Colab and badges are hidden. Once the kit lies on GitHub:  "
    "make publish REPO=name/tdd"
)

COLAB_CELL = """\
# On Colab: fetches the kit and what it needs, and replaces nothing of Colab's. Anywhere else this cell does nothing.
import runpy
import sys

if "google.colab" in sys.modules:
    FETCH
    %cd -q /content/tdd/FOLDER
    runpy.run_path("/content/tdd/notebooks/colab.py", run_name="__main__")"""
FETCH = "!test -d /content/tdd || git clone -q --depth 1 ADDRESS /content/tdd"
ASK = (
    '!test -d /content/tdd || echo "This notebook does not know where the kit lies: upload its folder to /content/tdd."'
)

CHOICE_CELL = """\
from tdd.notebook.workspace import Workspace, versions

RECIPE = "demo"  # real data: "paper", or "colab" on one GPU of 15 GB
DATA = None  # real data: their folder, laid out as data/README.md says; for instance "../data"
SEED = 0

work = Workspace(RECIPE, DATA, SEED)
versions(work)"""

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}"
"""An owner and a repository, as GitHub allows them."""
URLS = re.compile(r'^(\[project\.urls\][^\n]*\n)(?:Repository = "([^"\n]*)"\n)?', re.MULTILINE)
OPENED = re.compile(rf"\[!\[Open in Colab\]\({re.escape(BADGE)}\)\]\([^)\s]*\)\n\n")
ROW = re.compile(r"^(\| \[\w+\]\((notebooks/[\w/]+\.ipynb)\))(?: \(\[Colab\]\([^)\s]*\)\))?", re.MULTILINE)
BADGES = re.compile(r"\A(# [^\n]*\n\n)(?:\[!\[tests\][^\n]*\n\n)?")
CODE = re.compile(r"^(license: [^\n]*\n)(?:repository-code: [^\n]*\n)?", re.MULTILINE)


def repository(pyproject: str | None = None) -> str | None:
    """The address in pyproject.toml, such as ``https://github.com/name/tdd``; ``None`` while it is not set.

    Args:
        pyproject: its text (default: the file).

    Raises:
        SystemExit: there is no ``[project.urls]``, or an address that GitHub cannot have.
    """
    found = URLS.search(_read("pyproject.toml") if pyproject is None else pyproject)
    if not found:
        raise SystemExit("pyproject.toml needs the line [project.urls].")
    if found[2] is None:
        return None
    if not re.fullmatch(f"{GITHUB}/{NAME}", found[2]):
        raise SystemExit(f'pyproject.toml: Repository = "{found[2]}" is no address such as {GITHUB}/name/tdd.')
    return found[2]


def checked(name: str) -> str:
    """``name/tdd``, as it is.

    Raises:
        SystemExit: GitHub has no such names.
    """
    if not re.fullmatch(NAME, name):
        raise SystemExit(f"{name!r} is no repository of GitHub; give its owner and name:  make publish REPO=name/tdd")
    return name


def of_remote(address: str) -> str:
    """``name/tdd`` of a git remote's address, whether by https or by ssh.

    Raises:
        SystemExit: it does not lie on GitHub.
    """
    found = re.fullmatch(rf"(?:https://(?:[^@/\s]+@)?|ssh://git@|git@)github\.com[:/]({NAME}?)(?:\.git)?/?", address)
    if not found:
        raise SystemExit(
            f"The git remote 'origin' ({address or 'there is none'}) does not lie on GitHub; give the address:  "
            "make publish REPO=name/tdd"
        )
    return found[1]


def with_address(pyproject: str, name: str | None) -> str:
    """The text of pyproject.toml with the address of ``name/tdd``, or without any."""
    line = f'Repository = "{GITHUB}/{checked(name)}"\n' if name else ""
    return URLS.sub(lambda found: found[1] + line, pyproject)


def colab_link(path: str, address: str) -> str:
    """Where Colab opens the notebook of that path, such as ``notebooks/solutions/02_backbone.ipynb``."""
    return f"{COLAB}/{address.removeprefix(f'{GITHUB}/')}/blob/main/{path}"


def title_cell(source: str, path: str, address: str | None) -> str:
    """A notebook's first cell, with its link to Colab below the title where there is an address."""
    plain = OPENED.sub("", source)
    if not address:
        return plain
    title, rest = plain.split("\n\n", 1)
    return f"{title}\n\n[![Open in Colab]({BADGE})]({colab_link(path, address)})\n\n{rest}"


def colab_cell(folder: str, address: str | None) -> str:
    """The second cell of every notebook of ``folder``, as seen from the repository's root."""
    fetch = FETCH.replace("ADDRESS", address) if address else ASK
    return COLAB_CELL.replace("FETCH", fetch).replace("FOLDER", folder)


def readme(text: str, address: str | None) -> str:
    """A README with the badge of the tests, and with a link to Colab beside every notebook of its table."""
    tests = f"{address}/actions/workflows/tests.yml"
    badge = f"[![tests]({tests}/badge.svg)]({tests})\n\n" if address else ""
    text = BADGES.sub(lambda found: found[1] + badge, text)
    return ROW.sub(lambda row: row[1] + (f" ([Colab]({colab_link(row[2], address)}))" if address else ""), text)


def citation(text: str, address: str | None) -> str:
    """CITATION.cff with the address."""
    return CODE.sub(lambda found: found[1] + (f'repository-code: "{address}"\n' if address else ""), text)


def notebook_text(path: Path, address: str | None) -> str:
    """A notebook's file with the shared cells in place; nothing else is touched."""
    inside = path.relative_to(ROOT).as_posix()
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = notebook["cells"]
    _write_cell(cells[0], title_cell("".join(cells[0]["source"]), inside, address))
    # Where the paths of its cells hold: for one in another language the folder of its English original.
    folder = path.parent.relative_to(ROOT).as_posix().replace(f"{NOTEBOOKS}/ko", NOTEBOOKS)
    _write_cell(cells[1], colab_cell(folder, address))
    if path.parent == ROOT / NOTEBOOKS:
        _write_cell(cells[2], CHOICE_CELL)
    # As nbformat writes it; a test compares them.
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _write_cell(cell: dict[str, Any], text: str) -> None:
    cell["source"] = text.splitlines(keepends=True)


def notebooks() -> list[Path]:
    """All notebooks of the kit, in every language, with their solutions."""
    return sorted((ROOT / NOTEBOOKS).rglob("[0-9]*.ipynb"))


def expected(address: str | None) -> dict[Path, str]:
    """Every file that holds the address, or would, and what should be in it."""
    return {
        **{path: notebook_text(path, address) for path in notebooks()},
        **{ROOT / name: readme(_read(name), address) for name in READMES},
        ROOT / "CITATION.cff": citation(_read("CITATION.cff"), address),
    }


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _origin() -> str:
    done = subprocess.run(["git", "-C", str(ROOT), "remote", "get-url", "origin"], capture_output=True, text=True)
    return done.stdout.strip()


def main() -> int:
    """Rewrite what differs, or name it; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--set", metavar="NAME/TDD", help="the repository on GitHub; empty: that of the remote 'origin'"
    )
    parser.add_argument("--unset", action="store_true", help="no address: every link and badge goes")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if something differs")
    args = parser.parse_args()
    if args.set is not None or args.unset:
        name = None if args.unset else args.set or of_remote(_origin())
        text = with_address(_read("pyproject.toml"), name)
        (ROOT / "pyproject.toml").write_text(text, encoding="utf-8", newline="\n")
    address = repository()
    should = expected(address).items()
    differing = {path: text for path, text in should if path.read_text(encoding="utf-8") != text}
    if not args.check:
        for path, text in differing.items():
            path.write_text(text, encoding="utf-8", newline="\n")
    print(f"The repository's address: {address}" if address else UNSET)
    outcome = "differs; mend it with  python notebooks/links.py" if args.check else "written"
    for path in differing:
        print(f"{path.relative_to(ROOT).as_posix()} {outcome}")
    return int(args.check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
