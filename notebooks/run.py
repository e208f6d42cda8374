"""Execute notebooks from top to bottom, each in a kernel of its own.

    python notebooks/run.py                      # all, and the solutions; executed copies go to runs/notebooks/executed
    python notebooks/run.py 02 03                # those whose names begin so
    python notebooks/run.py --write 02           # keeps the outputs in the notebook itself, to be committed
    python notebooks/run.py solutions solutions/04   # all solutions; those of one notebook

A cell that fails ends the run with its traceback and exit code 1. ``--write`` also builds the Korean notebooks anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent
EXECUTED = FOLDER.parent / "runs" / "notebooks" / "executed"
CELL_SECONDS = 1200
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""The same in every notebook, whoever executed it."""


def chosen(prefixes: list[str]) -> list[Path]:
    """Notebooks whose names, seen from this folder, begin with one of ``prefixes``; all without any."""
    every = [*sorted(FOLDER.glob("[0-9]*.ipynb")), *sorted(FOLDER.glob("solutions/[0-9]*.ipynb"))]
    found = [path for path in every if path.relative_to(FOLDER).as_posix().startswith(tuple(prefixes or [""]))]
    if not found:
        raise SystemExit(f"No notebook's name in {FOLDER} begins with {' or '.join(prefixes)}.")
    return found


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs and nothing in its metadata that differs from one machine to the next.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    ).execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def main() -> int:
    """Execute and report; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 02 (default: all)")
    parser.add_argument("--write", action="store_true", help="keep the outputs in the notebooks themselves")
    args = parser.parse_args()
    for path in chosen(args.names):
        started = time.monotonic()
        try:
            notebook = execute(path)
        except CellExecutionError as error:
            print(f"{path.relative_to(FOLDER).as_posix()} failed:\n{error}", file=sys.stderr)
            return 1
        name = path.relative_to(FOLDER)
        target = path if args.write else EXECUTED / name
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
        print(
            f"{name.as_posix()}: {time.monotonic() - started:.0f} s, {target.stat().st_size / 1e3:.0f} kB", flush=True
        )
    if args.write:  # it names the Korean texts that the change made old
        subprocess.run([sys.executable, FOLDER / "translate.py"], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
