"""A resolved recipe as text: every setting with its value, where the value comes from, and what it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import yaml

from tdd.config import Recipe


def describe_recipe(recipe: Recipe) -> str:
    """The recipe as YAML that :func:`tdd.config.load_recipe` reads back, one commented line a setting.

    The comment starts with the origin: the paper, RealForensics, this package, or the recipe itself where it differs
    from the default.
    """
    name = recipe.name.partition(",")[0]  # without the settings that were changed: each shows its own value
    return "\n".join([f"name: {_plain(recipe.name)}", *_lines(recipe, Recipe(), name, "")]) + "\n"


def _lines(values: Any, defaults: Any, name: str, indent: str) -> Iterator[str]:
    for field in dataclasses.fields(values):
        value, default = getattr(values, field.name), getattr(defaults, field.name)
        if dataclasses.is_dataclass(value):
            yield f"{indent}{field.name}:"
            yield from _lines(value, default, name, indent + "  ")
        elif "origin" in field.metadata:
            origin = field.metadata["origin"] if value == default else f"recipe {name}"
            yield f"{indent}{field.name}: {_plain(value)}  # {origin}. {field.metadata['meaning']}"


def _plain(value: Any) -> str:
    """One line of YAML."""
    # YAML breaks lists at its own width, and a comment must follow. A bare value comes with an end mark, cut off here.
    listed = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(listed, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()
