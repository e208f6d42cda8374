"""Leaves the commit in what is built, for ``tdd --version`` and run records; everything else is in pyproject.toml."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

# By its path: the package itself may need what is not installed where it is built.
SOURCE = runpy.run_path(str(Path(__file__).parent / "tdd" / "machine" / "source.py"))


def leave_commit(package: Path) -> None:
    """Write the commit of the code that is built into a copy of the package."""
    found = SOURCE["commit"]()
    if found:
        (package / SOURCE["COMMIT"]).write_text(found + "\n", encoding="utf-8")


class BuildWithCommit(build_py):
    """A wheel holds the commit; an editable install asks git each time."""

    def run(self) -> None:
        """Copy the package, then leave the commit beside it."""
        super().run()
        if not self.editable_mode:
            leave_commit(Path(self.build_lib) / "tdd")


class SdistWithCommit(sdist):
    """A source archive holds the commit, for the wheel that is built from it."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the sources, then leave the commit among them."""
        super().make_release_tree(base_dir, files)
        leave_commit(Path(base_dir) / "tdd")


setup(cmdclass={"build_py": BuildWithCommit, "sdist": SdistWithCommit})
