"""The kit that this package is part of: where it lies, here and for others, and how an extra of it is installed."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2]
"""Of the kit where the package is used from a copy of it; elsewhere any folder, without a ``pyproject.toml``."""

NAME = "tdd-deepfake"
PROJECT = "pyproject.toml"
ADDRESS = re.compile(r'^Repository = "([^"\n]+)"$', re.MULTILINE)


def install_command(extra: str, folder: Path = FOLDER) -> str:
    """What to type for what an extra of ``pyproject.toml`` needs; the package is on no index, so it names the kit.

    Args:
        extra: such as ``app``.
        folder: of the kit.
    """
    kit = folder if (folder / PROJECT).is_file() else None
    # The stand-in keeps opencv-python out, which would overwrite the headless OpenCV.
    beside = f' "{kit / "opencv-stand-in"}"' if kit else " ./opencv-stand-in"
    command = f'pip install -e "{kit or "."}[{extra}]"{beside if extra == "faces" else ""}'
    return command if kit else f"{command} (in a copy of the kit)"


def repository(folder: Path = FOLDER) -> str | None:
    """The address of the kit, such as ``https://github.com/name/tdd``; ``None`` where nobody has set one.

    Args:
        folder: of the kit; an installed package says what it was built with.
    """
    if (folder / PROJECT).is_file():
        found = ADDRESS.search((folder / PROJECT).read_text(encoding="utf-8"))
        return found[1] if found else None
    try:
        addresses = metadata(NAME).get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    return next((one.partition(", ")[2] for one in addresses if one.startswith("Repository, ")), None)
