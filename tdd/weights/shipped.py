"""The weights that come with the package, found by their names; and whatever else a user may call weights.

They are detectors of *drawn* faces: trained on the synthetic benchmark, by recipe ``demo`` with the first seed of the
recorded study. On videos of people their score means nothing that was ever measured.
``python -m benchmarks.ship_weights RUNS`` makes them anew.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from tdd.config import STAGE1, Recipe, recipe_from_dict
from tdd.errors import TddError
from tdd.machine.files import read_json
from tdd.records.kinds import require_kinds
from tdd.weights.checkpoints import PACKED_INFO, weights_files
from tdd.weights.hub import SCHEME, fetch_weights

SHIPPED = Path(__file__).parent / "shipped"

DRAWN = (
    "A detector of drawn faces: it was trained on the synthetic benchmark alone, and on videos of people its score is "
    "at most a rank, of which nobody has measured whether it is right."
)


def shipped_name(recipe: str, kind: str, name: str) -> str:
    """What weights are called that come with the package: ``demo-ssl_0.3``, ``demo-stage1-csn``.

    Args:
        recipe: its name.
        kind: ``stage1`` or ``stage2``.
        name: of the backbone (stage 1) or of the table's row (stage 2).
    """
    return "-".join([recipe, *([STAGE1] if kind == STAGE1 else []), name])


def shipped_names(kind: str | None = None) -> list[str]:
    """Names of the weights that come with the package, of one kind or of all."""
    names = sorted(path.parent.name for path in SHIPPED.glob(f"*/{PACKED_INFO}"))
    return [name for name in names if kind in (None, _about(name)["kind"])]


def shipped_run(recipe: Recipe, kind: str, name: str, seed: int) -> Path | None:
    """Folder of the weights that come with the package for a run, ``None`` where there are none of the same settings.

    Args:
        recipe: every number of the run.
        kind: ``stage1`` or ``stage2``.
        name: of the backbone, or of the table's row.
        seed: of the run.

    Raises:
        TddError: what comes with the package is damaged.
    """
    called = shipped_name(recipe.name, kind, name)
    if not (SHIPPED / called / PACKED_INFO).is_file():
        return None
    about = _about(called)
    backbone = about["backbone"]
    same = recipe_from_dict(about["recipe"]).read_by(kind, backbone) == recipe.read_by(kind, backbone)
    return SHIPPED / called if same and about["seed"] == seed else None


def find_weights(name: str | Path) -> Path:
    """The folder of weights that a user means.

    Where a folder here has the name of weights that come with the package, the folder is meant if it holds weights, and
    else those; a warning says which. ``./NAME`` is always the folder.

    Args:
        name: a folder; the name of weights that come with the package; or ``hf://USER/NAME`` on the Hugging Face Hub,
            with ``@REVISION`` where a certain one is meant.

    Raises:
        TddError: no folder and no such name, or the Hub cannot be reached.
    """
    if str(name).startswith(SCHEME):
        return fetch_weights(str(name))
    path, come = Path(name), SHIPPED / name
    if "/" in str(name) or os.sep in str(name):
        return path  # whoever reads the folder says what is wrong with it
    if not (come / PACKED_INFO).is_file():
        if path.exists():
            return path
        raise TddError(
            f"{name} is no folder, and no weights that come with tdd have that name; they are "
            f"{', '.join(shipped_names())}."
        )
    return _of_two(path, come) if path.exists() else come


def _of_two(path: Path, come: Path) -> Path:
    """A folder here, or the weights of its name that come with the package, where it holds none; and say which."""
    holds = weights_files(path)[0].is_file()
    said = (
        f"the folder {path} here is taken, and not the weights of that name that come with tdd; rename it to take those"
        if holds
        else f"the folder {path} here holds no weights, so those of that name are taken that come with tdd; write "
        f"./{path} to mean the folder"
    )
    logging.getLogger(__name__).warning(f"{said[0].upper()}{said[1:]}.")
    return path if holds else come


def shipped_text() -> str:
    """One line for each of the weights that come with the package, and what they are."""
    lines = [DRAWN]
    for name in shipped_names():
        about = _about(name)
        figures = [
            f"{method} {value['auc']:.2f}" for method, value in about["metrics"].items() if isinstance(value, dict)
        ]
        shown = f"AUC {', '.join(figures)}" if figures else f"retrieval {about['metrics'].get('retrieval', 0):.2f}"
        lines.append(f"  {name}: {about['kind']} of {about['backbone']}, seed {about['seed']}; {shown}")
    return "\n".join(lines)


def _about(name: str) -> dict[str, Any]:
    path = SHIPPED / name / PACKED_INFO
    return require_kinds(read_json(path), path)
