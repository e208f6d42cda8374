"""Where things live: few modules at the root, wings whose imports point downwards, and no trainer to score a video."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tdd

PACKAGE = Path(tdd.__file__).parent

LAYERS = (
    {"cli"},
    {"commands"},
    {"demo", "notebook", "app"},
    {"study"},
    {"pretrain", "detect"},
    {"plots"},
    {"report"},
    {"evaluation"},
    {"training"},
    {"weights"},
    {"records"},
    {"preprocess", "synth"},
    {"data", "models", "losses"},
    {"config", "metrics", "machine"},
    {"names", "errors"},
)
"""Rooms from the top of the house to the ground; a room may import those below it, and itself."""

LEVEL = {room: number for number, layer in enumerate(LAYERS) for room in layer}


def _modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("tdd", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(name: str, at_start: bool) -> Iterator[str]:
    """Modules of the package that a module imports; with ``at_start``, those at its own top level alone."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in tree.body if at_start else ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tdd":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "tdd")


def _room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_the_root_is_held_in_mind_after_one_look() -> None:
    assert sorted(path.stem for path in PACKAGE.glob("*.py")) == [
        "__init__", "cli", "commands", "config", "demo", "detect", "errors", "losses", "names", "pretrain", "study",
    ]  # fmt: skip
    wings = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert {*wings, *(path.stem for path in PACKAGE.glob("*.py"))} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_downwards(name: str) -> None:
    own = _room(name)
    for imported in _imports(name, at_start=False):
        other = _room(imported)
        assert not own or not other or own == other or LEVEL[own] < LEVEL[other], f"{name} imports {imported}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {name: set(_imports(name, at_start=True)) & set(MODULES) - {name, "tdd"} for name in MODULES}
    while edges:
        free = [name for name, imported in edges.items() if not imported & set(edges)]
        assert free, f"a circle among {sorted(edges)}"
        for name in free:
            del edges[name]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_importing_a_module_changes_nothing(name: str) -> None:
    """No call for its effect, and nothing set in another object, at a module's top level."""
    for node in ast.parse(MODULES[name].read_text(encoding="utf-8")).body:
        assert not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)), ast.unparse(node)
        targets = node.targets if isinstance(node, ast.Assign) else []
        assert not [one for one in targets if isinstance(one, ast.Attribute | ast.Subscript)], ast.unparse(node)


@pytest.mark.parametrize(
    "statement",
    [
        "from tdd.cli import main; main(['predict', 'none.mp4', '--checkpoint', 'none'])",
        *(f"import {name}" for name in sorted(MODULES) if name.startswith("tdd.evaluation")),
    ],
)
def test_scoring_a_video_loads_no_trainer(statement: str) -> None:
    asked = (
        "print([name for name in ('lightning', 'pytorch_lightning', 'adamp', 'torchmetrics') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", f"import sys; {statement}; {asked}"], capture_output=True, text=True)
    # The command says a line before.
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
