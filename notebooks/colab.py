"""What the first cell of a notebook runs on Colab: installs what the kit lacks there, and replaces nothing.

Every version that is installed is handed to pip as a constraint, so that pip installs beside it or fails. Colab's
OpenCV 5 warps pictures otherwise than OpenCV 4 (up to 7 of 255 grey levels), which would give other crops and other
numbers: the kit's own comes into a folder that is first on the path of this kernel and of what it starts; Colab's
stays as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
OWN = ROOT / ".packages"
"""Folder of what has to differ from what is installed."""

EXTRAS = ("synth", "faces")
ASIDE = "opencv-python-headless"


def requirements() -> list[str]:
    """What the kit needs here, as pyproject.toml says it."""
    import tomllib  # Python 3.11; Colab has 3.13

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in EXTRAS for one in optional[extra])]


def split(wanted: Iterable[str]) -> tuple[list[str], list[str]]:
    """What pip is asked for, and what has to go into the folder of its own.

    Any OpenCV that is installed gives face-alignment what it imports; the kit's own is first on the path.

    Args:
        wanted: requirements.

    Returns:
        requirements that are not installed, and those of OpenCV that differ from what is installed.

    Raises:
        SystemExit: a package that only Colab can change has a version that the kit does not work with.
    """
    from packaging.requirements import Requirement

    missing, aside, unfit = [], [], []
    for text in wanted:
        one = Requirement(text)
        try:
            found = version(one.name)
        except PackageNotFoundError:
            # torchaudio loads with its own torch alone, and does not say so to pip.
            missing.append(f"torchaudio=={_series(version('torch'))}.*" if one.name == "torchaudio" else text)
            continue
        if one.specifier.contains(found, prereleases=True) or one.name == "opencv-python":
            continue
        (aside if one.name == ASIDE else unfit).append(text if one.name == ASIDE else f"{text} (here: {found})")
    if unfit:
        raise SystemExit(
            f"This Colab runtime does not fit the kit, which needs {', '.join(unfit)}. Choose an older one: Tools, "
            "Command palette, Change runtime version; then run this cell again."
        )
    return missing, aside


def _series(number: str) -> str:
    """The first two parts of a version."""
    return ".".join(number.split(".")[:2])


def frozen() -> str:
    """Every installed package at its version, as constraints for pip."""
    from packaging.version import InvalidVersion, Version

    found: dict[str, str] = {}
    for one in distributions():
        name = one.metadata["Name"]
        try:
            Version(one.version)
        except (InvalidVersion, TypeError):  # a system's package; pip would refuse the whole list
            continue
        if name and name != "tdd-deepfake":
            found.setdefault(name, one.version)  # the first on the path is the one that is imported
    return "".join(f"{name}=={number}\n" for name, number in sorted(found.items()))


def pip(*arguments: str) -> None:
    """Install, or end with pip's own words."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"The kit could not be installed; pip says:\n{done.stderr.strip()[-2000:]}")


def put_first(folder: Path) -> None:
    """Let this process, and all that it starts, import from ``folder`` before anything else.

    Raises:
        SystemExit: another OpenCV was imported, which cannot be changed any more.
    """
    loaded = getattr(sys.modules.get("cv2"), "__file__", None)
    if loaded and folder not in Path(loaded).parents:
        raise SystemExit("OpenCV was imported before this cell: Runtime, Restart session; then run this cell first.")
    later = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(folder)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *later])
    sys.path[:] = [str(folder), *(path for path in sys.path if path != str(folder))]


def main() -> None:
    """Install what is missing, which takes a minute or two; a second run finds most of it."""
    if OWN.is_dir():  # an earlier notebook of this runtime
        put_first(OWN)
    missing, aside = split(requirements())
    if missing:
        with TemporaryDirectory() as folder:
            constraints = Path(folder) / "installed.txt"
            constraints.write_text(frozen(), encoding="utf-8")
            pip("--constraint", str(constraints), *missing)
    if aside:
        pip("--no-deps", "--target", str(OWN), *aside)
        put_first(OWN)
    pip("--no-deps", str(ROOT))  # with what it requires, pip would replace Colab's OpenCV


if __name__ == "__main__":
    main()
