"""A finished run in a folder: its record, where it is the run that is asked for, and a refusal where it is another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tdd.config import Recipe, recipe_from_dict
from tdd.data.store import LABELS, ClipStore
from tdd.errors import TddError
from tdd.records.record import read_record
from tdd.records.rows import Row

BESIDE_RECIPE = ("ssl_weight", "from_stage1")
"""What a row says of itself that changes a result and that no recipe holds."""

NAMED = 3
"""Settings that are named where a run has others."""


def finished_record(
    run: Path, kind: str, backbone: str, recipe: Recipe, seed: int, store: ClipStore, row: Row | None = None
) -> dict[str, Any] | None:
    """The record of a finished run; ``None`` where the folder holds none.

    Args:
        run: its folder.
        kind: ``stage1``, ``stage2``, ``evaluation`` or ``trivial``.
        backbone: its network.
        recipe: every number of the run; only what such a run reads counts (:meth:`tdd.config.Recipe.read_by`).
        seed: of the run.
        store: its clips.
        row: that it serves, for what is in no recipe: ``ssl_weight``, and whether it starts from a stage 1.

    Raises:
        TddError: the record is damaged, or of a run of another kind, or with other settings, seed, clips or labels.
    """
    record = read_record(run)
    if record is None:
        return None
    present, data, kept = recipe_from_dict(record.get("recipe")), record.get("data", {}), record.get("row") or {}
    described = row.describe() if row else {}
    wanted = {"backbone": backbone} | {name: described[name] for name in BESIDE_RECIPE if name in described}
    differing = next((name for name, value in wanted.items() if kept.get(name, value) != value), None)
    what = None
    if record.get("kind") != kind:
        what = f"another purpose ({record.get('kind')})"
    elif differing:
        what = f"{differing} = {kept[differing]!r}, not {wanted[differing]!r}"
    elif present.read_by(kind, backbone) != recipe.read_by(kind, backbone):
        what = f"other settings ({other_settings(present.read_by(kind, backbone), recipe.read_by(kind, backbone))})"
    elif record.get("seed") != seed:
        what = f"seed = {record.get('seed')}, not {seed}"
    elif data.get("fingerprint") != store.fingerprint:
        what = "other data"
    elif data.get(LABELS, store.labels) != store.labels:  # an older version kept none
        what = "other labels or splits of its videos"
    if what:
        raise TddError(f"{run} is a finished run with {what}; choose another folder or delete that one.")
    return record


def other_settings(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first settings in which two nested mappings differ, by dotted path, with both values."""
    one, other = dict(flat(present)), dict(flat(wanted))

    def value(settings: Mapping[str, Any], path: str) -> str:
        return repr(settings[path]) if path in settings else "unset"

    paths = [path for path in one | other if (path in one, one.get(path)) != (path in other, other.get(path))]
    said = [f"{path} = {value(one, path)}, not {value(other, path)}" for path in paths[:NAMED]]
    return "; ".join(said) + (f"; and {len(paths) - NAMED} more" if len(paths) > NAMED else "")


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting of a nested mapping, by dotted name."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
